//! What tests of the emulated Ethernet share: a board with a network behind it, bytes to fetch, and the model's log of refusals.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::qmp::Qmp;

/// The file that a network fetches from the TFTP server behind the board.
pub const PAYLOAD: &str = "payload";

/// A directory served by TFTP and the files that tell how it went.
pub struct Network {
    directory: TempDir,
    powered: Duration,
}

impl Network {
    /// A network with nothing on its server.
    pub fn new() -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("xenlift-net-").tempdir().context("no temporary directory")?;
        let network = Self { directory, powered: Duration::ZERO };
        fs::create_dir(network.served()).context("cannot make the server's directory")?;
        Ok(network)
    }

    /// A network with [`PAYLOAD`], `size` bytes long, on its server.
    pub fn with_payload(size: usize) -> Result<Self> {
        Self::new()?.with(PAYLOAD, &payload(size))
    }

    /// The same with a file more.
    pub fn with(self, name: &str, bytes: &[u8]) -> Result<Self> {
        let path = self.served().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).context("cannot make a directory on the server")?;
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(self)
    }

    /// The same on a board that has had power for a while when QEMU starts, so that its PHY has been negotiating for as long.
    pub fn powered_for(self, powered: Duration) -> Self {
        Self { powered, ..self }
    }

    /// The directory that the server shows.
    pub fn served(&self) -> PathBuf {
        self.directory.path().join("served")
    }

    /// Adds the network to the board, as `net`: QEMU's own DHCP and TFTP servers at 10.0.2.2. `seed` makes the controller's start values.
    pub fn attach(&self, board: &mut Command, seed: u64) {
        self.attach_as(board, &self.user(Some(PAYLOAD)), seed);
    }

    /// What `-netdev` says of QEMU's own servers, with `boot_file` in the answers of the DHCP server.
    pub fn user(&self, boot_file: Option<&str>) -> String {
        let boot_file = boot_file.map(|name| format!(",bootfile={name}")).unwrap_or_default();
        format!("user,id=net,tftp={}{boot_file}", self.served().display())
    }

    /// Adds another network than QEMU's own, still as `net`.
    pub fn attach_as(&self, board: &mut Command, netdev: &str, seed: u64) {
        board.args(["-netdev", netdev, "-net", "nic,netdev=net"]);
        let refusals = format!("bcm2838-genet.refusals={}", self.refusals_path().display());
        board.args(["-global", &refusals, "-global", &format!("bcm2838-genet.seed={seed}")]);
        if !self.powered.is_zero() {
            board.args(["-global", &format!("bcm2838-genet.power-on-ms={}", self.powered.as_millis())]);
        }
        board.arg("-qmp").arg(format!("unix:{},server=on,wait=off", self.qmp_path().display()));
    }

    /// What the model refused, a line each. An emulator that `$QEMU` names may keep no such log; ours must have.
    pub fn refusals(&self) -> Result<Vec<String>> {
        let path = self.refusals_path();
        if !path.exists() && std::env::var_os("QEMU").is_some_and(|value| !value.is_empty()) {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(path).context("the emulated controller wrote no log of refusals")?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// What goes on in the controller that a driver's stop would have ended; `None` where an emulator that `$QEMU` names does not tell.
    pub fn left_running(&self) -> Result<Option<Vec<String>>> {
        match self.qmp()?.text("/machine/soc/genet", "left-running") {
            Err(_) if std::env::var_os("QEMU").is_some_and(|value| !value.is_empty()) => Ok(None),
            told => Ok(Some(told?.split("; ").filter(|words| !words.is_empty()).map(str::to_owned).collect())),
        }
    }

    /// QEMU's own console, to be used by one at a time.
    pub fn qmp(&self) -> Result<Qmp> {
        Qmp::connect(&self.qmp_path())
    }

    /// Pulls the board's cable, or puts it in again.
    pub fn set_link(&self, up: bool) -> Result<()> {
        self.qmp()?.set_link("net", up)
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
