//! The console on the emulated board: which UART it takes, and what its banner says.
//!
//! The emulator's pins and UARTs start as after a power-on. Where the firmware would have set them up, the test does so through
//! QEMU's qtest protocol before the first instruction runs.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use tempfile::TempDir;
use xenlift_e2e::{Machine, Release, Uart, cache, emulator, packages};
use xtask::cache::Cache;
use xtask::loader;
use xtask::toolchain::Toolchain;

const START: Duration = Duration::from_secs(30);

/// GPIO function select 1; GPIO 14 and 15 are its bits 12 to 17.
const FUNCTION_SELECT: u32 = 0xfe20_0004;
const BOTH_ALT0: u32 = 0b100_100 << 12;
const BOTH_ALT5: u32 = 0b010_010 << 12;
const BOTH_OUTPUT: u32 = 0b001_001 << 12;

/// The PL011 as the firmware leaves it: divisor 26 and 3/64, eight bits, FIFOs, enabled.
const PL011_SET_UP: [(u32, u32); 4] = [(0xfe20_1024, 26), (0xfe20_1028, 3), (0xfe20_102c, 0x70), (0xfe20_1030, 0x301)];

/// Another set-up of the PL011: seven bits without FIFOs, at half the speed.
const PL011_SET_UP_ODDLY: [(u32, u32); 4] =
    [(0xfe20_1024, 52), (0xfe20_1028, 6), (0xfe20_102c, 0x40), (0xfe20_1030, 0x301)];

/// A watchdog that was armed with 14.5 s. Its mode is not the usual one, for which QEMU resets at once.
const WATCHDOG_ARMED: [(u32, u32); 2] = [(0xfe10_001c, 0x5a00_0112), (0xfe10_0024, 0x5a0e_8000)];

/// A board that stands before its first instruction.
struct Standing {
    machine: Machine,
    registers: BufReader<UnixStream>,
    control: BufReader<UnixStream>,
    _directory: TempDir,
}

impl Standing {
    fn new(tree: Option<PathBuf>) -> Result<Self> {
        let cache = cache()?;
        let directory =
            tempfile::Builder::new().prefix("xenlift-console-").tempdir().context("no temporary directory")?;
        let sockets = ["qtest", "qmp"].map(|name| directory.path().join(name));
        let [registers, control] = sockets.each_ref().map(UnixListener::bind);
        let mut command = emulator(&cache)?.board();
        command.arg("-kernel").arg(loader(&cache)?);
        if let Some(tree) = tree {
            command.arg("-dtb").arg(tree);
        }
        // A loader that has nothing to boot resets; the board then stands still, its registers as they were.
        command.args(["-S", "-action", "shutdown=pause", "-qtest-log", "/dev/null"]);
        for (option, socket) in ["-qtest", "-qmp"].into_iter().zip(&sockets) {
            command.arg(option).arg(format!("unix:{}", socket.display()));
        }
        let machine = Machine::start(command)?;
        let registers = BufReader::new(registers?.accept()?.0);
        let control = BufReader::new(control?.accept()?.0);
        Ok(Self { machine, registers, control, _directory: directory })
    }

    /// Writes device registers, as the firmware would have.
    fn preset(&mut self, registers: &[(u32, u32)]) -> Result<()> {
        for (address, value) in registers {
            writeln!(self.registers.get_mut(), "writel {address:#x} {value:#x}")?;
            let mut answer = String::new();
            self.registers.read_line(&mut answer)?;
            ensure!(answer.trim() == "OK", "qtest: writel {address:#x} {value:#x}: {answer}");
        }
        Ok(())
    }

    fn read(&mut self, address: u32) -> Result<u32> {
        writeln!(self.registers.get_mut(), "readl {address:#x}")?;
        let mut answer = String::new();
        self.registers.read_line(&mut answer)?;
        let digits = answer.trim().strip_prefix("OK 0x").context("qtest: readl")?;
        Ok(u64::from_str_radix(digits, 16)? as u32)
    }

    /// Lets it run until the last line of the banner is on `uart`; the banner.
    fn banner(&mut self, uart: Uart) -> Result<String> {
        for command in ["qmp_capabilities", "cont"] {
            writeln!(self.control.get_mut(), "{{\"execute\": \"{command}\"}}")?;
        }
        let mut banner = self.machine.wait_for(uart, "\r\nconsole: ", START)?;
        banner.push_str(&self.machine.wait_for(uart, "\r\n", START)?);
        Ok(banner)
    }
}

/// The loader, built once for all tests of this file.
fn loader(cache: &Cache) -> Result<PathBuf> {
    static BUILT: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut built = BUILT.lock().map_err(|_| anyhow!("building the loader failed in another test"))?;
    if built.is_none() {
        *built = Some(loader::build(&Toolchain::find(cache)?)?.bin);
    }
    built.clone().context("no loader")
}

