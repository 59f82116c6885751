//! From what a script's `booti` names to what [`Departure`] takes: everything in its place, and a tree with what the firmware knows.

use crate::arch::handoff::HandOffError;
use crate::boot::departure::{self, Departure, File};
use crate::boot::image::{self, ALIGNMENT, Header};
use crate::boot::layout::{self, Request};
use crate::boot::store::{self, Store, Stored};
use crate::boot::xen;
use crate::boot::xen_modules::{self, Kind};
use crate::console;
use crate::device_tree::firmware::{Known, carry_over};
use crate::device_tree::{Editor, Tree, edit, read};
use crate::ram::RamError;
use crate::range::PhysicalRange;
use crate::shell::Loaded;
use crate::shell::platform::{Boot, NotMemory};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Bytes at the beginning of a program in which all its headers lie: the arm64 one, and the section table that says how long it is.
const HEADERS: usize = 4096;

/// Why it could not be made ready.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Error {
    /// The program is none.
    Program {
        /// What messages call it.
        name: String,
        /// What is wrong with it.
        error: image::Error,
    },
    /// Something has no place, or lies where something else does.
    Place {
        /// What it is.
        what: String,
        /// Why.
        error: store::Error,
    },
    /// What lies where the tree should be is none.
    Tree(read::Error),
    /// It is too large.
    TreeSize(xen::TooLarge),
    /// It could not be changed as needed.
    Edit(edit::Error),
    /// Everything was there, and could not be started.
    Departure(departure::Error),
    /// What was named is not in free memory.
    Memory(NotMemory),
    /// There is no memory.
    Layout(layout::Error),
    /// What was named cannot be had.
    Ram(RamError),
    /// There is no tree of the firmware's to hand on.
    NoFirmwareTree,
    /// The jump was not possible.
    HandOff(HandOffError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program { name, error } => write!(f, "{name}: {error}"),
            Self::Place { what, error } => write!(f, "{what}: {error}"),
            Self::Tree(error) => error.fmt(f),
            Self::TreeSize(error) => error.fmt(f),
            Self::Edit(error) => write!(f, "the device tree: {error}"),
            Self::Departure(error) => error.fmt(f),
            Self::Memory(error) => error.fmt(f),
            Self::Layout(error) => error.fmt(f),
            Self::Ram(error) => error.fmt(f),
            Self::NoFirmwareTree => {
                f.write_str("the firmware passed no device tree, which the program would want in x0")
            }
            Self::HandOff(error) => error.fmt(f),
        }
    }
}

impl From<edit::Error> for Error {
    fn from(error: edit::Error) -> Self {
        Self::Edit(error)
    }
}

/// What the board adds to what the script said.
pub(super) struct Board<'a> {
    /// The firmware's tree, if it passed one.
    pub firmware: Option<&'a [u8]>,
    /// Where it lies.
    pub firmware_tree: Option<PhysicalRange>,
    /// Where its initramfs lies, if it loaded one.
    pub initramfs: Option<PhysicalRange>,
    /// What its mailbox says.
    pub known: Known,
}

/// Takes what `boot` names into `store`. `tree` are the bytes of its tree, which lie elsewhere by now.
pub(super) fn take(store: &mut Store<'_>, boot: &Boot<'_>, tree: &[u8], board: &Board<'_>) -> Result<Departure, Error> {
    let given = Tree::new(tree).map_err(Error::Tree)?;
    xen::check_size(given.bytes().len()).map_err(Error::TreeSize)?;
    let mut taking = Taking { store, boot, files: Vec::new(), notes: Vec::new() };

    let modules = xen_modules::modules(&given).map_err(|error| Error::Departure(departure::Error::Modules(error)))?;
    for module in &modules {
        if let Some(range) = module.range {
            taking.module(&module.label(), range)?;
        }
    }
    let has_ramdisk = modules.iter().any(|module| module.kind == Kind::Ramdisk && module.domain.is_none());
    let ramdisk = taking.ramdisk(&given, has_ramdisk, board)?;
    let is_xen = xen_modules::is_for_xen(&given);
    let (program, entry) = taking.program(if is_xen { "Xen" } else { "kernel" })?;
    let tree = taking.tree(&given, ramdisk, board)?;
    let Taking { files, notes, .. } = taking;
    let tree_source = match board.firmware_tree {
        Some(range) if range.start == boot.tree.start => String::from("from the firmware"),
        _ => name_of(boot.loaded, boot.tree).unwrap_or("made by the script").to_string(),
    };
    Ok(Departure { program, entry, tree, tree_source, files, notes })
}

/// What the tree shall say of a ramdisk of Linux's (and Xen's, which takes it for Dom0's).
enum Ramdisk {
    /// What it says already, or what `booti` says.
    Said,
    /// Nothing.
    Gone,
}

struct Taking<'t, 'm> {
    store: &'t mut Store<'m>,
    boot: &'t Boot<'t>,
    files: Vec<File>,
    notes: Vec<String>,
}

