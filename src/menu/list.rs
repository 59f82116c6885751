//! The list of entries on a terminal: moving in it, and how it looks.

use super::{Action, Menu, Page, Shown, edit, first_rows, foot, heading, keys, text};
use crate::config::{DeviceTree, Entry, Payload};
use crate::terminal::frame::{Frame, Style};
use crate::terminal::key::Key;
use crate::terminal::wrap;
use crate::time::{Duration, Instant};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};

/// Digits less than this apart are one number.
const DIGIT_PAUSE: Duration = Duration::from_millis(1500);

/// An Enter this soon after a letter was pasted with it, as the end of a line that was meant for somebody else. Numbers may come so: scripts type them.
const TOGETHER: Duration = Duration::from_millis(30);

/// Rows from which on a screen has room for more than what it must show.
const SPACIOUS: usize = 16;

/// Columns that a title has before what is said of its entry.
const LEAST_TITLE: usize = 16;

const KEYS: &[&str] = &["Enter: boot", "?: help", "e: edit", "d: details", "s: shell", "r: reload"];

/// What there is beside the entries: rows that are told, rows of keys, whether there is an empty row and how many say what the selected entry does;
/// and the rows that are left for entries.
struct Around {
    told: Vec<String>,
    keys: Vec<String>,
    gap: usize,
    description: usize,
    room: usize,
}

/// The number that is being typed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Digits {
    number: usize,
    last: Option<Instant>,
}

impl Digits {
    /// Takes a digit; the number of an entry, if there is one of `count` that is meant.
    fn add(&mut self, now: Instant, digit: usize, count: usize) -> Option<usize> {
        let goes_on = self.last.is_some_and(|last| now.since(last) < DIGIT_PAUSE);
        let longer = self.number.saturating_mul(10).saturating_add(digit);
        self.number = if goes_on && longer <= count { longer } else { digit };
        self.last = Some(now);
        (1..=count).contains(&self.number).then_some(self.number)
    }
}

