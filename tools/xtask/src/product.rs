//! The build checks its own product: that the ELF is what start-up relies on, and the flat image what the firmware and QEMU expect.
//!
//! A linker that is not told `-pie` makes a fixed-address executable without a word, which runs in an emulator and hangs on a board that
//! loads it elsewhere; these checks are why that is found here. The header is that of an arm64 Linux Image (Linux
//! `Documentation/arch/arm64/booting.rst`).

use object::LittleEndian;
use object::elf::{
    EM_AARCH64, ET_DYN, FileHeader64, PF_W, PF_X, PT_DYNAMIC, PT_INTERP, PT_LOAD, R_AARCH64_RELATIVE, SHF_ALLOC,
};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use anyhow::{Context, Result, bail, ensure};

type Elf = FileHeader64<LittleEndian>;
const ENDIAN: LittleEndian = LittleEndian;

/// Pages of the loader's own map.
const PAGE: u64 = 4096;
/// `ARM\x64`, 56 bytes into the image.
const MAGIC: &[u8; 4] = b"ARM\x64";
/// Little endian, 4 KiB pages, anywhere in memory: bit 0 clear, bits 1 and 2 = 1, bit 3 set.
const FLAGS: u64 = 0b1010;
/// SHT_RELR, compact relative relocations (System V ABI, generic).
const SHT_RELR: u32 = 19;

/// A checked loader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// `loader.bin`: the bytes of the file.
    pub image: Vec<u8>,
    /// How much memory it takes when it runs, in bytes: the image, .bss and stacks.
    pub memory: u64,
    /// How many places relocation adjusts.
    pub relocations: usize,
}

/// Checks the linked ELF and makes the flat image of it.
pub fn check(elf: &[u8]) -> Result<Product> {
    let header = Elf::parse(elf).context("not a 64-bit ELF file")?;
    let (kind, machine) = (header.e_type(ENDIAN), header.e_machine(ENDIAN));
    ensure!(machine == EM_AARCH64, "machine {machine}, expected {EM_AARCH64} (AArch64)");
    ensure!(kind == ET_DYN, "ELF type {kind}, expected {ET_DYN} (DYN): was the linker told -pie?");
    let relocations = relocations(header, elf)?;
    let (image, memory) = flatten(header, elf)?;
    check_header(&image, memory)?;
    Ok(Product { image, memory, relocations })
}

/// Counts the relocations; all must be relative, which is all that start-up applies.
fn relocations(header: &Elf, elf: &[u8]) -> Result<usize> {
    let sections = header.sections(ENDIAN, elf).context("unreadable sections")?;
    let mut count = 0;
    for section in sections.iter() {
        if section.sh_flags(ENDIAN) & u64::from(SHF_ALLOC) == 0 {
            continue;
        }
        let name = String::from_utf8_lossy(sections.section_name(ENDIAN, section).unwrap_or_default()).into_owned();
        if let Some((entries, _)) =
            section.rela(ENDIAN, elf).with_context(|| format!("unreadable relocations in {name}"))?
        {
            for entry in entries {
                let kind = entry.r_type(ENDIAN, false);
                let place = entry.r_offset.get(ENDIAN);
                ensure!(
                    kind == R_AARCH64_RELATIVE,
                    "relocation of type {kind} at {place:#x} in {name}: only RELATIVE ones are applied"
                );
                count += 1;
            }
        } else if section.rel(ENDIAN, elf).with_context(|| format!("unreadable relocations in {name}"))?.is_some() {
            bail!("{name} has relocations without addends, which are not applied");
        } else if section.sh_type(ENDIAN) == SHT_RELR {
            count += relr_count(section.data(ENDIAN, elf).with_context(|| format!("unreadable {name}"))?);
        }
    }
    ensure!(count > 0, "no relocations: was the linker told -pie and --pack-dyn-relocs=relr?");
    Ok(count)
}

/// An even word is an address; an odd one a map of which of the 63 words that follow are relocated too.
fn relr_count(data: &[u8]) -> usize {
    let words =
        data.chunks_exact(8).map(|bytes| bytes.iter().rev().fold(0u64, |word, &byte| word << 8 | u64::from(byte)));
    words.map(|word| if word & 1 == 0 { 1 } else { word.count_ones() as usize - 1 }).sum()
}

