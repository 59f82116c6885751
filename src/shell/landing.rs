//! Where files that commands bring may land, and what is remembered of them.
//!
//! A file goes exactly where its script says. Over the loader, a reservation, page 0 or the working tree it is refused, with both ranges; over a
//! file that the script itself loaded it is warned of, because that is how a kernel that has grown breaks a script that
//! worked for years.

use super::platform::NotMemory;
use super::{Failure, Loaded, Shell, number};
use crate::boot::layout::Request;
use crate::range::PhysicalRange;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// What U-Boot was built with for this board as the address where nothing says one.
pub(super) const LOAD_ADDRESS: u64 = 0x100_0000;

/// Files that are remembered, and bytes of the name of one: a script can load a file to as many places as there are, by a path as long as it likes.
const MOST_LOADED: usize = 512;
const LONGEST_NAME: usize = 256;

/// Memory for a file whose size is not known yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landing {
    /// From where the script says to what lies next.
    pub place: PhysicalRange,
    /// What lies next; `None` for the end of the memory.
    next: Option<(String, PhysicalRange)>,
}

impl fmt::Display for Landing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, next } = self;
        match next {
            Some((name, range)) => {
                write!(f, "{:#x} bytes from {:#x} on, up to {name} at {range}", place.size(), place.start)
            }
            None => write!(f, "{:#x} bytes from {:#x} on, up to the end of the memory", place.size(), place.start),
        }
    }
}

impl Landing {
    /// A place that ends for no other reason than that it does.
    pub const fn new(place: PhysicalRange) -> Self {
        Self { place, next: None }
    }

    /// The failure of a file called `name` of `size` bytes, which is more than there is room for.
    pub fn too_small(&self, name: &str, size: u64) -> Failure {
        Failure::because(format!("{name} has {size:#x} bytes or more; there is room for {self}"))
    }
}

impl Shell<'_> {
    /// How much memory there is for a file at `address`.
    ///
    /// # Errors
    /// [`NotMemory`], with what lies there.
    pub fn landing(&self, address: u64) -> Result<Landing, NotMemory> {
        let first = PhysicalRange { start: address, end: address.saturating_add(1) };
        let layout = self.platform.layout();
        let bank = layout
            .banks()
            .iter()
            .find(|bank| bank.start <= address && address < bank.end)
            .ok_or(NotMemory::Outside(first))?;
        let occupants = layout.occupants().iter().map(|occupant| (occupant.name.clone(), occupant.range));
        // A tree may be loaded anew where it was.
        let tree = self.tree_range().filter(|tree| tree.start != address);
        let mut place = PhysicalRange { start: address, end: bank.end };
        let mut next = None;
        for (name, range) in occupants.chain(tree.map(|range| ("the working tree".to_string(), range))) {
            if range.overlaps(&first) {
                return Err(NotMemory::Taken { range: first, name, taken: range });
            }
            if range.start > address && range.start < place.end {
                place.end = range.start;
                next = Some((name, range));
            }
        }
        Ok(Landing { place, next })
    }

    /// Where `size` bytes that are called `name` lie at `address`, if there is room for them.
    ///
    /// # Errors
    /// [`NotMemory`], with what lies there; [`Landing::too_small`].
    pub(super) fn room_at(&self, address: u64, name: &str, size: u64) -> Result<PhysicalRange, Failure> {
        let landing = self.landing(address)?;
        match size <= landing.place.size() {
            true => Ok(PhysicalRange { start: address, end: address.saturating_add(size) }),
            false => Err(landing.too_small(name, size)),
        }
    }

    /// Remembers that `name` was brought to `range`, warns of what it overwrote, and sets `filesize` and `fileaddr`.
    ///
    /// # Errors
    /// As [`Shell::say`].
    pub fn landed(&mut self, name: &str, range: PhysicalRange) -> Result<(), Failure> {
        self.environment.set("filesize", &format!("{:x}", range.size()));
        self.environment.set("fileaddr", &format!("{:x}", range.start));
        self.put_at(name, range)
    }

    /// Remembers that `name` lies in `range` now, and warns of what it overwrote.
    ///
    /// # Errors
    /// As [`Shell::say`].
    pub(super) fn put_at(&mut self, name: &str, range: PhysicalRange) -> Result<(), Failure> {
        let name = shortened(name);
        let (old, kept): (Vec<Loaded>, Vec<Loaded>) =
            core::mem::take(&mut self.loaded).into_iter().partition(|loaded| loaded.range.overlaps(&range));
        let mut warned = Ok(());
        for old in old {
            // The same file once more is no mistake.
            if !old.spent && (old.name != name || old.range.start != range.start) {
                warned = warned.and_then(|()| {
                    self.say(format_args!("warning: {name} at {range} overwrites {} at {}\n", old.name, old.range))
                });
            }
        }
        self.loaded = kept;
        if !range.is_empty() {
            self.remember(name, range);
        }
        warned
    }

    /// Remembers that `name` lies in `range`; of more than 512 files the oldest is forgotten.
    pub(in crate::shell) fn remember(&mut self, name: &str, range: PhysicalRange) {
        if self.loaded.len() >= MOST_LOADED {
            self.loaded.remove(0);
        }
        self.loaded.push(Loaded { name: shortened(name).to_string(), range, spent: false });
    }

    /// A place for what is called `name`, where neither `source` nor anything of the script's lies. It is not taken yet.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn free_place(
        &self,
        name: &str,
        request: Request,
        source: PhysicalRange,
    ) -> Result<PhysicalRange, Failure> {
        let mut layout = self.platform.layout().clone();
        for range in self.loaded.iter().map(|loaded| loaded.range).chain(self.tree_range()).chain([source]) {
            // What lies there already is kept clear of anyway.
            let _ = layout.reserve("", range);
        }
        layout.allocate(name, request).map_err(Failure::because)
    }

    /// Where a file of a card goes whose command names no address: where the variable `loadaddr` says.
    ///
    /// # Errors
    /// `loadaddr` is no number.
    pub fn load_address(&self) -> Result<u64, Failure> {
        self.environment.get("loadaddr").map_or(Ok(LOAD_ADDRESS), number::hexadecimal)
    }

    /// Where a file of the network goes whose command names no address: where the variable `loadaddr` says, else where the last one went.
    ///
    /// # Errors
    /// `loadaddr` is no number.
    pub fn fetch_address(&self) -> Result<u64, Failure> {
        self.environment.get("loadaddr").map_or(Ok(self.image_place), number::hexadecimal)
    }

    /// Lets [`Shell::image_place`] be where `loadaddr` says, as whenever that is set. Without the variable it stays.
    pub(super) fn follow_load_address(&mut self) {
        if let Some(Ok(address)) = self.environment.get("loadaddr").map(number::hexadecimal) {
            self.image_place = address;
        }
    }
}

