//! The mailbox: questions to the firmware that runs on the VideoCore, by its property interface.
//!
//! A message is a list of tags in memory ([`message`], [`property`]); its address goes into one FIFO, and comes back through
//! another when the firmware has written the answers over the questions. Sources: BCM2711 ARM Peripherals (address map), the
//! Raspberry Pi firmware wiki ("Mailbox property interface"), register layout as in Linux's `bcm2835-mailbox.c`.
//!
//! The firmware reads and writes the message behind the back of the CPU's caches, through an alias of the first GiB. So the
//! buffer lies below 1 GiB, begins on a cache line and fills whole ones, and is handed over and taken back as
//! [`crate::dma`] says. A message that was not answered in time still belongs to the firmware, which may answer late: the buffer
//! is not used again before it has.

pub mod message;
pub mod property;

use crate::dma::{DmaMemory, LINE};
use crate::mmio::{Bus, Reg};
use crate::time::{Clock, Duration};
use core::fmt;
use message::{Answers, BYTES, Property, Request};
use registers::STATUS;
use tock_registers::interfaces::{Readable, Writeable};

mod registers {
    use tock_registers::register_bitfields;
    register_bitfields! { u32,
        pub STATUS [
            FULL OFFSET(31) NUMBITS(1) [],
            EMPTY OFFSET(30) NUMBITS(1) [],
        ],
    }
}

/// Offsets from the mailbox's base address.
mod offset {
    /// Mailbox 0, from the firmware.
    pub const ANSWER: usize = 0x00;
    pub const ANSWER_STATUS: usize = 0x18;
    /// Mailbox 1, to the firmware.
    pub const QUESTION: usize = 0x20;
    pub const QUESTION_STATUS: usize = 0x38;
}

/// The channel of the property interface, in the low four bits of a mailbox word.
const PROPERTY_CHANNEL: u32 = 8;

/// The alias of the first GiB at which the VideoCore sees RAM without its own cache.
const BUS_ALIAS: u32 = 0xc000_0000;

/// The end of what that alias reaches.
const REACH: u64 = 1 << 30;

/// How long the firmware may take for a message; Linux waits as long.
pub const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// How long a late answer is waited for before the next message.
const LATE_LIMIT: Duration = Duration::from_millis(10);

/// Why a question was not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The message buffer is not usable: too small, not on a cache line, or not below 1 GiB.
    Buffer {
        /// Where the device sees it.
        address: u64,
        /// Its size in bytes.
        size: usize,
    },
    /// The message has no room for another tag.
    RequestFull {
        /// The tag that did not fit.
        tag: u32,
    },
    /// The mailbox took no word for [`ANSWER_LIMIT`].
    MailboxFull,
    /// No answer within [`ANSWER_LIMIT`].
    NoAnswer,
    /// An earlier message is still not answered, so its buffer is not free.
    StillWaiting,
    /// The firmware did not take the message for one.
    Refused {
        /// Its answer code, 0x80000000 or 0x80000001 if all had been well.
        code: u32,
    },
    /// The firmware passed the tag over: it does not know it.
    UnknownTag {
        /// The tag.
        tag: u32,
    },
    /// The answer has another length than this tag's.
    Length {
        /// The tag.
        tag: u32,
        /// Bytes wanted.
        expected: u32,
        /// Bytes that the firmware says it has.
        found: u32,
    },
    /// The answer's frame is not the question's.
    Garbled {
        /// The tag.
        tag: u32,
    },
    /// The answer cannot be true (no such clock, an address that is none).
    Implausible {
        /// The tag.
        tag: u32,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("firmware mailbox: ")?;
        match self {
            Self::Buffer { address, size } => write!(
                f,
                "message buffer of {size} bytes at {address:#x} is unusable; wanted {BYTES} bytes on a multiple of {LINE} below {REACH:#x}"
            ),
            Self::RequestFull { tag } => write!(f, "no room for tag {tag:#010x} in a message of {BYTES} bytes"),
            Self::MailboxFull => {
                write!(f, "takes no message for {} ms; is start4.elf running?", ANSWER_LIMIT.as_millis())
            }
            Self::NoAnswer => write!(f, "no answer for {} ms; is start4.elf running?", ANSWER_LIMIT.as_millis()),
            Self::StillWaiting => f.write_str("an earlier message is still not answered"),
            Self::Refused { code } => write!(f, "message refused with code {code:#010x}, expected 0x80000000"),
            Self::UnknownTag { tag } => write!(f, "tag {tag:#010x} not known; newer firmware may know it"),
            Self::Length { tag, expected, found } => {
                write!(f, "answer to tag {tag:#010x} has {found} bytes, expected {expected}")
            }
            Self::Garbled { tag } => write!(f, "answer to tag {tag:#010x} is garbled"),
            Self::Implausible { tag } => write!(f, "answer to tag {tag:#010x} cannot be true"),
        }
    }
}