/// The loaded segments as they lie in memory, up to the last byte that the file has; and the size with what it does not have.
fn flatten(header: &Elf, elf: &[u8]) -> Result<(Vec<u8>, u64)> {
    let mut image = Vec::new();
    let mut memory = 0;
    for segment in header.program_headers(ENDIAN, elf).context("unreadable program headers")? {
        let (kind, flags) = (segment.p_type(ENDIAN), segment.p_flags(ENDIAN));
        ensure!(
            kind != PT_INTERP && kind != PT_DYNAMIC,
            "the image asks for a dynamic linker (program header of type {kind})"
        );
        if kind != PT_LOAD {
            continue;
        }
        let (start, size) = (segment.p_vaddr(ENDIAN), segment.p_memsz(ENDIAN));
        ensure!(flags & (PF_W | PF_X) != PF_W | PF_X, "the segment at {start:#x} is writable and executable");
        ensure!(
            start % PAGE == 0,
            "the segment at {start:#x} does not begin a page, so it cannot have rights of its own"
        );
        ensure!(start >= memory, "the segment at {start:#x} lies within or before one that ends at {memory:#x}");
        let end = start.checked_add(size).with_context(|| format!("the segment at {start:#x} wraps around"))?;
        let data = segment
            .data(ENDIAN, elf)
            .ok()
            .with_context(|| format!("the segment at {start:#x} lies outside the file"))?;
        if !data.is_empty() {
            image.resize(usize::try_from(start).context("an address beyond this machine's")?, 0);
            image.extend_from_slice(data);
        }
        memory = end;
    }
    ensure!(!image.is_empty(), "nothing to load");
    Ok((image, memory))
}