impl Menu<'_> {
    pub(super) fn list_key(&mut self, now: Instant, key: Key, out: &mut dyn Write) -> Option<Action> {
        self.message.clear();
        if matches!(key, Key::Char(character) if !character.is_ascii_digit()) {
            self.letter = Some(now);
        }
        let last = self.entries.len().saturating_sub(1);
        let page = self.entries_shown(now);
        match key {
            Key::Up => self.selected = self.selected.saturating_sub(1),
            Key::Down => self.selected = (self.selected + 1).min(last),
            Key::PageUp => self.selected = self.selected.saturating_sub(page),
            Key::PageDown => self.selected = (self.selected + page).min(last),
            Key::Home => self.selected = 0,
            Key::End => self.selected = last,
            Key::Enter if self.letter.is_some_and(|letter| now.since(letter) < TOGETHER) => {
                self.message = String::from("That came too fast to be typed, and boots nothing.");
            }
            Key::Enter => return Some(Action::Boot(self.selected)),
            Key::Char('e') => self.open_lines(out),
            Key::Char('d') => return Some(Action::Details(self.selected)),
            Key::Char('s') => return Some(Action::Shell),
            Key::Char('r') => return Some(Action::Reload),
            Key::Char('?') => self.page = Page::Text(text::help()),
            Key::Char(digit @ '0'..='9') => {
                let digit = digit.to_digit(10).unwrap_or(0) as usize;
                match self.digits.add(now, digit, self.entries.len()) {
                    Some(number) => self.selected = number - 1,
                    None => self.message = no_such(self.digits.number, self.entries.len()),
                }
            }
            Key::Char(letter) if letter.is_alphabetic() => self.go_to_letter(letter),
            _ => {}
        }
        None
    }

    /// To the next entry whose title begins with `letter`, small or capital.
    fn go_to_letter(&mut self, letter: char) {
        let begins = |entry: &Entry| entry.title().chars().next().is_some_and(|first| is_same(first, letter));
        let after = self.entries.iter().enumerate().skip(self.selected + 1);
        if let Some((index, _)) = after.chain(self.entries.iter().enumerate()).find(|(_, entry)| begins(entry)) {
            self.selected = index;
        }
    }

    /// Entries that a screen shows at once.
    fn entries_shown(&self, now: Instant) -> usize {
        let crate::terminal::Kind::Ansi { columns, rows } = self.kind else { return 1 };
        self.around(now, &Frame::new(columns, rows)).room
    }

    /// What there is on the page beside the entries.
    fn around(&self, now: Instant, frame: &Frame) -> Around {
        let height = frame.height();
        let told = match self.message.as_str() {
            "" => super::told(&self.status(now), frame),
            message => super::told(message, frame),
        };
        let keys = keys(KEYS, frame);
        let gap = usize::from(height >= SPACIOUS);
        let description = match height {
            0..8 => 0,
            8..SPACIOUS => 1,
            _ => 2,
        };
        let others = 1 + gap + description + told.len().max(1) + keys.len();
        Around { told, keys, gap, description, room: height.saturating_sub(others).max(1) }
    }

    pub(super) fn draw_list(&self, now: Instant, frame: &mut Frame) {
        let Around { told, keys, gap, description, room } = self.around(now, frame);
        let count = self.entries.len();
        // The selected one in the middle, as long as there is something on both sides.
        let first = self.selected.saturating_sub(room / 2).min(count.saturating_sub(room));
        let end = (first + room).min(count);
        heading(format_args!("Xenlift: what to boot"), first..end, count, frame);
        let mut cursor = 0;
        for (index, entry) in self.entries.iter().enumerate().take(end).skip(first) {
            let is_selected = index == self.selected;
            let (style, mark) = if is_selected { (Style::Reverse, '>') } else { (Style::Normal, ' ') };
            let mut marks = String::new();
            if index == self.default {
                marks.push_str(" (default)");
            }
            if self.edited.contains_key(&index) {
                marks.push_str(" (edited)");
            }
            let width = frame.width().saturating_sub(marks.len()).max(LEAST_TITLE);
            frame.line(style, format_args!("{mark}{:>3}  ", index + 1));
            frame.add_within(width, style, format_args!("{}", Shown(entry.title())));
            frame.add(style, format_args!("{marks}"));
            if is_selected {
                frame.fill(style);
                cursor = frame.rows().len().saturating_sub(1);
            }
        }
        if gap > 0 {
            frame.line(Style::Normal, format_args!(""));
        }
        if let Some(entry) = self.entry(self.selected) {
            let rows = wrap::rows(&alloc::format!("{}", Description(entry)), frame.width());
            for row in first_rows(rows, description) {
                frame.line(Style::Normal, format_args!("{row}"));
            }
        }
        foot(&told, &keys, frame);
        frame.put_cursor_at(cursor, 0);
    }

    /// Goes to the command lines of the selected entry, if it has any.
    pub(super) fn open_lines(&mut self, out: &mut dyn Write) {
        let lines = self.entry(self.selected).map_or(0, |entry| edit::lines(entry).len());
        match lines {
            0 => self.message = String::from("This entry has no command lines: its script has them."),
            1 => self.begin_line(0, out),
            _ => self.page = Page::Lines(0),
        }
    }
}

/// Why a number chooses nothing.
pub(super) fn no_such(number: usize, count: usize) -> String {
    alloc::format!("There is no entry {number}, they are 1 to {count}.")
}

fn is_same(one: char, other: char) -> bool {
    one.to_lowercase().eq(other.to_lowercase())
}

/// What an entry will do, in a line.
pub(super) struct Description<'a>(pub &'a Entry);

impl fmt::Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.0;
        match &entry.payload {
            Payload::Xen(xen) => {
                write!(f, "Xen {}", file(&xen.image))?;
                if let Some(dom0) = &xen.dom0 {
                    write!(f, ", Dom0 {}", file(&dom0.kernel))?;
                    if let Some(ramdisk) = &dom0.ramdisk {
                        write!(f, " with {}", file(ramdisk))?;
                    }
                }
                match xen.domains.as_slice() {
                    [] => {}
                    [domain] => write!(f, ", domain {}", Shown(&domain.name))?,
                    domains => write!(f, ", {} domains", domains.len())?,
                }
            }
            Payload::Linux(linux) => write!(f, "Linux {}", file(&linux.image))?,
            Payload::Script(script) => return write!(f, "script {}", file(script)),
            Payload::ImageBuilder(config) => return write!(f, "ImageBuilder's {}", file(config)),
        }
        match &entry.device_tree {
            DeviceTree::Firmware => f.write_str("; the firmware's tree")?,
            DeviceTree::Auto => f.write_str("; this board's tree")?,
            DeviceTree::File(tree) => write!(f, "; tree {}", file(tree))?,
        }
        match entry.overlays.len() {
            0 => Ok(()),
            1 => f.write_str(", 1 overlay"),
            count => write!(f, ", {count} overlays"),
        }
    }
}

/// Which file, with nothing in it that could move a cursor.
fn file(file: &crate::config::source::File) -> String {
    alloc::format!("{}", file.source).chars().map(crate::terminal::shown).collect()
}
