//! How long each part of the boot took: what `timing` shows at the prompt, and what the next system finds in its tree.
//!
//! A record, and nothing that measures: whoever did something says so, with its moments. Moments count from the clock's zero, the board's
//! power-on, so what comes before the loader is seen too.
//!
//! Steps ([`Timing::mark`]) follow each other, each from the end of the one before. What goes on beside them, a link that comes up or files on
//! their way, has a beginning of its own.
//!
//! # `/chosen/xenlift`
//! The last [`MOST_LEFT`] of them are left in the tree, for whoever measures boots:
//!
//! * `loader`: a string, name and version of the loader.
//! * `span-names`: strings, what was done, in the order of their ends; files by their names. What was left to do with a file after its last byte is a
//!   span of its own: `NAME, SHA-256` and `NAME, gunzip`; the rest of it was done while the file came.
//! * `span-us`: for each of them two numbers of 64 bits, its beginning and its end in microseconds since power-on (`CNTPCT_EL0` at 0).
//! * `span-bytes`: for each of them a number of 64 bits, the bytes that came in it; 0 for what is no file on its way.
//!
//! Nothing in it is a boot module, and neither Xen nor Linux knows it: both pass over it.

use crate::device_tree::{Editor, edit};
use crate::time::{Duration, Instant};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Spans that are kept: three boots with all the files that Xen takes. After that the oldest goes.
pub const MOST_SPANS: usize = 128;

/// Spans that are left for the next system.
pub const MOST_LEFT: usize = 48;

/// The path of the node that they are left in.
pub const NODE: &str = "/chosen/xenlift";

/// Bytes of a span's name that are kept.
const LONGEST_NAME: usize = 64;

/// Columns of the two numbers at the beginning of a row.
const NUMBERS: usize = 20;

/// A part of the boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// When it began.
    pub from: Instant,
    /// When it was done.
    pub to: Instant,
    /// What it was.
    pub name: String,
    /// Bytes that came in it, if it is a file on its way.
    pub bytes: u64,
}

/// The spans so far, in the order of their ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    spans: VecDeque<Span>,
    /// The end of the last step.
    last: Instant,
}

impl Timing {
    /// At the moment `at`, the step `name` was done, which began when the one before ended. What has no place in a line of text is left out of
    /// its name.
    pub fn mark(&mut self, at: Instant, name: fmt::Arguments<'_>) {
        let from = core::mem::replace(&mut self.last, at);
        self.beside(from, at, name);
    }

    /// At the moment `at`, something was done that went on beside the steps since the end of the latest span called `since`.
    pub fn mark_since(&mut self, since: &str, at: Instant, name: fmt::Arguments<'_>) {
        let from = self.spans.iter().rev().find(|span| span.name == since).map_or(self.last, |span| span.to);
        self.beside(from, at, name);
    }

    /// Something was done beside the steps, from one moment to another.
    pub fn beside(&mut self, from: Instant, to: Instant, name: fmt::Arguments<'_>) {
        let mut text = Name(String::new());
        // It fails where the name is longer than what is kept.
        let _ = fmt::write(&mut text, name);
        if self.spans.len() >= MOST_SPANS {
            self.spans.pop_front();
        }
        self.spans.push_back(Span { from, to, name: text.0, bytes: 0 });
    }

    /// The latest span called `name` took so long, and brought so many bytes.
    pub fn measured(&mut self, name: &str, took: Duration, bytes: u64) {
        if let Some(span) = self.spans.iter_mut().rev().find(|span| span.name.chars().eq(kept(name))) {
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            span.from = Instant::from_micros(span.to.micros().saturating_sub(micros));
            span.bytes = bytes;
        }
    }

    /// The spans.
    pub fn spans(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter()
    }