impl Taking<'_, '_> {
    /// Takes a module where it lies. Two domains may share one.
    fn module(&mut self, label: &str, range: PhysicalRange) -> Result<(), Error> {
        if let Some(file) = self.files.iter().find(|file| file.range == range).cloned() {
            self.files.push(File { label: label.to_string(), ..file });
            return Ok(());
        }
        self.store.adopt(label, range, 0).map_err(|error| place(label, error))?;
        // What is wrong with sizes and places, `booti` has said (`shell::lints`).
        let source = name_of(self.boot.loaded, range).unwrap_or("not loaded").to_string();
        self.files.push(File { label: label.to_string(), source, range, sha256: None });
        Ok(())
    }

    /// The ramdisk that `booti` or the tree names.
    fn ramdisk(&mut self, tree: &Tree<'_>, has_module: bool, board: &Board<'_>) -> Result<Ramdisk, Error> {
        if let Some(range) = self.boot.ramdisk {
            self.module("ramdisk", range)?;
            return Ok(Ramdisk::Said);
        }
        let Some(range) = tree.initrd() else { return Ok(Ramdisk::Said) };
        let firmwares = board.initramfs.is_some_and(|initramfs| initramfs.overlaps(&range));
        if has_module {
            // Xen would take both for Dom0's.
            self.notes.push(format!("linux,initrd-start of the tree ({range}) is left out: Dom0 has a ramdisk module"));
            return Ok(Ramdisk::Gone);
        }
        if !firmwares {
            self.module("ramdisk", range)?;
        }
        Ok(Ramdisk::Said)
    }

    /// Takes the program where it lies, or moves it to where its header wants it. Gives the distance of its beginning from that of its memory.
    fn program(&mut self, label: &str) -> Result<(Stored, u64), Error> {
        let range = self.boot.program;
        let name = name_of(self.boot.loaded, range).unwrap_or(label).to_string();
        let bytes = self.store.copy_of(range, HEADERS).map_err(|error| place(&name, error))?;
        let wrong = |error| Error::Program { name: name.clone(), error };
        let header = Header::of_beginning(&bytes, range.size()).map_err(wrong)?;
        let memory = header.memory_size(range.size()).next_multiple_of(ALIGNMENT);
        let stays = match range.start % ALIGNMENT == header.text_offset {
            true => self.store.adopt(label, range, memory),
            false => Err(store::Error::Empty),
        };
        let (stored, entry) = match stays {
            Ok(stored) => (stored, 0),
            // Something lies in what its .bss will take, or it lies where it cannot run.
            Err(_) => self.moved(label, range, memory, header.text_offset)?,
        };
        let start = self.store.claim(stored).map_or(0, |claim| claim.range().start) + entry;
        let here = PhysicalRange { start, end: start + range.size() };
        if here != range {
            self.notes.push(format!(
                "{label} was moved from {:#x} to {start:#x}, where it has {memory:#x} bytes",
                range.start
            ));
        }
        self.files.insert(0, File { label: label.to_string(), source: name, range: here, sha256: None });
        Ok((stored, entry))
    }

    fn moved(&mut self, label: &str, range: PhysicalRange, memory: u64, offset: u64) -> Result<(Stored, u64), Error> {
        let mut others: Vec<PhysicalRange> = self.boot.loaded.iter().map(|loaded| loaded.range).collect();
        others.push(range);
        let request = Request::xen(memory.saturating_add(offset));
        let moved = self.store.block_clear_of(label, request, &others);
        let stored = moved.map_err(|error| place(label, error))?;
        self.store.copy_into(stored, offset, label, range).map_err(|error| place(label, error))?;
        Ok((stored, offset))
    }

    /// Copies the tree to where it has room to grow, and adds what U-Boot would have added.
    fn tree(&mut self, given: &Tree<'_>, ramdisk: Ramdisk, board: &Board<'_>) -> Result<Stored, Error> {
        // What the firmware knows is in its own tree already.
        let own = board.firmware_tree.is_some_and(|range| range.start == self.boot.tree.start);
        let firmware = board.firmware.filter(|_| !own).and_then(|bytes| Tree::new(bytes).ok());
        let arguments = self.boot.arguments.map_or(0, str::len);
        let carried = firmware.as_ref().map_or(0, |tree| tree.bytes().len());
        let size = given.bytes().len() + carried + xen::ROOM + arguments;
        let mut others: Vec<PhysicalRange> = self.boot.loaded.iter().map(|loaded| loaded.range).collect();
        others.extend(board.firmware_tree);
        let block = self.store.block_clear_of("device tree", Request::new(size as u64), &others);
        let block = block.map_err(|error| place("device tree", error))?;
        let mut editor = Editor::copy(given.bytes(), self.store.bytes_mut(block))?;
        let report = carry_over(firmware.as_ref(), &board.known, &mut editor, &mut console::poll)?;
        self.notes.extend(report.warning.map(|warning| warning.to_string()));
        self.boot.write_into(&mut editor)?;
        if let Ramdisk::Gone = ramdisk {
            for name in ["linux,initrd-start", "linux,initrd-end"] {
                editor.delete_property("/chosen", name)?;
            }
        }
        Ok(block)
    }
}

fn place(what: &str, error: store::Error) -> Error {
    Error::Place { what: what.to_string(), error }
}

/// What the script loaded to the beginning of `range`, the last of them.
fn name_of(loaded: &[Loaded], range: PhysicalRange) -> Option<&str> {
    loaded.iter().rev().find(|loaded| loaded.range.start == range.start).map(|loaded| loaded.name.as_str())
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
