//! A running emulated board.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::serial::{Missed, Serial};
use crate::process::shown;

/// How long QEMU may take to open its serial lines. It does so before anything else.
const OPENING: Duration = Duration::from_secs(20);
/// How much of each transcript an error quotes, in lines.
const QUOTED_LINES: usize = 60;

/// A serial port of the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uart {
    /// 0xfe201000, on GPIO 14 and 15 with `dtoverlay=disable-bt`.
    Pl011,
    /// 0xfe215040, on GPIO 14 and 15 as the firmware sets it up.
    Mini,
}

impl Uart {
    const ALL: [Self; 2] = [Self::Pl011, Self::Mini];
}

/// A board that runs until it is dropped. Dropped in a panic, it shows what both serial lines said.
pub struct Machine {
    child: Child,
    shown: String,
    /// In the order of QEMU's `-serial` options: [`Uart::Pl011`], [`Uart::Mini`].
    serials: [Serial; 2],
    directory: TempDir,
    started: Instant,
}

impl Machine {
    /// Starts `command` (from [`Emulator::board`](super::Emulator::board), with kernel and files added) with both serial lines captured
    /// from the first byte.
    pub fn start(mut command: Command) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("xenlift-qemu-").tempdir().context("no temporary directory")?;
        let mut listeners = Vec::new();
        for uart in Uart::ALL {
            let path = directory.path().join(format!("{uart:?}"));
            let listener = UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
            listener.set_nonblocking(true).context("cannot wait for the emulator with a bound")?;
            // QEMU connects to us, not the other way round, so that nothing it says is lost.
            command.arg("-chardev").arg(format!("socket,id={uart:?},path={}", path.display()));
            command.arg("-serial").arg(format!("chardev:{uart:?}"));
            listeners.push(listener);
        }
        let log = File::create(directory.path().join("stderr")).context("cannot create the emulator's log")?;
        let output = log.try_clone().context("cannot share the emulator's log")?;
        command.arg("-monitor").arg("none").stdin(Stdio::null()).stdout(output).stderr(log);
        let shown = shown(&command);
        let started = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
        let serials = listeners.iter().map(|listener| accept(listener, &mut child)).collect::<Result<Vec<_>>>();
        let serials = serials.and_then(|serials| serials.try_into().ok().context("a serial line is missing"));
        match serials {
            Ok(serials) => Ok(Self { child, shown, serials, directory, started }),
            Err(error) => {
                end(&mut child);
                Err(error.context(format!("`{shown}` said: {}", log_text(directory.path()))))
            }
        }
    }

    /// Time since the emulator was started.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until `uart` has said `text` since the last wait on it, and returns everything said up to there. The error shows both
    /// transcripts.
    pub fn wait_for(&mut self, uart: Uart, text: &str, within: Duration) -> Result<String> {
        Ok(self.wait_for_any(uart, &[text], within)?.1)
    }

    /// Like [`wait_for`](Self::wait_for) for the first of several texts to be said; its index comes with it.
    pub fn wait_for_any(&mut self, uart: Uart, texts: &[&str], within: Duration) -> Result<(usize, String)> {
        match self.serial(uart).wait_for_any(texts, within) {
            Ok(found) => Ok(found),
            Err(missed) => {
                let why = match missed {
                    Missed::TimeOut => format!("not within {within:?}"),
                    Missed::Closed => "the emulator ended first".to_owned(),
                };
                bail!("waited for {texts:?} on {uart:?}: {why}\n{}", self.report())
            }
        }
    }

    /// Types `text` on `uart`.
    pub fn send(&mut self, uart: Uart, text: &str) -> Result<()> {
        self.serial(uart).send(text.as_bytes())
    }

    /// Everything `uart` has said so far.
    pub fn transcript(&self, uart: Uart) -> String {
        let [pl011, mini] = &self.serials;
        let serial = match uart {
            Uart::Pl011 => pl011,
            Uart::Mini => mini,
        };
        String::from_utf8_lossy(&serial.transcript()).into_owned()
    }

    /// Waits for the emulator to end by itself: a reset, a power-off, a semihosting exit.
    pub fn wait_for_end(&mut self, within: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().context("cannot ask for the emulator's status")? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("the emulator was to end within {within:?}\n{}", self.report())
    }

    /// What the emulator itself said, its log (`-d guest_errors` and the like) included.
    pub fn emulator_log(&self) -> String {
        log_text(self.directory.path())
    }

    fn serial(&mut self, uart: Uart) -> &mut Serial {
        let [pl011, mini] = &mut self.serials;
        match uart {
            Uart::Pl011 => pl011,
            Uart::Mini => mini,
        }
    }

    /// The command line and the end of everything that was said.
    fn report(&self) -> String {
        let mut text = format!("after {:.1} s of `{}`\n", self.elapsed().as_secs_f32(), self.shown);
        let said = Uart::ALL.map(|uart| (format!("{uart:?}"), self.transcript(uart)));
        for (name, content) in said.into_iter().chain([("the emulator".to_owned(), self.emulator_log())]) {
            let lines: Vec<&str> = content.lines().collect();
            let quoted = lines.get(lines.len().saturating_sub(QUOTED_LINES)..).unwrap_or_default();
            text.push_str(&format!("--- {name}: {} line(s)\n{}\n", lines.len(), quoted.join("\n")));
        }
        text
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        end(&mut self.child);
        if std::thread::panicking() {
            eprintln!("{}", self.report());
        }
    }
}

fn end(child: &mut Child) {
    // Both fail only if it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

fn accept(listener: &UnixListener, child: &mut Child) -> Result<Serial> {
    let deadline = Instant::now() + OPENING;
    loop {
        match listener.accept() {
            Ok((stream, _)) => return blocking(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot accept the emulator's serial line"),
        }
        if let Some(status) = child.try_wait().context("cannot ask for the emulator's status")? {
            bail!("the emulator ended at once: {status}");
        }
        if Instant::now() > deadline {
            bail!("the emulator opened no serial line within {OPENING:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn blocking(stream: UnixStream) -> Result<Serial> {
    stream.set_nonblocking(false).context("cannot set up a serial line")?;
    Serial::new(stream)
}

fn log_text(directory: &Path) -> String {
    fs::read(directory.join("stderr")).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
