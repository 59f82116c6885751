//! `cargo xtask qemu` at a terminal: keys and lines as they should be, and the terminal as it was before, however it ends.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, tcgetattr};

/// How long anything may take here: the first run builds the loader.
const LIMIT: Duration = Duration::from_secs(900);

/// No entries: the loader says so, and waits for a key.
const SETTINGS: &str = "timeout = 0\n";

/// The command as a user runs it.
fn xtask(settings: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "-q", "-p", "xtask", "--", "--offline", "qemu", "--config"]).arg(settings);
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command
}

fn settings(directory: &Path) -> Result<std::path::PathBuf> {
    let file = directory.join("loader.toml");
    fs::write(&file, SETTINGS)?;
    Ok(file)
}

/// A terminal with the command in it.
struct Terminal {
    keyboard: File,
    before: Termios,
    /// Kept open, so that the terminal outlives the command.
    _inside: File,
    screen: Arc<Mutex<Vec<u8>>>,
    child: Child,
    _directory: tempfile::TempDir,
}

impl Terminal {
    fn start() -> Result<Self> {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&outside)?;
        unlockpt(&outside)?;
        let name = ptsname(&outside, Vec::new())?;
        let inside = OpenOptions::new().read(true).write(true).open(std::ffi::OsStr::from_bytes(name.as_bytes()))?;
        let before = tcgetattr(&inside)?;
        let directory = tempfile::tempdir()?;
        let mut command = xtask(&settings(directory.path())?);
        command.stdin(inside.try_clone()?).stdout(inside.try_clone()?).stderr(inside.try_clone()?);
        let child = command.spawn().context("cannot start cargo")?;
        let keyboard = File::from(outside);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (keyboard.try_clone()?, screen.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                to.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&bytes[..count]);
            }
        });
        Ok(Self { keyboard, before, _inside: inside, screen, child, _directory: directory })
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Waits for `words`, the `times`th time.
    fn shows(&mut self, words: &str, times: usize) -> Result<String> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            let screen = self.screen();
            if screen.matches(words).count() >= times {
                return Ok(screen);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("ended ({status}) before {words:?} was shown:\n{screen}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{words:?} was not shown:\n{}", self.screen())
    }

    fn press(&mut self, keys: &[u8]) -> Result<()> {
        Ok(self.keyboard.write_all(keys)?)
    }

    /// Waits for the end; the terminal must be as it was.
    fn ends(&mut self) -> Result<ExitStatus> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait()? {
                let after = tcgetattr(&self.keyboard)?;
                ensure!(modes(&after) == modes(&self.before), "{after:?}, before {:?}", self.before);
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("it does not end:\n{}", self.screen())
    }

    /// The process of QEMU, a child of the command.
    fn qemu(&self) -> Result<Pid> {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children"))?;
        let first = children.split_whitespace().next().context("it has no child")?;
        Pid::from_raw(first.parse()?).context("a process 0")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            if let Ok(qemu) = self.qemu() {
                let _ = kill_process(qemu, Signal::KILL);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn modes(terminal: &Termios) -> String {
    let Termios { input_modes, output_modes, control_modes, local_modes, .. } = terminal;
    format!("{input_modes:?} {output_modes:?} {control_modes:?} {local_modes:?}")
}

#[test]
fn keys_go_to_the_board_lines_end_once_and_control_a_x_ends_it() -> Result<()> {
    let mut terminal = Terminal::start()?;
    terminal.shows("Ctrl-A X ends it", 1)?;
    let screen = terminal.shows("Starting over in ", 1)?;
    ensure!(!screen.contains("\r\r\n"), "line ends: {screen:?}");
    let banner = screen.split("Xenlift").nth(1).context("no banner")?;
    ensure!(banner.contains("\r\n") && !banner.replace("\r\n", "").contains('\n'), "line ends: {banner:?}");
    // QEMU's own words end in LF alone, which on a raw terminal does not lead back to the left.
    let own = screen.split("Ctrl-A X ends it").nth(1).and_then(|rest| rest.split("Xenlift").next()).unwrap_or_default();
    ensure!(own.contains("warning: ") && !own.replace("\r\n", "").contains('\n'), "QEMU's line ends: {own:?}");
    // Neither Enter nor Ctrl-C nor Ctrl-Z is the terminal's: they are keys of the board, each of which cuts the pause short.
    terminal.press(b"\r")?;
    terminal.shows("Starting over in ", 2)?;
    terminal.press(b"\x03")?;
    terminal.shows("Starting over in ", 3)?;
    terminal.press(b"\x1a ")?;
    terminal.shows("Starting over in ", 4)?;
    terminal.press(b"\x01x")?;
    let status = terminal.ends()?;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[test]
fn a_signal_ends_qemu_too_and_puts_the_terminal_back() -> Result<()> {
    let mut terminal = Terminal::start()?;
    terminal.shows("Starting over in ", 1)?;
    let qemu = terminal.qemu()?;
    kill_process(Pid::from_child(&terminal.child), Signal::TERM)?;
    let status = terminal.ends()?;
    ensure!(status.code() == Some(128 + 15), "{status}");
    ensure!(!Path::new(&format!("/proc/{}", qemu.as_raw_nonzero())).exists(), "QEMU was left behind");
    Ok(())
}

#[test]
fn a_qemu_that_is_killed_leaves_the_terminal_as_it_was() -> Result<()> {
    let mut terminal = Terminal::start()?;
    terminal.shows("Starting over in ", 1)?;
    kill_process(terminal.qemu()?, Signal::KILL)?;
    let status = terminal.ends()?;
    ensure!(status.code() == Some(1), "{status}");
    terminal.shows_at_last("failed: signal: 9")
}

impl Terminal {
    fn shows_at_last(&self, words: &str) -> Result<()> {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            if self.screen().contains(words) {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(20));
        }
        bail!("{words:?} was not shown:\n{}", self.screen())
    }
}

#[test]
fn without_a_terminal_what_is_piped_in_goes_to_the_board() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let mut child = xtask(&settings(directory.path())?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start cargo")?;
    let mut input = child.stdin.take().context("no input")?;
    // Ctrl-A X is two bytes like any others here. R resets the board, which ends the emulator.
    thread::spawn(move || {
        while input.write_all(b"\x01xR").is_ok() {
            thread::sleep(Duration::from_secs(1));
        }
    });
    let mut text = String::new();
    child.stdout.take().context("no output")?.read_to_string(&mut text)?;
    let status = child.wait()?;
    ensure!(status.success() && text.contains("Resetting."), "{status}: {text}");
    Ok(())
}