/// The mailbox with its message buffer.
#[derive(Debug)]
pub struct Mailbox<B: Bus, M: DmaMemory, C: Clock> {
    bus: B,
    memory: M,
    clock: C,
    /// The buffer's address as the firmware sees it.
    address: u32,
    /// The buffer is with the firmware.
    waiting: bool,
}

impl<B: Bus, M: DmaMemory, C: Clock> Mailbox<B, M, C> {
    /// A mailbox that puts its messages into the first [`BYTES`] bytes of `memory`, whose device address is the physical one.
    ///
    /// # Errors
    /// [`Error::Buffer`].
    pub fn new(bus: B, memory: M, clock: C) -> Result<Self, Error> {
        let (address, size) = (memory.device_address(), memory.size());
        let below = address.checked_add(BYTES as u64).is_some_and(|end| end <= REACH);
        if size < BYTES || !below || !address.is_multiple_of(LINE as u64) {
            return Err(Error::Buffer { address, size });
        }
        let address = u32::try_from(address).map_err(|_| Error::Buffer { address, size })? | BUS_ALIAS;
        Ok(Self { bus, memory, clock, address, waiting: false })
    }

    /// Asks one question.
    ///
    /// # Errors
    /// All but [`Error::Buffer`].
    pub fn ask<P: Property>(&mut self, property: P) -> Result<P::Answer, Error> {
        let mut request = Request::new();
        let question = request.add(property)?;
        self.call(request)?.get(question)
    }

    /// Asks all questions of `request` in one message; each answer is taken out of [`Answers`] by what [`Request::add`] gave.
    ///
    /// # Errors
    /// [`Error::MailboxFull`], [`Error::NoAnswer`], [`Error::StillWaiting`], [`Error::Refused`].
    pub fn call(&mut self, request: Request) -> Result<Answers, Error> {
        if self.waiting && !self.wait_for_answer(LATE_LIMIT) {
            return Err(Error::StillWaiting);
        }
        for (place, word) in self.memory.bytes_mut(0..BYTES).chunks_exact_mut(4).zip(request.words()) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let status = Reg::<_, STATUS::Register>::new(&self.bus, offset::QUESTION_STATUS);
        if !self.clock.wait_until(ANSWER_LIMIT, || !status.is_set(STATUS::FULL)) {
            return Err(Error::MailboxFull);
        }
        self.memory.give(0..BYTES);
        self.waiting = true;
        Reg::<_, ()>::new(&self.bus, offset::QUESTION).set(self.address | PROPERTY_CHANNEL);
        if !self.wait_for_answer(ANSWER_LIMIT) {
            return Err(Error::NoAnswer);
        }
        let mut words = [0; BYTES / 4];
        for (word, place) in words.iter_mut().zip(self.memory.bytes(0..BYTES).chunks_exact(4)) {
            if let Ok(bytes) = place.try_into() {
                *word = u32::from_le_bytes(bytes);
            }
        }
        Answers::new(request, words)
    }

    /// Waits until our message comes back and takes its buffer over. What comes for other channels, or from an operating
    /// system's earlier life, is thrown away.
    fn wait_for_answer(&mut self, limit: Duration) -> bool {
        let status = Reg::<_, STATUS::Register>::new(&self.bus, offset::ANSWER_STATUS);
        let answer = Reg::<_, ()>::new(&self.bus, offset::ANSWER);
        let expected = self.address | PROPERTY_CHANNEL;
        let answered = self.clock.wait_until(limit, || !status.is_set(STATUS::EMPTY) && answer.get() == expected);
        if answered {
            self.memory.take(0..BYTES);
            self.waiting = false;
        }
        answered
    }
}

