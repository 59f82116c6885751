//! A plan in words: what booting an entry would take, for `plan` at the prompt and for the menu's details. Nothing of it is done.
//!
//! Pure: what can be known of the files is found out by others ([`Seen`]), and where they would lie is worked out by the allocator that a boot
//! uses, in the same order. The differences: a tree that has not been read reserves nothing yet,
//! and what is packed takes no room.

use super::gzip::is_gzip;
use super::image::Header;
use super::layout::Layout;
use super::plan::{Item, Place, Plan};
use super::store::Need;
use super::warnings::{self, Known};
use crate::config::{DeviceTree, Entry, Xen};
use crate::range::PhysicalRange;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// What is known of a file that has not been brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Bytes of the file; `None` where nobody says.
    pub size: Option<u64>,
    /// Its first bytes, where it is a program.
    pub beginning: Vec<u8>,
    /// Why it would not come, in words.
    pub trouble: Option<String>,
}

impl Seen {
    /// Whether it is a program that will be unpacked.
    fn is_packed(&self, item: &Item) -> bool {
        item.role.is_program() && is_gzip(&self.beginning)
    }

    /// Where it would lie, and its room in `layout` with it. Of a packed one that is not known.
    fn place(&self, item: &Item, layout: &mut Layout) -> Option<PhysicalRange> {
        let size = self.size.filter(|size| *size > 0 && !self.is_packed(item))?;
        let need = Need::of(item.role);
        let memory = match need {
            Need::Program => Header::of_beginning(&self.beginning, size).ok()?.memory_size(size),
            Need::Module | Need::Reading => size,
        };
        layout.allocate(&item.label, need.request(memory)).ok()
    }
}

/// Writes what booting `entry` by `plan` takes. `seen` has what is known of the plan's files, in their order; `layout` is memory before anything is
/// loaded, and `known` what its lints come from: those of the summary before the jump, as far as they can be known.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut dyn fmt::Write,
    entry: &Entry,
    plan: &Plan<'_>,
    seen: &[Seen],
    mut layout: Layout,
    known: &Known<'_>,
) -> fmt::Result {
    head(out, entry)?;
    if entry.device_tree == DeviceTree::Firmware {
        writeln!(out, "device tree: the firmware's")?;
    }
    let unknown = Seen::default();
    for (item, seen) in plan.items.iter().zip(seen.iter().chain(core::iter::repeat(&unknown))) {
        write_file(out, item, seen, seen.place(item, &mut layout))?;
    }
    arguments(out, plan.xen)?;
    for warning in warnings::foresee(plan, &layout, known) {
        writeln!(out, "Note: {warning}")?;
    }
    tail(out, entry)
}

/// Writes what running the script `item` of `entry` takes.
///
/// # Errors
/// Those of `out`.
pub fn write_script(out: &mut dyn fmt::Write, entry: &Entry, item: &Item, seen: &Seen) -> fmt::Result {
    head(out, entry)?;
    write_file(out, item, seen, None)?;
    writeln!(out, "What else it loads and starts, it says itself.")?;
    tail(out, entry)
}

fn head(out: &mut dyn fmt::Write, entry: &Entry) -> fmt::Result {
    writeln!(out, "{} ({})", entry.title(), entry.name)
}

fn tail(out: &mut dyn fmt::Write, entry: &Entry) -> fmt::Result {
    match &entry.fallback {
        Some(fallback) => writeln!(out, "If that fails: {fallback}"),
        None => Ok(()),
    }
}

/// A line for the file, one for what is known of it.
fn write_file(out: &mut dyn fmt::Write, item: &Item, seen: &Seen, place: Option<PhysicalRange>) -> fmt::Result {
    let from = match item.place {
        Place::Bundle => "in the bundle",
        Place::Network => "by TFTP",
        Place::Initramfs => "loaded by the firmware",
        Place::Card => "on the card",
    };
    writeln!(out, "{}: {}, {from}", item.label, item.file.source)?;
    if let Some(trouble) = &seen.trouble {
        return writeln!(out, "    {trouble}");
    }
    match seen.size {
        Some(size) => write!(out, "    {size} bytes")?,
        None => write!(out, "    size not known")?,
    }
    if seen.is_packed(item) {
        return writeln!(out, ", gzip: unpacked while it comes, to where its header says");
    }
    match place {
        Some(place) if Need::of(item.role) == Need::Reading => writeln!(out, ", read at {place}"),
        Some(place) => writeln!(out, ", to {place}"),
        None => writeln!(out),
    }
}

