//! Variables that a U-Boot saved on the card: `uboot.env` on the partition that the board boots from.
//!
//! They stand in the place of the defaults, as there, but for the few that describe this boot and this board. Where the file is damaged the
//! defaults stay, also as there.

use super::environment::{CHECKSUM, TextFormat, checked};
use super::language::limits::VARIABLES;
use super::platform::Partition;
use super::{Failure, Shell};
use crate::range::PhysicalRange;
use alloc::format;
use alloc::string::ToString;

/// Its name, in the root of the partition.
pub const FILE: &str = "uboot.env";

/// What a saved value could only be wrong about: where the firmware put its tree this time, and which board this is. The card may come from another.
const OF_THIS_BOOT: [&str; 6] =
    ["fdt_addr", "fdtcontroladdr", "board_revision", "board_rev_scheme", "board_rev", "board_name"];

/// What U-Boots for this board have as `bootcmd` where nobody set another. They look for what else is on the card, as we do: those of newer versions
/// with a command of its own.
const DEFAULT_COMMAND: &str = "run distro_bootcmd";
const NEWER_DEFAULT_COMMAND: &str = "bootflow scan";

/// What U-Boot does with its variables after its countdown, which is not waited for here.
pub const BOOT: &str = "if env exists preboot; then run preboot; fi\nrun bootcmd\n";

/// Whether the file `block` has a `bootcmd` that somebody set, which is then what the board is to be booted by.
pub fn has_own_command(block: &[u8]) -> bool {
    let Some(text) = checked(block).ok().filter(|_| block.len() <= VARIABLES) else { return false };
    let mut reader = TextFormat { separator: 0, crlf: false }.reader();
    let mut command = None;
    loop {
        match reader.next(text) {
            Ok(Some((name, value))) if name == "bootcmd" => command = Some(value),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(_) => return false,
        }
    }
    let command = command.as_deref().map(str::trim);
    command.is_some_and(|command| {
        !command.is_empty() && command != DEFAULT_COMMAND && !command.starts_with(NEWER_DEFAULT_COMMAND)
    })
}