/// As much of a name as is remembered, or of a text as is shown.
pub(super) fn shortened(name: &str) -> &str {
    name.get(..name.floor_char_boundary(LONGEST_NAME)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Environment;
    use crate::shell::simulation::{FileMap, Simulation};

    const TREE: PhysicalRange = PhysicalRange { start: 0x2eff_6200, end: 0x2eff_f000 };

    fn machine() -> Simulation {
        let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
        machine.reserve("the firmware's device tree", TREE).unwrap();
        machine
    }

    fn range(start: u64, end: u64) -> PhysicalRange {
        PhysicalRange { start, end }
    }

    #[test]
    fn a_file_has_room_up_to_what_lies_next() {
        let mut machine = machine();
        let shell = Shell::new(&mut machine, Environment::default());
        let landing = shell.landing(0x80000).unwrap();
        assert_eq!(landing.place, range(0x80000, TREE.start));
        assert!(
            landing.to_string().ends_with("up to the firmware's device tree at 0x2eff6200-0x2effefff"),
            "{landing}"
        );
        assert_eq!(shell.landing(0x2f00_0000).unwrap().place, range(0x2f00_0000, 0x3b40_0000));
    }

    #[test]
    fn what_lies_there_is_named_with_its_range() {
        let mut machine = machine();
        let shell = Shell::new(&mut machine, Environment::default());
        for (address, name) in [(0x100, "page 0"), (TREE.start + 5, "the firmware's device tree")] {
            assert!(matches!(shell.landing(address), Err(NotMemory::Taken { name: found, .. }) if found == name));
        }
        assert!(matches!(shell.landing(0x3b40_0000), Err(NotMemory::Outside(_))));
        assert!(matches!(shell.landing(u64::MAX), Err(NotMemory::Outside(_))));
    }

    #[test]
    fn a_file_over_another_is_warned_of_and_the_same_again_is_not() {
        let mut machine = machine();
        let mut shell = Shell::new(&mut machine, Environment::default());
        shell.landed("Image", range(0x100_0000, 0x240_0000)).unwrap();
        shell.landed("Image", range(0x100_0000, 0x240_0000)).unwrap();
        shell.landed("rootfs", range(0x220_0000, 0x230_0000)).unwrap();
        assert_eq!(
            shell.loaded,
            [Loaded { name: "rootfs".into(), range: range(0x220_0000, 0x230_0000), spent: false }]
        );
        assert_eq!(shell.environment.get("filesize"), Some("100000"));
        assert_eq!(shell.environment.get("fileaddr"), Some("2200000"));
        assert_eq!(
            machine.output,
            "warning: rootfs at 0x02200000-0x022fffff overwrites Image at 0x01000000-0x023fffff\n"
        );
    }
}
