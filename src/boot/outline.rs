//! A plan in words: what booting an entry would take, for `plan` at the prompt and for the menu's details. Nothing of it is done.
//!
//! Pure: what can be known of the files is found out by others ([`Seen`]), and where they would lie is worked out by the allocator that a boot
//! uses, in the same order. The one difference: a tree that has not been read reserves nothing yet.

use super::image::Header;
use super::layout::Layout;
use super::plan::{Item, Place, Plan};
use super::store::Need;
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
    /// Where it would lie, and its room in `layout` with it.
    fn place(&self, item: &Item, layout: &mut Layout) -> Option<PhysicalRange> {
        let size = self.size.filter(|size| *size > 0)?;
        let need = Need::of(item.role);
        let memory = match need {
            Need::Program => Header::of_beginning(&self.beginning, size).ok()?.memory_size(size),
            Need::Module | Need::Reading => size,
        };
        layout.allocate(&item.label, need.request(memory)).ok()
    }
}

/// Writes what booting `entry` by `plan` takes. `seen` has what is known of the plan's files, in their order; `layout` is memory before anything is
/// loaded.
///
/// # Errors
/// Those of `out`.
pub fn write(
    out: &mut dyn fmt::Write,
    entry: &Entry,
    plan: &Plan<'_>,
    seen: &[Seen],
    mut layout: Layout,
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
    for note in &plan.notes {
        writeln!(out, "Note: {note}")?;
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
