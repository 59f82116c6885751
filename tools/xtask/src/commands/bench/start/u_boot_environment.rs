//! `uboot.env` for a U-Boot that waits for nothing: its own default environment with `bootdelay` 0 and an empty `preboot`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Bytes in the file (CONFIG_ENV_SIZE of rpi_4), the checksum in front included.
const SIZE: usize = 0x4000;
/// A variable of every default environment.
const KNOWN: &[u8] = b"bootdelay=";

/// The contents of `uboot.env` for the U-Boot in the file `binary`.
pub fn without_waiting(binary: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let default = default_environment(&bytes)
        .with_context(|| format!("{} has no default environment that could be found", binary.display()))?;
    let kept = default
        .into_iter()
        .filter(|variable| !variable.starts_with(b"bootdelay=") && !variable.starts_with(b"preboot="));
    let mut text = Vec::new();
    for variable in kept.chain([&b"bootdelay=0"[..]]) {
        text.extend_from_slice(variable);
        text.push(0);
    }
    if text.len() > SIZE - 4 - 1 {
        bail!("U-Boot's default environment has {} bytes, which do not fit into {SIZE}", text.len());
    }
    text.resize(SIZE - 4, 0);
    let mut file = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&text).to_le_bytes().to_vec();
    file.extend_from_slice(&text);
    Ok(file)
}

/// The default environment, `name=value` after `name=value`, each with a NUL behind it, and another NUL at the end.
fn default_environment(binary: &[u8]) -> Option<Vec<&[u8]>> {
    let known = binary.windows(KNOWN.len() + 1).position(|window| window[0] == 0 && &window[1..] == KNOWN)? + 1;
    let end = known + binary[known..].windows(2).position(|window| window == [0, 0])?;
    let mut start = known;
    // Backwards over what still is a variable.
    while let Some(before) = binary[..start - 1].iter().rposition(|byte| *byte == 0) {
        if !is_variable(&binary[before + 1..start - 1]) {
            break;
        }
        start = before + 1;
    }
    Some(binary[start..end].split(|byte| *byte == 0).collect())
}

fn is_variable(text: &[u8]) -> bool {
    let name = text.iter().position(|byte| *byte == b'=').unwrap_or(0);
    name > 0 && text[..name].iter().all(|byte| byte.is_ascii_alphanumeric() || b"_#".contains(byte)) && text.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_environment_is_found_between_other_strings() {
        let binary = b"\x01\x02some text\0bootcmd=run x\0bootdelay=2\0preboot=usb start\0empty=\0\0more=1\0";
        let found = default_environment(binary).unwrap();
        assert_eq!(found, [&b"bootcmd=run x"[..], b"bootdelay=2", b"preboot=usb start", b"empty="]);
        assert_eq!(default_environment(b"no such thing"), None);
    }

    #[test]
    fn the_file_has_its_size_and_checksum_and_waits_for_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let binary = directory.path().join("u-boot.bin");
        fs::write(&binary, b"\0bootcmd=run x\0bootdelay=2\0preboot=usb start\0\0").unwrap();
        let file = without_waiting(&binary).unwrap();
        assert_eq!(file.len(), SIZE);
        assert!(file[4..].starts_with(b"bootcmd=run x\0bootdelay=0\0\0"));
        let sum = u32::from_le_bytes(file[..4].try_into().unwrap());
        assert_eq!(sum, crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&file[4..]));
    }
}
