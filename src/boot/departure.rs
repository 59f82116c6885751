//! The end of every boot, whoever prepared it: an entry of loader.toml, or a script's `booti`.
//!
//! What comes here is a program in memory, a tree in a block with room to grow, and the list of files. The tree says what is to be started:
//! everything that is checked and printed is read back from it, so what a script's `fdt` commands wrote is looked at as what the settings
//! said is. Nothing is taken down before everything that can fail is done.

use super::bring_up::Keeper;
use super::digest::Digest;
use super::image::{self, Kernel, System};
use super::layout;
use super::network::Watch;
use super::store::{self, Store, Stored};
use super::summary::{CommandLine, Loaded, Next, Summary};
use super::supply::Supply;
use super::warnings::{self, Ready, Warning};
use super::xen;
use super::xen_console::{self, Ours, Uart, XenConsole};
use super::xen_modules::{self, Kind, TooManyModules};
use crate::arch::handoff::{self, HandOffError};
use crate::board::Board;
use crate::console::{self, attentively};
use crate::device_tree::{Editor, Tree, edit, read};
use crate::drivers::uart::UartKind;
use crate::drivers::uart_choice::{Choice, stdout_uart};
use crate::println;
use crate::ram::{Claim, Ram};
use crate::range::PhysicalRange;
use crate::terminal::progress::{Manner, USUAL_COLUMNS};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// Pins of the header's UART, as `brcm,pins` counts them.
pub const HEADER_PINS: [u32; 2] = [14, 15];

/// Why the program was not started. The machine is as before.
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The finished tree is none.
    Tree(read::Error),
    /// The tree could not be changed as needed.
    Edit(edit::Error),
    /// The tree could not be made fit for Xen's console.
    Console(xen_console::Error),
    /// The finished tree is too large.
    TreeSize(xen::TooLarge),
    /// Something lies in memory that the finished tree reserves.
    Layout(layout::Error),
    /// The tree could not be cut to its size.
    Store(store::Error),
    /// The tree lists more modules than Xen takes.
    Modules(TooManyModules),
    /// A module's `reg` makes no sense.
    Module {
        /// The path of its node.
        path: String,
    },
    /// A module is not what its node says.
    Image {
        /// What messages call it.
        label: String,
        /// What is wrong with it.
        error: image::Error,
    },
    /// Somebody pressed Ctrl-C.
    GivenUp,
    /// The jump was not possible.
    HandOff(HandOffError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tree(error) => write!(f, "the finished tree: {error}"),
            Self::Edit(error) => write!(f, "the device tree: {error}"),
            Self::Console(error) => error.fmt(f),
            Self::TreeSize(error) => error.fmt(f),
            Self::Layout(error) => error.fmt(f),
            Self::Store(error) => write!(f, "device tree: {error}"),
            Self::Modules(error) => error.fmt(f),
            Self::Module { path } => write!(
                f,
                "{path}: reg is no address and size in the cells that its parent's #address-cells and #size-cells say; Xen would stop over it"
            ),
            Self::Image { label, error } => write!(f, "{label}: {error}"),
            Self::GivenUp => f.write_str("given up at the console"),
            Self::HandOff(error) => error.fmt(f),
        }
    }
}

impl From<edit::Error> for Error {
    fn from(error: edit::Error) -> Self {
        Self::Edit(error)
    }
}

impl From<xen_console::Error> for Error {
    fn from(error: xen_console::Error) -> Self {
        Self::Console(error)
    }
}

/// A file that is in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What it is for, such as `Dom0 kernel`.
    pub label: String,
    /// Where it is from.
    pub source: String,
    /// Where it lies, exact to the byte.
    pub range: PhysicalRange,
    /// Its SHA-256, where that was compared with what it had to be.
    pub sha256: Option<[u8; 32]>,
}

