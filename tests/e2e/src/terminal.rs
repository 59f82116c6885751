//! A person at the board's serial line: `cargo xtask qemu`, as a user runs it, in a real terminal.
//!
//! The terminal is tmux ([`xtask::tmux`]): it answers the question for its size, makes bytes of keys as terminals do, and shows what the
//! bytes of the loader look like. So these tests see lines that wrap, cursors that end in the wrong row and keys that are taken for
//! others, which a test that reads the bytes does not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tempfile::TempDir;
use xtask::loader::workspace;
pub use xtask::tmux::Size;
use xtask::tmux::{Tmux, text_of};

use crate::boot::{LIMIT, Report};

/// How the report of an exception begins.
const EXCEPTION: &str = "*** Xenlift";

/// The key that QEMU keeps for itself, and gives to the board where it is pressed twice.
const QEMUS_KEY: &str = "C-a";

/// How long a screen must be as it is to be taken for finished: longer than the loader turns a deaf ear to a line that was noisy.
const SETTLED: Duration = Duration::from_millis(800);

/// What the terminal is to programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One that answers, as all in use do.
    Real,
    /// One for which an escape sequence is no such thing: it answers nothing, and shows the rest of it.
    Dumb,
}

/// The terminal, with the board at the other end of its line.
pub struct Terminal {
    tmux: Tmux,
    _directory: TempDir,
}

impl Terminal {
    /// A terminal of this size at a board whose firmware hands over `initramfs`. `options` are more of `cargo xtask qemu`'s.
    pub fn start(size: Size, initramfs: &[u8], options: &[&str]) -> Result<Self> {
        Self::start_on(Kind::Real, size, initramfs, options)
    }

    /// The same with another kind of terminal.
    pub fn start_on(kind: Kind, size: Size, initramfs: &[u8], options: &[&str]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("xenlift-seat-").tempdir().context("no temporary directory")?;
        let file = directory.path().join("initramfs");
        fs::write(&file, initramfs).context("cannot write the initramfs")?;
        let mut command = match kind {
            Kind::Real => Command::new(xtask()?),
            Kind::Dumb => {
                let mut shell = Command::new("sh");
                shell.args(["-c", "\"$@\" 2>&1 | stdbuf -o0 tr -d '\\033'", "sh"]).arg(xtask()?);
                shell.env("TERM", "dumb");
                shell
            }
        };
        command.args(["--offline", "qemu", "--initrd"]).arg(&file).args(options).current_dir(workspace());
        Ok(Self { tmux: Tmux::start(size, &command)?, _directory: directory })
    }

