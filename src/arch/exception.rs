//! What is said when the loader itself fails: an exception or a panic.
//!
//! The report goes out through the board's polled byte hook, so it works with any state of the console, the heap and the locks.
//! It is written to be read by somebody who has only the serial line: first what happened in words, then registers, then a
//! backtrace in addresses relative to the image's start, which are those of the ELF that the build kept:
//! `llvm-addr2line -e loader.elf 0x1234`. After it the board is reset. Wording is pure and tested on the host.

use super::backtrace::within;
use super::image;
use super::syndrome::{class, class_name, fault_name};
use crate::range::PhysicalRange;
use core::fmt;

/// The registers at an exception. `vectors.s` writes it, field for field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The stack pointer of the main code.
    pub sp_el0: u64,
    /// Where it happened, or where to return to.
    pub elr: u64,
    /// The processor state.
    pub spsr: u64,
    /// The syndrome: what it was.
    pub esr: u64,
    /// The address, for a fault that has one.
    pub far: u64,
    /// The vector, from 0: four groups of synchronous, IRQ, FIQ, SError.
    pub vector: u64,
    /// Padding: the stack pointer is a multiple of 16.
    pub unused: u64,
}

/// The parts of the loader that an address can lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Regions {
    /// Code.
    pub text: PhysicalRange,
    /// Constants.
    pub constants: PhysicalRange,
    /// Writable data, heap, DMA arena.
    pub data: PhysicalRange,
    /// The page below the stack.
    pub guard: PhysicalRange,
    /// The main stack.
    pub stack: PhysicalRange,
}

impl Regions {
    /// Those of the running loader.
    pub fn of_image() -> Self {
        Self {
            text: image::text(),
            constants: image::constants(),
            data: image::data(),
            guard: image::guard(),
            stack: image::stack(),
        }
    }

    /// What lies at `address`, in words that complete "in …".
    fn describe(&self, address: u64) -> &'static str {
        if address < 4096 {
            "page 0, which is not mapped: a null pointer?"
        } else if within(self.guard, address) {
            "the guard page below the stack: STACK OVERFLOW"
        } else if within(self.text, address) {
            "the loader's code, which is read-only"
        } else if within(self.constants, address) {
            "the loader's constants, which are read-only and not executable"
        } else if within(self.data, address) || within(self.stack, address) {
            "the loader's data, which is not executable"
        } else {
            "no memory of the loader's own"
        }
    }
}

/// The report of one exception.
pub struct Report<'a> {
    /// The registers.
    pub frame: &'a Frame,
    /// Where the loader lies.
    pub regions: Regions,
    /// Return addresses, innermost first.
    pub backtrace: &'a [u64],
}

const fn source_name(vector: u64) -> &'static str {
    match vector % 4 {
        0 => "synchronous exception",
        1 => "unexpected interrupt (IRQ)",
        2 => "unexpected fast interrupt (FIQ)",
        _ => "SError",
    }
}

const fn origin_name(vector: u64) -> &'static str {
    match vector / 4 {
        0 => "in the loader",
        1 => "in the loader's exception code",
        _ => "below EL2, where nothing should run",
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let frame = self.frame;
        let esr = frame.esr;
        writeln!(f)?;
        writeln!(
            f,
            "*** Xenlift {}: {} {}",
            env!("CARGO_PKG_VERSION"),
            source_name(frame.vector),
            origin_name(frame.vector)
        )?;
        if matches!(frame.vector % 4, 0 | 3) {
            let is_data = matches!(class(esr), 0x24 | 0x25);
            let is_code = matches!(class(esr), 0x20..=0x22);
            match (is_data, esr >> 6 & 1) {
                (true, 1) => writeln!(f, "cause: a write: {}", fault_name(esr))?,
                (true, _) => writeln!(f, "cause: a read: {}", fault_name(esr))?,
                _ if is_code && class(esr) != 0x22 => writeln!(f, "cause: {}: {}", class_name(esr), fault_name(esr))?,
                _ => writeln!(f, "cause: {}", class_name(esr))?,
            }
            // FnV (bit 10) says that FAR_EL2 means nothing; it is only used by external aborts.
            if (is_data || is_code) && !(esr & 0x3f == 0x10 && esr >> 10 & 1 == 1) {
                writeln!(f, "at:    {:#018x}, in {}", frame.far, self.regions.describe(frame.far))?;
            }
        }
        match self.offset(frame.elr) {
            Some(offset) => writeln!(f, "by:    {:#018x}, loader.elf {offset:#x}", frame.elr)?,
            None => writeln!(f, "by:    {:#018x}, outside the loader's code", frame.elr)?,
        }
        writeln!(
            f,
            "ESR {esr:#010x} (class {:#04x}, syndrome {:#09x})  FAR {:#018x}  SPSR {:#010x}",
            class(esr),
            esr & 0x1ff_ffff,
            frame.far,
            frame.spsr
        )?;
        for (row, registers) in frame.x.chunks(4).enumerate() {
            for (column, value) in registers.iter().enumerate() {
                write!(f, "{}x{:<2} {value:016x}", if column == 0 { "" } else { "  " }, row * 4 + column)?;
            }
            if row == 7 {
                write!(f, "  sp  {:016x}", frame.sp_el0)?;
            }
            writeln!(f)?;
        }
        write!(f, "backtrace (loader.elf):")?;
        for address in self.backtrace {
            match self.offset(*address) {
                Some(offset) => write!(f, " {offset:#x}")?,
                None => write!(f, " ?")?,
            }
        }
        writeln!(f)?;
        writeln!(f, "image at {:#x}", self.regions.text.start)
    }
}

