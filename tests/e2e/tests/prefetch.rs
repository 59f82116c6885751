//! The countdown of the menu, during which the default entry's files come already: kept where it is booted, dropped where another is.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, COUNTDOWN, Report, bundle, fake_xen, kernel, pattern};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::plain_tftp::{Event, PlainTftp, Served};

const RAMDISK: usize = 60_000;

/// Two entries that differ in their kernels. The ramdisk of the first takes long if `is_slow`, does not come to its end before it is let if `is_held`,
/// and is missing if `is_missing`.
struct Rig {
    server: PlainTftp,
    kernels: [Vec<u8>; 2],
    board: Board,
    _network: Network,
}

#[derive(Clone, Copy, Default)]
struct Trouble {
    is_slow: bool,
    is_held: bool,
    is_missing: bool,
}

impl Rig {
    fn start(timeout: u32, trouble: Trouble, seed: u64) -> Result<Self> {
        let kernels = [kernel(0x2_0000)?, kernel(0x2_4000)?];
        let quick = |bytes: Vec<u8>| Served { bytes, tells_size: true, pause: Duration::ZERO, held: false };
        let pause = Duration::from_millis(if trouble.is_slow { 100 } else { 0 });
        let mut files = HashMap::from([
            ("xen".to_owned(), quick(fake_xen()?.to_vec())),
            ("kernel-one".to_owned(), quick(kernels[0].clone())),
            ("kernel-two".to_owned(), quick(kernels[1].clone())),
        ]);
        if !trouble.is_missing {
            files.insert("ramdisk".to_owned(), Served { pause, held: trouble.is_held, ..quick(pattern(RAMDISK)) });
        }
        let server = PlainTftp::start(files)?;
        let entry = |name: &str, ramdisk: &str| {
            format!(
                "[[entry]]\nname = \"{name}\"\ntitle = \"Entry {name}\"\ndevice-tree = \"firmware\"\n[entry.xen]\n\
                 image = \"xen\"\nargs = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"kernel-{name}\"\n{ramdisk}\
                 args = \"console=hvc0\"\n"
            )
        };
        let settings = format!(
            "timeout = {timeout}\n[network]\nserver = \"10.0.2.2:{}\"\n{}{}",
            server.port,
            entry("one", "ramdisk = \"ramdisk\"\n"),
            entry("two", "")
        );
        let network = Network::new()?;
        let board = Board::on(&network, Some(&bundle(&settings, &[])?), seed)?;
        Ok(Self { server, kernels, board, _network: network })
    }

    /// How often a file was asked for.
    fn asked(&self, name: &str) -> usize {
        self.server.events().iter().filter(|event| **event == Event::Asked(name.to_owned())).count()
    }

    /// The first entry was booted, and each file of it fetched once.
    fn booted_at_once(&mut self) -> Result<()> {
        let report = self.board.report()?;
        report.has_module(&self.kernels[0])?;
        report.has_module(&pattern(RAMDISK))?;
        timing_is_left(&report)?;
        for name in ["xen", "kernel-one", "ramdisk"] {
            ensure!(self.asked(name) == 1, "{:?}", self.server.events());
        }
        Ok(())
    }
}

/// The next system finds how long everything took.
fn timing_is_left(report: &Report) -> Result<()> {
    for part in ["/chosen/xenlift:loader = \"Xenlift ", "/chosen/xenlift:span-names", "/chosen/xenlift:span-us"] {
        report.says(part)?;
    }
    Ok(())
}

#[test]
fn what_has_come_during_the_countdown_is_not_fetched_again_and_said_when_it_is_booted() -> Result<()> {
    let mut rig = Rig::start(600, Trouble::default(), 31)?;
    rig.board.says(COUNTDOWN)?;
    for name in ["xen", "kernel-one", "ramdisk"] {
        rig.server.until(|event| *event == Event::Came(name.to_owned()))?;
    }
    rig.board.press(" ")?;
    let menu = rig.board.says("Number and Enter")?;
    ensure!(!menu.contains("DHCP") && !menu.contains("kernel-one:"), "{menu}");
    rig.board.press("\r")?;
    rig.board.says("Booting Entry one.")?;
    let said = rig.board.says("fake-xen: entered at ")?;
    ensure!(said.contains("DHCP: 10.0.2.15/24") && said.contains("kernel-one: 131072 bytes in "), "{said}");
    rig.board.says("fake-xen: end")?;
    for name in ["xen", "kernel-one", "ramdisk"] {
        ensure!(rig.asked(name) == 1, "{:?}", rig.server.events());
    }
    Ok(())
}

