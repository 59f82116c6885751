//! What a Tab can make of a word at the prompt.
//!
//! A command's usage says what its arguments are, so that is what is asked: what is written small stands there as it is (`print`, `list`,
//! `fat|any`), what is written large is a name of something that is known: `VARIABLE`, `ENTRY`, `PATH` and `PROPERTY` of the device tree, `FILE`
//! of the card. So a command that is added completes as soon as its usage is written.

use super::command::Command;
use super::commands::files::partition;
use super::language::find;
use super::working_tree::tree_at;
use super::{Shell, commands};
use crate::config::nearest::nearest;
use crate::device_tree::Tree;
use crate::terminal::line::{Candidates, Completer};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

/// Words of the language behind which a command begins.
const BEFORE_COMMANDS: [&str; 8] = ["if", "then", "elif", "else", "while", "until", "do", "!"];

/// Children of a node that are looked at.
const MOST_CHILDREN: usize = 1024;

impl Completer for Shell<'_> {
    fn complete(&mut self, candidates: &mut Candidates<'_>) {
        let before = candidates.before();
        if let Some((name, braced)) = open_variable(before) {
            candidates.set_word(name.len());
            self.variables(candidates, if braced { "}" } else { "" });
            return;
        }
        let mut words: Vec<&str> = command_words(before);
        // The last one is under the cursor.
        words.pop();
        match words.split_first() {
            None => commands::all().for_each(|command| candidates.add(command.name)),
            Some((name, arguments)) => {
                let Ok(command) = find(name) else { return };
                for form in forms(command) {
                    self.argument(&form, arguments, candidates);
                }
            }
        }
    }
}

impl Shell<'_> {
    /// Adds what can stand behind `arguments` in a form of a command.
    fn argument(&mut self, form: &[&str], arguments: &[&str], candidates: &mut Candidates<'_>) {
        // Options can be anywhere, and are told by their dash.
        let given: Vec<&str> = arguments.iter().copied().filter(|word| !word.starts_with('-')).collect();
        let token = |index: usize| {
            let last = form.last().filter(|last| last.ends_with("..."));
            form.get(index).or(last).copied()
        };
        for (index, word) in given.iter().enumerate() {
            match token(index) {
                Some(token) if !is_literal(token) || token.split('|').any(|known| known == *word) => {}
                _ => return,
            }
        }
        let Some(wanted) = token(given.len()) else { return };
        // The word that was given for a name of the form.
        let given_for = |name: &str| {
            let index = form.iter().position(|token| token.starts_with(name))?;
            given.get(index).copied().map(ToOwned::to_owned)
        };
        let name = wanted.trim_end_matches("...");
        match name.split(['[', ':', '|']).next().unwrap_or_default() {
            _ if is_literal(wanted) => wanted.split('|').for_each(|word| candidates.add(word)),
            "VARIABLE" => self.variables(candidates, ""),
            // Elsewhere it is the name of something new.
            "NAME" if !form.contains(&"PATH") => self.variables(candidates, ""),
            "ENTRY" => self.platform.entries().iter().for_each(|entry| candidates.add(&entry.name)),
            "COMMAND" => commands::all().for_each(|command| candidates.add(command.name)),
            "INTERFACE" => candidates.add("mmc"),
            "DEVICE" => self.devices(candidates),
            "FILE" | "DIRECTORY" => {
                if let (Some(interface), Some(device)) = (given_for("INTERFACE"), given_for("DEVICE")) {
                    self.files(&interface, &device, candidates);
                }
            }
            "PATH" => self.nodes(candidates),
            "PROPERTY" => {
                if let Some(path) = given_for("PATH") {
                    self.properties(&path, candidates);
                }
            }
            _ => {}
        }
    }

    fn variables(&self, candidates: &mut Candidates<'_>, end: &str) {
        for (name, _) in self.environment.iter().chain(self.language.locals.iter()) {
            candidates.add(&format!("{name}{end}"));
        }
    }

    fn devices(&mut self, candidates: &mut Candidates<'_>) {
        for entry in self.platform.partitions("mmc", 0).unwrap_or_default() {
            candidates.add(&format!("0:{:x}", entry.number));
        }
    }

    /// What is in the directory of the card that the word names.
    fn files(&mut self, interface: &str, device: &str, candidates: &mut Candidates<'_>) {
        let word = candidates.word().to_owned();
        let directory = word.rfind('/').and_then(|slash| word.get(..=slash)).unwrap_or_default();
        let place = if directory.is_empty() { "/" } else { directory };
        let Ok(partition) = partition(interface, device) else { return };
        let Ok(found) = self.platform.list(&partition, place) else { return };
        for entry in found.entries {
            // What the language would take apart is not offered.
            let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\'\"$;&|#".contains(&byte);
            if entry.name.bytes().all(plain) && entry.name != "." && entry.name != ".." {
                let end = if entry.size.is_none() { "/" } else { "" };
                candidates.add(&format!("{directory}{}{end}", entry.name));
            }
        }
    }

    /// The tree that the `fdt` commands work on, or else the firmware's.
    fn tree_to_look_at(&self) -> Option<Tree<'_>> {
        let firmware = self.platform.facts().firmware_tree.map(|range| range.start);
        tree_at(self.platform, self.working_tree.or(firmware)?).ok()
    }

    /// Nodes below the one that the word names.
    fn nodes(&self, candidates: &mut Candidates<'_>) {
        let Some(tree) = self.tree_to_look_at() else { return };
        let word = candidates.word().to_owned();
        let Some(slash) = word.rfind('/') else {
            let aliases = tree.find("/aliases");
            aliases.iter().flat_map(|node| node.properties()).for_each(|alias| candidates.add(alias.name()));
            candidates.add("/");
            return;
        };
        let parent = word.get(..slash).unwrap_or_default();
        let Ok(node) = tree.walk(if parent.is_empty() { "/" } else { parent }) else { return };
        for child in node.children().take(MOST_CHILDREN) {
            let end = if child.children().next().is_some() { "/" } else { "" };
            candidates.add(&format!("{parent}/{}{end}", child.name()));
        }
    }

    fn properties(&self, path: &str, candidates: &mut Candidates<'_>) {
        let Some(tree) = self.tree_to_look_at() else { return };
        let Ok(node) = tree.walk(path) else { return };
        node.properties().take(MOST_CHILDREN).for_each(|property| candidates.add(property.name()));
    }
}

