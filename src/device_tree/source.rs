//! A tree as the source that dtc compiles to it again.
//!
//! Order is kept, and so is everything that a source can say. What it cannot say is told in a comment in its place: names with characters that the
//! language does not have (dtc's lexer, `PROPNODECHAR`), which only a damaged or forged tree has. The number of the boot CPU, which dtc takes from its
//! command line, is a comment as well.

use core::fmt;

use super::header::{RESERVATION_SIZE, double_word};
use super::read::{Token, Tree};
use super::value::Value;

/// Writes the source of `tree` to `out`.
///
/// # Errors
/// Only those of `out`.
pub fn source(tree: &Tree<'_>, out: &mut dyn fmt::Write) -> fmt::Result {
    out.write_str("/dts-v1/;\n")?;
    if tree.header().boot_cpu != 0 {
        writeln!(out, "// boot CPU {:#x}: dtc -b", tree.header().boot_cpu)?;
    }
    // Those of no bytes, too, which mean nothing.
    let header = tree.header();
    let end = header.reservations_size.saturating_sub(RESERVATION_SIZE);
    for offset in (0..end).step_by(RESERVATION_SIZE).map(|offset| header.reservations_offset + offset) {
        let (address, size) = (double_word(tree.bytes(), offset), double_word(tree.bytes(), offset + 8));
        writeln!(out, "/memreserve/ {:#018x} {:#018x};", address.unwrap_or_default(), size.unwrap_or_default())?;
    }
    out.write_char('\n')?;
    let mut cursor = tree.cursor(tree.header().structure_offset);
    let mut depth = 0usize;
    // Nodes that are open and left out.
    let mut hidden = 0usize;
    while let Some(token) = cursor.step() {
        match token {
            Token::BeginNode(_) | Token::EndNode if hidden > 0 => match token {
                Token::BeginNode(_) => hidden += 1,
                _ => hidden -= 1,
            },
            _ if hidden > 0 => {}
            Token::BeginNode(name) if depth > 0 && !can_be_written(name) => {
                indent(out, depth)?;
                writeln!(out, "// left out, with all below it: a source cannot name a node {name}")?;
                hidden = 1;
            }
            Token::BeginNode(name) => {
                if depth > 0 {
                    out.write_char('\n')?;
                }
                indent(out, depth)?;
                writeln!(out, "{} {{", if depth == 0 { "/" } else { name })?;
                depth += 1;
            }
            Token::EndNode => {
                depth = depth.saturating_sub(1);
                indent(out, depth)?;
                out.write_str("};\n")?;
            }
            Token::Property { name, .. } if !can_be_written(name) => {
                indent(out, depth)?;
                writeln!(out, "// left out: a source cannot name a property {name}")?;
            }
            Token::Property { name, value } => {
                indent(out, depth)?;
                out.write_str(name)?;
                if !value.is_empty() {
                    write!(out, " = {}", Value::in_source(value))?;
                }
                out.write_str(";\n")?;
            }
            Token::Nop => {}
        }
    }
    Ok(())
}

fn indent(out: &mut dyn fmt::Write, depth: usize) -> fmt::Result {
    (0..depth).try_for_each(|_| out.write_char('\t'))
}

/// Whether the source language has all characters of a name.
fn can_be_written(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b",._+*#?@-".contains(&byte))
}
