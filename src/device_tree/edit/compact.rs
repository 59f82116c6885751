//! Taking out what a tree does not need.

use alloc::vec;
use alloc::vec::Vec;

use super::super::header::word;
use super::super::read::Token;
use super::{Editor, Error};

impl Editor<'_> {
    /// Takes out NOP tokens, and the names in the strings block that no property uses. What the tree says stays the same.
    ///
    /// # Errors
    /// None that can be met (see [`Editor::tree`]).
    pub fn compact(&mut self) -> Result<(), Error> {
        self.remove_nops()?;
        self.remove_unused_names()
    }

    fn remove_nops(&mut self) -> Result<(), Error> {
        let start = self.header.structure_offset;
        let (mut read, mut write) = (start, start);
        loop {
            // What lies ahead of `read` has not been touched, so it can be read as the tree it was.
            let mut cursor = self.tree()?.cursor(read);
            let token = cursor.step();
            let next = cursor.offset;
            match token {
                Some(Token::Nop) => {}
                Some(_) => {
                    self.shift(read, next - read, write);
                    write += next - read;
                }
                None => break,
            }
            read = next;
        }
        // END is where `read` stopped.
        self.splice_structure(write, read - write, 0);
        Ok(())
    }

    fn remove_unused_names(&mut self) -> Result<(), Error> {
        let (start, size) = (self.header.strings_offset, self.header.strings_size);
        let mut used = vec![false; size];
        let mut places = Vec::new();
        let tree = self.tree()?;
        for property in tree.nodes().flat_map(|node| node.properties()) {
            let place = property.offset + 8;
            let offset = word(tree.bytes(), place).unwrap_or(0) as usize;
            // The name and its zero. A name whose end was seen is marked to its end.
            for slot in used.iter_mut().skip(offset).take(property.name().len() + 1) {
                *slot = true;
            }
            places.push((place, offset));
        }
        // Where each byte goes: as many places down as unused ones lie before it.
        let mut kept = 0usize;
        let targets: Vec<usize> = used
            .iter()
            .map(|&used| {
                let target = kept;
                kept += usize::from(used);
                target
            })
            .collect();
        for (from, _) in used.iter().enumerate().filter(|(_, used)| **used) {
            let to = targets.get(from).copied().unwrap_or(from);
            self.shift(start + from, 1, start + to);
        }
        for (place, offset) in places {
            let target = targets.get(offset).copied().unwrap_or(offset);
            self.put(place, &(target as u32).to_be_bytes());
        }
        self.header.strings_size = kept;
        self.update();
        Ok(())
    }
}
