//! The register window on the bench.

use super::{ACCESS_TIME, Shared};
use std::cell::RefCell;
use std::rc::Rc;
use xenlift::mmio::Bus;

/// The model's registers as a bus.
#[derive(Clone, Debug)]
pub struct ModelBus {
    shared: Rc<RefCell<Shared>>,
}

impl ModelBus {
    pub(super) fn new(shared: Rc<RefCell<Shared>>) -> Self {
        Self { shared }
    }
}

/// An offset outside the window is one that no register has.
fn narrow(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

impl Bus for ModelBus {
    fn read32(&self, offset: usize) -> u32 {
        let mut guard = self.shared.borrow_mut();
        let shared = &mut *guard;
        shared.now = shared.now.after(ACCESS_TIME);
        let (value, effects) = shared.genet.read(shared.now, narrow(offset), &mut shared.memory);
        shared.carry_out(effects);
        value
    }
    fn write32(&self, offset: usize, value: u32) {
        let mut guard = self.shared.borrow_mut();
        let shared = &mut *guard;
        shared.now = shared.now.after(ACCESS_TIME);
        let effects = shared.genet.write(shared.now, narrow(offset), value, &mut shared.memory);
        shared.carry_out(effects);
    }
}
