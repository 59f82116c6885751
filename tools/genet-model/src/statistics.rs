//! The MIB: what the UMAC counts, and MIB_CTRL that clears it.
//!
//! Source: Linux `bcmgenet.c`, `bcmgenet_gstrings_stats` (the order of the table is that of the registers) and BCMGENET_STAT_OFFSET: 29 words of
//! RX, a gap of three, 29 words of TX, a gap of three, four words of runts. All drivers clear all three parts after the MAC's reset, by setting their bits in
//! MIB_CTRL and taking them back, so the reset does not do it, and the bits are not taken to clear themselves.

use crate::filter::Destination;
use crate::seed::Junk;

const RX: u32 = 0x00;
const TX: u32 = 0x80;
const RUNT: u32 = 0x100;
const WORDS: usize = 29;
const RUNT_WORDS: usize = 4;

const RESET_RX: u32 = 1 << 0;
const RESET_RUNT: u32 = 1 << 1;
const RESET_TX: u32 = 1 << 2;

/// The longest frame of each size that is counted, frame check sequence included. The seventh counts tagged frames.
const SIZES: [usize; 10] = [64, 127, 255, 511, 1023, 1518, 1522, 2047, 4095, 9216];

const RX_PACKETS: usize = 10;
const RX_BYTES: usize = 11;
const RX_MULTICAST: usize = 12;
const RX_BROADCAST: usize = 13;
const RX_FCS: usize = 14;
const RX_ALIGNMENT: usize = 18;
const RX_CODE: usize = 20;
const RX_OVERSIZE: usize = 22;
const RX_GOOD: usize = 25;
const RX_UNICAST: usize = 26;

const TX_PACKETS: usize = 10;
const TX_MULTICAST: usize = 11;
const TX_BROADCAST: usize = 12;
const TX_BYTES: usize = 26;
const TX_GOOD: usize = 27;
const TX_UNICAST: usize = 28;

const RUNT_PACKETS: usize = 0;
const RUNT_BYTES: usize = 3;

/// What is wrong with a received frame, as far as there is a counter for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    pub(crate) check_sequence: bool,
    pub(crate) alignment: bool,
    pub(crate) code: bool,
    pub(crate) oversize: bool,
}

impl Faults {
    fn any(self) -> bool {
        self.check_sequence || self.alignment || self.code || self.oversize
    }
}

/// The counters.
#[derive(Debug)]
pub(crate) struct Mib {
    rx: [u32; WORDS],
    tx: [u32; WORDS],
    runt: [u32; RUNT_WORDS],
    control: u32,
}

impl Mib {
    /// What an earlier user counted is still there.
    pub(crate) fn new(junk: &mut Junk) -> Self {
        let mut left = || junk.word32() >> 12;
        Self {
            rx: core::array::from_fn(|_| left()),
            tx: core::array::from_fn(|_| left()),
            runt: core::array::from_fn(|_| left()),
            control: 0,
        }
    }

    /// `offset` from the start of the MIB.
    pub(crate) fn read(&self, offset: u32) -> u32 {
        let (part, start): (&[u32], u32) = match offset {
            RX..TX => (&self.rx, RX),
            TX..RUNT => (&self.tx, TX),
            _ => (&self.runt, RUNT),
        };
        part.get((offset - start) as usize / 4).copied().unwrap_or(0)
    }
    pub(crate) fn control(&self) -> u32 {
        self.control
    }
    /// A write of MIB_CTRL.
    pub(crate) fn set_control(&mut self, value: u32) {
        self.control = value;
        self.hold();
    }
    /// A part whose reset bit is set stays at zero.
    fn hold(&mut self) {
        if self.control & RESET_RX != 0 {
            self.rx = [0; WORDS];
        }
        if self.control & RESET_RUNT != 0 {
            self.runt = [0; RUNT_WORDS];
        }
        if self.control & RESET_TX != 0 {
            self.tx = [0; WORDS];
        }
    }

    /// `length` includes the frame check sequence.
    pub(crate) fn received(&mut self, length: usize, destination: Destination, faults: Faults) {
        let rx = &mut self.rx;
        count_size(rx, length);
        add(rx, RX_PACKETS, 1);
        add(rx, RX_BYTES, length);
        let to = match destination {
            Destination::Broadcast => RX_BROADCAST,
            Destination::Multicast => RX_MULTICAST,
            Destination::Unicast => RX_UNICAST,
        };
        add(rx, to, 1);
        for (found, counter) in [
            (faults.check_sequence, RX_FCS),
            (faults.alignment, RX_ALIGNMENT),
            (faults.code, RX_CODE),
            (faults.oversize, RX_OVERSIZE),
            (!faults.any(), RX_GOOD),
        ] {
            add(rx, counter, usize::from(found));
        }
        self.hold();
    }
    /// A frame of less than 64 bytes. `length` includes the frame check sequence.
    pub(crate) fn received_runt(&mut self, length: usize) {
        add(&mut self.runt, RUNT_PACKETS, 1);
        add(&mut self.runt, RUNT_BYTES, length);
        self.hold();
    }
    /// `length` includes the frame check sequence.
    pub(crate) fn sent(&mut self, length: usize, destination: Destination) {
        let tx = &mut self.tx;
        count_size(tx, length);
        add(tx, TX_PACKETS, 1);
        add(tx, TX_BYTES, length);
        add(tx, TX_GOOD, 1);
        let to = match destination {
            Destination::Broadcast => TX_BROADCAST,
            Destination::Multicast => TX_MULTICAST,
            Destination::Unicast => TX_UNICAST,
        };
        add(tx, to, 1);
        self.hold();
    }
}

fn add(counters: &mut [u32], which: usize, how_many: usize) {
    if let Some(counter) = counters.get_mut(which) {
        *counter = counter.wrapping_add(how_many as u32);
    }
}

fn count_size(counters: &mut [u32], length: usize) {
    if let Some(size) = SIZES.iter().position(|&longest| length <= longest) {
        add(counters, size, 1);
    }
}
