//! Images, whole and damaged. Headers are as Debian's Xen 4.17 and Linux 6.1 have them.

use super::*;
use alloc::string::ToString;
use alloc::vec::Vec;
use proptest::prelude::*;

fn header(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
    let mut bytes = b"MZ\0\x91\x57\0\0\x14".to_vec();
    for field in [text_offset, image_size, flags, 0, 0, 0] {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(b"ARM\x64\x40\0\0\0");
    bytes
}

/// An image with a PE header and two sections, as long as its section table says.
fn with_sections(image_size: u64, sections: [(u32, u32); 2]) -> Vec<u8> {
    let mut bytes = header(0, image_size, 10);
    bytes.extend_from_slice(b"PE\0\0\x64\xaa\x02\0");
    bytes.resize(64 + 20, 0);
    bytes.extend_from_slice(&160u16.to_le_bytes());
    bytes.resize(64 + 24 + 160, 0);
    let mut end = 0;
    for (start, size) in sections {
        bytes.extend_from_slice(&[0; 16]);
        bytes.extend_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&start.to_le_bytes());
        bytes.extend_from_slice(&[0; 16]);
        end = end.max(start + size);
    }
    bytes.resize(end as usize, 0);
    bytes
}

#[test]
fn headers_of_xen_and_linux_are_read() {
    let xen = Header::parse(&header(0, 0x1360c8, 10)).unwrap();
    assert_eq!(xen, Header { text_offset: 0, image_size: 0x1360c8, anywhere: true });
    assert_eq!(xen.memory_size(983_048), 0x1360c8, "its .bss counts");
    assert_eq!(xen.memory_size(0x200000), 0x200000, "what is appended counts");
    let old = Header::parse(&header(0, 0, 0)).unwrap();
    assert_eq!(old, Header { text_offset: 0x80000, image_size: 0, anywhere: false });
    assert_eq!(old.memory_size(1000), 1000);
    assert_eq!(Header::parse(&header(0x80000, 64, 0)).unwrap().text_offset, 0x80000);
}

#[test]
fn headers_that_cannot_be_right_are_refused() {
    assert_eq!(Header::parse(&header(0, 64, 11)), Err(Error::BigEndian));
    assert_eq!(Header::parse(&header(0, 64, 8 | 2 << 1)), Err(Error::PageSize));
    assert!(Header::parse(&header(0, 64, 8 | 3 << 1)).is_ok(), "64 KiB pages are fine");
    let error = Error::Header { text_offset: 0, image_size: LARGEST + 1 };
    assert_eq!(Header::parse(&header(0, LARGEST + 1, 10)), Err(error));
    assert!(Header::parse(&header(0, LARGEST, 10)).is_ok());
    let error = Error::Header { text_offset: ALIGNMENT, image_size: 64 };
    assert_eq!(Header::parse(&header(ALIGNMENT, 64, 10)), Err(error));
    assert_eq!(Header::parse(&header(0, 64, 10)[..63]), Err(Error::Cut { length: 63, expected: 64 }));
}

#[test]
fn an_image_that_was_cut_is_told_by_its_section_table() {
    let image = with_sections(0x3000, [(0x1000, 0x800), (0x400, 0x100)]);
    assert_eq!(image.len(), 0x1800);
    assert!(Header::parse(&image).is_ok());
    assert!(Header::parse(&[&image[..], &[0; 7]].concat()).is_ok(), "a signature may follow");
    assert_eq!(Header::parse(&image[..0x17ff]), Err(Error::Cut { length: 0x17ff, expected: 0x1800 }));
    // Cut within the section table itself.
    assert_eq!(Header::parse(&image[..300]), Err(Error::Cut { length: 300, expected: 64 + 24 + 160 + 80 }));
    let text = Header::parse(&image[..0x17ff]).unwrap_err().to_string();
    assert_eq!(text, "cut off: 6143 bytes, its headers say at least 6144; copy it again");
}

#[test]
fn what_a_file_is_instead_is_said() {
    let cases: [(&[u8], Known); 8] = [
        (b"\x1f\x8b\x08\0", Known::Gzip),
        (b"\x7fELF\x02", Known::Elf),
        (b"<!DOCTYPE html>", Known::Text),
        (b"070701000", Known::Cpio),
        (b"\xd0\x0d\xfe\xed\0", Known::DeviceTree),
        (b"\x27\x05\x19\x56\0", Known::UImage),
        (b"MZ", Known::Other(*b"MZ\0\0")),
        (b"", Known::Other([0; 4])),
    ];
    for (bytes, found) in cases {
        assert_eq!(Header::parse(bytes), Err(Error::NoMagic { found, length: bytes.len() as u64 }));
    }
    let text = Header::parse(b"Not found").unwrap_err().to_string();
    assert_eq!(text, "no arm64 Image (9 bytes): it is text");
}

