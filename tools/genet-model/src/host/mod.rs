//! The host test bench: the model under xenlift's own interfaces, so that a driver runs unchanged on a development machine.
//!
//! A [`Bench`] hands out [`ModelBus`] (`xenlift::mmio::Bus`), [`TwoViewMemory`] (`xenlift::dma::DmaMemory`) and [`ModelClock`]
//! (`xenlift::time::Clock`), and is itself the wire side: it injects frames, takes what was sent, pulls the cable. The README has an example.

mod bus;
mod clock;
mod memory;

pub use bus::ModelBus;
pub use clock::ModelClock;
pub use memory::TwoViewMemory;

use crate::{Abilities, Damage, Effect, Genet, Mode, Moment, Refusal, Settings};
use core::time::Duration;
use memory::DeviceSide;
use std::cell::RefCell;
use std::rc::Rc;

/// What a register access costs on the bus ("a couple of hundred nanoseconds", Linux `dmadesc_set_addr`).
const ACCESS_TIME: Duration = Duration::from_nanos(200);
/// What a look at the clock costs, so that a loop which only looks at the clock makes progress.
const CLOCK_TIME: Duration = Duration::from_micros(1);

/// What all handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    genet: Genet,
    now: Moment,
    memory: DeviceSide,
    sent: Vec<Vec<u8>>,
    lines: [bool; 2],
}

impl Shared {
    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Send(frame) => self.sent.push(frame),
                Effect::Interrupt { line, raised } => {
                    if let Some(state) = self.lines.get_mut(usize::from(line)) {
                        *state = raised;
                    }
                }
                // Every access and every look at the clock lets the model catch up.
                Effect::Timer(_) => {}
            }
        }
        for (access, reason) in self.memory.take_complaints() {
            self.genet.refuse(access, reason);
        }
    }
    fn pass(&mut self, duration: Duration) {
        self.now = self.now.after(duration);
        let effects = self.genet.advance(self.now, &mut self.memory);
        self.carry_out(effects);
    }
}

/// A board's Ethernet on the bench: controller, PHY, cable and link partner.
#[derive(Clone, Debug)]
pub struct Bench {
    shared: Rc<RefCell<Shared>>,
}

impl Bench {
    /// A bench with the given settings, at power-on.
    pub fn new(settings: Settings) -> Self {
        let genet = Genet::new(settings);
        let memory = DeviceSide::new(settings.seed);
        let shared = Shared { genet, now: Moment::default(), memory, sent: Vec::new(), lines: [false; 2] };
        Self { shared: Rc::new(RefCell::new(shared)) }
    }
    /// A bench with the default settings but this seed.
    pub fn seeded(seed: u64) -> Self {
        Self::new(Settings { seed, ..Settings::default() })
    }
    /// The controller's registers. Handles may be cloned; all drive the one controller.
    pub fn bus(&self) -> ModelBus {
        ModelBus::new(Rc::clone(&self.shared))
    }
    /// A clock that moves on by a microsecond at every look, and with every register access, and drives the controller.
    pub fn clock(&self) -> ModelClock {
        ModelClock::new(Rc::clone(&self.shared))
    }
    /// A block of `size` bytes (rounded up to whole cache lines) of DMA memory, owned by the CPU and full of junk. Each call makes another
    /// one, some of them above 4 GiB.
    pub fn memory(&self, size: usize) -> TwoViewMemory {
        TwoViewMemory::new(Rc::clone(&self.shared), size)
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        self.shared.borrow_mut().pass(duration);
    }
    /// Time since power-on.
    pub fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.shared.borrow().now.nanos())
    }
    /// Lets time pass until the link is up, for at most ten times the autonegotiation time; says whether it is.
    pub fn wait_for_link(&self) -> bool {
        let step = Duration::from_millis(1);
        for _ in 0..40_000 {
            if self.link().is_some() {
                return true;
            }
            self.advance(step);
        }
        false
    }
    /// What the link runs at, as the PHY (not the driver) sees it.
    pub fn link(&self) -> Option<Mode> {
        self.shared.borrow().genet.link()
    }
    /// Pulls the cable or puts it in again.
    pub fn set_link(&self, present: bool) {
        let mut guard = self.shared.borrow_mut();
        let shared = &mut *guard;
        let effects = shared.genet.set_link(shared.now, present, &mut shared.memory);
        shared.carry_out(effects);
    }
    /// Connects another link partner; negotiation starts again.
    pub fn set_partner(&self, partner: Abilities) {
        let mut guard = self.shared.borrow_mut();
        let shared = &mut *guard;
        let effects = shared.genet.set_partner(shared.now, partner, &mut shared.memory);
        shared.carry_out(effects);
    }
    /// Resets the board as a watchdog would: the controller starts afresh, with other start values; the PHY keeps its state and delays.
    pub fn warm_reset(&self) {
        let mut guard = self.shared.borrow_mut();
        let shared = &mut *guard;
        let effects = shared.genet.warm_reset(shared.now);
        shared.carry_out(effects);
    }

    /// A frame arrives from the wire (destination address on, without the frame check sequence, which the bench makes).
    pub fn inject(&self, frame: &[u8]) {
        self.inject_damaged(frame, Damage::None);
    }
    /// A damaged frame arrives from the wire.
    pub fn inject_damaged(&self, frame: &[u8], damage: Damage) {
        let mut guard = self.shared.borrow_mut();
        let shared = &mut *guard;
        let effects = shared.genet.receive_damaged(shared.now, frame, damage, &mut shared.memory);
        shared.carry_out(effects);
    }
    /// Takes the frames that reached the wire since the last call, oldest first, padding included, without the frame check sequence.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        core::mem::take(&mut self.shared.borrow_mut().sent)
    }
    /// The state of interrupt line 0 (SPI 157) or 1 (SPI 158).
    pub fn interrupt(&self, line: usize) -> bool {
        self.shared.borrow().lines.get(line).copied().unwrap_or(false)
    }

    /// Everything that was refused so far, DMA ownership included.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.collect_complaints();
        self.shared.borrow().genet.refusals().to_vec()
    }
    /// Takes the refusals so far, so that a test which expects some can go on to `assert_clean`.
    pub fn take_refusals(&self) -> Vec<Refusal> {
        let taken = self.refusals();
        self.shared.borrow_mut().genet.clear_refusals();
        taken
    }
    /// # Panics
    /// If anything was refused, with the list.
    #[track_caller]
    pub fn assert_clean(&self) {
        let refusals = self.refusals();
        let list: String = refusals.iter().map(|refusal| format!("\n  {refusal}")).collect();
        assert!(refusals.is_empty(), "the model refused:{list}");
    }
    /// What a driver's `stop` left running; empty if the next kernel finds the controller quiet.
    pub fn left_running(&self) -> Vec<&'static str> {
        self.shared.borrow().genet.left_running()
    }

    fn collect_complaints(&self) {
        self.shared.borrow_mut().carry_out(Vec::new());
    }
}
