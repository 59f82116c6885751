//! Flattened device trees: checked, read, edited in place.
//!
//! The loader owes Xen a tree that is right to the byte, made from a tree it did not write: the firmware's (at the address in
//! x0), or one from a card or a server. What comes from there passes [`check()`] first, which knows the whole of chapter 5 of
//! the Devicetree Specification v0.4; everything after it may rely on the structure and none of it on the contents.
//!
//! * [`check()`] - is this a tree at all, and where exactly not.
//! * [`read`] - finding nodes and properties, memory, reservations, addresses as the CPU sees them. Tokens are parsed by fdt-rs.
//! * [`edit`] - setting and deleting properties and nodes in a buffer with room to grow.
//! * [`firmware`] - what the firmware's tree knows about this board, carried into another tree.
//! * [`overlay`] - overlays (`.dtbo`) applied to a tree.
//! * [`value`], [`source()`], [`difference()`] - a value, a tree, and what was changed in a tree, as text for people and for dtc.
//!
//! All of it is pure: no module here imports `arch` or `drivers`.

pub mod check;
pub mod difference;
pub mod edit;
pub mod firmware;
mod header;
pub mod label;
pub mod overlay;
pub mod read;
pub mod source;
pub mod value;

pub use check::check;
pub use difference::difference;
pub use edit::Editor;
pub use header::Header;
pub use label::Label;
pub use read::{Node, Property, Tree};
pub use source::source;
pub use value::Value;