fn arguments(out: &mut dyn fmt::Write, xen: &Xen) -> fmt::Result {
    writeln!(out, "Xen args: {}", xen.args)?;
    if let Some(dom0) = &xen.dom0 {
        writeln!(out, "Dom0 args: {}", dom0.args)?;
    }
    for domain in &xen.domains {
        let console = if domain.vpl011 { ", vpl011" } else { "" };
        writeln!(
            out,
            "{}: {} KiB, {} CPU{console}; args: {}",
            domain.name,
            domain.memory >> 10,
            domain.cpus,
            domain.args
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::plan::Facts;
    use crate::config::settings;

    const TOML: &str = r#"
[[entry]]
name = "xen"
title = "Xen + Dom0"
device-tree = "t.dtb"
fallback = "other"
[entry.xen]
image = "xen"
args = "bootscrub=0"
[entry.dom0]
kernel = "Image"
ramdisk = "rootfs"
args = "console=hvc0"
[[entry.domu]]
name = "guest"
memory = "128M"
cpus = 2
vpl011 = true
kernel = "k"
args = "quiet"
[[entry]]
name = "other"
script = "boot2.scr"
"#;

    const FACTS: Facts<'static> = Facts {
        memory: 948 << 20,
        firmware_tree: true,
        board_tree: None,
        bundle: None,
        initramfs: None,
        network: true,
        card: None,
        card_first: false,
    };

    fn layout() -> Layout {
        let mut layout = Layout::new([PhysicalRange { start: 0, end: 0x3b40_0000 }]).unwrap();
        layout.reserve("page 0", PhysicalRange { start: 0, end: 0x1000 }).unwrap();
        layout
    }

    fn file(size: u64) -> Seen {
        Seen { size: Some(size), ..Seen::default() }
    }

    /// The beginning of an arm64 Image that takes 3 MiB.
    fn program() -> Vec<u8> {
        let mut bytes = alloc::vec![0; 64];
        bytes[16..24].copy_from_slice(&(3_u64 << 20).to_le_bytes());
        bytes[24] = 8;
        bytes[56..60].copy_from_slice(b"ARM\x64");
        bytes
    }

    fn outline(seen: &[Seen]) -> String {
        let entries = settings::parse(TOML.as_bytes()).unwrap().entries;
        let plan = Plan::new(&entries[0], &FACTS).unwrap();
        let mut text = String::new();
        let known = Known { board_tree: Some("bcm2711-rpi-4-b.dtb"), ..Known::default() };
        write(&mut text, &entries[0], &plan, seen, layout(), &known).unwrap();
        text
    }

    #[test]
    fn files_have_sizes_and_the_places_that_a_boot_gives_them() {
        let xen = Seen { beginning: program(), ..file(1_000_000) };
        let text = outline(&[file(50_000), xen, file(30 << 20), file(5000), file(100)]);
        let expected = "\
Xen + Dom0 (xen)
device tree: t.dtb, by TFTP
    50000 bytes, read at 0x3b3f3000-0x3b3ff34f
Xen: xen, by TFTP
    1000000 bytes, to 0x00200000-0x004fffff
Dom0 kernel: Image, by TFTP
    31457280 bytes, to 0x00600000-0x023fffff
Dom0 ramdisk: rootfs, by TFTP
    5000 bytes, to 0x00001000-0x00002387
guest kernel: k, by TFTP
    100 bytes, to 0x00003000-0x00003063
Xen args: bootscrub=0
Dom0 args: console=hvc0
guest: 131072 KiB, 2 CPU, vpl011; args: quiet
Note: no dom0_mem= in Xen's args: Dom0 gets 512 MiB
Note: guest: no ramdisk and no root=: Linux finds no files, unless its kernel has some built in
If that fails: other
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_will_go_wrong_is_told_as_far_as_it_can_be_known() {
        let toml = TOML
            .replace("bootscrub=0", "bootscrubb=0 dom0_mem=900M")
            .replace("\"t.dtb\"", "\"bcm2711-rpi-cm4-io.dtb\"")
            .replace("vpl011 = true\n", "")
            .replace("128M", "16M")
            .replace("quiet", "console=ttyAMA0 root=/dev/vda");
        let entries = settings::parse(toml.as_bytes()).unwrap().entries;
        let plan = Plan::new(&entries[0], &FACTS).unwrap();
        let mut text = String::new();
        let known = Known { board_tree: Some("bcm2711-rpi-4-b.dtb"), ..Known::default() };
        let xen = Seen { beginning: program(), ..file(1_000_000) };
        let seen = [file(50_000), xen, file(60 << 20)];
        write(&mut text, &entries[0], &plan, &seen, layout(), &known).unwrap();
        let notes: Vec<_> = text.lines().filter(|line| line.starts_with("Note: ")).collect();
        assert_eq!(notes.len(), 4, "{text}");
        assert!(
            notes[0].contains("does not know \"bootscrubb\"") && notes[0].ends_with("is bootscrub meant?"),
            "{text}"
        );
        assert!(
            notes[1].starts_with("Note: dom0_mem=900M and 16 MiB for other domains: Xen will panic, it finds "),
            "{text}"
        );
        assert_eq!(notes[2], "Note: guest: console=ttyAMA0 is not there without vpl011: it will be silent");
        assert_eq!(
            notes[3],
            "Note: the device tree bcm2711-rpi-cm4-io.dtb is another board's by its name; this board's is bcm2711-rpi-4-b.dtb"
        );
    }

    #[test]
    fn a_packed_program_is_said_to_be_one() {
        let packed = Seen { size: Some(900_000), beginning: b"\x1f\x8b\x08".to_vec(), trouble: None };
        let text = outline(&[file(50_000), packed.clone(), packed.clone(), packed]);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("gzip")).collect();
        // What Linux unpacks itself is no program.
        assert_eq!(lines, ["    900000 bytes, gzip: unpacked while it comes, to where its header says"; 2], "{text}");
    }

    #[test]
    fn what_is_not_known_is_said_and_the_rest_is_told_all_the_same() {
        let trouble = Seen { trouble: Some("file not found".into()), ..Seen::default() };
        let text = outline(&[trouble, file(10), Seen::default()]);
        assert!(text.contains("device tree: t.dtb, by TFTP\n    file not found\n"), "{text}");
        assert!(
            text.contains("Xen: xen, by TFTP\n    10 bytes\n"),
            "a beginning that is no program has no place: {text}"
        );
        assert!(text.contains("guest kernel: k, by TFTP\n    size not known\n"), "{text}");
    }

    #[test]
    fn sizes_that_fit_nowhere_have_no_place() {
        for size in [u64::MAX, 1 << 40, 0] {
            let text = outline(&[file(size), file(size), file(size)]);
            assert!(text.contains(&alloc::format!("{size} bytes\n")), "{text}");
        }
    }

    #[test]
    fn a_script_is_one_file_that_says_the_rest_itself() {
        let entries = settings::parse(TOML.as_bytes()).unwrap().entries;
        let crate::config::Payload::Script(script) = &entries[1].payload else { panic!("no script") };
        let item = crate::boot::plan::script(script, &FACTS).unwrap();
        let mut text = String::new();
        write_script(&mut text, &entries[1], &item, &file(700)).unwrap();
        assert_eq!(
            text,
            "other (other)\nscript: boot2.scr, by TFTP\n    700 bytes\nWhat else it loads and starts, it says itself.\n"
        );
    }
}
