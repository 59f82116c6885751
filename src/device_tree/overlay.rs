//! Applying an overlay (`.dtbo`): a tree of fragments, each of which says what to add to a node of another tree.
//!
//! The format is dtc's (Documentation/dt-object-internal.txt in its source): a child of the root with an `__overlay__` node is a fragment; `target` or
//! `target-path` says which node it goes to; `__fixups__` lists where phandles of the other tree's labels belong, by the labels that the
//! other tree's `__symbols__` explains; `__local_fixups__` lists where the overlay refers to its own nodes. The overlay's own
//! phandles are moved above those of the other tree; a node that the other tree has, with a phandle, keeps it.
//!
//! The overlay is only read: values are put right on their way into the other tree.

mod error;
mod fixups;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::edit::{self, Editor};
use super::read::{Node, Tree};
use fixups::Patches;

pub use error::Error;

/// The largest overlay that is applied, in bytes. Those of the Raspberry Pi have at most 40 KiB, and each of its properties moves the tree.
pub const LARGEST: usize = 64 << 10;

/// What a fragment's contents are called; a fragment without it (the Raspberry Pi's `__dormant__`) is left out.
const CONTENTS: &str = "__overlay__";

/// A fragment and the path of the node that it goes to.
struct Fragment<'a> {
    contents: Node<'a>,
    /// The path of `contents` in the overlay.
    path: String,
    target: String,
}

/// Applies `overlay` to the tree of `editor`.
///
/// # Errors
/// [`Error`]; whatever the overlay itself or the tree's labels lack is found before the first edit. If an edit fails for want of room, a part
/// of the overlay has been applied: the tree is whole, but not the one that was asked for. Phandles that labelled nodes lacked are given first.
pub fn apply(overlay: &Tree<'_>, editor: &mut Editor<'_>) -> Result<(), Error> {
    if overlay.header().total_size > LARGEST {
        return Err(Error::TooLarge { size: overlay.header().total_size });
    }
    let mut patches = Patches::default();
    patches.add_labels(overlay, editor)?;
    let fragments = fragments(overlay, &patches, &editor.tree()?)?;
    patches.add_own(overlay, &fragments, &editor.tree()?)?;
    for fragment in &fragments {
        merge(overlay, fragment, &patches, editor)?;
    }
    add_symbols(overlay, &fragments, editor)
}

/// The overlay's fragments, with their targets as paths of `tree`.
fn fragments<'a>(overlay: &Tree<'a>, patches: &Patches, tree: &Tree<'_>) -> Result<Vec<Fragment<'a>>, Error> {
    let mut fragments: Vec<Fragment<'a>> = Vec::new();
    for fragment in overlay.root().children() {
        let Some(contents) = fragment.children().find(|child| child.name() == CONTENTS) else { continue };
        let no_target = |wanted: &str| Error::NoTarget { fragment: fragment.name().into(), wanted: wanted.into() };
        let target = if let Some(property) = fragment.property("target") {
            let phandle = property.u32().ok_or(no_target("target"))?;
            match patches.at(&property, 0) {
                // A label of the tree's.
                Some(phandle) => tree.by_phandle(phandle).map(|node| node.path().to_string()),
                // A node of an earlier fragment.
                None => overlay.by_phandle(phandle).and_then(|node| place(&node.path().to_string(), &fragments)),
            }
            .ok_or(no_target("target"))?
        } else {
            let path =
                fragment.property("target-path").and_then(|property| property.string()).ok_or(no_target("target"))?;
            tree.find(path).ok_or(no_target(path))?.path().to_string()
        };
        fragments.push(Fragment { contents, path: contents.path().to_string(), target });
    }
    if fragments.is_empty() { Err(Error::NoFragment) } else { Ok(fragments) }
}

/// Where the overlay's node at `path` goes: `None` if it is in none of the fragments.
fn place(path: &str, fragments: &[Fragment<'_>]) -> Option<String> {
    fragments.iter().find_map(|fragment| {
        let below = path.strip_prefix(fragment.path.as_str())?;
        match below.strip_prefix('/') {
            None if below.is_empty() => Some(fragment.target.clone()),
            None => None,
            Some(below) => Some(format!("{}/{below}", fragment.target.trim_end_matches('/'))),
        }
    })
}

/// Adds what a fragment holds to its target.
fn merge(overlay: &Tree<'_>, fragment: &Fragment<'_>, patches: &Patches, editor: &mut Editor<'_>) -> Result<(), Error> {
    let (start, end) = (fragment.contents.offset, fragment.contents.end());
    let inside = overlay.nodes().skip_while(|node| node.offset < start).take_while(|node| node.offset < end);
    for node in inside {
        let Some(path) = place(&node.path().to_string(), core::slice::from_ref(fragment)) else { continue };
        if node.offset != start {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
            match editor.add_node(if parent.is_empty() { "/" } else { parent }, name) {
                Ok(()) | Err(edit::Error::Exists { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for property in node.properties() {
            editor.set_property(&path, property.name(), &patches.value(&property))?;
        }
    }
    Ok(())
}

/// Makes the labels of the overlay's nodes known to those who come after it.
fn add_symbols(overlay: &Tree<'_>, fragments: &[Fragment<'_>], editor: &mut Editor<'_>) -> Result<(), Error> {
    let Some(symbols) = overlay.root().child("__symbols__") else { return Ok(()) };
    match editor.add_node("/", "__symbols__") {
        Ok(()) | Err(edit::Error::Exists { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    for symbol in symbols.properties() {
        // A label outside of the fragments' contents names nothing that was added.
        if let Some(path) = symbol.string().and_then(|path| place(path, fragments)) {
            editor.set_string("/__symbols__", symbol.name(), &path)?;
        }
    }
    Ok(())
}
