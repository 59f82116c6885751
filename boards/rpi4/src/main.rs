//! Xenlift for the Raspberry Pi 4: the firmware binary, `loader.bin`.
fn main() {}
