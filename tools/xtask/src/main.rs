//! `cargo xtask`: the one entry point for people and CI.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::cache::Cache;
use xtask::commands;
use xtask::process::announce;

/// Xenlift's one entry point. What a command needs and lacks it fetches or installs, after saying so.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    /// Never reach out: what is missing is an error that says so
    #[arg(long, global = true)]
    offline: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Boot Debian's Xen to a Dom0 shell on the emulated board
    Demo {
        /// End when Dom0 says that it is ready, and fail if it does not
        #[arg(long)]
        check: bool,
        /// From one file on a stock emulator, without a network
        #[arg(long)]
        bundle: bool,
    },
    /// Run all tests: format, lints, documentation, host, loader, end to end
    Test {
        /// Leave out the long end-to-end tests
        #[arg(long)]
        quick: bool,
    },
    /// Make target/sdcard: loader.bin, config.txt, loader.toml
    Image {
        /// Copy it to a card's mounted boot partition, which has the firmware's own files
        #[arg(long, value_name = "DIR")]
        onto: Option<PathBuf>,
    },
    /// Make one file of a directory with loader.toml and images, to boot without network
    Bundle {
        /// The directory
        directory: PathBuf,
        /// The file to write
        #[arg(long, short, value_name = "FILE", default_value = "target/bundle.cpio")]
        output: PathBuf,
    },
    /// Run the loader on the emulated board with your files
    Qemu(commands::qemu::Arguments),
    /// Try a boot script without a board: what it loads, edits and boots, and what is wrong with it
    Script(commands::script::Arguments),
    /// Serve a directory over TFTP and HTTP for a real board
    Serve(commands::serve::Arguments),
    /// Measure, each figure beside its peer's
    Bench(commands::bench::Arguments),
    /// Make docs/console.svg anew: menu, fetch and summary of a boot, as a terminal shows them
    Screenshots,
    /// Fetch and build everything the other commands need, and print where it lies
    Setup,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            announce(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let cache = Cache::open(arguments.offline)?;
    match arguments.command {
        Command::Demo { check, bundle } => commands::demo::run(&cache, check, bundle),
        Command::Test { quick } => commands::test::run(&cache, quick),
        Command::Image { onto } => commands::image::run(&cache, onto.as_deref()),
        Command::Bundle { directory, output } => commands::bundle::run(&directory, &output),
        Command::Qemu(arguments) => commands::qemu::run(&cache, &arguments),
        Command::Script(arguments) => commands::script::run(&arguments),
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&cache, &arguments),
        Command::Screenshots => commands::screenshots::run(&cache),
        Command::Setup => commands::setup::run(&cache),
    }
}