    /// Writes a row for each span: when it began in milliseconds since power-on, how many it took, what it was, and a bar on the scale of all that
    /// the loader did, in at most `columns` columns, of which there should be 40. The last row is the present.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn waterfall(&self, now: Instant, columns: usize, out: &mut dyn fmt::Write) -> fmt::Result {
        // The first span is the firmware's, and may be as long as all others.
        let start = self.spans.front().map_or(now, |span| span.to).micros();
        let end = self.spans.iter().map(|span| span.to.micros()).max().unwrap_or(start);
        let width = columns.saturating_sub(NUMBERS + 1);
        let longest = self.spans.iter().map(|span| span.name.chars().count()).max().unwrap_or(0);
        let name_width = longest.max(4).min(width / 2);
        let bar_width = width.saturating_sub(name_width + 1);
        let column = |moment: Instant| {
            let since = u128::from(moment.micros().saturating_sub(start));
            let column = since * (bar_width as u128) / u128::from(end.saturating_sub(start).max(1));
            usize::try_from(column).unwrap_or(bar_width).min(bar_width.saturating_sub(1))
        };
        for Span { from, to, name, .. } in &self.spans {
            let name: String = name.chars().take(name_width).collect();
            let (left, right) = (column(*from), column(*to));
            let bar = format!("{:left$}{}", "", "#".repeat(right.saturating_sub(left) + 1));
            let (began, took) = (Milliseconds(from.micros()), Milliseconds(to.since(*from).as_micros() as u64));
            writeln!(out, "{began:>9} {took:>8}  {name:name_width$} {bar}")?;
        }
        writeln!(out, "{:>9} {:>8}  now", Milliseconds(now.micros()), "")
    }

    /// Leaves the spans in the tree that the next system gets. A tree without room for them stays as it is.
    ///
    /// # Errors
    /// Those of the editor, but for a lack of room.
    pub fn leave(&self, editor: &mut Editor<'_>) -> Result<(), edit::Error> {
        match self.write(editor) {
            Err(edit::Error::NoRoom { .. }) => match editor.delete_node(NODE) {
                // Not even the node had room.
                Err(edit::Error::NoSuchNode { .. }) => Ok(()),
                deleted => deleted,
            },
            written => written,
        }
    }

    fn write(&self, editor: &mut Editor<'_>) -> Result<(), edit::Error> {
        let left = || self.spans.iter().skip(self.spans.len().saturating_sub(MOST_LEFT));
        let names: Vec<&str> = left().map(|span| span.name.as_str()).collect();
        let moments: Vec<u8> =
            left().flat_map(|span| [span.from, span.to]).flat_map(|moment| moment.micros().to_be_bytes()).collect();
        let bytes: Vec<u8> = left().flat_map(|span| span.bytes.to_be_bytes()).collect();
        if editor.tree()?.find(NODE).is_some() {
            // Another loader's, or that of the boot before this one.
            editor.delete_node(NODE)?;
        }
        if editor.tree()?.find("/chosen").is_none() {
            editor.add_node("/", "chosen")?;
        }
        editor.add_node("/chosen", "xenlift")?;
        editor.set_string(NODE, "loader", concat!("Xenlift ", env!("CARGO_PKG_VERSION")))?;
        editor.set_strings(NODE, "span-names", &names)?;
        editor.set_property(NODE, "span-us", &moments)?;
        editor.set_property(NODE, "span-bytes", &bytes)
    }
}

struct Name(String);

impl fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars().filter(|character| !character.is_control()) {
            if self.0.len() + character.len_utf8() > LONGEST_NAME {
                return Err(fmt::Error);
            }
            self.0.push(character);
        }
        Ok(())
    }
}

/// What is kept of a name.
fn kept(name: &str) -> impl Iterator<Item = char> {
    let mut length = 0;
    name.chars().filter(|character| !character.is_control()).take_while(move |character| {
        length += character.len_utf8();
        length <= LONGEST_NAME
    })
}

