//! A script in the place of settings, run as U-Boot's distribution boot runs one: its file lies at `scriptaddr`, where it may look for itself, and it finds
//! the variables that say where it came from.
//!
//! The board (`boot::script`) and `cargo xtask script` both come through here, so a script that is tried on a host meets what it will meet on the board.

use super::platform::{Facts, Lease};
use super::{Environment, Failure, Outcome, Shell, number, saved, variables};
use crate::config::LARGEST_FILE;
use crate::range::PhysicalRange;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A script to run.
#[derive(Clone, Debug)]
pub struct Script<'a> {
    /// What messages call it: its path.
    pub name: &'a str,
    /// Its file: mkimage's, or plain text.
    pub bytes: Cow<'a, [u8]>,
    /// Variables that it finds beside the board's.
    pub variables: Vec<(&'static str, String)>,
}

impl<'a> Script<'a> {
    /// A script that somebody named, in an entry of the settings: it finds no variables beside the board's.
    pub fn named(name: &'a str, bytes: &'a [u8]) -> Self {
        Self { name, bytes: Cow::Borrowed(bytes), variables: Vec::new() }
    }

    /// A script that came by the network, or with the firmware's initramfs.
    pub fn from_network(name: &'a str, bytes: &'a [u8]) -> Self {
        Self { variables: Vec::from([("devtype", "dhcp".to_string())]), ..Self::named(name, bytes) }
    }

    /// The file `path` of the card's partition with this number: a script, or a menu (`extlinux.conf`), for which there is a command.
    pub fn on_card(path: &'a str, partition: u32, bytes: &'a [u8]) -> Self {
        let prefix = if path.starts_with("boot/") { "/boot/" } else { "/" };
        let variables = Vec::from([
            ("devtype", "mmc".to_string()),
            ("devnum", "0".to_string()),
            ("distro_bootpart", format!("{partition:x}")),
            ("prefix", prefix.to_string()),
        ]);
        let bytes = match path.ends_with(".conf") {
            true => Cow::Owned(format!("sysboot mmc 0:{partition:x} any ${{pxefile_addr_r}} /{path}\n").into_bytes()),
            false => Cow::Borrowed(bytes),
        };
        Self { name: path, bytes, variables }
    }

    /// The command that a U-Boot saved in `uboot.env`, which `name` stands for: it finds the variables that were saved with it.
    pub fn saved_command(name: &'a str) -> Self {
        Self::named(name, saved::BOOT.as_bytes())
    }
}

/// How a script ended that started nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It came to its end; the exit status of its last command.
    Status(u8),
    /// Ctrl-C.
    Interrupted,
    /// It was ended, and that has been said.
    Abandoned,
    /// The machine has gone on to something else, which only one that is not there comes back from.
    GoneOn,
    /// It could not be run.
    NotRun(String),
}

impl Ended {
    fn of(outcome: Outcome, status: u8) -> Self {
        match outcome {
            Ok(_) => Self::Status(status),
            Err(Failure::Interrupted) => Self::Interrupted,
            Err(Failure::Reason(reason)) => Self::NotRun(reason.to_string()),
            Err(Failure::Ended) => Self::GoneOn,
            Err(Failure::Usage | Failure::Abandoned | Failure::Exit(_) | Failure::Leave(_)) => Self::Abandoned,
        }
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(0) => f.write_str("the script came to its end and started nothing"),
            Self::Status(status) => write!(f, "the script came to its end, its last command failed (status {status})"),
            Self::Interrupted => f.write_str("interrupted by Ctrl-C"),
            Self::Abandoned => f.write_str("the script was ended"),
            Self::GoneOn => f.write_str("the script left the machine to something else"),
            Self::NotRun(reason) => f.write_str(reason),
        }
    }
}

/// The variables that a script begins with, but for those that were saved on the card: the board's, what a DHCP server has said if one was asked, and what the
/// settings say of the network (`configured`).
pub fn environment(facts: &Facts, leased: Option<&Lease>, configured: &Lease) -> Environment {
    let mut environment = variables::of_board(facts);
    if let Some(lease) = leased {
        lease.set_variables(&mut environment);
    }
    configured.set_variables(&mut environment);
    environment
}

