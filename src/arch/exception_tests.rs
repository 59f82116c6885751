use super::*;
use alloc::format;
use alloc::string::String;

const fn range(start: u64, end: u64) -> PhysicalRange {
    PhysicalRange { start, end }
}

const REGIONS: Regions = Regions {
    text: range(0x3ae0_0000, 0x3ae3_0000),
    constants: range(0x3ae3_0000, 0x3ae4_0000),
    data: range(0x3ae4_0000, 0x3b38_0000),
    guard: range(0x3b38_0000, 0x3b38_1000),
    stack: range(0x3b38_1000, 0x3b3c_1000),
};

fn report(vector: u64, esr: u64, far: u64, elr: u64) -> String {
    let frame = Frame { esr, far, elr, vector, sp_el0: 0x3b3c_0f00, ..Frame::default() };
    format!("{}", Report { frame: &frame, regions: REGIONS, backtrace: &[0x3ae0_0100, 0x3ae1_2340] })
}

#[test]
fn a_write_to_code_is_said_in_words() {
    let text = report(0, 0x9600_004f, 0x3ae0_0100, 0x3ae0_1bd0);
    assert!(text.contains("synchronous exception in the loader"), "{text}");
    assert!(text.contains("cause: a write: the map forbids it"), "{text}");
    assert!(text.contains("at:    0x000000003ae00100, in the loader's code, which is read-only"), "{text}");
    assert!(text.contains("by:    0x000000003ae01bd0, loader.elf 0x1bd0"), "{text}");
    assert!(text.contains("ESR 0x9600004f (class 0x25, syndrome 0x000004f)"), "{text}");
    assert!(text.contains("backtrace (loader.elf): 0x100 0x12340"), "{text}");
    assert!(text.contains("image at 0x3ae00000"), "{text}");
}

#[test]
fn a_stack_overflow_is_named() {
    let text = report(0, 0x9600_0047, 0x3b38_0ff0, 0x3ae0_1000);
    assert!(text.contains("a write: nothing is mapped there"), "{text}");
    assert!(text.contains("STACK OVERFLOW"), "{text}");
}

#[test]
fn every_cause_reads_as_what_it_is() {
    for (vector, esr, far, expected) in [
        (0, 0x9600_0005, 0x8, "a read: nothing is mapped there"),
        (0, 0x9600_0005, 0x8, "page 0, which is not mapped: a null pointer?"),
        (0, 0x9600_0010, 0xfd58_0000, "a read: the bus reported an error: no device answers there"),
        (0, 0x9600_0021, 0x3ae4_0001, "the address is not aligned"),
        (0, 0x8600_000f, 0x3ae4_0000, "a jump to memory that cannot be executed: the map forbids it"),
        (0, 0x8600_000f, 0x3ae4_0000, "in the loader's data, which is not executable"),
        (0, 0x8600_0005, 0x70_0000_0000, "in no memory of the loader's own"),
        (0, 0x8a00_0000, 0x3ae0_0002, "cause: a jump to an odd address"),
        (0, 0x0200_0000, 0, "cause: an instruction that does not exist"),
        (0, 0x1e00_0000, 0, "cause: a trapped FP/SIMD instruction"),
        (0, 0xf200_0001, 0, "cause: a BRK instruction"),
        (0, 0x9a00_0000, 0, "cause: a stack pointer that is no multiple of 16"),
        (0, 0xfc00_0000, 0, "a class that the loader does not know"),
        (1, 0, 0, "unexpected interrupt (IRQ) in the loader"),
        (3, 0xbf00_0002, 0, "SError in the loader"),
        (3, 0xbf00_0002, 0, "cause: an SError, an error that a bus reported late"),
        (4, 0x9600_0005, 0x8, "in the loader's exception code"),
        (8, 0x5600_0000, 0, "below EL2, where nothing should run"),
    ] {
        let text = report(vector, esr, far, 0x3ae0_0000);
        assert!(text.contains(expected), "{esr:#x}: wanted {expected:?} in {text}");
    }
}

#[test]
fn an_address_register_that_means_nothing_is_not_shown_as_the_address() {
    // An external abort with FnV set.
    let text = report(0, 0x9600_0410, 0xdead, 0x3ae0_0000);
    assert!(!text.contains("at: "), "{text}");
    assert!(report(0, 0x9600_0010, 0xdead, 0x3ae0_0000).contains("at:    0x000000000000dead"));
}

#[test]
fn code_outside_the_loader_is_not_given_an_offset() {
    let text = report(0, 0x8600_0005, 0x1234, 0x1234);
    assert!(text.contains("by:    0x0000000000001234, outside the loader's code"), "{text}");
}

#[test]
fn all_registers_are_shown_in_their_places() {
    let mut frame = Frame { sp_el0: 0x5050, ..Frame::default() };
    for (index, register) in frame.x.iter_mut().enumerate() {
        *register = 0x1000 + index as u64;
    }
    let text = format!("{}", Report { frame: &frame, regions: REGIONS, backtrace: &[] });
    for index in 0..31 {
        assert!(text.contains(&format!("x{index:<2} {:016x}", 0x1000 + index)), "{text}");
    }
    assert!(text.contains("sp  0000000000005050"), "{text}");
}

#[test]
fn lines_fit_a_terminal() {
    let text = report(4, 0x9600_004f, 0x3ae3_0100, 0x3ae0_1bd0);
    for line in text.lines() {
        assert!(line.len() <= 100, "{line:?} has {} characters", line.len());
    }
}