fn debian_tree(cache: &Cache) -> Result<PathBuf> {
    Ok(packages::linux(cache, Release::Bookworm)?.device_trees.join("bcm2711-rpi-4-b.dtb"))
}

fn with_tree() -> Result<Standing> {
    Standing::new(Some(debian_tree(&cache()?)?))
}

fn last_line(banner: &str) -> &str {
    banner.trim_end().rsplit("\r\n").next().unwrap_or_default()
}

#[test]
fn the_pl011_on_the_header_is_taken_with_the_speed_that_the_firmware_set() -> Result<()> {
    let mut board = with_tree()?;
    board.preset(&[(FUNCTION_SELECT, BOTH_ALT0)])?;
    board.preset(&PL011_SET_UP)?;
    let banner = board.banner(Uart::Pl011)?;
    assert_eq!(last_line(&banner), "console: PL011, on GPIO14/15; speed as the firmware set it");
    assert_eq!(board.machine.transcript(Uart::Mini), "");
    Ok(())
}

#[test]
fn a_pl011_that_is_set_up_oddly_keeps_its_speed_and_nothing_else() -> Result<()> {
    let mut board = with_tree()?;
    board.preset(&[(FUNCTION_SELECT, BOTH_ALT0)])?;
    board.preset(&PL011_SET_UP_ODDLY)?;
    let banner = board.banner(Uart::Pl011)?;
    assert_eq!(last_line(&banner), "console: PL011, on GPIO14/15; speed as the firmware set it");
    assert_eq!((board.read(0xfe20_1024)?, board.read(0xfe20_1028)?), (52, 6));
    assert_eq!((board.read(0xfe20_102c)?, board.read(0xfe20_1030)?), (0x70, 0x301));
    Ok(())
}

#[test]
fn the_mini_uart_on_the_header_is_taken_whatever_stdout_path_says() -> Result<()> {
    let mut board = with_tree()?;
    board.preset(&[(FUNCTION_SELECT, BOTH_ALT5)])?;
    board.preset(&PL011_SET_UP)?;
    let banner = board.banner(Uart::Mini)?;
    assert!(last_line(&banner).starts_with("console: mini UART, on GPIO14/15; "), "{banner}");
    assert_eq!(board.machine.transcript(Uart::Pl011), "");
    Ok(())
}

#[test]
fn free_pins_are_connected_to_the_uart_that_stdout_path_names() -> Result<()> {
    let mut board = with_tree()?;
    let banner = board.banner(Uart::Mini)?;
    assert!(last_line(&banner).starts_with("console: mini UART, stdout-path; GPIO14/15 were free"), "{banner}");
    assert_eq!(board.read(FUNCTION_SELECT)? & 0b111_111 << 12, BOTH_ALT5);
    Ok(())
}

#[test]
fn pins_that_are_in_use_stay_as_they_are() -> Result<()> {
    let mut board = with_tree()?;
    board.preset(&[(FUNCTION_SELECT, BOTH_OUTPUT)])?;
    let banner = board.banner(Uart::Mini)?;
    assert!(last_line(&banner).contains("not on the header, GPIO14 is output"), "{banner}");
    assert_eq!(board.read(FUNCTION_SELECT)? & 0b111_111 << 12, BOTH_OUTPUT);
    Ok(())
}

#[test]
fn without_a_tree_the_banner_says_why_on_the_pl011() -> Result<()> {
    let banner = Standing::new(None)?.banner(Uart::Pl011)?;
    assert!(banner.contains("\r\nno tree: x0 = 0x100 "), "{banner}");
    Ok(())
}

#[test]
fn the_banner_tells_what_the_mailbox_and_the_registers_say_in_few_bytes() -> Result<()> {
    let mut board = with_tree()?;
    board.preset(&[(FUNCTION_SELECT, BOTH_ALT0)])?;
    board.preset(&PL011_SET_UP)?;
    board.preset(&WATCHDOG_ARMED)?;
    let banner = board.banner(Uart::Pl011)?;
    // QEMU's firmware: revision 0xb03115, clock 3 at 700 MHz, no serial number.
    for fact in [
        "Raspberry Pi 4 Model B 1.5, 2 GiB",
        "EL2, 960 MiB, ARM 700 MHz",
        "reset: power-on",
        "watchdog armed, 14 s left",
    ] {
        assert!(banner.contains(fact), "{fact:?} is not in\n{banner}");
    }
    assert!(banner.len() <= 350, "{} bytes:\n{banner}", banner.len());
    Ok(())
}
