//! What is printed before the jump: everything that a person needs to find out why Xen said nothing.
//!
//! Most of Xen's early failures are silent, so these lines are often the only diagnosis there is. Two forms: [`Summary::short`] for a
//! boot that nobody watches (a line a file, then the command lines and notes; a UART prints 11 characters in a millisecond), and
//! [`Summary::long`] with sizes, longer digests and everything else that lies in memory.

use core::fmt;

use super::digest::Digest;
use super::layout::Occupant;
use crate::range::PhysicalRange;

/// Bytes of a command line that are shown: as many as Linux takes on arm64 (COMMAND_LINE_SIZE). A tree can have one that takes minutes to print.
const LONGEST_ARGS: usize = 2048;

/// A file that is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded<'a> {
    /// What it is for, such as `Dom0 kernel`.
    pub label: &'a str,
    /// Where it is from.
    pub source: &'a str,
    /// Where it lies, exact to the byte.
    pub range: PhysicalRange,
    /// What its bytes were found to be, if somebody wanted to know.
    pub digest: Option<Digest>,
}

/// A command line and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// Whose, such as `Dom0`.
    pub label: &'a str,
    /// The line.
    pub args: &'a str,
}

/// Whose line is the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// Xen's.
    Xen {
        /// Path of the UART that Xen will use; `None` where it will be silent.
        console: Option<&'a str>,
    },
    /// That of a kernel without Xen, whose command line alone says where its console is.
    Kernel,
}

/// What is about to be started.
#[derive(Clone, Copy)]
pub struct Summary<'a> {
    /// Xen, the device tree, and all modules.
    pub files: &'a [Loaded<'a>],
    /// Xen's command line, Dom0's, the domains'.
    pub command_lines: &'a [CommandLine<'a>],
    /// Who speaks next, and where.
    pub next: Next<'a>,
    /// What a person should know.
    pub notes: &'a [&'a dyn fmt::Display],
    /// Everything that lies in memory; for the long form.
    pub memory: &'a [Occupant],
}