impl Shell<'_> {
    /// Runs `script` with the variables that a U-Boot saved on the card. Comes back only if it started nothing.
    pub fn run_boot_script(&mut self, script: &Script<'_>, configured: &Lease) -> Ended {
        let saved = self.load_saved_variables();
        // Settings were written for this board as it is now, and a U-Boot saved what it knew at some time.
        configured.set_variables(&mut self.environment);
        for (name, value) in &script.variables {
            self.environment.set(name, value);
        }
        self.platform.print(format_args!("Running {}.\n", script.name));
        let outcome = saved.and_then(|_| self.place(script)).and_then(|address| self.run_loaded(Some(&address)));
        Ended::of(outcome, self.status())
    }

    /// Puts the script's file to `scriptaddr`, where a script may look for itself; gives that address.
    fn place(&mut self, script: &Script<'_>) -> Result<String, Failure> {
        let size = script.bytes.len() as u64;
        if script.bytes.len() > LARGEST_FILE {
            return Err(Failure::because(format!("the file has {size} bytes, scripts have at most {LARGEST_FILE}")));
        }
        let address = number::hexadecimal(self.environment.get("scriptaddr").unwrap_or_default())?;
        let landing = self.landing(address)?;
        if size > landing.place.size() {
            return Err(landing.too_small(script.name, size));
        }
        let range = PhysicalRange { start: address, end: address.saturating_add(size) };
        self.platform.memory_mut(range)?.copy_from_slice(&script.bytes);
        self.landed(script.name, range)?;
        Ok(format!("{address:x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::simulation::{FileMap, Simulation};

    /// What `script` prints, and how it ends.
    fn run(script: &Script<'_>, files: FileMap) -> (String, Ended) {
        let mut machine = Simulation::raspberry_pi_4(files).unwrap();
        let environment = environment(&machine.facts, None, &Lease::default());
        let ended = Shell::new(&mut machine, environment).run_boot_script(script, &Lease::default());
        (machine.output, ended)
    }

    const SHOW: &[u8] = b"echo $devtype $devnum $distro_bootpart $prefix\n";

    #[test]
    fn a_script_finds_where_it_came_from() {
        for (script, variables) in [
            (Script::on_card("boot.scr", 1, SHOW), "mmc 0 1 /"),
            (Script::on_card("boot/boot.scr", 10, SHOW), "mmc 0 a /boot/"),
            (Script::from_network("boot.scr.uimg", SHOW), "dhcp"),
            (Script::named("boot2.scr", SHOW), ""),
        ] {
            let expected = format!("Running {}.\n{variables}\n", script.name);
            assert_eq!(run(&script, FileMap::default()), (expected, Ended::Status(0)));
        }
    }

    #[test]
    fn a_menu_is_run_by_its_command() {
        let mut files = FileMap::default();
        files.card.insert("extlinux/extlinux.conf".into(), b"label x\n kernel /nothing\n".to_vec());
        let (output, ended) = run(&Script::on_card("extlinux/extlinux.conf", 1, b""), files);
        assert!(output.contains("x: nothing: no such file"), "{output}");
        assert_eq!(ended, Ended::Status(1));
    }

    #[test]
    fn what_was_no_start_is_told_in_words() {
        for (script, words) in [
            (&b"echo a\n"[..], "the script came to its end and started nothing"),
            (b"false\n", "the script came to its end, its last command failed (status 1)"),
            (b"exit 7\n", "the script came to its end, its last command failed (status 7)"),
            (b"reset\n", "the script left the machine to something else"),
            (b"echo 'a\n", "the script came to its end, its last command failed (status 1)"),
        ] {
            let (output, ended) = run(&Script::named("s", script), FileMap::default());
            assert_eq!(ended.to_string(), words, "{output}");
        }
        let (_, ended) = run(&Script::named("s", &vec![b'\n'; LARGEST_FILE + 1]), FileMap::default());
        assert!(ended.to_string().contains("scripts have at most"), "{ended}");
    }

    #[test]
    fn settings_count_for_more_than_a_lease() {
        let address = |last| Lease { address: Some([10, 0, 0, last].into()), ..Lease::default() };
        let found = environment(&Facts::default(), Some(&address(1)), &address(2));
        assert_eq!(found.get("ipaddr"), Some("10.0.0.2"));
        let found = environment(&Facts::default(), Some(&address(1)), &Lease::default());
        assert_eq!(found.get("ipaddr"), Some("10.0.0.1"));
    }
}
