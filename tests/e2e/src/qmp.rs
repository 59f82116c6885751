//! Just enough of the QEMU Machine Protocol to hold a board, pull its cable, and look at its registers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long QEMU may take for one command.
const LIMIT: Duration = Duration::from_secs(60);

/// A connection to a running emulator.
pub struct Qmp {
    lines: BufReader<UnixStream>,
}

impl Qmp {
    /// Connects to the socket that QEMU makes at `path`.
    pub fn connect(path: &Path) -> Result<Self> {
        let deadline = Instant::now() + LIMIT;
        let stream = loop {
            match UnixStream::connect(path) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > deadline => return Err(error).context("no QMP socket"),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        stream.set_read_timeout(Some(LIMIT)).context("cannot bound the wait for QMP")?;
        let mut qmp = Self { lines: BufReader::new(stream) };
        qmp.command(r#"{"execute":"qmp_capabilities"}"#)?;
        Ok(qmp)
    }

    /// Sends one command and gives the line with its result, over greetings and events.
    pub fn command(&mut self, command: &str) -> Result<String> {
        writeln!(self.lines.get_mut(), "{command}").context("QMP is closed")?;
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line).with_context(|| format!("no answer to {command}"))? == 0 {
                bail!("QMP closed at {command}");
            }
            if line.contains("\"error\"") {
                bail!("{command}: {line}");
            }
            if line.contains("\"return\"") {
                return Ok(line);
            }
        }
    }

    /// Lets a board run that was started with `-S`.
    pub fn go_on(&mut self) -> Result<()> {
        self.command(r#"{"execute":"cont"}"#).map(|_| ())
    }

    /// Pulls the cable of `netdev`, or puts it in again.
    pub fn set_link(&mut self, netdev: &str, up: bool) -> Result<()> {
        let arguments = format!(r#"{{"name":"{netdev}","up":{up}}}"#);
        self.command(&format!(r#"{{"execute":"set_link","arguments":{arguments}}}"#)).map(|_| ())
    }

    /// Reads a property of the object at `path`, a text without quotation marks.
    pub fn text(&mut self, path: &str, property: &str) -> Result<String> {
        let arguments = format!(r#"{{"path":"{path}","property":"{property}"}}"#);
        let answer = self.command(&format!(r#"{{"execute":"qom-get","arguments":{arguments}}}"#))?;
        let text = answer.split("\"return\"").nth(1).and_then(|rest| rest.split('"').nth(1));
        Ok(text.with_context(|| format!("no text in {answer}"))?.to_owned())
    }

    /// Reads a register of a device.
    pub fn register(&mut self, address: u64) -> Result<u32> {
        let arguments = format!(r#"{{"command-line":"xp /1wx {address:#x}"}}"#);
        let answer = self.command(&format!(r#"{{"execute":"human-monitor-command","arguments":{arguments}}}"#))?;
        let value = answer.split(": 0x").nth(1).and_then(|rest| rest.get(..8));
        let value = value.with_context(|| format!("no register in {answer}"))?;
        u32::from_str_radix(value, 16).with_context(|| format!("no register in {answer}"))
    }
}
