//! The work behind `cargo xtask`, as a library, so that the end-to-end tests use the same pieces.
//!
//! * [`process`] runs programs; [`cache`] keeps what was built or fetched once.
//! * [`apt`] reaches Debian's archive; [`packages`] names what is taken from it.
//! * [`cpio`] writes archives; [`kernel_modules`] and [`ramdisk`] make the demonstration's Dom0.
//! * [`toolchain`] compiles for the board; [`loader`] builds `loader.bin`, and [`product`] checks it.
//! * [`bundle`] packs settings and images; [`serve`] serves them; [`servers`] are those that people run.
//! * [`card`] makes SD cards; [`u_boot_tools`] runs mkimage and its like; [`image_builder`] writes scripts as ImageBuilder does.
//! * [`tutorial`] has the scripts of the tutorials that people follow.
//! * [`emulator`] finds QEMU and runs the board in it; [`qemu_build`] builds one whose board has Ethernet.
//! * [`commands`] is what each command does.

pub mod apt;
pub mod bundle;
pub mod busybox_build;
pub mod cache;
pub mod card;
pub mod commands;
pub mod cpio;
pub mod emulator;
pub mod image_builder;
pub mod kernel_modules;
pub mod loader;
pub mod packages;
pub mod picture;
pub mod process;
pub mod product;
pub mod qemu_build;
pub mod ramdisk;
pub mod serve;
pub mod servers;
pub mod terminal;
pub mod tmux;
pub mod toolchain;
pub mod tutorial;
pub mod u_boot_tools;
