//! Editing an entry's command lines, for the next boot only.

use super::{Action, Menu, Page, Shown, foot, heading, keys, told};
use crate::config::command_line;
use crate::config::{Entry, Payload};
use crate::terminal::frame::{Frame, Style};
use crate::terminal::key::Key;
use crate::terminal::line::Outcome;
use crate::terminal::{Kind, clipped, wrap};
use crate::time::Instant;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

const KEYS: &[&str] = &["Enter: edit", "b: boot", "u: undo", "Escape: back"];
const LINE_KEYS: &[&str] = &["Enter: take it", "Control-C: leave it as it was"];

/// The command lines of an entry: whose each is, and what it says.
pub(super) fn lines(entry: &Entry) -> Vec<(&str, &str)> {
    let mut lines = Vec::new();
    match &entry.payload {
        Payload::Xen(xen) => {
            lines.push(("Xen", xen.args.as_str()));
            lines.extend(xen.dom0.iter().map(|dom0| ("Dom0", dom0.args.as_str())));
            lines.extend(xen.domains.iter().map(|domain| (domain.name.as_str(), domain.args.as_str())));
        }
        Payload::Linux(linux) => lines.push(("Linux", linux.args.as_str())),
        // A script has its lines in itself.
        Payload::Script(_) | Payload::ImageBuilder(_) => {}
    }
    lines
}

/// Puts `text` in the place of the line with that index in [`lines`].
fn set_line(entry: &mut Entry, index: usize, text: String) {
    let mut lines: Vec<&mut String> = Vec::new();
    match &mut entry.payload {
        Payload::Xen(xen) => {
            lines.push(&mut xen.args);
            lines.extend(xen.dom0.iter_mut().map(|dom0| &mut dom0.args));
            lines.extend(xen.domains.iter_mut().map(|domain| &mut domain.args));
        }
        Payload::Linux(linux) => lines.push(&mut linux.args),
        Payload::Script(_) | Payload::ImageBuilder(_) => {}
    }
    if let Some(line) = lines.into_iter().nth(index) {
        *line = text;
    }
}

/// What is wrong with `text` as the line of that index, in words.
fn check(entry: &Entry, index: usize, text: &str) -> Result<(), String> {
    let checked = match &entry.payload {
        Payload::Xen(_) if index == 0 => command_line::check_xen(text),
        _ => command_line::check(text),
    };
    checked.map_err(|error| error.to_string())
}

