//! Just enough of the QEMU Machine Protocol to stop the board and look at its memory.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long QEMU may take for one command.
const LIMIT: Duration = Duration::from_secs(20);

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

    /// Sends one command and waits for its result, over greetings and events.
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
}
