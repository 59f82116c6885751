//! What the model wants done. Nothing is called back: every entry returns its effects, and the caller carries them out when it has let go of
//! the model, so a network that answers inside its `send` cannot re-enter it.

use crate::moment::Moment;

/// One thing for the caller to do, in the order given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Put a frame on the wire: destination address to last payload byte, without the frame check sequence.
    Send(Vec<u8>),
    /// Set an interrupt line: 0 is SPI 157 (INTRL2_0), 1 is SPI 158 (INTRL2_1).
    Interrupt {
        /// 0 or 1.
        line: u8,
        /// Whether it is raised.
        raised: bool,
    },
    /// Call `advance` at this moment (instead of any earlier wish), or not at all.
    Timer(Option<Moment>),
}

/// There is no memory at that address, or not for that long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoMemory;

/// The memory that the controller masters, in bus addresses.
pub trait GuestMemory {
    /// Fills `bytes` from `address` on.
    ///
    /// # Errors
    /// [`NoMemory`] where the range is not RAM.
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), NoMemory>;
    /// Writes `bytes` to `address` on.
    ///
    /// # Errors
    /// [`NoMemory`] where the range is not RAM.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), NoMemory>;
}