impl Report<'_> {
    /// `address` as the kept ELF has it.
    fn offset(&self, address: u64) -> Option<u64> {
        within(self.regions.text, address).then(|| address - self.regions.text.start)
    }
}

#[cfg(target_os = "none")]
mod target {
    use super::super::backtrace::{DEEPEST, backtrace};
    use super::super::hooks::{Fault, RawOutput};
    use super::super::{barrier, image, start};
    use super::{Frame, Regions, Report};
    use core::fmt::Write;

    fn read_stack(address: u64) -> u64 {
        // SAFETY: `backtrace` asks only for aligned words inside the main stack, which is always mapped and is read volatile,
        // because code that was interrupted may have been writing it.
        unsafe { core::ptr::read_volatile(address as *const u64) }
    }

    fn trace(frame_pointer: u64, link_register: Option<u64>, found: &mut [u64; DEEPEST]) -> &[u64] {
        let count = backtrace(frame_pointer, link_register, image::stack(), image::text(), read_stack, found);
        found.get(..count).unwrap_or_default()
    }

    fn end(fault: Fault) -> ! {
        let board = start::board();
        let _ = RawOutput(board).write_str("Resetting.\n");
        board.raw_drain();
        board.flash(fault);
        board.reset()
    }

    #[unsafe(no_mangle)]
    extern "C" fn xenlift_exception(frame: &Frame) -> ! {
        let mut found = [0; DEEPEST];
        let backtrace = trace(frame.x[29], Some(frame.x[30]), &mut found);
        let report = Report { frame, regions: Regions::of_image(), backtrace };
        let _ = write!(RawOutput(start::board()), "{report}");
        end(Fault::Exception)
    }

    #[unsafe(no_mangle)]
    extern "C" fn xenlift_exception_in_report(esr: u64, elr: u64, far: u64) -> ! {
        let base = image::start();
        let _ = write!(
            RawOutput(start::board()),
            "\n*** Xenlift: another exception while that was reported: ESR {esr:#x} ELR {elr:#x} FAR {far:#x} image at {base:#x}\n"
        );
        end(Fault::ExceptionInReport)
    }

    #[unsafe(no_mangle)]
    extern "C" fn xenlift_reset() -> ! {
        start::board().reset()
    }

    /// A panic is reported the same way: in words, with a backtrace, then a reset.
    #[panic_handler]
    fn panic(information: &core::panic::PanicInfo<'_>) -> ! {
        mask_all();
        let frame_pointer: u64;
        // SAFETY: reading x29, which -Cforce-frame-pointers keeps as the frame pointer.
        unsafe { core::arch::asm!("mov {}, x29", out(reg) frame_pointer, options(nomem, nostack, preserves_flags)) };
        let mut output = RawOutput(start::board());
        let _ = write!(output, "\n*** Xenlift {}: {information}\nbacktrace (loader.elf):", env!("CARGO_PKG_VERSION"));
        let mut found = [0; DEEPEST];
        for address in trace(frame_pointer, None, &mut found) {
            let _ = write!(output, " {:#x}", address.wrapping_sub(image::start()));
        }
        let _ = writeln!(output, "\nimage at {:#x}", image::start());
        end(Fault::Exception)
    }

    fn mask_all() {
        // SAFETY: masking exceptions has no effect on memory; the barrier after it orders what was pending.
        unsafe { core::arch::asm!("msr daifset, #0xf", options(nostack, preserves_flags)) };
        barrier::isb();
    }
}

#[cfg(test)]
#[path = "exception_tests.rs"]
mod tests;
