//! The prompt: what somebody finds who watches a script fail, and the commands that tell what the board is.

use anyhow::{Result, ensure};
use std::time::Duration;
use xenlift_e2e::boot::{Board, TREE, device_tree, fake_xen, kernel};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::u_boot_tools::{make_overlay, make_script};
use xenlift_e2e::{cache, emulator_with_ethernet};

/// A script that fails once somebody has had the time to press a key; and an entry that boots.
const SETTINGS: &str = "timeout = 0\ndefault = \"old\"\n\
    [[entry]]\nname = \"old\"\nscript = \"boot.scr\"\nfallback = \"good\"\n\
    [[entry]]\nname = \"good\"\ntitle = \"The good one\"\ndevice-tree = \"firmware\"\n\
    [entry.xen]\nimage = \"xen\"\nargs = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"kernel\"\nargs = \"console=hvc0 entry=good\"\n\
    [[entry]]\nname = \"bad\"\n[entry.xen]\nimage = \"nothing\"\nargs = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"kernel\"\nargs = \"\"\n\
    [[entry]]\nname = \"odd\"\ndevice-tree = \"firmware\"\noverlays = [\"good.dtbo\", \"bcm2711-rpi-4-b.dtb\"]\n\
    [entry.xen]\nimage = \"xen\"\nargs = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"kernel\"\nargs = \"\"\n";

const SCRIPT: &str = "setenv left behind\ntftpb 0x4000000 xen\nfdt addr ${fdt_addr}\nfdt set /chosen new-one <7>\n\
    echo now wait\nsleep 5\nbooti 0x8000000 - 0x9000000\n";

struct Session {
    board: Board,
    _network: Network,
}

impl Session {
    /// A board whose script has failed while a key was pressed.
    fn start(seed: u64) -> Result<Self> {
        let network = Network::new()?
            .with("xen", fake_xen()?)?
            .with("kernel", &kernel(0x1_0000)?)?
            .with("large", &kernel(200 << 20)?)?
            .with(TREE, &std::fs::read(device_tree()?)?)?
            .with("good.dtbo", &make_overlay("/dts-v1/; /plugin/; &{/chosen} { of-the-overlay = <7>; };")?)?
            .with("boot.scr", &make_script(SCRIPT)?)?;
        let emulator = emulator_with_ethernet(&cache()?)?;
        let mut board = Board::start(&emulator, Some(SETTINGS.as_bytes()), |command| {
            network.attach_as(command, &network.user(None), seed);
            Ok(())
        })?;
        board.says("now wait")?;
        board.press("x")?;
        board.says("old was not booted: the script came to its end, its last command failed (status 1)")?;
        let mut session = Self { board, _network: network };
        session.board.says("=> ")?;
        // The key is still there, as everything that is typed ahead.
        session.board.press("\x15")?;
        Ok(session)
    }

    /// What `command` says, up to the next prompt.
    fn ask(&mut self, command: &str) -> Result<String> {
        self.board.press(&format!("{command}\r"))?;
        self.board.says(command)?;
        self.board.says("=> ")
    }

    fn expect(&mut self, command: &str, parts: &[&str]) -> Result<String> {
        let said = self.ask(command)?;
        for part in parts {
            ensure!(said.contains(part), "{command}: no {part:?} in {said}");
        }
        Ok(said)
    }
}

#[test]
fn after_a_script_that_failed_its_variables_and_files_are_there_to_look_at() -> Result<()> {
    let mut session = Session::start(61)?;
    session.expect("printenv left", &["left=behind"])?;
    session.expect("printenv lfet", &["did you mean left?"])?;
    session.expect("memory", &["0x04000000-", "xen", "the loader", "page 0"])?;
    session.expect("tree diff", &["+ /chosen new-one = <0x00000007>"])?;
    session.expect("tree print /chosen new-one", &["new-one = <0x00000007>"])?;
    session.expect("entries", &["  1  old", "  2  good         The good one"])?;
    session.expect("boot goood", &["did you mean good?"])?;
    // By hand what the script could not.
    session.expect("setenv a 1; for x in 2 3; do setenv a ${a}${x}; done; echo $a", &["\r\n123\r\n"])?;
    Ok(())
}

