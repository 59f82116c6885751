//! Where the settings come from.
//!
//! In this order, and the first that is there counts:
//!
//! 1. the firmware's initramfs, if it is a loader.toml, a bundle or a script: somebody put it there on purpose;
//! 2. the card: `loader.toml`, then the `bootcmd` that somebody saved with a U-Boot (`uboot.env`), then what U-Boot looks for, in its order (see
//!    [`SCRIPTS`]); if a script starts nothing, the next of them, and then what follows;
//! 3. the network: DHCP's boot file, then the server's files for this board (`net::settings`).
//!
//! `xenlift.config=` on the firmware's command line says where they are, and nothing else is looked at. A file that is there and wrong is
//! told and not passed over: what it was meant to say, somebody still wants.

use crate::board::Board;
use crate::boot::bring_up::Machine;
use crate::boot::card::{self, Part};
use crate::boot::network::Watch;
use crate::card::Error as FileError;
use crate::config::initramfs::{self, Initramfs};
use crate::config::settings;
use crate::config::source::Source;
use crate::config::{LARGEST_FILE, Settings};
use crate::net::settings::{self as net_settings, Bounded};
use crate::println;
use crate::shell::saved;
use crate::time::Clock;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The name of the settings on a card.
const SETTINGS: &str = "loader.toml";

/// What U-Boot's distribution boot looks for, in its order: for each directory its menu, then scripts.
pub const SCRIPTS: [&str; 6] = [
    "extlinux/extlinux.conf",
    "boot.scr.uimg",
    "boot.scr",
    "boot/extlinux/extlinux.conf",
    "boot/boot.scr.uimg",
    "boot/boot.scr",
];

/// What messages call the command that a U-Boot runs after its countdown.
const SAVED_COMMAND: &str = "bootcmd of uboot.env";

/// What there is to boot by.
#[derive(Debug)]
pub enum Found {
    /// Settings, with the overrides of the firmware's command line.
    Settings {
        /// What they say.
        settings: Settings,
        /// Whether they came from the card, so that plain paths in them are meant to be there first.
        from_card: bool,
    },
    /// A script of U-Boot's, or its menu.
    Script(Script),
}

/// A file that U-Boot would boot by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its path: on the card one of [`SCRIPTS`]; or what messages call a saved command.
    pub path: String,
    /// The number of the card's partition that it lies on; `None` if it came from elsewhere.
    pub partition: Option<u32>,
    /// Its bytes, not looked at yet. Scripts are mkimage's, as a rule.
    pub bytes: Vec<u8>,
}

impl Script {
    /// Whether it is the saved command, which finds the variables that were saved with it and no others.
    pub fn is_saved_command(&self) -> bool {
        self.path == SAVED_COMMAND
    }
}

/// Whether a file that was found where settings may be is a script: by what it is, or by its name.
fn is_script(name: &str, bytes: &[u8]) -> bool {
    initramfs::is_script(bytes) || [".scr", ".uimg"].iter().any(|ending| name.ends_with(ending))
}

/// A settings file, not looked at yet.
struct File {
    /// Its name, as messages have it.
    name: String,
    bytes: Vec<u8>,
    from_card: bool,
}

/// What was looked at without success, in words for the console.
#[derive(Default)]
struct Looked(String);

impl Looked {
    fn add(&mut self, what: String) {
        if !self.0.is_empty() {
            self.0.push_str("; ");
        }
        self.0.push_str(&what);
    }
}

/// What there is to boot by. What the firmware's command line says of the network holds while it is looked for, what settings say
/// themselves from then on. After a `script` of the card's that started nothing there are the names behind its own, and the network, as in U-Boot.
///
/// # Errors
/// In words, why there is nothing. What was looked at is told.
pub fn find<B: Board>(machine: &mut Machine<B>, script: Option<&Script>) -> Result<Found, String> {
    let mut network = Settings::default();
    machine.overrides.apply(&mut network);
    if let Ok(session) = &mut machine.network {
        session.set_network(network.network);
    }
    let mut looked = Looked::default();
    let look = match (script, machine.overrides.config.clone()) {
        (Some(_), _) => match on_card(machine, &mut looked, script)? {
            Some(found) => found,
            None => Look::File(on_server(machine)?),
        },
        (None, Some(source)) => {
            // Files that the settings name may be on the card all the same.
            open_card(machine);
            Look::File(fetch(machine, &source)?)
        }
        (None, None) => look(machine, &mut looked)?,
    };
    let file = match look {
        Look::File(file) => file,
        Look::Script(script) => {
            tell(machine, &format!("{} on the card", script.path), &looked);
            return Ok(Found::Script(script));
        }
    };
    if is_script(&file.name, &file.bytes) {
        tell(machine, &file.name, &looked);
        return Ok(Found::Script(Script { path: file.name, partition: None, bytes: file.bytes }));
    }
    let mut settings = settings::parse_in_pieces(&file.bytes, &mut || machine.keeper.breathe())
        .map_err(|error| format!("{}: {error}", file.name))?;
    tell(machine, &file.name, &looked);
    machine.keeper.timing.mark(machine.keeper.now(), format_args!("settings"));
    for error in machine.overrides.apply(&mut settings) {
        println!("cmdline.txt: {error}.");
    }
    if let Ok(session) = &mut machine.network {
        session.set_network(settings.network);
    }
    Ok(Found::Settings { settings, from_card: file.from_card })
}

