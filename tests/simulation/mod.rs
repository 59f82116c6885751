//! A network, its servers and an Ethernet controller that exist only in the test: every run with the same seed is the same run.

#![allow(dead_code, reason = "each test program that includes it uses a part of it")]

pub mod board;
pub mod lan;
pub mod memory;
pub mod network;
pub mod server;
pub mod web;
