//! The tree that Xen is given: the fetched one or the firmware's, with what the firmware knows, overlays, and `/chosen`.

use super::Error;
use super::load::Load;
use crate::boot::dom0_memory::{self, Asked};
use crate::boot::plan::{Plan, Role};
use crate::boot::store::Stored;
use crate::boot::xen;
use crate::config::{Xen, command_line};
use crate::console;
use crate::device_tree::firmware::{Known, Report, carry_over};
use crate::device_tree::{Editor, Tree, overlay};
use crate::range::PhysicalRange;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Bytes that all overlays of an entry may have together: ten times what a lavish set of the Raspberry Pi's has.
const MOST_OVERLAYS: usize = 512 * 1024;

impl Load<'_, '_> {
    /// Makes the tree that Xen is given, in a block of its own with room to grow.
    pub fn write_tree(&mut self, plan: &Plan<'_>, firmware: Option<&[u8]>, known: &Known) -> Result<Stored, Error> {
        let fetched = self.find(Role::DeviceTree);
        let (start, name) = match fetched {
            Some(stored) => (self.store.bytes(stored), "the fetched device tree"),
            None => (firmware.unwrap_or_default(), "the firmware's device tree"),
        };
        // Checked where it lies: what is no tree may be far too large for the heap.
        console::poll();
        let start = Tree::new(start).map_err(|error| Error::Tree { file: name.into(), error })?.bytes();
        xen::check_size(start.len()).map_err(Error::TreeSize)?;
        console::poll();
        let start = start.to_vec();
        // Work on a tree takes milliseconds, each step of it one or a few: the console is looked at between them.
        console::poll();
        // What the firmware knows is in its own tree already.
        let firmware = fetched.and(firmware).and_then(|bytes| Tree::new(bytes).ok());

        let store_error = |error| Error::Store { file: "device tree".into(), error };
        let chosen = self.chosen(plan.xen);
        let overlays = self.overlays()?;
        console::poll();
        let carried_over = firmware.map_or(0, |tree| tree.bytes().len());
        // An overlay's names and paths can take more room in the tree than in the overlay, but hardly twice as much.
        let added: usize = overlays.iter().map(|(_, bytes)| bytes.len() * 2).sum();
        let size = start.len() + carried_over + added + xen::room(plan.xen);
        let block = self.store.block("device tree", size as u64).map_err(store_error)?;
        console::poll();
        let mut editor = Editor::copy(&start, self.store.bytes_mut(block))?;
        self.tree = Some(block);
        console::poll();
        self.notes.extend(carried(&carry_over(firmware.as_ref(), known, &mut editor, &mut console::poll)?));
        console::poll();
        for (file, bytes) in &overlays {
            let tree = Tree::new(bytes).map_err(|error| Error::Tree { file: file.clone(), error })?;
            overlay::apply(&tree, &mut editor).map_err(|error| Error::Overlay { file: file.clone(), error })?;
            console::poll();
        }
        xen::write(&mut editor, &chosen)?;
        console::poll();
        Ok(block)
    }

    /// Refuses what Xen would stop over whatever it did: more memory for Dom0 than is free.
    pub fn check_memory(&self, plan: &Plan<'_>, tree: Stored) -> Result<(), Error> {
        let dom0 = plan.xen.dom0.as_ref().and_then(|_| command_line::dom0_memory(&plan.xen.args).ok().flatten());
        let Some(dom0) = dom0 else { return Ok(()) };
        let tree = Tree::new(self.store.bytes(tree)).ok();
        let asked = Asked { dom0, domains: plan.xen.domains_memory() };
        match dom0_memory::check(self.store.layout(), tree.as_ref(), asked) {
            Err(shortage) if shortage.is_certain() => Err(Error::Shortage(shortage)),
            _ => Ok(()),
        }
    }

    /// The overlays with their names, in the order of the settings; all that can be, on the heap.
    fn overlays(&self) -> Result<Vec<(String, Vec<u8>)>, Error> {
        let mut overlays = Vec::new();
        let mut size = 0;
        for file in self.files.iter().filter(|file| matches!(file.role, Role::Overlay(_))) {
            let name = || file.source.clone();
            let tree = Tree::new(self.store.bytes(file.stored)).map_err(|error| Error::Tree { file: name(), error })?;
            size += tree.bytes().len();
            if size > MOST_OVERLAYS {
                return Err(Error::Overlay { file: name(), error: overlay::Error::TooLarge { size } });
            }
            overlays.push((name(), tree.bytes().to_vec()));
        }
        Ok(overlays)
    }

    /// What `/chosen` says of the modules. The roles of a plan are those of its settings, so each range is there.
    fn chosen<'c>(&self, config: &'c Xen) -> xen::Chosen<'c> {
        let nowhere = PhysicalRange { start: 0, end: 0 };
        let range = |role| self.range(role).unwrap_or(nowhere);
        xen::Chosen {
            args: &config.args,
            dom0: config.dom0.as_ref().map(|dom0| xen::Dom0 {
                kernel: range(Role::Dom0Kernel),
                ramdisk: self.range(Role::Dom0Ramdisk),
                args: &dom0.args,
            }),
            domains: (config.domains.iter().enumerate())
                .map(|(index, config)| xen::Domain {
                    config,
                    kernel: range(Role::DomainKernel(index)),
                    ramdisk: self.range(Role::DomainRamdisk(index)),
                    device_tree: self.range(Role::DomainDeviceTree(index)),
                })
                .collect(),
        }
    }
}

/// What is worth a line of what was carried into the tree: only a tree for another board.
fn carried(report: &Report) -> Option<String> {
    report.warning.map(|warning| warning.to_string())
}
