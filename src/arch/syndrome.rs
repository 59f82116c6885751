//! What ESR_EL2 says, in words (Arm ARM DDI 0487, D24.2.40).

/// ESR_EL2.EC.
pub const fn class(esr: u64) -> u64 {
    (esr >> 26) & 0x3f
}

/// ESR_EL2.EC in words.
pub const fn class_name(esr: u64) -> &'static str {
    match class(esr) {
        0x00 => "an instruction that does not exist",
        0x01 => "a trapped WFI or WFE",
        0x07 => "a trapped FP/SIMD instruction",
        0x0e => "an illegal execution state",
        0x15 => "an SVC instruction",
        0x16 => "an HVC instruction",
        0x17 => "an SMC instruction",
        0x18 => "a trapped system register access",
        0x20 | 0x21 => "a jump to memory that cannot be executed",
        0x22 => "a jump to an odd address",
        0x24 | 0x25 => "an access to memory",
        0x26 => "a stack pointer that is no multiple of 16",
        0x2c => "a floating-point exception",
        0x2f => "an SError, an error that a bus reported late",
        0x30 | 0x31 => "a hardware breakpoint",
        0x32 | 0x33 => "a single step",
        0x34 | 0x35 => "a watchpoint",
        0x3c => "a BRK instruction: a check that the compiler put in failed",
        _ => "an exception of a class that the loader does not know",
    }
}

/// ESR_EL2.ISS bits 5:0 of an instruction or data abort in words.
pub const fn fault_name(esr: u64) -> &'static str {
    match esr & 0x3f {
        0x00..=0x03 => "an address too large for the map",
        0x04..=0x07 => "nothing is mapped there",
        0x08..=0x0b => "the map's access flag is clear",
        0x0c..=0x0f => "the map forbids it",
        0x10 => "the bus reported an error: no device answers there",
        0x13..=0x17 => "the bus reported an error on a walk of the map",
        0x18 => "a parity or ECC error",
        0x1b..=0x1f => "a parity or ECC error on a walk of the map",
        0x21 => "the address is not aligned, and the memory demands it",
        0x30 => "two entries of the TLB contradict each other",
        0x35 => "an exclusive access that the memory does not support",
        _ => "a fault that the loader does not know",
    }
}