#[test]
fn every_kernel_that_xen_takes_is_taken() {
    let image = header(0, 0x2010000, 10);
    assert_eq!(Kernel::identify(&image), Ok(Kernel::Image(Header::parse(&image).unwrap())));
    assert_eq!(Kernel::identify(b"\x1f\x8b\x08"), Ok(Kernel::Gzip));
    let mut zimage = [0; 64];
    zimage[36..40].copy_from_slice(&0x016f_2818u32.to_le_bytes());
    zimage[44..48].copy_from_slice(&64u32.to_le_bytes());
    assert_eq!(Kernel::identify(&zimage), Ok(Kernel::Arm32));
    assert_eq!(Kernel::identify(&zimage[..60]), Err(Error::Cut { length: 60, expected: 64 }));
    assert!(matches!(Kernel::identify(b"\x7fELF"), Err(Error::NoMagic { found: Known::Elf, .. })));
}

#[test]
fn a_u_boot_image_must_be_an_arm64_kernel() {
    let mut image = [0; 72];
    image[..4].copy_from_slice(b"\x27\x05\x19\x56");
    image[15] = 8;
    image[29..32].copy_from_slice(&[22, 2, 1]);
    assert_eq!(Kernel::identify(&image), Ok(Kernel::UImage { gzip: true }));
    assert_eq!(Kernel::identify(&image[..71]), Err(Error::Cut { length: 71, expected: 72 }));
    assert_eq!(Kernel::identify(&image[..20]), Err(Error::Cut { length: 20, expected: 64 }));
    image[31] = 0;
    assert_eq!(Kernel::identify(&image), Ok(Kernel::UImage { gzip: false }));
    for (at, value) in [(29, 2), (30, 6), (31, 2)] {
        let mut other = image;
        other[at] = value;
        assert!(matches!(Kernel::identify(&other), Err(Error::UImage { .. })), "byte {at}");
    }
}

#[test]
fn xen_and_linux_are_told_apart_by_their_first_message() {
    let xen = b"..XXen version %d.%d%s (%s)\0brcm,bcm2711\0xen,xen-4.17\0more";
    assert_eq!(System::identify(xen), System::Xen { version: Some((4, 17)), raspberry_pi_4: true });
    let old = b"Xen version %d.%d%s\0xen,xen-4.13";
    assert_eq!(System::identify(old), System::Xen { version: Some((4, 13)), raspberry_pi_4: false });
    assert_eq!(System::identify(b"Xen version %d.%d"), System::Xen { version: None, raspberry_pi_4: false });
    assert_eq!(System::identify(b"xen,xen-4.17 Linux version 6.1"), System::Linux);
    assert_eq!(System::identify(b"something"), System::Unknown);
}

proptest! {
    #[test]
    fn the_search_finds_what_a_plain_one_finds(pieces in prop::collection::vec(0usize..9, 0..40)) {
        let needles: [&[u8]; 3] = [b"abcdefgh", b"cdefghijk", b"abcdefgz!"];
        let all: [&[u8]; 9] = [needles[0], needles[1], needles[2], b"abcdefg", b"cdefghij", b"h", b"z", b"--", b"\0"];
        let bytes = pieces.iter().flat_map(|piece| all[*piece]).copied().collect::<Vec<u8>>();
        let plain = needles.map(|needle| {
            bytes.windows(needle.len()).position(|window| window == needle).map(|at| at + needle.len())
        });
        prop_assert_eq!(find(&bytes, needles, needles.len()), plain);
        prop_assert_eq!(find(&bytes, needles, 1)[0], plain[0]);
    }

    #[test]
    fn damaged_images_are_answered(edits in prop::collection::vec((0usize..400, any::<u8>()), 0..8), cut in 0usize..0x1801) {
        let mut image = with_sections(0x3000, [(0x1000, 0x800), (0x400, 0x100)]);
        for (at, value) in edits {
            image[at] = value;
        }
        image.truncate(cut);
        let _ = Header::parse(&image);
        let _ = Kernel::identify(&image);
    }
}
