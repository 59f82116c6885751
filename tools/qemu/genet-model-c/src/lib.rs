//! `genet-model` behind a C interface: what `device/bcm2838_genet.c` links. The C side of it is `device/genet_model.h`; the two change together,
//! and [`genet_model_abi`] tells a mismatch.
//!
//! Calls never call back except for DMA, and that only during the call it belongs to. Everything else that the controller wants done waits
//! as effects, which C takes one by one after the call ([`genet_model_next_effect`]); so a network that answers inside its send function
//! enters the model when no other call is under way. A panic aborts the process (`panic = "abort"`), it never unwinds into C.

use core::ffi::{c_char, c_void};
use core::time::Duration;
use genet_model::{Abilities, Effect, Genet, GuestMemory, Moment, NoMemory, PhyStart, Settings, ShortFrames};
use std::collections::VecDeque;

/// The version of this interface; C refuses to start with another one.
pub const ABI: u32 = 3;

/// How the model reaches guest memory. Both functions return whether the whole range was memory.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Handed back as the first argument.
    pub opaque: *mut c_void,
    /// Copies `length` bytes of guest memory from `address` to `bytes`.
    pub read: unsafe extern "C" fn(opaque: *mut c_void, address: u64, bytes: *mut u8, length: u64) -> bool,
    /// Copies `length` bytes from `bytes` to guest memory at `address`.
    pub write: unsafe extern "C" fn(opaque: *mut c_void, address: u64, bytes: *const u8, length: u64) -> bool,
}

/// The settings that the device's properties carry.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DeviceSettings {
    /// Seed of every start value.
    pub seed: u64,
    /// Autonegotiation time in milliseconds.
    pub autonegotiation_ms: u32,
    /// How long ago power came, in milliseconds.
    pub power_on_ms: u32,
    /// The link partner's abilities ([`Abilities::from_bits`]).
    pub partner: u8,
    /// 0 fresh from power-on, 1 negotiated, 2 powered down.
    pub phy_start: u8,
    /// Whether the cable is in.
    pub cable: bool,
    /// Whether frames of less than 60 bytes are refused instead of padded.
    pub refuse_short_frames: bool,
}

/// One thing for C to do.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DeviceEffect {
    /// 0 send `frame`, 1 set interrupt `line` to `raised`, 2 call advance at `moment`, 3 no timer.
    pub kind: u32,
    /// 0 or 1.
    pub line: u32,
    /// Whether the line is raised.
    pub raised: bool,
    /// Nanoseconds of the virtual clock.
    pub moment: u64,
    /// The frame, valid until the next call of [`genet_model_next_effect`].
    pub frame: *const u8,
    /// Its length in bytes.
    pub length: u64,
}

impl GuestMemory for Memory {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), NoMemory> {
        // SAFETY: `genet_model_new`'s caller vouched for the function; the pointer and length are those of a live exclusive slice.
        let done = unsafe { (self.read)(self.opaque, address, bytes.as_mut_ptr(), bytes.len() as u64) };
        if done { Ok(()) } else { Err(NoMemory) }
    }
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), NoMemory> {
        // SAFETY: `genet_model_new`'s caller vouched for the function; the pointer and length are those of a live slice.
        let done = unsafe { (self.write)(self.opaque, address, bytes.as_ptr(), bytes.len() as u64) };
        if done { Ok(()) } else { Err(NoMemory) }
    }
}

/// The controller with what waits for C. C knows it as an opaque pointer.
#[derive(Debug)]
pub struct Device {
    genet: Genet,
    memory: Memory,
    effects: VecDeque<Effect>,
    /// The frame that C is sending.
    sending: Vec<u8>,
    /// How many refusals C has logged.
    told: usize,
}

impl Device {
    fn run(&mut self, entry: impl FnOnce(&mut Genet, &mut Memory) -> Vec<Effect>) {
        let effects = entry(&mut self.genet, &mut self.memory);
        self.effects.extend(effects);
    }

    fn next_effect(&mut self) -> Option<DeviceEffect> {
        let mut out = DeviceEffect { kind: 3, line: 0, raised: false, moment: 0, frame: core::ptr::null(), length: 0 };
        match self.effects.pop_front()? {
            Effect::Send(frame) => {
                self.sending = frame;
                out.kind = 0;
                out.frame = self.sending.as_ptr();
                out.length = self.sending.len() as u64;
            }
            Effect::Interrupt { line, raised } => {
                out.kind = 1;
                out.line = u32::from(line);
                out.raised = raised;
            }
            Effect::Timer(Some(moment)) if moment.nanos() <= i64::MAX as u64 => {
                out.kind = 2;
                out.moment = moment.nanos();
            }
            Effect::Timer(_) => {}
        }
        Some(out)
    }

    /// The text of the next refusal that C has not seen.
    fn next_refusal(&mut self) -> Option<String> {
        let refusal = self.genet.refusals().get(self.told)?;
        self.told += 1;
        Some(refusal.to_string())
    }
}

/// The version of the interface.
#[unsafe(no_mangle)]
pub extern "C" fn genet_model_abi() -> u32 {
    ABI
}

