//! Whatever a guest writes and a network sends, the model neither panics nor hangs, and it sends only what can be a frame.

use core::time::Duration;
use genet_model::{Abilities, Damage, Effect, Genet, GuestMemory, Moment, NoMemory, Settings, WINDOW};

/// 64 KiB of memory at 0, and nothing elsewhere.
struct Memory(Vec<u8>);

impl Memory {
    fn range(&mut self, address: u64, length: usize) -> Result<&mut [u8], NoMemory> {
        let start = usize::try_from(address).map_err(|_| NoMemory)?;
        let end = start.checked_add(length).ok_or(NoMemory)?;
        self.0.get_mut(start..end).ok_or(NoMemory)
    }
}

impl GuestMemory for Memory {
    fn read(&mut self, address: u64, bytes: &mut [u8]) -> Result<(), NoMemory> {
        bytes.copy_from_slice(self.range(address, bytes.len())?);
        Ok(())
    }
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), NoMemory> {
        self.range(address, bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }
}

/// Xorshift (Marsaglia 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Registers that matter most often, so that a random walk gets somewhere.
const FREQUENT: [u32; 24] = [
    0x004, 0x008, 0x08c, 0x208, 0x214, 0x254, 0x300, 0x314, 0x3b4, 0x600, 0x808, 0x814, 0xe14, 0xe50, 0x2c0c, 0x300c,
    0x3010, 0x301c, 0x3040, 0x3044, 0x500c, 0x5010, 0x5040, 0x5044,
];
/// Values that mean something in many of them.
const TELLING: [u32; 12] =
    [0, 1, 3, 8, u32::MAX, 0x0002_0001, 0x0100_0800, 767, 1 << 16, 0x2000 | 1 << 15, 0x0009, 0x0040_6040];

/// Everything that a driver does between power-on and its first frame, by recipe A.
fn bring_up(genet: &mut Genet, now: Moment, memory: &mut Memory) -> Vec<Effect> {
    let mut effects = Vec::new();
    let (tx, rx) = (genet.read(now, 0x5008, memory).0, genet.read(now, 0x3008, memory).0);
    let mut writes =
        vec![(0x5044, 0), (0x3044, 0), (0x004, 3), (0x008, 0), (0xb34, 0), (0x600, 0), (0x3b4, 1), (0x814, 1536)];
    writes.extend([(0x808, 0), (0x808, 0xa000), (0x808, 0x0008), (0x08c, 0x1_0050), (0xe14, 0x2420_8000)]);
    for (block, index) in [(0x2000, rx), (0x4000, tx)] {
        let ring = block + 0x1000;
        writes.extend([
            (ring + 0x0c, index & 0xffff),
            (ring + 0x10, 256 << 16 | 2048),
            (ring + 0x14, 0),
            (ring + 0x1c, 767),
        ]);
        writes.extend([(ring + 0x40, 1 << 16), (ring + 0x4c, 8), (ring + 0x44, 1 << 17 | 1)]);
        for slot in 0..256 {
            writes.extend([
                (block + slot * 12, 100 << 16 | 0x6040),
                (block + slot * 12 + 4, slot * 128),
                (block + slot * 12 + 8, 0),
            ]);
        }
    }
    writes.push((0x808, 0x000b));
    for (offset, value) in writes {
        effects.extend(genet.write(now, offset, value, memory));
    }
    effects
}

/// Rings both doorbells.
fn ring(genet: &mut Genet, now: Moment, memory: &mut Memory) -> Vec<Effect> {
    let (tx, rx) = (genet.read(now, 0x500c, memory).0, genet.read(now, 0x3008, memory).0);
    let mut effects = genet.write(now, 0x500c, (tx + 3) & 0xffff, memory);
    effects.extend(genet.write(now, 0x300c, rx & 0xffff, memory));
    effects
}

#[test]
fn random_accesses_and_frames_neither_panic_nor_hang() {
    let mut sent = 0;
    for seed in 1..120 {
        let mut random = Random(seed);
        let mut memory = Memory(vec![0x5a; 0x1_0000]);
        let settings = Settings { seed, autonegotiation: Duration::from_millis(1), ..Settings::default() };
        let mut genet = Genet::new(settings);
        let mut now = Moment::default();
        bring_up(&mut genet, now, &mut memory);
        for _ in 0..1500 {
            now = now.after(Duration::from_nanos(random.below(100_000)));
            let offset = match random.below(3) {
                0 => random.below(u64::from(WINDOW) + 64) as u32,
                1 => FREQUENT[random.below(24) as usize],
                _ => 0x2000 + random.below(0x2000) as u32 * 4,
            };
            let value = match random.below(3) {
                0 => random.next() as u32,
                1 => TELLING[random.below(12) as usize],
                _ => random.below(0x2000) as u32,
            };
            let effects = match random.below(16) {
                0..5 => genet.write(now, offset, value, &mut memory),
                5..8 => genet.read(now, offset, &mut memory).1,
                8..11 => {
                    let frame = vec![0xff; random.below(4000) as usize];
                    let damage = if random.below(4) == 0 { Damage::SymbolError } else { Damage::None };
                    genet.receive_damaged(now, &frame, damage, &mut memory)
                }
                11 => match random.below(12) {
                    0 => genet.set_link(now, random.below(2) == 0, &mut memory),
                    1 => genet.set_partner(now, Abilities::from_bits(value as u8), &mut memory),
                    2 => genet.warm_reset(now),
                    _ => genet.advance(now, &mut memory),
                },
                // Back to a controller that works, from which the walk strays again.
                _ if random.below(4) == 0 => bring_up(&mut genet, now, &mut memory),
                _ => ring(&mut genet, now, &mut memory),
            };
            for effect in effects {
                if let Effect::Send(frame) = effect {
                    sent += 1;
                    assert!((60..16_384).contains(&frame.len()), "seed {seed}: {} bytes", frame.len());
                }
            }
        }
        assert!(!genet.refusals().is_empty(), "seed {seed}");
    }
    assert!(sent > 300, "{sent} frames: the walk is to get as far as the wire");
}