#[cfg(test)]
mod tests {
    use super::property::*;
    use super::*;
    use crate::drivers::models::VirtualClock;
    use crate::drivers::models::mailbox::{Behaviour, Firmware, TwoViews};

    fn mailbox(behaviour: Behaviour) -> (Mailbox<Firmware, TwoViews, VirtualClock>, Firmware, VirtualClock) {
        let clock = VirtualClock::default();
        let memory = TwoViews::new(0x0020_0040, BYTES);
        let firmware = Firmware::new(&clock, &memory, behaviour);
        (Mailbox::new(firmware.clone(), memory, clock.clone()).unwrap(), firmware, clock)
    }

    #[test]
    fn one_message_brings_everything_for_the_banner() {
        let (mut mailbox, firmware, _) = mailbox(Behaviour::Answers);
        let mut request = Request::new();
        let version = request.add(FirmwareRevision).unwrap();
        let model = request.add(BoardModel).unwrap();
        let revision = request.add(BoardRevisionCode).unwrap();
        let mac = request.add(MacAddress).unwrap();
        let serial = request.add(SerialNumber).unwrap();
        let arm = request.add(ArmMemory).unwrap();
        let videocore = request.add(VideoCoreMemory).unwrap();
        let arm_clock = request.add(ClockRate(ClockId::Arm)).unwrap();
        let core_clock = request.add(ClockRate(ClockId::Core)).unwrap();
        let answers = mailbox.call(request).unwrap();
        assert_eq!(answers.get(version), Ok(0x6543_2100));
        assert_eq!(answers.get(model), Ok(0));
        assert_eq!(answers.get(revision).unwrap().0, 0x00c0_3114);
        assert_eq!(answers.get(mac), Ok([0xdc, 0xa6, 0x32, 0x01, 0x02, 0x03]));
        assert_eq!(answers.get(serial), Ok(0x1000_0000_abcd_ef01));
        assert_eq!(answers.get(arm).unwrap().to_string(), "0x00000000-0x3b3fffff");
        assert_eq!(answers.get(videocore).unwrap().to_string(), "0x3b400000-0x3fffffff");
        assert_eq!(answers.get(arm_clock), Ok(600_000_000));
        assert_eq!(answers.get(core_clock), Ok(500_000_000));
        assert_eq!(firmware.messages(), 1);
    }

    #[test]
    fn each_property_asks_and_answers_by_its_own_layout() {
        let (mut mailbox, _, _) = mailbox(Behaviour::Answers);
        assert_eq!(mailbox.ask(MaximumClockRate(ClockId::Arm)), Ok(1_800_000_000));
        assert_eq!(mailbox.ask(MeasuredClockRate(ClockId::Core)), Ok(499_987_654));
        assert_eq!(mailbox.ask(SetClockRate { clock: ClockId::Arm, hertz: 1_800_000_000 }), Ok(1_800_000_000));
        assert_eq!(mailbox.ask(ClockRate(ClockId::Arm)), Ok(1_800_000_000));
        assert_eq!(mailbox.ask(Temperature), Ok(51_123));
        assert_eq!(mailbox.ask(GetThrottled).unwrap().to_string(), "under-voltage now, throttled since start");
        assert_eq!(mailbox.ask(SetRebootFlags(TRYBOOT)), Ok(TRYBOOT));
        assert_eq!(mailbox.ask(GetRebootFlags), Ok(TRYBOOT));
        assert_eq!(mailbox.ask(NotifyReboot), Ok(()));
        assert_eq!(mailbox.ask(PowerUpCard), Ok(true));
    }

    #[test]
    fn a_mailbox_that_never_answers_costs_one_second_and_later_calls_next_to_nothing() {
        let (mut mailbox, _, clock) = mailbox(Behaviour::Silent);
        let before = clock.now();
        assert_eq!(mailbox.ask(SerialNumber), Err(Error::NoAnswer));
        let first = clock.now();
        assert!(first.since(before) < ANSWER_LIMIT + Duration::from_millis(1));
        assert_eq!(mailbox.ask(SerialNumber), Err(Error::StillWaiting));
        assert!(clock.now().since(first) <= LATE_LIMIT + Duration::from_millis(1));
    }