/// What was found at one of the usual places.
enum Look {
    File(File),
    Script(Script),
}

/// Says where the settings came from, and keeps it.
fn tell<B: Board>(machine: &mut Machine<B>, name: &str, looked: &Looked) {
    machine.settings = match looked.0.as_str() {
        "" => format!("Settings: {name}."),
        before => format!("Settings: {name}. Looked at before: {before}."),
    };
    println!("{}", machine.settings);
}

fn look<B: Board>(machine: &mut Machine<B>, looked: &mut Looked) -> Result<Look, String> {
    if let Some(file) = in_initramfs(machine, looked)? {
        open_card(machine);
        return Ok(Look::File(file));
    }
    if let Some(found) = on_card(machine, looked, None)? {
        return Ok(found);
    }
    // What is said of the network ends in what to do about it, so the rest has a line of its own.
    on_server(machine).map(Look::File).inspect_err(|_| println!("Looked at before the network: {}.", looked.0))
}

/// Looks for a card, so that files of it can be had. Says what it is, or why there is none.
fn open_card<B: Board>(machine: &mut Machine<B>) -> Option<card::Error> {
    let Machine { board, card, keeper, .. } = machine;
    match card.open(board, keeper) {
        Ok(card) => {
            log::info!("card: {card}");
            None
        }
        Err(error) => Some(error),
    }
}

/// What the firmware loaded as `initramfs`, if that is settings or a bundle with settings.
fn in_initramfs<B: Board>(machine: &Machine<B>, looked: &mut Looked) -> Result<Option<File>, String> {
    let Some(claim) = &machine.initramfs else {
        looked.add("no initramfs".to_string());
        return Ok(None);
    };
    let (bytes, name) = match initramfs::identify(claim.bytes()) {
        Err(error) => return Err(format!("the bundle in the firmware's initramfs: {error}")),
        Ok(Initramfs::NotSettings(content)) => {
            println!("The firmware's initramfs is {content}, not settings.");
            looked.add("the initramfs".to_string());
            return Ok(None);
        }
        Ok(Initramfs::Settings(text)) => (text, "loader.toml (initramfs)"),
        Ok(Initramfs::Script(image)) if image.len() > LARGEST_FILE => {
            let size = image.len();
            return Err(format!(
                "the script in the firmware's initramfs has {size} bytes, expected at most {LARGEST_FILE}"
            ));
        }
        Ok(Initramfs::Script(image)) => {
            let name = "boot.scr (initramfs)".to_string();
            return Ok(Some(File { name, bytes: image.to_vec(), from_card: false }));
        }
        Ok(Initramfs::Bundle(bundle)) => {
            let member = bundle.settings().ok_or("the bundle in the firmware's initramfs has no loader.toml")?;
            member.verify().map_err(|error| error.to_string())?;
            (member.data, "loader.toml (bundle)")
        }
    };
    if bytes.len() > settings::LARGEST {
        // Refused by its size; there is no need to copy it for that.
        settings::parse(bytes).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(Some(File { name: name.to_string(), bytes: bytes.to_vec(), from_card: false }))
}

/// What is looked for on a card, in order: all of it, or what comes behind a script that started nothing. A saved command is no script of
/// the distributions', and has nothing behind it.
fn names(after: Option<&Script>) -> impl Iterator<Item = &'static str> {
    let all = [SETTINGS, saved::FILE].into_iter().chain(SCRIPTS);
    let passed = after.map_or(0, |script| {
        all.clone().position(|name| name == script.path).map_or(usize::MAX, |index| index.saturating_add(1))
    });
    all.skip(passed)
}

