//! The network: what a controller must offer ([`device`]), and the protocols over it.
//!
//! Frames go through [`interface`] (smoltcp, ARP), which [`dhcp`] gives its address; datagrams of transfers go past smoltcp (`udp`), the
//! connections of HTTP do not. [`tftp`] and [`http`] are the transfer protocols, free of I/O. [`fetch`] puts them together into a session that
//! brings files side by side, and [`settings`] finds the board's settings on the server. Everything is polled from one loop; nothing waits without a bound.

pub mod device;
pub mod dhcp;
pub mod fetch;
mod frames;
pub mod http;
pub mod interface;
pub mod settings;
pub mod tftp;
mod udp;