    /// A terminal of this size on the line of any emulator: `qemu` says which of its lines that is.
    pub fn on(size: Size, qemu: &Command) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("xenlift-seat-").tempdir().context("no temporary directory")?;
        Ok(Self { tmux: Tmux::start(size, qemu)?, _directory: directory })
    }

    /// Waits until the screen shows `text`, and gives the screen.
    pub fn shows(&self, text: &str) -> Result<String> {
        self.shows_that(&format!("{text:?}"), |screen| screen.contains(text))
    }

    /// Waits until the screen does not show `text`, and gives the screen.
    pub fn hides(&self, text: &str) -> Result<String> {
        self.shows_that(&format!("no {text:?}"), |screen| !screen.contains(text))
    }

    /// Waits until `met` is true of the screen, and gives the screen.
    pub fn shows_that(&self, what: &str, met: impl Fn(&str) -> bool) -> Result<String> {
        let screen = self.tmux.wait(what, LIMIT, |screen| met(screen) || screen.contains(EXCEPTION))?;
        ensure!(met(&screen), "waited for {what}, but the loader reports an exception:\n{}", self.said()?);
        Ok(screen)
    }

    /// Waits until `text` was said, on the screen or above it, and gives all that was. A line that was wrapped is one line.
    pub fn says(&self, text: &str) -> Result<String> {
        self.says_times(text, 1)
    }

    /// The same for the `times`th time.
    pub fn says_times(&self, text: &str, times: usize) -> Result<String> {
        let met = |said: &str| said.matches(text).count() >= times;
        let what = format!("{text:?}, {times} time(s)");
        let said = self.tmux.wait_said(&what, LIMIT, |said| met(said) || said.contains(EXCEPTION))?;
        ensure!(met(&said), "waited for {what}, but the loader reports an exception:\n{said}");
        Ok(said)
    }

    /// The screen once nothing moves on it any more.
    pub fn rests(&self) -> Result<String> {
        let end = Instant::now() + LIMIT;
        let (mut last, mut since) = (self.tmux.styled_screen()?, Instant::now());
        while since.elapsed() < SETTLED {
            ensure!(Instant::now() < end, "the screen does not come to rest:\n{}", self.tmux.screen()?);
            thread::sleep(SETTLED / 16);
            let now = self.tmux.styled_screen()?;
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        self.tmux.screen()
    }

    /// The row that is shown in reverse, without what surrounds it: the chosen one of a list.
    pub fn chosen(&self) -> Result<Option<String>> {
        let rows = self.tmux.styled_screen()?;
        let chosen = rows.iter().rev().find(|row| row.iter().any(|run| run.reverse));
        Ok(chosen.map(|row| text_of(row)))
    }

    /// Waits until the chosen row of a list contains `text`.
    pub fn chooses(&self, text: &str) -> Result<()> {
        let end = Instant::now() + LIMIT;
        loop {
            let chosen = self.chosen()?.unwrap_or_default();
            if chosen.contains(text) {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("{text:?} is not chosen, but {chosen:?}:\n{}", self.tmux.screen()?);
            }
            thread::sleep(SETTLED / 16);
        }
    }

    /// Presses `key` again and again until the chosen row of a list contains `text`: what a person does at a line that was noisy. The key must
    /// be one that may be pressed once too often.
    pub fn presses_until_chosen(&self, key: &str, text: &str) -> Result<()> {
        let end = Instant::now() + LIMIT;
        while !self.chosen()?.unwrap_or_default().contains(text) {
            ensure!(Instant::now() < end, "{key} does not choose {text:?}:\n{}", self.tmux.screen()?);
            self.press(&[key])?;
            thread::sleep(SETTLED);
        }
        Ok(())
    }

    /// All that was said, with lines that were wrapped in one piece.
    pub fn said(&self) -> Result<String> {
        self.tmux.said()
    }

    /// Presses keys by tmux's names: `Up`, `Enter`, `C-c`, `e`.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        let twice = |key: &&str| if *key == QEMUS_KEY { 2 } else { 1 };
        let keys: Vec<&str> = keys.iter().flat_map(|key| std::iter::repeat_n(*key, twice(key))).collect();
        self.tmux.press(&keys)
    }

    /// Pulls the line low for longer than a character, and types what comes with it, all at once. Only the PL011's line in the emulator
    /// can tell.
    pub fn sends_break(&self, with: &[&str]) -> Result<()> {
        self.tmux.press(&[&[QEMUS_KEY, "b"], with].concat())
    }

    /// Types text.
    pub fn types(&self, text: &str) -> Result<()> {
        self.tmux.types(text)
    }

    /// Sends bytes at once, whatever they are. Ctrl-A, which is QEMU's own key, is sent so that the board gets it.
    pub fn floods(&self, bytes: &[u8]) -> Result<()> {
        let escaped: Vec<u8> =
            bytes.iter().flat_map(|byte| std::iter::repeat_n(*byte, if *byte == 1 { 2 } else { 1 })).collect();
        self.tmux.paste(&escaped)
    }

    /// Waits for the report of the payload in Xen's place, and gives it.
    pub fn report(&self) -> Result<Report> {
        let said = self.says("fake-xen: end")?;
        let start = said.find("fake-xen: entered at ").context("half a report of the payload")?;
        Ok(Report(said.get(start..).unwrap_or_default().to_owned()))
    }

    /// Waits for the emulator to end, and gives all that was said.
    pub fn ends(&self) -> Result<String> {
        let end = Instant::now() + LIMIT;
        while !self.tmux.has_ended()? {
            ensure!(Instant::now() < end, "it does not end:\n{}", self.said()?);
            thread::sleep(SETTLED / 16);
        }
        self.said()
    }
}

/// The program behind `cargo xtask`, as the sources are now; built once for a test program.
fn xtask() -> Result<&'static Path> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let build = || {
        let mut command = xtask::process::clean_command("cargo");
        command.args(["build", "--quiet", "--offline", "--package", "xtask"]).current_dir(workspace());
        xtask::process::run(&mut command)?;
        // Where this program was built: beside its directory of test programs.
        let own = std::env::current_exe().context("this program has no path")?;
        let program = own.ancestors().nth(2).context("no target directory")?.join("xtask");
        ensure!(program.is_file(), "no {} after building it", program.display());
        Ok(program)
    };
    let built = BUILT.get_or_init(|| build().map_err(|error: anyhow::Error| format!("{error:#}")));
    built.as_deref().map_err(|error| anyhow!("{error}"))
}
