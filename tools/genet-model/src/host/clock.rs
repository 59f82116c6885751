//! Virtual time on the bench.

use super::{CLOCK_TIME, Shared};
use std::cell::RefCell;
use std::rc::Rc;
use xenlift::time::{Clock, Instant};

/// A clock that goes on by a microsecond at every look, and takes the controller with it.
#[derive(Clone, Debug)]
pub struct ModelClock {
    shared: Rc<RefCell<Shared>>,
}

impl ModelClock {
    pub(super) fn new(shared: Rc<RefCell<Shared>>) -> Self {
        Self { shared }
    }
}

impl Clock for ModelClock {
    fn now(&self) -> Instant {
        let mut shared = self.shared.borrow_mut();
        shared.pass(CLOCK_TIME);
        Instant::from_micros(shared.now.nanos() / 1000)
    }
}
