//! Booting: from an entry of the settings to the jump.
//!
//! * [`image`] – what a kernel or hypervisor file is, and how much memory it needs. [`gzip`] – unpacking.
//! * [`layout`] – who lies where in physical memory: the one allocator.
//! * [`plan`] – what an entry takes, checked before a byte is fetched wherever it can be.
//! * [`xen_console`] – which UART Xen will use, and what the tree needs for that. [`xen`] – `/chosen` as Xen wants it.
//! * [`summary`] – the lines before the jump.
//!
//! These are pure and host-tested.

pub mod gzip;
pub mod image;
pub mod layout;
pub mod plan;
pub mod summary;
#[cfg(test)]
mod test_tree;
pub mod xen;
pub mod xen_console;