    #[test]
    fn a_late_answer_is_not_taken_for_the_next_one() {
        let (mut mailbox, firmware, clock) = mailbox(Behaviour::Takes(ANSWER_LIMIT + Duration::from_millis(500)));
        assert_eq!(mailbox.ask(SerialNumber), Err(Error::NoAnswer));
        firmware.behave(Behaviour::Answers);
        assert_eq!(mailbox.ask(Temperature), Err(Error::StillWaiting));
        clock.advance(Duration::from_millis(500));
        assert_eq!(mailbox.ask(Temperature), Ok(51_123));
        assert_eq!(firmware.messages(), 2);
    }

    #[test]
    fn words_for_other_channels_and_of_an_earlier_life_are_passed_over() {
        for word in [0xc020_0047, 0x0000_0008, 0xc030_0048, 0xffff_ffff] {
            let (mut mailbox, _, _) = mailbox(Behaviour::AfterStray(word));
            assert_eq!(mailbox.ask(SerialNumber), Ok(0x1000_0000_abcd_ef01), "{word:#x}");
        }
    }

    #[test]
    fn a_question_fifo_that_stays_full_is_reported() {
        let (mut mailbox, firmware, clock) = mailbox(Behaviour::Full);
        let before = clock.now();
        assert_eq!(mailbox.ask(SerialNumber), Err(Error::MailboxFull));
        assert!(clock.now().since(before) < ANSWER_LIMIT + Duration::from_millis(1));
        firmware.behave(Behaviour::Answers);
        assert_eq!(mailbox.ask(SerialNumber), Ok(0x1000_0000_abcd_ef01));
    }

    #[test]
    fn a_bus_of_zeros_or_ones_is_no_firmware() {
        struct Constant(u32);
        impl Bus for Constant {
            fn read32(&self, _: usize) -> u32 {
                self.0
            }
            fn write32(&self, _: usize, _: u32) {}
        }
        for (word, expected) in [(0, Error::NoAnswer), (u32::MAX, Error::MailboxFull)] {
            let clock = VirtualClock::default();
            let mut mailbox = Mailbox::new(Constant(word), TwoViews::new(0x1000, BYTES), clock).unwrap();
            assert_eq!(mailbox.ask(SerialNumber), Err(expected));
        }
    }

    /// Offsets of the first tag's words in a message.
    const CODE: usize = 1;
    const TAG: usize = 2;
    const ROOM: usize = 3;
    const LENGTH: usize = 4;
    const VALUE: usize = 5;

    #[test]
    fn a_message_that_is_refused_says_with_which_code() {
        for code in [0, 0x8000_0002, u32::MAX] {
            let (mut mailbox, _, _) = mailbox(Behaviour::Garbles(CODE, code));
            assert_eq!(mailbox.ask(SerialNumber), Err(Error::Refused { code }));
        }
    }

    #[test]
    fn a_partial_answer_is_good_for_the_tags_that_it_answers() {
        let (mut mailbox, _, _) = mailbox(Behaviour::Garbles(CODE, 0x8000_0001));
        assert_eq!(mailbox.ask(SerialNumber), Ok(0x1000_0000_abcd_ef01));
    }

    #[test]
    fn answers_too_short_too_long_or_missing_are_refused() {
        let tag = SerialNumber::TAG;
        for (length, expected) in [
            (0x8000_0004, Error::Length { tag, expected: 8, found: 4 }),
            (0x8000_0000, Error::Length { tag, expected: 8, found: 0 }),
            (0x8000_000c, Error::Length { tag, expected: 8, found: 12 }),
            (0xffff_ffff, Error::Length { tag, expected: 8, found: 0x7fff_ffff }),
            (0x0000_0008, Error::UnknownTag { tag }),
            (0x0000_0000, Error::UnknownTag { tag }),
        ] {
            let (mut mailbox, _, _) = mailbox(Behaviour::Garbles(LENGTH, length));
            assert_eq!(mailbox.ask(SerialNumber), Err(expected), "{length:#x}");
        }
    }

    #[test]
    fn an_answer_whose_frame_has_changed_is_refused() {
        for (index, value) in [(TAG, 0), (ROOM, 4)] {
            let (mut mailbox, _, _) = mailbox(Behaviour::Garbles(index, value));
            assert_eq!(mailbox.ask(SerialNumber), Err(Error::Garbled { tag: SerialNumber::TAG }));
        }
    }