impl Menu<'_> {
    pub(super) fn lines_key(&mut self, key: Key, out: &mut dyn Write) -> Option<Action> {
        let Page::Lines(selected) = &mut self.page else { return None };
        let index = self.selected;
        let entry = self.edited.get(&index).or_else(|| self.entries.get(index));
        let last = entry.map_or(0, |entry| lines(entry).len()).saturating_sub(1);
        match key {
            Key::Up => *selected = selected.saturating_sub(1),
            Key::Down => *selected = (*selected + 1).min(last),
            Key::Home => *selected = 0,
            Key::End => *selected = last,
            Key::Enter | Key::Char('e') => {
                let selected = *selected;
                self.begin_line(selected, out);
            }
            Key::Char('b') | Key::Control(b'x') => {
                self.page = Page::List;
                return Some(Action::Boot(index));
            }
            Key::Char('u') => {
                self.edited.remove(&index);
            }
            Key::Escape | Key::Char('q') | Key::Left | Key::Backspace | Key::Control(b'c') => self.page = Page::List,
            _ => {}
        }
        None
    }

    pub(super) fn draw_lines(&self, selected: usize, status: &[String], frame: &mut Frame) {
        let Some(entry) = self.entry(self.selected) else { return };
        let lines = lines(entry);
        let is_edited = |index| self.is_edited(index);
        let widest = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0).min(frame.width() / 3);
        let keys = keys(KEYS, frame);
        let room = frame.height().saturating_sub(2 + status.len().max(1) + keys.len()).max(1);
        // A line that its row has not room for is told in full below: its end is where people add something.
        let text = lines.get(selected).map_or("", |(_, line)| line);
        let is_cut = text.chars().count() > frame.width().saturating_sub(widest + 4);
        let full = if is_cut { wrap::rows(&alloc::format!("{}", Shown(text)), frame.width()) } else { Vec::new() };
        let rows = lines.len().min(room - full.len().min(room / 2));
        let first = selected.saturating_sub(rows / 2).min(lines.len().saturating_sub(rows));

        let what = if (0..lines.len()).any(is_edited) { ": command lines (* edited)" } else { ": command lines" };
        let title = clipped(String::from(entry.title()), frame.width().saturating_sub(what.len()));
        heading(format_args!("{title}{what}"), first..first + rows, lines.len(), frame);
        let mut cursor = 0;
        for (index, (label, line)) in lines.iter().enumerate().skip(first).take(rows) {
            let is_selected = index == selected;
            let (style, mark) = if is_selected { (Style::Reverse, '>') } else { (Style::Normal, ' ') };
            frame.line(style, format_args!("{mark} "));
            frame.add_within(widest + 2, style, format_args!("{}", Shown(label)));
            frame.fill_to(widest + 2, style);
            frame.add(style, format_args!("{} {}", if is_edited(index) { '*' } else { ' ' }, Shown(line)));
            if is_selected {
                frame.fill(style);
                cursor = frame.rows().len().saturating_sub(1);
            }
        }
        if is_cut {
            frame.line(Style::Normal, format_args!(""));
        }
        for row in full.iter().skip(full.len().saturating_sub(room - rows)) {
            frame.line(Style::Normal, format_args!("{row}"));
        }
        foot(status, &keys, frame);
        frame.put_cursor_at(cursor, 0);
    }

    /// Whether the line with that index differs from that of the settings.
    fn is_edited(&self, index: usize) -> bool {
        let line = |entry: Option<&Entry>| {
            entry.and_then(|entry| lines(entry).get(index).map(|(_, line)| String::from(*line)))
        };
        line(self.edited.get(&self.selected))
            .is_some_and(|edited| Some(edited) != line(self.entries.get(self.selected)))
    }

    /// Begins to edit the line with that index.
    pub(super) fn begin_line(&mut self, index: usize, out: &mut dyn Write) {
        self.message.clear();
        if index == 0 && self.kind == Kind::Plain {
            let _ = out.write_str("For this boot only. Enter: take it. Control-C: leave it as it was.\r\n");
        }
        let line = self.entry(self.selected).and_then(|entry| lines(entry).get(index).map(|line| line.1.to_string()));
        self.edit_line(index, &line.unwrap_or_default(), out);
    }

    /// Edits `text`, which is to be the line with that index.
    fn edit_line(&mut self, index: usize, text: &str, out: &mut dyn Write) {
        let label = self.entry(self.selected).and_then(|entry| lines(entry).get(index).map(|line| line.0));
        let prompt = alloc::format!("{}: ", label.unwrap_or_default());
        self.page = Page::Line(index);
        self.paint_around_line(out);
        self.editor.begin(&prompt, text, out);
    }

    /// Paints what stands above a line that is edited, and puts the cursor where the editor has its row.
    fn paint_around_line(&mut self, out: &mut dyn Write) {
        let Kind::Ansi { columns, rows } = self.kind else { return };
        let Some(entry) = self.entry(self.selected) else { return };
        // The editor's row, and that below, which Enter goes to.
        let mut frame = Frame::new(columns, rows.saturating_sub(2));
        heading(format_args!("{}, for this boot only", Shown(entry.title())), 0..0, 0, &mut frame);
        let told = told(&self.message, &frame);
        foot(&told, &keys(LINE_KEYS, &frame), &mut frame);
        self.painter.erase(out);
        self.painter.paint(&frame, out);
        self.painter.go_below(out);
    }

    pub(super) fn edit_key(&mut self, now: Instant, key: Key, out: &mut dyn Write) -> Option<Action> {
        let Page::Line(index) = self.page else { return None };
        let is_painted = self.kind != Kind::Plain;
        if key == Key::Control(b'l') && is_painted {
            self.editor.hide(out);
            self.paint_around_line(out);
            self.editor.show(out);
            return None;
        }
        // The editor knows no Escape; here it says the same as Control-C.
        let key = if key == Key::Escape { Key::Control(b'c') } else { key };
        let outcome = self.editor.key(now, key, &mut (), out)?;
        self.painter.went_down(1);
        match outcome {
            Outcome::Entered(text) => match self.take_line(index, &text) {
                Ok(()) => self.after_line(index, true, out),
                Err(reason) => self.refuse_line(index, &reason, &text, out),
            },
            Outcome::TooLong => {
                let text =
                    self.entry(self.selected).and_then(|entry| lines(entry).get(index).map(|line| line.1.to_string()));
                self.refuse_line(index, "more was typed than a line can be long", &text.unwrap_or_default(), out);
            }
            Outcome::Interrupted | Outcome::EndOfInput => self.after_line(index, false, out),
        }
        None
    }

    /// Says why a line is not taken, and goes on with `text` in its place.
    fn refuse_line(&mut self, index: usize, reason: &str, text: &str, out: &mut dyn Write) {
        self.message = alloc::format!("Not taken: {reason}.");
        if self.kind == Kind::Plain {
            let _ = write!(out, "{}\r\n", Shown(&self.message));
        }
        self.edit_line(index, text, out);
    }

    /// Takes a line as it was edited; or says in words why not.
    fn take_line(&mut self, index: usize, text: &str) -> Result<(), String> {
        let Some(entry) = self.entry(self.selected) else { return Ok(()) };
        check(entry, index, text)?;
        if lines(entry).get(index).is_none_or(|(_, old)| *old == text) {
            return Ok(());
        }
        let mut entry = entry.clone();
        set_line(&mut entry, index, String::from(text));
        self.edited.insert(self.selected, entry);
        Ok(())
    }

    /// What comes after a line: on a plain line the next one, on a terminal the entry's lines, or the list if there is only one.
    fn after_line(&mut self, index: usize, taken: bool, out: &mut dyn Write) {
        let count = self.entry(self.selected).map_or(0, |entry| lines(entry).len());
        self.message.clear();
        self.painter.erase(out);
        match self.kind {
            Kind::Plain if taken && index + 1 < count => self.begin_line(index + 1, out),
            Kind::Plain => {
                self.page = Page::List;
                self.prompt(out);
            }
            Kind::Ansi { .. } if count > 1 => self.page = Page::Lines(index),
            Kind::Ansi { .. } => self.page = Page::List,
        }
    }
}