impl Shell<'_> {
    /// Puts the saved variables into the environment, and says so; how many they are. Without a card, or such a file on it, nothing
    /// happens. What `env default` goes back to stays. They are read once, so that what was set since is kept.
    ///
    /// The file goes through memory at `loadaddr`, so this comes before anything is loaded.
    ///
    /// # Errors
    /// [`Failure::Interrupted`] by Ctrl-C; as [`Shell::say`].
    pub fn load_saved_variables(&mut self) -> Result<usize, Failure> {
        if core::mem::replace(&mut self.has_saved, true) {
            return Ok(0);
        }
        let partition = Partition { interface: "mmc".to_string(), device: 0, partition: None };
        match self.platform.size(&partition, FILE) {
            Ok(_) => {}
            Err(Failure::Interrupted) => return Err(Failure::Interrupted),
            Err(_) => return Ok(0),
        }
        let before = (self.environment.clone(), self.image_place);
        let outcome = self.saved_variables(&partition);
        if outcome.is_err() {
            // All of it or nothing, what `loadaddr` had moved as well.
            (self.environment, self.image_place) = before;
        }
        match outcome {
            Ok(count) => {
                self.say(format_args!("Variables: {count} from {FILE} on the card.\n"))?;
                Ok(count)
            }
            Err(Failure::Reason(reason)) => {
                self.say(format_args!("{FILE} on the card: {reason}. The board's own variables are used.\n"))?;
                Ok(0)
            }
            Err(other) => Err(other),
        }
    }

    fn saved_variables(&mut self, partition: &Partition) -> Result<usize, Failure> {
        let size = self.platform.size(partition, FILE)?;
        if size > VARIABLES as u64 {
            return Err(Failure::because(format!(
                "{size} bytes are more than the {VARIABLES} that variables may have"
            )));
        }
        let address = self.load_address()?;
        let landing = self.landing(address)?;
        let length = self.platform.load(partition, FILE, 0, None, &landing)?;
        let block = PhysicalRange { start: address, end: address.saturating_add(length) };
        checked(self.platform.memory(block)?).map_err(Failure::because)?;
        let text = PhysicalRange { start: address.saturating_add(CHECKSUM), ..block };
        self.import(TextFormat { separator: 0, crlf: false }, text, &|name| !OF_THIS_BOOT.contains(&name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::Environment;
    use crate::shell::language::limits::COMMAND;
    use crate::shell::simulation::{FileMap, Simulation};
    use alloc::vec;
    use alloc::vec::Vec;

    /// A block of `size` bytes with `text`, as U-Boot saves it.
    fn block(text: &[u8], size: usize) -> Vec<u8> {
        let mut data = text.to_vec();
        data.resize(size - 4, 0);
        let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&data);
        [checksum.to_le_bytes().as_slice(), &data].concat()
    }

    fn machine(file: Option<Vec<u8>>) -> Simulation {
        let mut files = FileMap::default();
        files.card.extend(file.map(|bytes| (FILE.to_string(), bytes)));
        Simulation::raspberry_pi_4(files).unwrap()
    }

    fn defaults() -> Environment {
        let mut environment = Environment::default();
        environment.set("bootcmd", "run default");
        environment.set("fdt_addr", "2eff6200");
        environment
    }

    #[test]
    fn saved_variables_stand_in_the_place_of_the_defaults() {
        let mut machine = machine(Some(block(b"bootcmd=run saved\0fdt_addr=100\0mine=a b\0", 0x4000)));
        let mut shell = Shell::new(&mut machine, defaults());
        assert_eq!(shell.load_saved_variables().unwrap(), 2);
        assert!(
            shell.run_script("s", "printenv bootcmd mine fdt_addr\nenv default bootcmd\nprintenv bootcmd\n").unwrap()
        );
        let expected = "Variables: 2 from uboot.env on the card.\nbootcmd=run saved\nmine=a b\nfdt_addr=2eff6200\nbootcmd=run default\n";
        assert_eq!(machine.output, expected);
    }

    #[test]
    fn which_board_it_is_is_not_what_another_one_saved() {
        let saved = b"board_name=3 Model B\0board_rev=0x8\0board_rev_scheme=0\0board_revision=0xA02082\0mine=1\0";
        let mut machine = machine(Some(block(saved, 0x4000)));
        let own = super::super::variables::of_board(&machine.facts);
        let mut shell = Shell::new(&mut machine, own.clone());
        assert_eq!(shell.load_saved_variables().unwrap(), 1);
        for name in ["board_name", "board_rev", "board_rev_scheme", "board_revision"] {
            assert!(own.get(name).is_some());
            assert_eq!(shell.environment.get(name), own.get(name), "{name}");
        }
    }

    #[test]
    fn a_command_counts_that_is_not_the_one_that_every_u_boot_has() {
        for (text, own) in [
            ("bootcmd=load mmc 0:1 1000000 xen; booti 1000000\0", true),
            ("a=b\0bootcmd=usb start; run distro_bootcmd\0", true),
            ("bootcmd=run distro_bootcmd\0", false),
            ("bootcmd=run distro_bootcmd;\0", true),
            ("bootcmd=bootflow scan -lb\0", false),
            ("bootcmd=\0", false),
            ("bootcmd\0", false),
            ("preboot=run x\0", false),
            ("", false),
        ] {
            let mut bytes = block(text.as_bytes(), 0x4000);
            assert_eq!(has_own_command(&bytes), own, "{text:?}");
            bytes[4] ^= 1;
            assert!(!has_own_command(&bytes), "{text:?} damaged");
        }
        // What would not be taken as variables is not run either.
        assert!(!has_own_command(&block(b"bootcmd=run mine\0", VARIABLES + 1)));
        assert!(has_own_command(&block(b"bootcmd=run mine\0", VARIABLES)));
    }

    #[test]
    fn a_boot_runs_what_comes_before_the_countdown_and_then_the_command() {
        for (text, expected) in [
            ("preboot=echo before\0bootcmd=echo now\0", "before\nnow\n"),
            ("preboot=false\0bootcmd=echo now\0", "now\n"),
            ("bootcmd=echo now\0", "now\n"),
        ] {
            let mut machine = machine(Some(block(text.as_bytes(), 0x4000)));
            let mut shell = Shell::new(&mut machine, Environment::default());
            shell.load_saved_variables().unwrap();
            assert!(shell.run_script("boot", BOOT).unwrap());
            assert!(machine.output.ends_with(&format!("card.\n{expected}")), "{}", machine.output);
        }
    }

    #[test]
    fn a_damaged_file_changes_nothing_and_is_told() {
        let mut bytes = block(b"bootcmd=run saved\0", 0x4000);
        bytes[10] ^= 1;
        for (bytes, why) in [(bytes, "damaged"), (vec![0; 3], "this has 3 bytes"), (vec![0; 1 << 20], "more than")] {
            let mut machine = machine(Some(bytes));
            let mut shell = Shell::new(&mut machine, defaults());
            assert_eq!(shell.load_saved_variables().unwrap(), 0);
            assert_eq!(shell.environment, defaults());
            assert!(machine.output.contains(why), "{}", machine.output);
        }
    }

    #[test]
    fn variables_of_which_one_is_refused_leave_images_where_they_were_looked_for() {
        let long = "x".repeat(COMMAND + 1);
        let mut machine = machine(Some(block(format!("loadaddr=5000000\0long={long}\0").as_bytes(), VARIABLES)));
        let mut shell = Shell::new(&mut machine, defaults());
        let before = shell.image_place;
        assert_eq!(shell.load_saved_variables().unwrap(), 0);
        assert_eq!((shell.image_place, shell.environment), (before, defaults()));
    }

    #[test]
    fn without_the_file_nothing_is_said() {
        let mut machine = machine(None);
        let mut shell = Shell::new(&mut machine, defaults());
        assert_eq!(shell.load_saved_variables().unwrap(), 0);
        assert_eq!(machine.output, "");
    }
}