/// What is about to be started.
pub struct Departure {
    /// The program, with all memory that its header asks for.
    pub program: Stored,
    /// How many bytes behind the beginning of that memory it begins.
    pub entry: u64,
    /// A block that begins with the tree and has room for what is added here.
    pub tree: Stored,
    /// Where the tree is from.
    pub tree_source: String,
    /// Everything else that is in memory for it.
    pub files: Vec<File>,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Departure {
    /// Starts the program: the tree is finished, everything checked once more, the last words printed, all that moves by itself silenced.
    /// Comes back only where something of that was not possible, with everything working as before.
    pub fn start<B: Board>(
        mut self,
        board: &B,
        keeper: &mut Keeper<B>,
        supply: &mut Supply<'_, '_, B>,
        store: &mut Store<'_>,
        uart: Choice,
    ) -> Error {
        keeper.timing.mark(keeper.now(), format_args!("tree and files"));
        match self.make_ready(store, uart, keeper) {
            Ok(()) => {
                keeper.timing.mark(keeper.now(), format_args!("jump"));
                self.leave(board, keeper, supply, store)
            }
            Err(error) => error,
        }
    }

    fn make_ready<B: Board>(
        &mut self,
        store: &mut Store<'_>,
        uart: Choice,
        keeper: &mut Keeper<B>,
    ) -> Result<(), Error> {
        let manner = keeper.manner();
        console::poll();
        let mut editor = Editor::new(store.bytes_mut(self.tree))?;
        console::poll();
        let console = match xen_modules::is_for_xen(&editor.tree()?) {
            true => Some(prepare_for_xen(&mut editor, uart.uart)?),
            false => None,
        };
        console::poll();
        keeper.timing.leave(&mut editor)?;
        console::poll();
        let length = editor.finish().len();
        self.tree = store.shorten(self.tree, length as u64).map_err(Error::Store)?;
        console::poll();
        // What leaves here is what an independent look finds in order.
        let tree = Tree::new(store.bytes(self.tree)).map_err(Error::Tree)?;
        xen::check_size(length).map_err(Error::TreeSize)?;
        console::poll();
        xen::check_reservations(&tree, store.layout()).map_err(Error::Layout)?;
        let system = match (&console, manner) {
            // Nothing is said of it, and a kernel has tens of megabytes to look through.
            (None, Manner::Unattended) => System::Unknown,
            _ => System::identify(store.bytes(self.program)),
        };
        console::poll();
        match &console {
            Some(console) => self.check_xen(store, &tree, console, system)?,
            None => self.notes.extend(warnings::without_xens_part(&tree, system).map(|warning| warning.to_string())),
        }
        console::poll();
        let own = uart_path(&tree, uart.uart);
        console::poll();
        let pins: &[u32] = if uart.is_on_header() { &HEADER_PINS } else { &[] };
        let path = console.as_ref().and_then(|console| console.path.as_deref());
        let uart = path.and_then(|path| Uart::find(&tree, path, Ours { path: &own, pins }));
        let next = match &console {
            Some(_) => Next::Xen { console: uart.as_ref() },
            None => Next::Kernel,
        };
        console::poll();
        self.say(store, &tree, next, system, keeper)
    }

    /// What Xen would stop over, and what a person should know.
    fn check_xen(
        &mut self,
        store: &Store<'_>,
        tree: &Tree<'_>,
        console: &XenConsole,
        system: System,
    ) -> Result<(), Error> {
        let modules = xen_modules::modules(tree).map_err(Error::Modules)?;
        console::poll();
        let ready = Ready { tree, modules: &modules, layout: store.layout(), system, console };
        let warnings = check_xen(&ready, &|range| store.bytes_at(range))?;
        self.notes.extend(warnings.iter().map(ToString::to_string));
        Ok(())
    }

    /// The last words; with digests of everything if somebody watches.
    fn say<B: Board>(
        &self,
        store: &Store<'_>,
        tree: &Tree<'_>,
        next: Next<'_>,
        system: System,
        keeper: &mut Keeper<B>,
    ) -> Result<(), Error> {
        let manner = keeper.manner();
        let now = keeper.now();
        let mut watch = Watch::new(keeper, now);
        let mut crc32 = |source: &str, bytes: &[u8]| match manner {
            Manner::Unattended => Ok(None),
            _ => watch.crc32(source, bytes).map(|crc| Some(Digest::Crc32(crc))).ok_or(Error::GivenUp),
        };
        let mut files: Vec<Loaded<'_>> = Vec::new();
        for File { label, source, range, sha256 } in &self.files {
            let digest = match sha256 {
                Some(sha256) => Some(Digest::Sha256(*sha256)),
                None => crc32(source, store.bytes_at(*range).unwrap_or_default())?,
            };
            files.push(Loaded { label, source, range: *range, digest });
        }
        let digest = crc32("device tree", tree.bytes())?;
        drop(watch);
        let range = store.range(self.tree);
        files.push(Loaded { label: "device tree", source: &self.tree_source, range, digest });
        console::poll();
        // A tree with too many has been refused.
        let modules = xen_modules::modules(tree).unwrap_or_default();
        let lines = xen_modules::command_lines(tree);
        let mut command_lines = Vec::new();
        if let Next::Kernel = next {
            command_lines.extend(tree.bootargs().map(|args| CommandLine { label: "Kernel", args }));
        } else {
            command_lines.push(CommandLine { label: "Xen", args: lines.xen });
            let has_dom0 = modules.iter().any(|module| module.kind == Kind::Kernel && module.domain.is_none());
            command_lines.extend(lines.dom0.filter(|_| has_dom0).map(|args| CommandLine { label: "Dom0", args }));
            command_lines.extend(
                modules.iter().filter_map(|module| Some(CommandLine { label: module.domain?, args: module.args? })),
            );
        }
        console::poll();
        let entry = store.claim(self.program).map_or(0, |claim| claim.range().start) + self.entry;
        let summary = Summary {
            files: &files,
            command_lines: &command_lines,
            entry,
            system,
            next,
            notes: &self.notes,
            memory: store.layout().occupants(),
        };
        // The console's writer never fails.
        console::with(|console| match manner {
            Manner::Unattended => summary.short(console).ok(),
            Manner::Plain => summary.long(USUAL_COLUMNS, console).ok(),
            Manner::Ansi { columns } => summary.long(columns, console).ok(),
        });
        Ok(())
    }

    fn leave<B: Board>(
        &self,
        board: &B,
        keeper: &mut Keeper<B>,
        supply: &mut Supply<'_, '_, B>,
        store: &Store<'_>,
    ) -> Error {
        let (Some(image), Some(tree)) = (store.claim(self.program), store.claim(self.tree)) else {
            // A store has what it gave out.
            return Error::Store(store::Error::Empty);
        };
        Error::HandOff(jump(board, keeper, supply, store.ram(), Jump { image, entry: self.entry, tree }))
    }
}

/// What a person should know of a start of Xen, of which `bytes_at` reads the files. `cargo xtask script` asks the same.
///
/// # Errors
/// [`Error::Module`] and [`Error::Image`]: what Xen would stop over.
pub fn check_xen<'m>(
    ready: &Ready<'_>,
    bytes_at: &dyn Fn(PhysicalRange) -> Option<&'m [u8]>,
) -> Result<Vec<Warning>, Error> {
    for module in ready.modules {
        let range = module.range.ok_or_else(|| Error::Module { path: module.path.clone() })?;
        if module.kind == Kind::Kernel
            && let Some(bytes) = bytes_at(range)
        {
            Kernel::identify(bytes).map_err(|error| Error::Image { label: module.label(), error })?;
        }
    }
    console::poll();
    Ok(warnings::look(ready))
}

