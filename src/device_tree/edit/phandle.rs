//! Phandles: the numbers by which nodes refer to each other.

use alloc::vec;

use super::{Editor, Error};

/// New phandles are below this. Xen gives the interrupt controller of a guest the phandle 65000 and refuses trees that use it
/// ("Device tree generation failed (-75)").
pub const PHANDLE_LIMIT: u32 = 65000;

impl Editor<'_> {
    /// The phandle of the node at `path`; a new one, written to the node, if it has none.
    ///
    /// A new one is one more than the highest below [`PHANDLE_LIMIT`], or, where that is taken, the lowest that is free.
    ///
    /// # Errors
    /// [`Error::NoSuchNode`], [`Error::NoRoom`], [`Error::NoPhandle`].
    pub fn new_phandle(&mut self, path: &str) -> Result<u32, Error> {
        if let Some(phandle) = self.node(path)?.phandle() {
            return Ok(phandle);
        }
        let phandle = self.free_phandle()?;
        self.set_cells(path, "phandle", &[phandle])?;
        Ok(phandle)
    }

    fn free_phandle(&self) -> Result<u32, Error> {
        let mut used = vec![false; PHANDLE_LIMIT as usize];
        // 0 and 0xffffffff are no phandles.
        if let Some(zero) = used.first_mut() {
            *zero = true;
        }
        for node in self.tree()?.nodes() {
            if let Some(slot) = node.phandle().and_then(|phandle| used.get_mut(phandle as usize)) {
                *slot = true;
            }
        }
        let above = used.iter().rposition(|&used| used).map_or(0, |highest| highest + 1);
        let free = if above < used.len() { Some(above) } else { used.iter().position(|&used| !used) };
        free.and_then(|phandle| u32::try_from(phandle).ok()).ok_or(Error::NoPhandle)
    }
}