/// So many microseconds, in milliseconds with a tenth.
struct Milliseconds(u64);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}", self.0 / 1000, self.0 / 100 % 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::test_tree::TestTree;
    use crate::device_tree::Tree;

    const fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn boot() -> Timing {
        let mut timing = Timing::default();
        timing.mark(at(3_120_000), format_args!("start"));
        timing.mark(at(3_121_450), format_args!("console"));
        timing.mark(at(3_125_000), format_args!("Ethernet started"));
        timing.mark_since("Ethernet started", at(5_200_000), format_args!("link"));
        timing.mark_since("link", at(5_300_000), format_args!("lease"));
        timing.mark(at(5_500_000), format_args!("settings"));
        timing.mark_since("settings", at(6_500_000), format_args!("{}", "Image"));
        timing.measured("Image", Duration::from_millis(800), 40_000_000);
        timing.beside(at(6_500_000), at(6_800_000), format_args!("Image, gunzip"));
        timing.mark(at(7_120_000), format_args!("jump"));
        timing
    }

    fn waterfall(timing: &Timing, columns: usize) -> String {
        let mut text = String::new();
        timing.waterfall(at(9_000_000), columns, &mut text).unwrap();
        text
    }

    #[test]
    fn a_waterfall_shows_what_went_on_beside_what() {
        let rows = [
            "      0.0   3120.0  start            #",
            "   3120.0      1.4  console          #",
            "   3121.4      3.5  Ethernet started #",
            "   3125.0   2075.0  link             ############",
            "   5200.0    100.0  lease                       #",
            "   3125.0   2375.0  settings         ##############",
            "   5700.0    800.0  Image                          #####",
            "   6500.0    300.0  Image, gunzip                      ###",
            "   5500.0   1620.0  jump                          #########",
            "   9000.0           now",
        ];
        assert!(waterfall(&boot(), 60).lines().eq(rows), "{}", waterfall(&boot(), 60));
    }

    #[test]
    fn no_row_is_longer_than_the_terminal_is_wide() {
        let mut timing = boot();
        timing.mark(at(7_130_000), format_args!("{}", "a-directory/".repeat(8)));
        for columns in [40, 60, 80, 132] {
            let text = waterfall(&timing, columns);
            assert!(text.lines().all(|line| line.chars().count() < columns), "{columns}:\n{text}");
            assert!(text.lines().any(|line| line.chars().count() == columns - 1), "{columns}:\n{text}");
        }
        // Nothing that happened, and everything at the end of time.
        assert_eq!(waterfall(&Timing::default(), 0), "   9000.0           now\n");
        timing.mark(at(u64::MAX), format_args!("end"));
        assert!(waterfall(&timing, 80).lines().all(|line| line.len() < 100));
    }

    #[test]
    fn names_are_one_short_line_and_the_oldest_spans_go() {
        let mut timing = Timing::default();
        for step in 0..1000 {
            timing.mark(at(step), format_args!("{step}\r\n\x1b[2J{}", "ä".repeat(100)));
        }
        let spans: Vec<_> = timing.spans().collect();
        assert_eq!(spans.len(), MOST_SPANS);
        assert!(spans[0].name.starts_with("872[2Jä"), "{:?}", spans[0].name);
        assert!(spans.iter().all(|span| span.name.len() <= LONGEST_NAME && !span.name.contains(char::is_control)));
        timing.measured(&format!("900\r[2J{}", "ä".repeat(100)), Duration::from_micros(7), 5);
        let found = timing.spans().find(|span| span.bytes == 5).unwrap();
        assert_eq!((found.from, found.to), (at(893), at(900)));
    }

    #[test]
    fn the_next_system_finds_the_last_spans_in_its_tree() {
        let mut timing = boot();
        for boots in 1..=2 {
            let mut board = TestTree::board();
            let mut editor = board.editor();
            timing.leave(&mut editor).unwrap();
            // Once more, as after a boot that failed.
            timing.leave(&mut editor).unwrap();
            let tree = editor.tree().unwrap();
            let node = tree.find(NODE).unwrap();
            let value = |name: &str| node.property(name).unwrap().value().to_vec();
            let names = String::from_utf8(value("span-names")).unwrap();
            let names: Vec<&str> = names.split_terminator('\0').collect();
            assert_eq!(names.len(), [9, MOST_LEFT][boots - 1]);
            assert_eq!(value("span-us").len(), names.len() * 16);
            let image = names.iter().position(|name| *name == "Image").unwrap();
            assert_eq!(value("span-us")[image * 16..][..8], 5_700_000_u64.to_be_bytes());
            assert_eq!(value("span-us")[image * 16 + 8..][..8], 6_500_000_u64.to_be_bytes());
            assert_eq!(value("span-bytes")[image * 8..][..8], 40_000_000_u64.to_be_bytes());
            // What was left to do with it is beside the steps, and no file on its way.
            let gunzip = names.iter().position(|name| *name == "Image, gunzip").unwrap();
            let span = [6_500_000_u64, 6_800_000].map(u64::to_be_bytes).concat();
            assert_eq!(
                (&value("span-us")[gunzip * 16..][..16], &value("span-bytes")[gunzip * 8..][..8]),
                (&span[..], &[0; 8][..])
            );
            for step in 0..41 {
                timing.mark(at(8_000_000 + step), format_args!("more"));
            }
        }
    }

    #[test]
    fn a_tree_without_room_stays_as_it_is() {
        let mut board = TestTree::board();
        let tree = board.editor().as_bytes().to_vec();
        let mut fits = 0;
        for room in 0..800 {
            let mut buffer = alloc::vec![0; tree.len() + room + 8];
            let start = buffer.as_ptr().align_offset(8);
            let mut editor = Editor::copy(&tree, &mut buffer[start..start + tree.len() + room]).unwrap();
            boot().leave(&mut editor).unwrap();
            let left = Tree::new(editor.as_bytes()).unwrap();
            let properties = left.find(NODE).map(|node| node.properties().count());
            fits += u32::from(properties.is_some());
            assert!(matches!(properties, None | Some(4)), "{room}: {properties:?}");
        }
        assert!((100..700).contains(&fits), "{fits}");
    }
}
