//! What the network asks of an Ethernet controller: frames in, frames out, and the state of the link.
//!
//! Everything is polled. Receiving and sending are two halves, because a protocol stack answers one frame (sends) while it
//! still holds another (receives).

use crate::time::Instant;

/// The receiving half: a queue of frames that the controller has filled.
pub trait FrameReceiver {
    /// The oldest received frame, from the destination address on, without the frame check sequence; `None` when the queue is
    /// empty. Frames with errors never show up here: they are counted and dropped. The same frame is returned until
    /// [`release`](Self::release).
    fn frame(&mut self) -> Option<&[u8]>;
    /// Gives the oldest frame's buffer back to the controller.
    fn release(&mut self);
}

/// The sending half.
pub trait FrameSender {
    /// Whether a frame can be queued now.
    fn ready(&mut self) -> bool;
    /// Queues a frame of `length` bytes (destination address on, without the frame check sequence; padding is the
    /// controller's affair) that `fill` writes. `None`, and `fill` not called, where the queue is full or `length` is more than a
    /// frame can have.
    fn send<R>(&mut self, length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> Option<R>;
}

/// The link, as autonegotiation left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// No partner, or negotiation still runs.
    Down,
    /// Frames can pass.
    Up {
        /// 10, 100 or 1000, in Mb/s.
        megabits: u16,
        /// Both directions at once.
        full_duplex: bool,
    },
}

/// What the controller counted since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames handed up.
    pub received: u64,
    /// Frames queued for sending.
    pub sent: u64,
    /// Frames dropped by the controller because the ring was full.
    pub discarded: u64,
    /// Frames dropped by the driver because their descriptor showed an error.
    pub errors: u64,
}

/// An Ethernet controller with its PHY.
pub trait EthernetController {
    /// The receiving half.
    type Receiver: FrameReceiver;
    /// The sending half.
    type Sender: FrameSender;

    /// The station address (MAC) in transmission order.
    fn address(&self) -> [u8; 6];
    /// Looks at the PHY (rate-limited inside: cheap to call often) and keeps the controller's speed and duplex in step with it.
    fn poll_link(&mut self, now: Instant) -> Link;
    /// Tells the controller that, with the link up, nobody has answered yet. A controller that has another way to try (on the
    /// Pi 4, the other set of RGMII delays) switches to it and says which in words; `None` when there is nothing left to try.
    fn no_answer(&mut self, now: Instant) -> Option<&'static str>;
    /// Both halves at once.
    fn halves(&mut self) -> (&mut Self::Receiver, &mut Self::Sender);
    /// What was counted.
    fn counters(&self) -> Counters;
}