#[test]
fn the_tree_of_an_entry_that_failed_is_there_to_look_at() -> Result<()> {
    let mut session = Session::start(63)?;
    // A tree is no overlay: what comes before is done by then.
    let said = session.ask("boot odd")?;
    ensure!(said.contains("odd was not booted: bcm2711-rpi-4-b.dtb: "), "{said}");
    ensure!(said.contains("The device tree of the attempt that failed, as far as it was made, is at 0x"), "{said}");
    session.expect("tree diff", &["+ /chosen of-the-overlay = <0x00000007>"])?;
    session.expect("fdt print /chosen of-the-overlay", &["of-the-overlay = <0x00000007>"])?;
    // One that failed before it had one leaves none.
    let said = session.ask("boot bad")?;
    ensure!(said.contains("bad was not booted") && !said.contains("as far as it was made"), "{said}");
    Ok(())
}

#[test]
fn the_board_tells_what_it_is() -> Result<()> {
    let mut session = Session::start(62)?;
    session.expect("net", &["Ethernet ", "link is up, 1000 Mb/s", "by DHCP", "TFTP server 10.0.2.2:69", "frames: "])?;
    session.expect(
        "net registers",
        &[
            ": 1000 Mb/s, full duplex, TX on, RX on",
            "RDMA       ",
            "0x600d84a2 (BCM54213PE or near kin) at address 1",
            ": link, negotiated\r\n",
            ": negotiated 1000 full\r\n",
            "trouble    none counted\r\n",
        ],
    )?;
    session.expect("timing", &["start", "console", "Ethernet started", "link", "lease", "boot.scr", "now"])?;
    session.expect("watchdog", &["watchdog: not armed"])?;
    session
        .expect("log", &["INFO network: GENET revision 0x06000000; PHY 0x600d84a2 at address 1 is negotiating\r\n"])?;
    session.expect("log inof", &["did you mean info?"])?;
    let parts = [
        "Xenlift ",
        "Raspberry Pi 4",
        "EL2",
        "reset: ",
        "revision: 0x",
        "firmware: of ",
        "clocks: ARM ",
        "MIDR 0x410fd083",
        "tree: ",
        "Settings: loader.toml (initramfs)",
        "  memory\r\n",
        "  free\r\n",
        "cache lines of 64 bytes",
        "terminal: ",
        "console: ",
        "no errors on the line",
        "longest time between two looks",
        "card: ",
        "UMAC_CMD",
        "INFO network",
        "power-on",
    ];
    let said = session.expect("selftest", &parts)?;
    ensure!(said.lines().all(|line| line.chars().count() < 80), "{said}");
    let said = session.ask("help")?;
    ensure!(said.lines().count() <= 24, "help is one screen, the typed line and the prompt included: {said}");
    let parts =
        ["The good one (good)", "Xen: xen, by TFTP", " bytes, to 0x00200000-", "Dom0 args: console=hvc0 entry=good"];
    session.expect("plan good", &parts)?;
    session.expect(
        "plan bad",
        &["file not found on the server", "Dom0 kernel: kernel, by TFTP\r\n    65536 bytes, to 0x"],
    )?;
    Ok(())
}

#[test]
fn an_entry_is_booted_by_its_name_and_one_that_fails_comes_back_with_the_reason() -> Result<()> {
    let mut session = Session::start(63)?;
    session.ask("setenv mine still")?;
    session.expect("boot bad", &["bad was not booted: Xen (nothing): file not found on the server"])?;
    session.expect("printenv mine left", &["mine=still", "left=behind"])?;
    // A pause behind what is shown, as a person makes it: keys that come together are pasted, and a Tab among them is a blank.
    for (keys, shown) in [("boot go", "boot go"), ("\t", "od "), ("\r", "\n")] {
        session.board.press(keys)?;
        session.board.says(shown)?;
        std::thread::sleep(Duration::from_millis(100));
    }
    let report = session.board.report()?;
    report.says("/chosen:xen,dom0-bootargs = \"console=hvc0 entry=good\"")
}

#[test]
fn ctrl_c_ends_a_sleep_and_a_fetch() -> Result<()> {
    let mut session = Session::start(64)?;
    // The emulator shares its processor with others: how soon the board itself ends them is shown by the host tests. Here neither comes to its end.
    for (command, waits_for) in [("sleep 1000", "sleep 1000\r\n"), ("tftpb 0x10000000 large", "%")] {
        session.board.press(&format!("{command}\r"))?;
        session.board.says(waits_for)?;
        session.board.press("\x03echo st\"\"ill\r")?;
        let said = session.board.says("\nstill\r\n")?;
        ensure!(!said.contains(" bytes in "), "{command}: {said}");
    }
    Ok(())
}
