//! The GENET driver on the strict model of the controller: whatever silicon would not do, the model refuses and logs.

#![allow(clippy::unwrap_used, clippy::panic)] // in helpers, too: a bench that cannot be set up is a failed test

mod bring_up;
mod desk;
mod faults;
mod frames;
mod link;
mod stop;