/// Makes a controller; [`genet_model_free`] ends it.
///
/// # Safety
/// `settings` and `memory` point to valid structs; `memory`'s functions may be called with `memory.opaque` during every later call with the
/// returned pointer, touch no byte outside the range they are given, and do not call this interface.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_new(settings: *const DeviceSettings, memory: *const Memory) -> *mut Device {
    // SAFETY: the caller vouched for both pointers.
    let (from, memory) = unsafe { (*settings, *memory) };
    let settings = Settings {
        seed: from.seed,
        autonegotiation: Duration::from_millis(from.autonegotiation_ms.into()),
        powered: Duration::from_millis(from.power_on_ms.into()),
        partner: Abilities::from_bits(from.partner),
        phy_start: match from.phy_start {
            1 => PhyStart::Negotiated,
            2 => PhyStart::PoweredDown,
            _ => PhyStart::Negotiating,
        },
        cable: from.cable,
        short_frames: if from.refuse_short_frames { ShortFrames::Refuse } else { ShortFrames::Pad },
        ..Settings::default()
    };
    let device = Device { genet: Genet::new(settings), memory, effects: VecDeque::new(), sending: Vec::new(), told: 0 };
    Box::into_raw(Box::new(device))
}

/// Ends a controller.
///
/// # Safety
/// `device` is from [`genet_model_new`] and not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_free(device: *mut Device) {
    // SAFETY: the caller gives back the box that `genet_model_new` made.
    drop(unsafe { Box::from_raw(device) });
}

/// Resets the board: the controller starts afresh, the PHY goes on.
///
/// # Safety
/// `device` is from [`genet_model_new`], and no other call with it is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_reset(device: *mut Device, now: u64) {
    // SAFETY: the caller vouched for the pointer being valid and used by this call alone.
    let device = unsafe { &mut *device };
    device.run(|genet, _| genet.warm_reset(Moment::from_nanos(now)));
}

/// Reads a register.
///
/// # Safety
/// `device` is from [`genet_model_new`], and no other call with it is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_read(device: *mut Device, now: u64, offset: u32) -> u32 {
    // SAFETY: the caller vouched for the pointer being valid and used by this call alone.
    let device = unsafe { &mut *device };
    let mut value = 0;
    device.run(|genet, memory| {
        let (read, effects) = genet.read(Moment::from_nanos(now), offset, memory);
        value = read;
        effects
    });
    value
}

/// Writes a register.
///
/// # Safety
/// `device` is from [`genet_model_new`], and no other call with it is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_write(device: *mut Device, now: u64, offset: u32, value: u32) {
    // SAFETY: the caller vouched for the pointer being valid and used by this call alone.
    let device = unsafe { &mut *device };
    device.run(|genet, memory| genet.write(Moment::from_nanos(now), offset, value, memory));
}

/// Lets time pass.
///
/// # Safety
/// `device` is from [`genet_model_new`], and no other call with it is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_advance(device: *mut Device, now: u64) {
    // SAFETY: the caller vouched for the pointer being valid and used by this call alone.
    let device = unsafe { &mut *device };
    device.run(|genet, memory| genet.advance(Moment::from_nanos(now), memory));
}

/// A frame arrives, without its frame check sequence.
///
/// # Safety
/// `device` is from [`genet_model_new`], and no other call with it is under way; `frame` points to `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_receive(device: *mut Device, now: u64, frame: *const u8, length: usize) {
    // SAFETY: the caller vouched for the pointer being valid and used by this call alone, and for the frame.
    let (device, frame) = unsafe { (&mut *device, core::slice::from_raw_parts(frame, length)) };
    device.run(|genet, memory| genet.receive(Moment::from_nanos(now), frame, memory));
}

/// The cable goes in or out.
///
/// # Safety
/// `device` is from [`genet_model_new`], and no other call with it is under way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_set_link(device: *mut Device, now: u64, present: bool) {
    // SAFETY: the caller vouched for the pointer being valid and used by this call alone.
    let device = unsafe { &mut *device };
    device.run(|genet, memory| genet.set_link(Moment::from_nanos(now), present, memory));
}

/// Takes the next effect; false if there is none.
///
/// # Safety
/// `device` is from [`genet_model_new`], and no other call with it is under way; `effect` points to a struct to fill.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_next_effect(device: *mut Device, effect: *mut DeviceEffect) -> bool {
    // SAFETY: the caller vouched for the pointer being valid and used by this call alone.
    let next = unsafe { &mut *device }.next_effect();
    let Some(next) = next else { return false };
    // SAFETY: the caller vouched for `effect` being writable.
    unsafe { effect.write(next) };
    true
}

/// Copies the text of the next refusal, NUL-terminated and cut to `size` bytes, into `text`; false if there is none.
///
/// # Safety
/// `device` is from [`genet_model_new`], and no other call with it is under way; `text` points to `size` bytes, at least one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_next_refusal(device: *mut Device, text: *mut c_char, size: usize) -> bool {
    // SAFETY: the caller vouched for the pointer being valid and used by this call alone.
    let next = unsafe { &mut *device }.next_refusal();
    let Some(next) = next else { return false };
    // SAFETY: the caller vouched for the room.
    unsafe { tell(&next, text, size) };
    true
}