    #[test]
    fn clocks_that_are_none_and_addresses_that_are_none_are_not_believed() {
        let implausible = |tag| Err::<(), _>(Error::Implausible { tag });
        let (mut asked, _, _) = mailbox(Behaviour::Garbles(VALUE, 9));
        assert_eq!(asked.ask(ClockRate(ClockId::Core)).map(drop), implausible(ClockRate::TAG));
        let (mut asked, _, _) = mailbox(Behaviour::Garbles(VALUE + 1, 0));
        assert_eq!(asked.ask(ClockRate(ClockId::Core)).map(drop), implausible(ClockRate::TAG));
        let (mut asked, _, _) = mailbox(Behaviour::Garbles(VALUE, 0x0132_a6dd));
        assert_eq!(asked.ask(MacAddress).map(drop), implausible(MacAddress::TAG));
    }

    #[test]
    fn a_tag_that_the_firmware_does_not_know_leaves_the_others_answered() {
        let (mut mailbox, firmware, _) = mailbox(Behaviour::Answers);
        firmware.forget(GetThrottled::TAG);
        let mut request = Request::new();
        let throttled = request.add(GetThrottled).unwrap();
        let serial = request.add(SerialNumber).unwrap();
        let answers = mailbox.call(request).unwrap();
        assert_eq!(answers.get(throttled), Err(Error::UnknownTag { tag: GetThrottled::TAG }));
        assert_eq!(answers.get(serial), Ok(0x1000_0000_abcd_ef01));
    }

    #[test]
    fn a_message_that_is_full_says_so_and_still_works() {
        let (mut mailbox, _, _) = mailbox(Behaviour::Answers);
        let mut request = Request::new();
        let last = core::iter::from_fn(|| request.add(SerialNumber).ok()).last().unwrap();
        assert_eq!(request.add(SerialNumber).map(drop), Err(Error::RequestFull { tag: SerialNumber::TAG }));
        assert_eq!(mailbox.call(request).unwrap().get(last), Ok(0x1000_0000_abcd_ef01));
    }

    #[test]
    fn the_word_that_ends_the_list_has_its_place_even_in_a_full_message() {
        let (mut mailbox, _, _) = mailbox(Behaviour::Answers);
        let mut request = Request::new();
        // Two words of heading, eleven tags of five words, one of three: three words and the end are left.
        for _ in 0..11 {
            request.add(SerialNumber).unwrap();
        }
        request.add(NotifyReboot).unwrap();
        let tag = FirmwareRevision::TAG;
        assert_eq!(request.add(FirmwareRevision).map(drop), Err(Error::RequestFull { tag }));
        let last = request.add(NotifyReboot).unwrap();
        assert_eq!(mailbox.call(request).unwrap().get(last), Ok(()));
    }

    #[test]
    fn a_buffer_that_the_firmware_cannot_use_is_refused() {
        for (address, size) in [
            (0x1010, BYTES),
            (0x4000_0000, BYTES),
            (0x3fff_ff40, BYTES),
            (0x1000, BYTES - LINE),
            (u64::MAX - 63, BYTES),
        ] {
            let memory = TwoViews::new(address, size);
            let clock = VirtualClock::default();
            let firmware = Firmware::new(&clock, &memory, Behaviour::Answers);
            let error = Mailbox::new(firmware, memory, clock).map(drop);
            assert_eq!(error, Err(Error::Buffer { address, size }));
        }
        let memory = TwoViews::new(0x3fff_ff00, BYTES);
        let clock = VirtualClock::default();
        assert!(Mailbox::new(Firmware::new(&clock, &memory, Behaviour::Answers), memory, clock).is_ok());
    }

    #[test]
    fn an_error_tells_a_person_what_was_wanted() {
        let error = Error::Length { tag: 0x0001_0004, expected: 8, found: 4 };
        assert_eq!(error.to_string(), "firmware mailbox: answer to tag 0x00010004 has 4 bytes, expected 8");
        assert_eq!(Error::NoAnswer.to_string(), "firmware mailbox: no answer for 1000 ms; is start4.elf running?");
    }
}
