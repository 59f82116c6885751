//! What tests of the emulated Ethernet share: a board with a network behind it, bytes to fetch, and the model's log of refusals.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// The file that a network fetches from the TFTP server behind the board.
pub const PAYLOAD: &str = "payload";

/// A directory served by TFTP and the files that tell how it went.
pub struct Network {
    directory: TempDir,
}

impl Network {
    /// A network with [`PAYLOAD`], `size` bytes long, on its server.
    pub fn with_payload(size: usize) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("xenlift-net-").tempdir().context("no temporary directory")?;
        let network = Self { directory };
        fs::create_dir(network.served()).context("cannot make the server's directory")?;
        fs::write(network.served().join(PAYLOAD), payload(size)).context("cannot write the payload")?;
        Ok(network)
    }

    /// The directory that the server shows.
    pub fn served(&self) -> PathBuf {
        self.directory.path().join("served")
    }

    /// Adds the network to the board, as `net`: QEMU's own DHCP and TFTP servers at 10.0.2.2. `seed` makes the controller's start values.
    pub fn attach(&self, board: &mut Command, seed: u64) {
        let user = format!("user,id=net,tftp={},bootfile={PAYLOAD}", self.served().display());
        board.args(["-netdev", &user, "-net", "nic,netdev=net"]);
        let refusals = format!("bcm2838-genet.refusals={}", self.refusals_path().display());
        board.args(["-global", &refusals, "-global", &format!("bcm2838-genet.seed={seed}")]);
        board.arg("-qmp").arg(format!("unix:{},server=on,wait=off", self.qmp_path().display()));
    }

    /// What the model refused, a line each; an error if it kept no log (another emulator, or none of ours).
    pub fn refusals(&self) -> Result<Vec<String>> {
        let text =
            fs::read_to_string(self.refusals_path()).context("the emulated controller wrote no log of refusals")?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// Pulls the board's cable, or puts it in again (QMP's set_link).
    pub fn set_link(&self, up: bool) -> Result<()> {
        let mut stream = UnixStream::connect(self.qmp_path()).context("cannot reach the emulator's QMP socket")?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).context("cannot bound the wait for QMP")?;
        let mut answers = BufReader::new(stream.try_clone().context("cannot share the QMP socket")?);
        let set_link = format!(r#"{{"execute":"set_link","arguments":{{"name":"net","up":{up}}}}}"#);
        let mut line = String::new();
        answers.read_line(&mut line).context("QMP gave no greeting")?;
        for command in [r#"{"execute":"qmp_capabilities"}"#, &set_link] {
            writeln!(stream, "{command}").context("cannot write to QMP")?;
            line.clear();
            while !line.contains("\"return\"") {
                line.clear();
                answers.read_line(&mut line).context("QMP gave no answer")?;
                if line.is_empty() || line.contains("\"error\"") {
                    bail!("QMP answered {line:?} to {command}");
                }
            }
        }
        Ok(())
    }

    fn refusals_path(&self) -> PathBuf {
        self.directory.path().join("refusals")
    }
    fn qmp_path(&self) -> PathBuf {
        self.directory.path().join("qmp")
    }
}

/// Bytes that no two runs of the same length differ in, and no two parts of which are alike.
pub fn payload(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// The CRC-32 that U-Boot's `crc32` prints.
pub fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |crc, _| if crc & 1 != 0 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 }))
        .collect();
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        let index = (crc as u8 ^ byte) as usize;
        crc >> 8 ^ table.get(index).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crc_is_the_one_of_the_catalogue() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
