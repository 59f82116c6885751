//! A network and a TFTP server that exist only in the test: every run with the same seed is the same run.

pub mod network;
pub mod server;