/// The first of the usual names that the card has, behind that of a script that started nothing.
fn on_card<B: Board>(
    machine: &mut Machine<B>,
    looked: &mut Looked,
    after: Option<&Script>,
) -> Result<Option<Look>, String> {
    if after.is_none()
        && let Some(error) = open_card(machine)
    {
        looked.add(match error {
            card::Error::Card(crate::drivers::sdhci::Error::NoCard) => error.to_string(),
            error => format!("card: {error}"),
        });
        return Ok(None);
    }
    let mut is_bare = after.is_none();
    let names: Vec<&str> = names(after).collect();
    let Machine { board, card, keeper, .. } = &mut *machine;
    let there = match card.which(&names, &mut Watch::new(keeper, board.clock().now())) {
        Ok(there) => there,
        Err(error @ card::Error::Interrupted) => {
            looked.add(format!("card: {error}"));
            return Ok(None);
        }
        // A directory that cannot be read says nothing of what is in the others.
        Err(_) => names.iter().map(|_| true).collect(),
    };
    for name in names.into_iter().zip(there).filter_map(|(name, there)| there.then_some(name)) {
        match read(machine, None, name) {
            Ok(bytes) if name == SETTINGS => {
                return Ok(Some(Look::File(File { name: format!("{name} on the card"), bytes, from_card: true })));
            }
            Ok(block) if name == saved::FILE && !saved::has_own_command(&block) => {}
            Ok(bytes) => {
                let (path, bytes) = match name {
                    saved::FILE => (SAVED_COMMAND, saved::BOOT.as_bytes().to_vec()),
                    name => (name, bytes),
                };
                let Machine { board, card, keeper, .. } = machine;
                let partition = card.boot_partition(&mut Watch::new(keeper, board.clock().now())).unwrap_or(1);
                return Ok(Some(Look::Script(Script { path: path.to_string(), partition: Some(partition), bytes })));
            }
            // Variables that cannot be taken are told when a script would begin with them.
            Err(card::Error::Files(FileError::Refused(_))) if name == saved::FILE => {}
            Err(card::Error::Files(FileError::NotFound | FileError::NotADirectory)) => {}
            Err(card::Error::Files(FileError::Refused(refusal))) if name == SETTINGS => {
                return Err(format!("{name} on the card: {refusal}"));
            }
            // A script that is too long is one that fails, and after that the next name is tried.
            Err(card::Error::Files(FileError::Refused(refusal))) => {
                println!("{name} on the card: {refusal}.");
                looked.add(format!("{name} on the card"));
                is_bare = false;
            }
            // The card as a whole cannot be read, which is not to keep the board from booting over the network.
            Err(error) => {
                looked.add(format!("card: {error}"));
                return Ok(None);
            }
        }
    }
    if is_bare {
        looked.add("the card has no loader.toml, boot.scr or extlinux.conf".to_string());
    }
    Ok(None)
}

/// A small file of the card.
fn read<B: Board>(machine: &mut Machine<B>, partition: Option<u32>, path: &str) -> Result<Vec<u8>, card::Error> {
    let Machine { board, card, keeper, .. } = machine;
    let mut sink = Bounded::default();
    card.send(partition, path, Part::default(), &mut sink, &mut Watch::new(keeper, board.clock().now()))?;
    Ok(sink.into_bytes())
}

/// Settings from the place that the command line names.
fn fetch<B: Board>(machine: &mut Machine<B>, source: &Source) -> Result<File, String> {
    let told = |error: &dyn core::fmt::Display| format!("{source}: {error}");
    if let Source::Card(partition, path) = source {
        let bytes = read(machine, *partition, path).map_err(|error| told(&error))?;
        return Ok(File { name: source.to_string(), bytes, from_card: true });
    }
    let Machine { board, network, keeper, .. } = machine;
    let session = network.as_mut().map_err(|error| format!("{source}: no network: {error}"))?;
    let mut watch = Watch::new(keeper, board.clock().now());
    let found = net_settings::fetch(session, source, &mut watch).map_err(|error| told(&error))?;
    Ok(File { name: found.path, bytes: found.bytes, from_card: false })
}

/// The first of the usual names that the server has.
fn on_server<B: Board>(machine: &mut Machine<B>) -> Result<File, String> {
    let Machine { board, network, identity, keeper, .. } = machine;
    let session = network.as_mut().map_err(|error| format!("no network: {error}"))?;
    let mut watch = Watch::new(keeper, board.clock().now());
    let serial = identity.serial.map(|serial| format!("{serial:016x}"));
    let found = net_settings::probe(session, serial.as_deref(), &mut watch).map_err(|error| error.to_string())?;
    let found = found.ok_or_else(|| {
        let boot_file = session.lease().and_then(|lease| lease.boot_file.as_deref());
        let paths = net_settings::candidates(boot_file, serial.as_deref(), session.interface().station());
        let server = session.server().map(|server| server.to_string()).unwrap_or_default();
        format!("the TFTP server {server} has none of {}, or did not answer", paths.join(", "))
    })?;
    Ok(File { name: found.path, bytes: found.bytes, from_card: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_script_that_starts_nothing_come_the_names_behind_its_own() {
        let after = |path: &str| {
            let script = Script { path: path.to_string(), partition: Some(1), bytes: Vec::new() };
            names(Some(&script)).collect::<Vec<_>>()
        };
        assert_eq!(names(None).count(), 8);
        assert_eq!(names(None).next(), Some("loader.toml"));
        assert_eq!(after("extlinux/extlinux.conf"), SCRIPTS[1..]);
        assert_eq!(after("boot.scr"), SCRIPTS[3..]);
        assert!(after("boot/boot.scr").is_empty());
        assert!(after(SAVED_COMMAND).is_empty());
    }
}
