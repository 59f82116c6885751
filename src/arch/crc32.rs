//! CRC-32 by the processor's own instructions (Arm ARM DDI 0487, CRC32X), which every Cortex-A72 has: a byte a cycle and more, where
//! a table in memory takes several cycles a byte.

/// Bytes that a turn of the loop takes.
const CHUNK: usize = 32;

/// Continues the CRC-32 of gzip and zip (polynomial 0x04c11db7, reflected) over `bytes`, from `crc`, the value so far, 0 at first.
pub fn update(crc: u32, bytes: &[u8]) -> u32 {
    let (chunks, rest) = bytes.as_chunks::<CHUNK>();
    !rest.iter().fold(whole(!crc, chunks), |crc, byte| byte_step(crc, *byte))
}

/// Continues a CRC-32 register (neither inverted before nor after) over `chunks`.
#[cfg(target_os = "none")]
fn whole(mut crc: u32, chunks: &[[u8; CHUNK]]) -> u32 {
    if chunks.is_empty() {
        return crc;
    }
    // SAFETY: reads `chunks.len()` times CHUNK bytes from the slice's start, which are the slice; the count is not 0. The loads need
    // no alignment (SCTLR_EL2.A is clear). A BCM2711's cores have CRC32X (ID_AA64ISAR0_EL1.CRC32 is 1).
    unsafe {
        core::arch::asm!(
            ".arch_extension crc",
            "2:",
            "ldp {a}, {b}, [{from}], #16",
            "ldp {c}, {d}, [{from}], #16",
            "sub {left}, {left}, #1",
            "crc32x {crc:w}, {crc:w}, {a}",
            "crc32x {crc:w}, {crc:w}, {b}",
            "crc32x {crc:w}, {crc:w}, {c}",
            "crc32x {crc:w}, {crc:w}, {d}",
            "cbnz {left}, 2b",
            crc = inout(reg) crc,
            from = inout(reg) chunks.as_ptr() => _,
            left = inout(reg) chunks.len() => _,
            a = out(reg) _, b = out(reg) _, c = out(reg) _, d = out(reg) _,
            options(readonly, nostack, preserves_flags)
        );
    }
    crc
}

#[cfg(not(target_os = "none"))]
fn whole(crc: u32, chunks: &[[u8; CHUNK]]) -> u32 {
    chunks.as_flattened().iter().fold(crc, |crc, byte| byte_step(crc, *byte))
}

#[cfg(target_os = "none")]
fn byte_step(crc: u32, byte: u8) -> u32 {
    let next;
    // SAFETY: CRC32B reads two registers and writes one. A BCM2711's cores have it (ID_AA64ISAR0_EL1.CRC32 is 1).
    unsafe {
        core::arch::asm!(
            ".arch_extension crc",
            "crc32b {next:w}, {crc:w}, {byte:w}",
            next = out(reg) next, crc = in(reg) crc, byte = in(reg) u32::from(byte),
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    next
}

/// The same, bit by bit: what the instruction is defined to do.
#[cfg(not(target_os = "none"))]
fn byte_step(crc: u32, byte: u8) -> u32 {
    (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ 0xedb8_8320 })
}

#[cfg(test)]
mod tests {
    use super::update;

    #[test]
    fn it_is_the_crc_of_gzip_in_one_piece_or_several() {
        let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
        let bytes: Vec<u8> = (0..1000_u32).map(|value| (value * 7) as u8).collect();
        for length in [0, 1, 7, 8, 9, 63, 1000] {
            let expected = crc.checksum(&bytes[..length]);
            assert_eq!(update(0, &bytes[..length]), expected);
            let (first, second) = bytes[..length].split_at(length / 3);
            assert_eq!(update(update(0, first), second), expected);
        }
        assert_eq!(update(0, b"123456789"), 0xcbf4_3926);
    }
}