/// The name of the variable that is begun at the end of `before`, and whether it is in braces.
fn open_variable(before: &str) -> Option<(&str, bool)> {
    let (_, behind) = before.rsplit_once('$')?;
    let (name, braced) = behind.strip_prefix('{').map_or((behind, false), |name| (name, true));
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || (braced && byte == b'#'));
    is_name.then_some((name, braced))
}

/// The words of the command in which the cursor is, the last one being the one under it.
fn command_words(before: &str) -> Vec<&str> {
    let command = before.rsplit([';', '&', '|']).next().unwrap_or(before);
    let is_not_yet = |word: &&str| BEFORE_COMMANDS.contains(word) || word.contains('=');
    let mut words: Vec<&str> = command.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    if command.ends_with([' ', '\t']) || words.is_empty() {
        words.push("");
    }
    let (last, rest) = words.split_last().unwrap_or((&"", &[]));
    rest.iter().copied().skip_while(is_not_yet).chain([*last]).collect()
}

/// The word that `command` knows as its first argument and that `word` was most likely meant to be.
pub(super) fn nearest_word(command: &Command, word: &str) -> Option<&'static str> {
    let forms = forms(command);
    let first = forms.iter().filter_map(|form| form.first()).filter(|token| is_literal(token));
    nearest(word, first.flat_map(|token| token.split('|')))
}

/// The forms of a command's usage, each as its words, without brackets and options.
fn forms(command: &Command) -> Vec<Vec<&'static str>> {
    let mut forms = Vec::new();
    for line in command.usage.lines() {
        let (mut depth, mut start) = (0_usize, 0);
        for (index, byte) in line.bytes().enumerate() {
            match byte {
                b'[' => depth += 1,
                b']' => depth = depth.saturating_sub(1),
                // Between blanks it is between forms, without blanks between words.
                b'|' if depth == 0 && line.get(..index).is_some_and(|text| text.ends_with(' ')) => {
                    forms.push(words_of(line.get(start..index).unwrap_or_default()));
                    start = index + 1;
                }
                _ => {}
            }
        }
        forms.push(words_of(line.get(start..).unwrap_or_default()));
    }
    forms
}

fn words_of(form: &'static str) -> Vec<&'static str> {
    let words = form.split(' ').map(|word| word.trim_matches(['[', ']']));
    words.filter(|word| !word.is_empty() && !word.starts_with('-') && *word != "|").collect()
}

/// Whether a word of a usage stands for itself.
fn is_literal(token: &str) -> bool {
    token.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'|') && !token.is_empty()
}

#[cfg(test)]
#[path = "completion_tests.rs"]
mod tests;
