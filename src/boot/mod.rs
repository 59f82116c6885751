//! Booting: from an entry of the settings to the jump.
//!
//! * [`image`] – what a kernel or hypervisor file is, and how much memory it needs. [`gzip`] – unpacking.
//! * [`layout`] – who lies where in physical memory: the one allocator.
//!
//! These are pure and host-tested.

pub mod gzip;
pub mod image;
pub mod layout;