#[test]
fn files_that_are_still_coming_when_the_countdown_ends_go_on_coming() -> Result<()> {
    let mut rig = Rig::start(8, Trouble { is_held: true, ..Trouble::default() }, 32)?;
    rig.board.says(COUNTDOWN)?;
    rig.server.until(|event| *event == Event::Asked("ramdisk".to_owned()))?;
    rig.board.says("Booting Entry one.")?;
    rig.server.release();
    rig.booted_at_once()
}

#[test]
fn files_that_are_still_coming_when_enter_is_pressed_go_on_coming() -> Result<()> {
    let mut rig = Rig::start(600, Trouble { is_held: true, ..Trouble::default() }, 33)?;
    rig.board.says("\x1b[6n")?;
    rig.board.press("\x1b[24;80R")?;
    rig.server.until(|event| *event == Event::Asked("ramdisk".to_owned()))?;
    rig.board.press("\r")?;
    rig.board.says("Booting Entry one.")?;
    rig.server.release();
    rig.booted_at_once()
}

#[test]
fn what_has_come_is_dropped_where_another_entry_is_chosen() -> Result<()> {
    let mut rig = Rig::start(600, Trouble::default(), 34)?;
    rig.board.says(COUNTDOWN)?;
    rig.server.until(|event| *event == Event::Came("ramdisk".to_owned()))?;
    rig.board.press(" ")?;
    rig.board.says("Number and Enter")?;
    rig.board.press("2\r")?;
    let said = rig.board.says("kernel-two: ")?;
    ensure!(!said.contains("ramdisk: "), "what was dropped is told: {said}");
    let report = rig.board.report()?;
    report.has_module(&rig.kernels[1])?;
    ensure!(report.has_module(&rig.kernels[0]).is_err() && report.has_module(&pattern(RAMDISK)).is_err());
    Ok(())
}

#[test]
fn a_key_that_stops_the_countdown_stops_the_files_and_the_prompt_has_all_memory() -> Result<()> {
    let mut rig = Rig::start(600, Trouble { is_slow: true, ..Trouble::default() }, 35)?;
    rig.board.says(COUNTDOWN)?;
    rig.server.until(|event| *event == Event::Asked("ramdisk".to_owned()))?;
    rig.board.press(" ")?;
    rig.board.says("Number and Enter")?;
    rig.server.until(|event| *event == Event::GivenUp("ramdisk".to_owned()))?;
    rig.board.press("s\r")?;
    rig.board.says("=> ")?;
    // Where modules are put first.
    rig.board.press("mw.b 0x1000 0x5a 0x1000; crc32 0x1000 0x1000\r")?;
    rig.board.says("CRC32 for 00001000 ... 00001fff ==> ")?;
    rig.board.press("boot one\r")?;
    let report = rig.board.report()?;
    report.has_module(&pattern(RAMDISK))
}

#[test]
fn what_cannot_be_fetched_is_told_when_its_entry_is_booted() -> Result<()> {
    let mut rig = Rig::start(600, Trouble { is_missing: true, ..Trouble::default() }, 36)?;
    rig.board.says(COUNTDOWN)?;
    rig.server.until(|event| *event == Event::GivenUp("kernel-one".to_owned()))?;
    rig.board.press(" ")?;
    let menu = rig.board.says("Number and Enter")?;
    ensure!(!menu.contains("no such file"), "{menu}");
    rig.board.press("\r")?;
    rig.board.says("Booting Entry one.")?;
    let said = rig.board.says("Number and Enter")?;
    ensure!(said.contains("one was not booted: Dom0 ramdisk (ramdisk): ") && said.contains("no such file"), "{said}");
    // Another can be.
    rig.board.press("2\r")?;
    rig.board.report()?.has_module(&rig.kernels[1])
}
