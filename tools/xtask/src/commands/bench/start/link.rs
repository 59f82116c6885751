//! The board's network, the same for all: QEMU's own servers of DHCP and TFTP, and how the emulated PHY comes up.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use super::job;
use crate::emulator::Emulator;
use crate::process::capture;

/// How the PHY comes up.
#[derive(Args, Clone, Copy, Debug)]
pub struct Link {
    /// How long the emulated PHY takes to negotiate, in milliseconds, for all loaders. About 3 s on a real link
    #[arg(long, value_name = "MS", default_value_t = 3000)]
    autonegotiation: u32,
    /// How long before the loader's first instruction the PHY got power, in milliseconds: what the board's firmware takes. It
    /// negotiates from then on, and anew where a loader resets it
    #[arg(long, value_name = "MS", default_value_t = 4000)]
    firmware: u32,
}

impl Link {
    /// One that is up at once, and after a reset as good as at once: for what leaves it out.
    pub const READY: Self = Self { autonegotiation: 1, firmware: 4000 };
}

/// The network of an emulator, with those of the settings that it has: another one than ours may lack them.
pub struct Network {
    settings: Vec<(&'static str, u32)>,
}

impl Network {
    /// Asks `emulator` what it has.
    pub fn of(emulator: &Emulator, link: Link) -> Result<Self> {
        let mut command = emulator.board();
        command.args(["-device", "bcm2838-genet,help"]);
        let has = capture(&mut command).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default();
        let wanted = [("autoneg-ms", link.autonegotiation), ("power-on-ms", link.firmware)];
        Ok(Self { settings: wanted.into_iter().filter(|(name, _)| has.contains(name)).collect() })
    }

    /// Puts `board` on it; the server shows `directory`. `addresses` is what else QEMU's servers are told, or nothing.
    pub fn attach(&self, board: &mut Command, directory: &Path, addresses: &str) {
        let served = directory.to_string_lossy().replace(',', ",,");
        board.args(["-netdev", &format!("user,id=net,tftp={served},bootfile={}{addresses}", job::SETTINGS)]);
        board.args(["-net", "nic,netdev=net"]);
        for (name, value) in &self.settings {
            board.args(["-global", &format!("bcm2838-genet.{name}={value}")]);
        }
    }

    /// The settings in words.
    pub fn note(&self) -> String {
        if self.settings.is_empty() {
            return "the PHY comes up as the emulator has it, for all".to_owned();
        }
        let settings: Vec<String> = self.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("the PHY, for all: {}", settings.join(", "))
    }
}
