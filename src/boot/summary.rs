//! What is printed before the jump: everything that a person needs to find out why Xen said nothing.
//!
//! Most of Xen's early failures are silent, so these lines are often the only diagnosis there is. Two forms: [`Summary::short`] for a
//! boot that nobody watches (a line a file, then the command lines and notes; a UART prints 11 characters in a millisecond), and
//! [`Summary::long`], a table with sizes and digests, what else lies in memory, and where Xen will speak, as wide as the terminal.
//!
//! Names and command lines come from outside, and are printed so that nothing in them can move the cursor.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::digest::Digest;
use super::image::System;
use super::layout::Occupant;
use super::page::Page;
use super::xen_console::Uart;
use crate::range::PhysicalRange;
use crate::terminal::Shown;

/// Columns that are left for the names of files in the table; where there are fewer, each file has lines of its own.
const LEAST_FOR_NAMES: usize = 12;

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
        /// The UART that Xen will use; `None` where it will be silent.
        console: Option<&'a Uart>,
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
    /// The physical address of the first instruction.
    pub entry: u64,
    /// What the program says that it is.
    pub system: System,
    /// Who speaks next, and where.
    pub next: Next<'a>,
    /// What a person should know.
    pub notes: &'a [String],
    /// Everything that lies in memory; for the long form.
    pub memory: &'a [Occupant],
}

impl Summary<'_> {
    /// Writes the short form.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn short(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        let width = self.label_width();
        for file in self.files {
            let Loaded { label, source, range, digest } = file;
            write!(out, "{:width$} {range} ", Shown(label).to_string())?;
            if let Some(digest) = digest {
                write!(out, "{digest} ")?;
            }
            writeln!(out, "{}", Shown(source))?;
        }
        for CommandLine { label, args } in self.command_lines {
            let (shown, rest) = cut(args);
            writeln!(out, "{} args: {}{rest}", Shown(label), Shown(shown))?;
        }
        for note in self.notes {
            writeln!(out, "Note: {}", Shown(note))?;
        }
        match self.next {
            Next::Xen { console: Some(uart) } => {
                let next = if uart.is_here() { "the next line is Xen's" } else { ELSEWHERE };
                writeln!(out, "Xen's console is {}; {next}.", Shown(&uart.path))
            }
            Next::Xen { console: None } => writeln!(out, "{SILENT_XEN}"),
            Next::Kernel => writeln!(out, "{KERNEL_NEXT}"),
        }
    }

    /// Writes the long form for a terminal of so many columns.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn long(&self, columns: u16, out: &mut dyn fmt::Write) -> fmt::Result {
        let mut page = Page::new(out, columns);
        self.table(&mut page)?;
        let mut others: Vec<&Occupant> = Vec::new();
        for occupant in self.memory {
            // A page can be reserved for several reasons.
            let is_told = self.files.iter().any(|file| file.range == occupant.range)
                || others.iter().any(|other| other.range == occupant.range);
            if !is_told {
                others.push(occupant);
            }
        }
        for (index, occupant) in others.into_iter().enumerate() {
            if index == 0 {
                page.text(0, 0, "Also in memory:")?;
            }
            // A program asks for more memory than its file has.
            let runs = self.files.iter().any(|file| file.range.start == occupant.range.start);
            let runs = if runs { ", as large as it runs" } else { "" };
            page.text(2, 4, &format!("{} {}{runs}", occupant.range, occupant.name))?;
        }
        for CommandLine { label, args } in self.command_lines {
            page.text(0, 0, &format!("{label} args:"))?;
            let (shown, rest) = cut(args);
            page.text(2, 2, &format!("{shown}{rest}"))?;
        }
        for note in self.notes {
            page.text(0, 2, &format!("Note: {note}"))?;
        }
        page.text(0, 2, &format!("Entry: {} at {:#010x}, EL2, device tree in x0", Program(self.system), self.entry))?;
        match self.next {
            Next::Xen { console: Some(uart) } => {
                page.text(0, 2, &format!("Xen's console is {} ({uart}).", uart.path))?;
                match uart.is_here() {
                    true => page.text(0, 0, "The next line is Xen's."),
                    false => page.text(0, 0, &format!("Beware: {ELSEWHERE}.")),
                }
            }
            Next::Xen { console: None } => page.text(0, 2, SILENT_XEN),
            Next::Kernel => page.text(0, 2, KERNEL_NEXT),
        }
    }

    /// The files: a row each where there is room for their names, else some lines each.
    fn table(&self, page: &mut Page<'_>) -> fmt::Result {
        let rows: Vec<Row<'_>> = self.files.iter().map(Row::new).collect();
        let widest = |cell: fn(&Row<'_>) -> usize, head: &str| rows.iter().map(cell).max().unwrap_or(0).max(head.len());
        let label = self.label_width().max(4);
        let range = widest(|row| row.range.len(), "where");
        let size = widest(|row| row.size.len(), "bytes");
        let digest = widest(|row| row.digest.len(), "digest");
        let before = label + range + size + digest + 4;
        if before + LEAST_FOR_NAMES > page.width {
            for row in &rows {
                let Loaded { label, source, .. } = row.file;
                page.text(0, 2, &format!("{label}: {source}"))?;
                page.text(2, 4, &format!("{}, {} bytes", row.range, row.size))?;
                page.text(2, 4, &row.digest)?;
            }
            return Ok(());
        }
        writeln!(page.out, "{:label$} {:range$} {:>size$} {:digest$} file", "what", "where", "bytes", "digest")?;
        for row in &rows {
            let name = Shown(row.file.source).to_string();
            let what = Shown(row.file.label).to_string();
            write!(page.out, "{what:label$} {:range$} {:>size$} {:digest$}", row.range, row.size, row.digest)?;
            if before + name.chars().count() <= page.width {
                writeln!(page.out, " {name}")?;
            } else {
                writeln!(page.out)?;
                page.text(2, 2, &name)?;
            }
        }
        Ok(())
    }

    fn label_width(&self) -> usize {
        self.files.iter().map(|file| file.label.chars().count()).max().unwrap_or(0)
    }
}

/// What follows where Xen's console is another UART than this one.
const ELSEWHERE: &str = "nothing more will be seen here";

const SILENT_XEN: &str = "Xen has no console; nothing more will be seen here.";
const KERNEL_NEXT: &str = "The next line is the kernel's, if its command line names this console.";

/// A file's row, as text.
struct Row<'a> {
    file: &'a Loaded<'a>,
    range: String,
    size: String,
    digest: String,
}

impl<'a> Row<'a> {
    fn new(file: &'a Loaded<'a>) -> Self {
        let digest = file.digest.map(|digest| digest.to_string()).unwrap_or_default();
        Self { file, range: file.range.to_string(), size: file.range.size().to_string(), digest }
    }
}

/// As much of a command line as is shown, and what stands for the rest.
fn cut(args: &str) -> (&str, &str) {
    let shown = args.get(..args.floor_char_boundary(LONGEST_ARGS)).unwrap_or(args);
    (shown, if shown.len() < args.len() { "..." } else { "" })
}

/// What is started.
struct Program(System);

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            System::Xen { version: Some((major, minor)), .. } => write!(f, "Xen {major}.{minor}"),
            System::Xen { version: None, .. } => f.write_str("Xen (its image does not tell its version)"),
            System::Linux => f.write_str("Linux"),
            System::Unknown => f.write_str("the program (nothing in it says what it is)"),
        }
    }
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
