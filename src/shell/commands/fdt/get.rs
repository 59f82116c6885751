//! `fdt get`: from the tree into variables.

use super::{index, no_node, no_property};
use crate::device_tree::value::texts;
use crate::shell::{Failure, Outcome, Shell};
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

/// Bytes of the longest value that becomes a variable.
const LONGEST: usize = 0x4000;

/// `fdt get value|name|addr|size VARIABLE PATH [PROPERTY|INDEX] [INDEX]`.
///
/// A number that is a count (of children) is decimal, a size in bytes and an address are hexadecimal without `0x`, and a cell is hexadecimal with it: as
/// different as U-Boot has them, because scripts count on it.
pub fn get(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let (what, name, path, rest) = match arguments {
        [what, name, path, rest @ ..] => (what.as_str(), name, path, rest),
        _ => return Err(Failure::Usage),
    };
    let tree = shell.tree()?;
    let node = tree.walk(path).map_err(|component| no_node(path, component))?;
    let kind = what.bytes().next();
    let text = match (kind, rest) {
        (Some(b'n'), [at]) => {
            let at = index(at, 16)?;
            let child = node.children().nth(at);
            child.ok_or_else(|| Failure::because(format!("{path} has no child number {at}")))?.name().into()
        }
        (Some(b's'), []) => format!("{}", node.children().count()).into(),
        (Some(b'v' | b'a' | b's'), [property, at @ ..]) => {
            let value = node.property(property).ok_or_else(|| no_property(path, property))?.value();
            match (kind, at) {
                (Some(b's'), []) => format!("{:x}", value.len()).into(),
                (Some(b'a'), []) => {
                    let offset = value.as_ptr().addr().saturating_sub(tree.bytes().as_ptr().addr());
                    format!("{:x}", shell.working_tree.unwrap_or_default().saturating_add(offset as u64)).into()
                }
                (Some(b'v'), [] | [_]) => {
                    let at = at.first().map(|at| index(at, 10)).transpose()?;
                    let missing = || format!("{property} of {path} has no entry number {}", at.unwrap_or(0));
                    value_text(value, at).ok_or_else(|| Failure::because(missing()))?
                }
                _ => return Err(Failure::Usage),
            }
        }
        _ => return Err(Failure::Usage),
    };
    if text.len() > LONGEST {
        return Err(Failure::because(format!("the value has {} characters, expected at most {LONGEST}", text.len())));
    }
    let text = text.into_owned();
    shell.store(name, &text)
}

/// A property's value, or one entry of it, as it becomes a variable; a text is not copied before its length was looked at.
fn value_text(value: &[u8], index: Option<usize>) -> Option<Cow<'_, str>> {
    if let Some(mut texts) = texts(value) {
        return texts.nth(index.unwrap_or(0)).map(Cow::Borrowed);
    }
    let (cells, rest) = value.as_chunks::<4>();
    let cell = |cell: &[u8; 4]| Cow::from(format!("0x{:08X}", u32::from_be_bytes(*cell)));
    match (cells, index) {
        ([], _) if rest.is_empty() => Some(Cow::Borrowed("")),
        ([one], _) if rest.is_empty() => Some(cell(one)),
        (cells, Some(index)) if rest.is_empty() => cells.get(index).map(cell),
        _ => {
            // Digests and the like.
            let mut text = String::new();
            for byte in value.iter().take(LONGEST) {
                let _ = write!(text, "{byte:02x}");
            }
            Some(text.into())
        }
    }
}