/// Where to jump.
#[derive(Clone, Copy)]
pub struct Jump<'a> {
    /// All memory of the program.
    pub image: &'a Claim,
    /// The distance of the first instruction from its beginning.
    pub entry: u64,
    /// The tree, which x0 will name.
    pub tree: &'a Claim,
}

/// Silences what moves by itself and jumps. Comes back only where that was not possible, with everything working again.
pub fn jump<B: Board>(
    board: &B,
    keeper: &mut Keeper<B>,
    supply: &mut Supply<'_, '_, B>,
    ram: &Ram,
    to: Jump<'_>,
) -> HandOffError {
    if let Err(error) = supply.silence() {
        // The engines are told to stop whatever their status says, and some controllers' says nothing.
        println!("{error}. Going on.");
    }
    keeper.settle();
    let Err(error) = handoff::leave(board.start(), ram, to.image, to.entry, to.tree);
    supply.resume();
    error
}

/// What there is to say of Xen's console with the command line `args`, where the tree that Xen is given will be `tree`.
pub fn foresee_console(tree: &Tree<'_>, args: &str, uart: UartKind) -> Vec<xen_console::Note> {
    let path = uart_path(tree, uart);
    let ours = Ours { path: &path, pins: &HEADER_PINS };
    // A line that is too long is refused before.
    xen_console::resolve(tree, args, ours).map_or_else(|_| Vec::new(), |console| console.notes)
}

/// Gives Xen its console and its way to reset the board.
fn prepare_for_xen(editor: &mut Editor<'_>, uart: UartKind) -> Result<XenConsole, Error> {
    console::poll();
    let path = uart_path(&editor.tree()?, uart);
    let ours = Ours { path: &path, pins: &HEADER_PINS };
    console::poll();
    let tree = editor.tree()?;
    console::poll();
    let args = xen_modules::command_lines(&tree).xen;
    console::poll();
    let console = xen_console::resolve(&tree, args, ours)?;
    let is_longer = console.args != args;
    console::poll();
    xen_console::prepare(editor, &console, ours)?;
    console::poll();
    if is_longer {
        editor.set_string("/chosen", "xen,xen-bootargs", &console.args)?;
    }
    console::poll();
    xen::offer_reset(editor)?;
    Ok(console)
}

/// The path of our UART's node in `tree`; empty if it has none.
pub fn uart_path(tree: &Tree<'_>, uart: UartKind) -> String {
    let ours = attentively(tree.nodes()).find(|node| {
        let compatible = node.property("compatible").map_or(&[][..], |property| property.value());
        // By its name alone: a path takes a walk through the tree, and there are as many nodes as somebody likes.
        !compatible.is_empty() && stdout_uart(node.name(), compatible) == Some(uart)
    });
    ours.map(|node| node.path().to_string()).unwrap_or_default()
}
