//! A text to read on a terminal: details and help, page by page.

use super::{Action, Menu, Page, foot, heading, keys};
use crate::terminal::frame::{Frame, Style};
use crate::terminal::key::Key;
use crate::terminal::{Kind, wrap};
use alloc::string::String;

const KEYS: &[&str] = &["Up, Down: read on", "Escape: back"];

/// Bytes of a text at most: what is longer is cut, and says so.
const LONGEST: usize = 32 << 10;

const HELP: &str = "\
Up, Down, Page Up, Page Down, Home, End: another entry. So do its number and the first letter of its title; a capital where the letter is a key below.
Enter: boot it.
e: edit its command lines, for this boot only.
d: details, what booting it would do: files, addresses, arguments.
s: the shell. It has U-Boot's commands and more; exit comes back.
r: look for the settings anew.
Control-L: draw the screen anew.
The default is booted when nobody has pressed a key for three minutes, unless the settings say timeout = \"never\".
";

/// A text, and how far it was read.
pub(super) struct Text {
    title: String,
    text: String,
    /// The row that is on top.
    top: usize,
}

/// What the keys do.
pub(super) fn help() -> Text {
    Text::new("Keys", HELP)
}

impl Text {
    pub fn new(title: &str, text: &str) -> Self {
        let mut end = text.len().min(LONGEST);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let mut kept = String::from(text.get(..end).unwrap_or_default());
        if end < text.len() {
            kept.push_str("\n(there is more than can be shown here)\n");
        }
        Self { title: String::from(title), text: kept, top: 0 }
    }

    pub fn draw(&self, status: &[String], frame: &mut Frame) {
        let rows = wrap::rows(&self.text, frame.width());
        let room = room(status.len(), frame);
        let top = self.top.min(rows.len().saturating_sub(room));
        let end = (top + room).min(rows.len());
        heading(format_args!("{}", self.title), top..end, rows.len(), frame);
        for row in rows.iter().take(end).skip(top) {
            frame.line(Style::Normal, format_args!("{row}"));
        }
        foot(status, &keys(KEYS, frame), frame);
    }

    /// Moves by so many rows on a screen of `kind`.
    fn scroll(&mut self, kind: Kind, rows: impl FnOnce(usize, usize) -> usize) {
        let Kind::Ansi { columns, rows: height } = kind else { return };
        let frame = Frame::new(columns, height);
        let room = room(0, &frame);
        let all = wrap::rows(&self.text, frame.width()).len();
        self.top = rows(self.top, room).min(all.saturating_sub(room));
    }
}

/// Rows for the text, beside title, status and keys.
fn room(status: usize, frame: &Frame) -> usize {
    frame.height().saturating_sub(1 + status.max(1) + keys(KEYS, frame).len()).max(1)
}

impl Menu<'_> {
    pub(super) fn text_key(&mut self, key: Key) -> Option<Action> {
        let kind = self.kind;
        let Page::Text(text) = &mut self.page else { return None };
        match key {
            Key::Up => text.scroll(kind, |top, _| top.saturating_sub(1)),
            Key::Down => text.scroll(kind, |top, _| top.saturating_add(1)),
            Key::PageUp => text.scroll(kind, |top, room| top.saturating_sub(room)),
            Key::PageDown | Key::Char(' ') => text.scroll(kind, |top, room| top.saturating_add(room)),
            Key::Home => text.scroll(kind, |_, _| 0),
            Key::End => text.scroll(kind, |_, _| usize::MAX),
            Key::Control(b'l') => {}
            _ => self.page = Page::List,
        }
        None
    }
}
