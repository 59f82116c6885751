//! The commands that change the tree: `fdt set`, `mknode`, `rm`, `apply`, `chosen`, `memory`, `rsvmem`, `bootcpu`.

use super::value::parse;
use super::{index, no_node};
use crate::device_tree::{Editor, Tree, overlay};
use crate::range::PhysicalRange;
use crate::shell::working_tree::{Error, tree_at};
use crate::shell::{Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Memory reservations that are printed. Real trees have ten of them at most; the text is put together on the heap.
const MOST_SHOWN: usize = 1000;

/// `fdt set PATH PROPERTY [VALUE...]`.
pub fn set(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [path, name, value @ ..] = arguments else {
        return Err(match arguments {
            [_] => Failure::because("no property named (a # before a word begins a comment: write \\#address-cells)"),
            _ => Failure::Usage,
        });
    };
    let tree = shell.tree()?;
    let node = tree.walk(path).map_err(|component| no_node(path, component))?;
    let old = node.property(name).map_or(&[][..], |property| property.value());
    let value = parse(value, old).map_err(Failure::because)?;
    for note in &value.notes {
        shell.say(format_args!("note: fdt set {path} {name}: {note}\n"))?;
    }
    shell.edit_tree(&mut |editor| Ok(editor.set_property(path, name, &value.bytes)?))?;
    Ok(true)
}

/// `fdt mknode PATH NAME`.
pub fn make_node(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [path, name] = arguments else { return Err(Failure::Usage) };
    shell.edit_tree(&mut |editor| Ok(editor.add_node(path, name)?))?;
    Ok(true)
}

/// `fdt rm PATH [PROPERTY]`.
pub fn remove(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments {
        [path] => shell.edit_tree(&mut |editor| Ok(editor.delete_node(path)?))?,
        [path, name] => shell.edit_tree(&mut |editor| Ok(editor.delete_property(path, name)?))?,
        _ => return Err(Failure::Usage),
    }
    Ok(true)
}

/// `fdt apply ADDRESS`: an overlay.
pub fn apply(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [address] = arguments else { return Err(Failure::Usage) };
    let address = number::hexadecimal(address)?;
    shell.tree()?;
    let found = tree_at(shell.platform, address)?;
    let size = found.bytes().len();
    if size > overlay::LARGEST {
        return Err(Error::Overlay(overlay::Error::TooLarge { size }).into());
    }
    // Both lie in the platform's memory, of which only one place at a time can be written.
    let bytes: Vec<u8> = found.bytes().to_vec();
    let overlay = Tree::new(&bytes).map_err(|error| Error::NoTree { address, error })?;
    shell.edit_tree(&mut |editor| Ok(overlay::apply(&overlay, editor)?))?;
    Ok(true)
}

/// Adds a child of the root where there is none of that name.
fn add_child(editor: &mut Editor<'_>, name: &str) -> Result<(), Error> {
    if editor.tree()?.root().child(name).is_some() {
        return Ok(());
    }
    Ok(editor.add_node("/", name)?)
}

/// `fdt chosen [START SIZE]`: `/chosen` with the variable `bootargs` as the command line, and the ramdisk at START.
///
/// U-Boot writes the ramdisk's last byte where its end belongs, so that the kernel loses a byte; here it keeps it. U-Boot's
/// version is not written, because this is another loader.
pub fn chosen(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let ramdisk = match arguments {
        [] => None,
        [start, size] => {
            let (start, size) = (number::hexadecimal(start)?, number::hexadecimal(size)?);
            let range = PhysicalRange::sized(start, size)
                .ok_or_else(|| Failure::because(format!("{size:#x} bytes from {start:#x} pass the end of memory")))?;
            Some(range).filter(|range| !range.is_empty())
        }
        _ => return Err(Failure::Usage),
    };
    let arguments = shell.environment.get("bootargs").map(String::from);
    shell.edit_tree(&mut |editor| {
        add_child(editor, "chosen")?;
        if let Some(arguments) = &arguments {
            editor.set_string("/chosen", "bootargs", arguments)?;
        }
        let Some(range) = ramdisk else { return Ok(()) };
        let old = editor.tree()?.reservations().find(|old| old.start == range.start);
        if let Some(old) = old {
            editor.delete_reservation(old)?;
        }
        editor.add_reservation(range)?;
        let (cells, _) = root_cells(editor)?;
        editor.set_property("/chosen", "linux,initrd-start", &number_bytes(range.start, cells))?;
        Ok(editor.set_property("/chosen", "linux,initrd-end", &number_bytes(range.end, cells))?)
    })?;
    Ok(true)
}

/// `fdt memory ADDRESS SIZE`: one bank of memory, and nothing else.
pub fn memory(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [address, size] = arguments else { return Err(Failure::Usage) };
    let (address, size) = (number::hexadecimal(address)?, number::hexadecimal(size)?);
    shell.edit_tree(&mut |editor| {
        add_child(editor, "memory")?;
        let (address_cells, size_cells) = root_cells(editor)?;
        let mut register = number_bytes(address, address_cells);
        register.extend(number_bytes(size, size_cells));
        editor.set_string("/memory", "device_type", "memory")?;
        Ok(editor.set_property("/memory", "reg", &register)?)
    })?;
    Ok(true)
}

/// The cells of an address and of a size among the root's children, as libfdt takes them: two and one where the root says nothing.
fn root_cells(editor: &Editor<'_>) -> Result<(u32, u32), Error> {
    let root = editor.tree()?.root();
    let cells = |name, default| root.property(name).and_then(|property| property.u32()).unwrap_or(default);
    Ok((cells("#address-cells", 2), cells("#size-cells", 1)))
}

/// A number in two cells, or else in one.
fn number_bytes(number: u64, cells: u32) -> Vec<u8> {
    if cells == 2 { number.to_be_bytes().to_vec() } else { (number as u32).to_be_bytes().to_vec() }
}

/// `fdt rsvmem print`, `fdt rsvmem add ADDRESS SIZE`, `fdt rsvmem delete INDEX`.
pub fn reservations(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let kind = arguments.first().and_then(|kind| kind.bytes().next());
    match (kind, arguments.get(1..).unwrap_or_default()) {
        (Some(b'p'), []) => {
            let tree = shell.tree()?;
            let mut text = String::from("index\t\t   start\t\t    size\n");
            text += &"-".repeat(48);
            text += "\n";
            for (index, range) in tree.reservations().enumerate().take(MOST_SHOWN) {
                let _ = writeln!(text, "    {index:x}\t{:016x}\t{:016x}", range.start, range.size());
            }
            let more = tree.reservations().count().saturating_sub(MOST_SHOWN);
            if more > 0 {
                let _ = writeln!(text, "and {more} more");
            }
            shell.say(format_args!("{text}"))?;
        }
        (Some(b'a'), [address, size]) => {
            let (address, size) = (number::hexadecimal(address)?, number::hexadecimal(size)?);
            let range = PhysicalRange::sized(address, size)
                .ok_or_else(|| Failure::because(format!("{size:#x} bytes from {address:#x} pass the end of memory")))?;
            shell.edit_tree(&mut |editor| Ok(editor.add_reservation(range)?))?;
        }
        (Some(b'd'), [at]) => {
            let at = index(at, 16)?;
            let tree = shell.tree()?;
            let range = tree.reservations().nth(at).ok_or_else(|| {
                Failure::because(format!(
                    "no memory reservation number {at}: there are {}",
                    tree.reservations().count()
                ))
            })?;
            shell.edit_tree(&mut |editor| Ok(editor.delete_reservation(range)?))?;
        }
        _ => return Err(Failure::Usage),
    }
    Ok(true)
}

/// `fdt bootcpu ID`: the processor that starts the system.
pub fn boot_processor(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    /// Where a header says it (Devicetree Specification v0.4, 5.2).
    const FIELD: u64 = 28;
    let [id] = arguments else { return Err(Failure::Usage) };
    let id = number::hexadecimal(id)? as u32;
    shell.tree()?;
    let field = shell.working_tree.and_then(|address| PhysicalRange::sized(address.checked_add(FIELD)?, 4));
    let bytes = shell.platform.memory_mut(field.ok_or(Error::None)?).map_err(Error::Memory)?;
    bytes.copy_from_slice(&id.to_be_bytes());
    Ok(true)
}