impl Summary<'_> {
    /// Writes the short form.
    pub fn short(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let width = self.label_width();
        for file in self.files {
            let Loaded { label, source, range, digest } = file;
            write!(out, "{label:width$} {range} ")?;
            if let Some(digest) = digest {
                write!(out, "{digest} ")?;
            }
            writeln!(out, "{source}")?;
        }
        self.rest(out)
    }

    /// Writes the long form.
    pub fn long(&self, out: &mut impl fmt::Write) -> fmt::Result {
        let width = self.label_width();
        for file in self.files {
            let Loaded { label, source, range, digest } = file;
            let size = range.size();
            write!(out, "{label:width$} {range} {size:>9} bytes, ")?;
            if let Some(digest) = digest {
                write!(out, "{digest:#}, ")?;
            }
            writeln!(out, "{source}")?;
        }
        let others = self.memory.iter().filter(|occupant| !self.files.iter().any(|file| file.range == occupant.range));
        for (index, occupant) in others.enumerate() {
            let title = if index == 0 { "Also in memory:\n" } else { "" };
            writeln!(out, "{title}  {} {}", occupant.range, occupant.name)?;
        }
        self.rest(out)
    }

    fn rest(&self, out: &mut impl fmt::Write) -> fmt::Result {
        for CommandLine { label, args } in self.command_lines {
            let shown = args.get(..args.floor_char_boundary(LONGEST_ARGS)).unwrap_or(args);
            let rest = if shown.len() < args.len() { "..." } else { "" };
            writeln!(out, "{label} args: {shown}{rest}")?;
        }
        for note in self.notes {
            writeln!(out, "Note: {note}")?;
        }
        match self.next {
            Next::Xen { console: Some(path) } => writeln!(out, "Xen's console is {path}; the next line is Xen's."),
            Next::Xen { console: None } => writeln!(out, "Xen has no console; nothing more will be seen here."),
            Next::Kernel => writeln!(out, "The next line is the kernel's, if its command line names this console."),
        }
    }

    fn label_width(&self) -> usize {
        self.files.iter().map(|file| file.label.len()).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::plan::Note;
    use alloc::string::String;

    fn range(start: u64, size: u64) -> PhysicalRange {
        PhysicalRange::sized(start, size).unwrap()
    }

    const FILES: [Loaded<'static>; 4] = [
        Loaded {
            label: "Xen",
            source: "xen-4.17-arm64",
            range: PhysicalRange { start: 0x20_0000, end: 0x33_60c8 },
            digest: Some(Digest::Sha256([0x1a; 32])),
        },
        Loaded {
            label: "device tree",
            source: "firmware",
            range: PhysicalRange { start: 0x1000, end: 0xe123 },
            digest: Some(Digest::Crc32(0x1234_abcd)),
        },
        Loaded {
            label: "Dom0 kernel",
            source: "vmlinuz-6.1.0-50-arm64",
            range: PhysicalRange { start: 0x40_0000, end: 0x236_de00 },
            digest: Some(Digest::Sha256([0xfe; 32])),
        },
        Loaded {
            label: "Dom0 ramdisk",
            source: "rootfs.cpio.gz",
            range: PhysicalRange { start: 0x236_e000, end: 0x246_e067 },
            digest: None,
        },
    ];
    const LINES: [CommandLine<'static>; 2] = [
        CommandLine {
            label: "Xen",
            args: "console=dtuart dtuart=serial1 dom0_mem=768M dom0_max_vcpus=1 bootscrub=0 vwfi=native",
        },
        CommandLine { label: "Dom0", args: "console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0" },
    ];

    #[test]
    fn the_short_form_has_a_line_a_file() {
        let summary = Summary {
            files: &FILES,
            command_lines: &LINES,
            next: Next::Xen { console: Some("/soc/serial@7e215040") },
            notes: &[&Note::NoDom0Memory],
            memory: &[],
        };
        let mut text = String::new();
        summary.short(&mut text).unwrap();
        assert_eq!(
            text,
            "\
Xen          0x00200000-0x003360c7 sha256 1a1a1a1a xen-4.17-arm64
device tree  0x00001000-0x0000e122 crc32 1234abcd firmware
Dom0 kernel  0x00400000-0x0236ddff sha256 fefefefe vmlinuz-6.1.0-50-arm64
Dom0 ramdisk 0x0236e000-0x0246e066 rootfs.cpio.gz
Xen args: console=dtuart dtuart=serial1 dom0_mem=768M dom0_max_vcpus=1 bootscrub=0 vwfi=native
Dom0 args: console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0
Note: no dom0_mem= in Xen's args: Dom0 gets 512 MiB
Xen's console is /soc/serial@7e215040; the next line is Xen's.
"
        );
        assert!(text.len() < 600, "an unattended boot prints 1,500 bytes at most: {}", text.len());
    }

    #[test]
    fn the_long_form_has_sizes_digests_and_the_rest_of_memory() {
        let occupant = |name: &str, range| Occupant { name: name.into(), range, block: range, reserved: true };
        let memory = [
            occupant("page 0", range(0, 0x1000)),
            occupant("Xen", FILES[0].range),
            occupant("loader", range(0x3b20_0000, 0x20_0000)),
        ];
        let summary = Summary {
            files: &FILES[..2],
            command_lines: &LINES[1..],
            next: Next::Xen { console: None },
            notes: &[],
            memory: &memory,
        };
        let mut text = String::new();
        summary.long(&mut text).unwrap();
        assert_eq!(
            text,
            "\
Xen         0x00200000-0x003360c7   1269960 bytes, sha256 1a1a1a1a1a1a1a1a, xen-4.17-arm64
device tree 0x00001000-0x0000e122     53539 bytes, crc32 1234abcd, firmware
Also in memory:
  0x00000000-0x00000fff page 0
  0x3b200000-0x3b3fffff loader
Dom0 args: console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0
Xen has no console; nothing more will be seen here.
"
        );
    }

    #[test]
    fn a_command_line_that_takes_minutes_to_print_is_cut() {
        let args = "é".repeat(1 << 20);
        let command_lines = [CommandLine { label: "Dom0", args: &args }];
        let summary =
            Summary { files: &[], command_lines: &command_lines, next: Next::Kernel, notes: &[], memory: &[] };
        let mut text = String::new();
        summary.short(&mut text).unwrap();
        assert!(text.starts_with(&format!("Dom0 args: {}...\n", "é".repeat(1024))), "{}", text.len());
    }
}