fn check_header(image: &[u8], memory: u64) -> Result<()> {
    let word = |offset: usize| -> Result<u64> {
        let bytes = image.get(offset..offset + 8).context("shorter than an arm64 Image header")?;
        Ok(bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)))
    };
    let magic = image.get(56..60).context("shorter than an arm64 Image header")?;
    ensure!(magic == MAGIC, "no arm64 Image header: {magic:02x?} at byte 56, expected {MAGIC:02x?}");
    let (offset, size, flags) = (word(8)?, word(16)?, word(24)?);
    ensure!(offset == 0, "text_offset {offset:#x} in the header, expected 0");
    let expected = memory.next_multiple_of(PAGE);
    ensure!(size == expected, "image_size {size:#x} in the header, but it takes {expected:#x} bytes of memory");
    ensure!(
        flags == FLAGS,
        "flags {flags:#x} in the header, expected {FLAGS:#x} (little endian, 4 KiB pages, anywhere)"
    );
    let first = word(0)?;
    ensure!(first != 0, "the image begins with zeros instead of an instruction");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What to get wrong in an otherwise good loader.
    struct Plan {
        kind: u16,
        relocation: u32,
        relr: bool,
        text_flags: u32,
        magic: [u8; 4],
        image_size: u64,
        flags: u64,
    }

    const GOOD: Plan = Plan {
        kind: ET_DYN,
        relocation: R_AARCH64_RELATIVE,
        relr: true,
        text_flags: object::elf::PF_R | PF_X,
        magic: *MAGIC,
        image_size: 0x3000,
        flags: FLAGS,
    };

    /// An ELF file with a segment of text at 0 and one of data at 0x1000 (0x20 bytes in the file, 0x1800 in memory).
    fn elf(plan: &Plan) -> Vec<u8> {
        let mut text = [0x14; 64];
        text[8..16].fill(0);
        text[16..24].copy_from_slice(&plan.image_size.to_le_bytes());
        text[24..32].copy_from_slice(&plan.flags.to_le_bytes());
        text[56..60].copy_from_slice(&plan.magic);
        let mut rela: Vec<u8> = Vec::new();
        for word in [0x1008, u64::from(plan.relocation), 0x10] {
            rela.extend(word.to_le_bytes());
        }
        // One address, then a map with two bits.
        let relr: Vec<u8> =
            if plan.relr { [0x1000u64, 0b1011].iter().flat_map(|word| word.to_le_bytes()).collect() } else { vec![] };

        let (headers, text_at, data_at) = (64 + 2 * 56, 0x200, 0x240);
        let (rela_at, relr_at, names_at) = (0x260, 0x278, 0x288);
        let names = b"\0.rela.dyn\0.relr.dyn\0.shstrtab\0";
        let sections_at = 0x2c0u64;
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let half = |file: &mut Vec<u8>, value: u16| file.extend(value.to_le_bytes());
        let word = |file: &mut Vec<u8>, value: u32| file.extend(value.to_le_bytes());
        let long = |file: &mut Vec<u8>, value: u64| file.extend(value.to_le_bytes());
        half(&mut file, plan.kind);
        half(&mut file, EM_AARCH64);
        word(&mut file, 1);
        [0, 64, sections_at].iter().for_each(|&value| long(&mut file, value));
        word(&mut file, 0);
        [64, 56, 2, 64, 4, 3].iter().for_each(|&value| half(&mut file, value));
        for (flags, at, start, size, memory) in
            [(plan.text_flags, text_at, 0u64, 64u64, 64u64), (6, data_at, 0x1000, 0x20, 0x1800)]
        {
            word(&mut file, PT_LOAD);
            word(&mut file, flags);
            [at as u64, start, start, size, memory, PAGE].iter().for_each(|&value| long(&mut file, value));
        }
        assert_eq!(file.len(), headers);
        for (at, data) in
            [(text_at, &text[..]), (data_at, &[7; 0x20]), (rela_at, &rela), (relr_at, &relr), (names_at, names)]
        {
            file.resize(at, 0);
            file.extend_from_slice(data);
        }
        file.resize(sections_at as usize, 0);
        let relr_size = relr.len() as u64;
        for (name, kind, flags, at, size, entry) in [
            (0, 0, 0, 0, 0, 0),
            (1, object::elf::SHT_RELA, 2, rela_at as u64, 24, 24),
            (11, SHT_RELR, 2, relr_at as u64, relr_size, 8),
            (21, object::elf::SHT_STRTAB, 0, names_at as u64, names.len() as u64, 0),
        ] {
            word(&mut file, name);
            word(&mut file, kind);
            [flags, 0, at, size].iter().for_each(|&value| long(&mut file, value));
            word(&mut file, 0);
            word(&mut file, 0);
            [8, entry].iter().for_each(|&value| long(&mut file, value));
        }
        file
    }

    fn error(plan: &Plan) -> String {
        format!("{:#}", check(&elf(plan)).unwrap_err())
    }

    #[test]
    fn a_good_loader_passes_and_becomes_a_flat_image() {
        let product = check(&elf(&GOOD)).unwrap();
        assert_eq!(product.relocations, 1 + 3, "one in .rela.dyn; an address and two bits in .relr.dyn");
        assert_eq!(product.memory, 0x2800);
        assert_eq!(product.image.len(), 0x1020);
        assert_eq!(&product.image[56..60], MAGIC);
        assert!(product.image[64..0x1000].iter().all(|&byte| byte == 0));
        assert_eq!(product.image[0x1000..], [7; 0x20]);
    }

    #[test]
    fn a_fixed_address_executable_is_refused() {
        let kind = object::elf::ET_EXEC;
        assert_eq!(error(&Plan { kind, ..GOOD }), "ELF type 2, expected 3 (DYN): was the linker told -pie?");
    }

    #[test]
    fn a_relocation_that_start_up_does_not_apply_is_refused() {
        let text = error(&Plan { relocation: object::elf::R_AARCH64_GLOB_DAT, ..GOOD });
        assert_eq!(text, "relocation of type 1025 at 0x1008 in .rela.dyn: only RELATIVE ones are applied");
    }

    #[test]
    fn a_wrong_image_header_is_refused() {
        assert!(error(&Plan { magic: *b"ARMe", ..GOOD }).starts_with("no arm64 Image header"));
        assert!(
            error(&Plan { image_size: 0, ..GOOD }).starts_with("image_size 0x0 in the header, but it takes 0x3000")
        );
        assert!(error(&Plan { flags: 2, ..GOOD }).starts_with("flags 0x2 in the header"));
    }

    #[test]
    fn a_writable_and_executable_segment_is_refused() {
        assert_eq!(error(&Plan { text_flags: 7, ..GOOD }), "the segment at 0x0 is writable and executable");
    }

    #[test]
    fn what_is_no_elf_or_is_cut_short_is_an_error() {
        let whole = elf(&GOOD);
        assert!(check(b"not an ELF file").is_err());
        for length in [0, 16, 64, 200, 0x250, 0x2c0, whole.len() - 1] {
            assert!(check(&whole[..length]).is_err(), "cut to {length} bytes");
        }
    }

    #[test]
    fn relr_without_any_entry_counts_nothing() {
        assert_eq!(relr_count(&[]), 0);
        assert_eq!(check(&elf(&Plan { relr: false, ..GOOD })).unwrap().relocations, 1);
    }
}
