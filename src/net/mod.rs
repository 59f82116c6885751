//! The network: what a controller must offer ([`device`]), and the protocols over it.

pub mod device;
pub mod tftp;
