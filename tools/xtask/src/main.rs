//! `cargo xtask`: the one entry point for people and CI.

use anyhow::Result;
use clap::{Parser, Subcommand};
use xtask::cache::Cache;
use xtask::commands;

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
    /// Fetch and build everything the other commands need, and print where it lies
    Setup,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let cache = Cache::open(arguments.offline)?;
    match arguments.command {
        Command::Setup => commands::setup::run(&cache),
    }
}