/// Copies what a driver's stop would have ended, in words, "; " between them, NUL-terminated and cut to `size` bytes, into `text`.
///
/// # Safety
/// `device` is from [`genet_model_new`], and no other call with it is under way; `text` points to `size` bytes, at least one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn genet_model_left_running(device: *mut Device, text: *mut c_char, size: usize) {
    // SAFETY: the caller vouched for the pointer being valid and used by this call alone.
    let left = unsafe { &*device }.genet.left_running().join("; ");
    // SAFETY: the caller vouched for the room.
    unsafe { tell(&left, text, size) };
}

/// Copies `words` to `text`, NUL-terminated and cut to `size` bytes.
///
/// # Safety
/// `text` points to `size` bytes, at least one.
unsafe fn tell(words: &str, text: *mut c_char, size: usize) {
    let length = words.len().min(size.saturating_sub(1));
    // SAFETY: `length` bytes of the words and the terminator fit into the `size` bytes that the caller vouched for.
    unsafe {
        core::ptr::copy_nonoverlapping(words.as_ptr().cast(), text, length);
        text.add(length).write(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn no_read(_: *mut c_void, _: u64, _: *mut u8, _: u64) -> bool {
        false
    }
    unsafe extern "C" fn no_write(_: *mut c_void, _: u64, _: *const u8, _: u64) -> bool {
        false
    }

    /// Runs `test` on a device without memory.
    fn with_device(test: impl FnOnce(*mut Device)) {
        let settings = DeviceSettings {
            seed: 1,
            autonegotiation_ms: 1000,
            power_on_ms: 400,
            partner: 0x2f,
            phy_start: 0,
            cable: true,
            refuse_short_frames: false,
        };
        let memory = Memory { opaque: core::ptr::null_mut(), read: no_read, write: no_write };
        // SAFETY: both structs are valid, and the functions touch nothing.
        let device = unsafe { genet_model_new(&settings, &memory) };
        test(device);
        // SAFETY: from `genet_model_new`, and not used again.
        unsafe { genet_model_free(device) };
    }

    #[test]
    fn what_a_stop_would_have_ended_is_told_in_words() {
        with_device(|device| {
            let mut text = [0x7f as c_char; 200];
            // SAFETY: the device is valid, and the text has the size that is said. The MAC is taken out of reset, then both ways enabled.
            unsafe {
                genet_model_write(device, 10, 0x808, 0);
                genet_model_write(device, 20, 0x808, 3);
                genet_model_left_running(device, text.as_mut_ptr(), text.len());
            }
            let told: String = text.iter().take_while(|&&character| character != 0).map(|&c| c as u8 as char).collect();
            assert!(told.starts_with("RX_EN is set in UMAC_CMD; TX_EN is set in UMAC_CMD; "), "{told}");
        });
    }

    fn next(device: *mut Device) -> Option<DeviceEffect> {
        let mut effect = core::mem::MaybeUninit::uninit();
        // SAFETY: the device is valid, and the effect is writable; it is read only where it was written.
        unsafe { genet_model_next_effect(device, effect.as_mut_ptr()).then(|| effect.assume_init()) }
    }

    #[test]
    fn the_first_timer_is_the_end_of_the_negotiation_that_began_with_power() {
        with_device(|device| {
            assert!(next(device).is_none());
            // SAFETY: the device is valid.
            unsafe { genet_model_advance(device, 5) };
            let effect = next(device).unwrap();
            assert_eq!((effect.kind, effect.moment), (2, 600_000_000));
            assert!(next(device).is_none());
        });
    }

    #[test]
    fn an_interrupt_is_an_effect_and_not_a_call() {
        with_device(|device| {
            // SAFETY: the device is valid. INTRL2_0's mask is cleared, then a status bit is set.
            unsafe {
                genet_model_write(device, 10, 0x214, u32::MAX);
                genet_model_write(device, 20, 0x204, 1);
            }
            let effects: Vec<_> =
                std::iter::from_fn(|| next(device)).map(|effect| (effect.kind, effect.raised)).collect();
            assert!(effects.contains(&(1, true)), "{effects:?}");
        });
    }

    #[test]
    fn a_refusal_is_told_once_and_cut_to_the_room_there_is() {
        with_device(|device| {
            let mut text = [0x7f as c_char; 16];
            // SAFETY: the device is valid, and the text has the size that is said, less one to see what lies after it.
            unsafe {
                genet_model_read(device, 0, 0x7f00);
                assert!(genet_model_next_refusal(device, text.as_mut_ptr(), 15));
                assert!(!genet_model_next_refusal(device, text.as_mut_ptr(), 15));
            }
            let bytes = text.map(|character| character as u8);
            assert_eq!(&bytes[..14], b"0.000000 s, re");
            assert_eq!(bytes[14..], [0, 0x7f]);
        });
    }
}
