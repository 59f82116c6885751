//! Which UART Xen will use for its console, and what its tree needs for that.
//!
//! Xen's first message depends on `dtuart=` naming a UART that is enabled and really on the header. Aliases differ between trees
//! (`serial0` is the PL011 in Linux's, the mini UART in the Raspberry Pi's own), so a command line from the web is often wrong, and wrong
//! means silence. What Xen does with the words: `xen/drivers/char/uart-init.c` and `console.c`; which UARTs it drives: `pl011.c`,
//! `ns16550.c`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::config::command_line;
use crate::console;
use crate::device_tree::{Editor, Node, Tree, edit};

const PL011: &str = "arm,pl011";
/// UARTs of a tree, and groups of pins of one of them, that are looked at. A Raspberry Pi 4's tree has eight UARTs, with two groups at most.
const MOST_UARTS: usize = 32;
const MOST_GROUPS: usize = 16;
const MINI_UART: &str = "brcm,bcm2835-aux-uart";
/// UARTs that Xen has a driver for and that the board may have.
const DRIVEN: [&str; 4] = [PL011, MINI_UART, "ns16550a", "snps,dw-apb-uart"];

/// A UART has at most so many pins: two for data, two for flow control.
const MOST_PINS: usize = 8;

/// The UART of the loader's own console: the one that a person is looking at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ours<'a> {
    /// Path of its node, such as `/soc/serial@7e215040`.
    pub path: &'a str,
    /// The pins that it is on, as `brcm,pins` of the tree counts them; empty where it is not known to be on any.
    pub pins: &'a [u32],
}

/// A UART, as people know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uart {
    /// Path of its node.
    pub path: String,
    /// What it is.
    pub model: &'static str,
    /// Where its line ends.
    pub leads: Leads,
}

/// Where a UART's line ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leads {
    /// At the person who reads this, through these pins, where they are known.
    Here(Vec<u32>),
    /// Inside the board, at the Bluetooth chip.
    Bluetooth,
    /// At these pins, by the tree; nobody has looked at the pins themselves.
    Pins(Vec<u32>),
    /// The tree does not say.
    Unknown,
}

impl Uart {
    /// Whether what Xen says there is seen where this loader's lines are.
    pub fn is_here(&self) -> bool {
        matches!(self.leads, Leads::Here(_))
    }

    /// What `tree` says of the UART at `path`; `None` where there is no such node.
    pub fn find(tree: &Tree<'_>, path: &str, ours: Ours<'_>) -> Option<Self> {
        let node = tree.find(path)?;
        let model = match () {
            () if node.is_compatible(PL011) => "PL011",
            () if node.is_compatible(MINI_UART) => "mini UART",
            () if is_uart(&node) => "16550",
            () => "not a UART",
        };
        let pins = pins(tree, &node);
        let leads = match () {
            () if path == ours.path => Leads::Here(ours.pins.to_vec()),
            () if is_for_bluetooth(&node) => Leads::Bluetooth,
            () if pins.is_empty() => Leads::Unknown,
            () => Leads::Pins(pins),
        };
        Some(Self { path: String::from(path), model, leads })
    }
}

/// What it is and where it leads; the path is for its caller.
impl fmt::Display for Uart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.model)?;
        match &self.leads {
            Leads::Here(pins) => write!(f, "{}, this console", Gpio(pins)),
            Leads::Bluetooth => f.write_str(", wired to the Bluetooth chip"),
            Leads::Pins(pins) => Gpio(pins).fmt(f),
            Leads::Unknown => Ok(()),
        }
    }
}

/// `, GPIO14/15`; nothing where there are none.
struct Gpio<'a>(&'a [u32]);

impl fmt::Display for Gpio<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = ", GPIO";
        self.0.iter().try_for_each(|pin| write!(f, "{}{pin}", core::mem::replace(&mut separator, "/")))
    }
}

/// Whether what hangs on a UART is the Bluetooth chip, as far as its node says.
fn is_for_bluetooth(uart: &Node<'_>) -> bool {
    uart.children().any(|child| child.name().starts_with("bluetooth") && child.is_enabled())
}

/// What Xen's console will be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct XenConsole {
    /// Xen's command line, with `dtuart=` added where it was missing.
    pub args: String,
    /// Path of the UART's node; `None` where Xen will be silent.
    pub path: Option<String>,
    /// What a person should know about it.
    pub notes: Vec<Note>,
}

/// Something that a person should know about Xen's console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// `dtuart=` was missing, and this was added.
    Added(String),
    /// Xen's console is on another UART than ours.
    Elsewhere {
        /// Where it is.
        uart: Uart,
        /// Where ours is.
        ours: String,
    },
    /// `dtuart=` names nothing in the tree.
    NotFound {
        /// What it says.
        named: String,
        /// What would be right.
        ours: String,
    },
    /// The node is something that Xen has no driver for.
    NoDriver(String),
    /// The UART is disabled, and it is not ours.
    Disabled(String),
    /// The UART was disabled in the tree; as it is ours, it works, and was enabled.
    Enabled(String),
    /// `console=` does not list `dtuart`.
    NotListed(String),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(word) => write!(f, "Xen had no dtuart=: added {word}"),
            Self::Elsewhere { uart, ours } => {
                let path = &uart.path;
                write!(f, "Xen's console will be on {path} ({uart}), not here; for here say dtuart={ours}")
            }
            Self::NotFound { named, ours } => {
                write!(f, "Xen will be silent: dtuart={named} is not in the tree; for here say dtuart={ours}")
            }
            Self::NoDriver(path) => write!(f, "Xen will be silent: it has no driver for {path}"),
            Self::Disabled(path) => write!(f, "Xen will be silent: {path} is disabled in the tree"),
            Self::Enabled(path) => write!(f, "{path} was disabled in the tree: enabled for Xen"),
            Self::NotListed(console) => write!(f, "Xen will be silent here: console={console} does not list dtuart"),
        }
    }
}

/// Why a tree cannot be made fit for Xen's console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Xen's command line has so many bytes, more than Xen takes. It can be as long as a tree, and is not copied before it was looked at.
    CommandLine(usize),
    /// The tree has more UARTs than any board.
    ManyUarts,
    /// An edit was not possible.
    Edit(edit::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLine(length) => write!(
                f,
                "Xen's command line in /chosen has {length} bytes, expected at most {}: Xen would cut the rest without a word",
                command_line::LONGEST
            ),
            Self::ManyUarts => write!(f, "the device tree has more than {MOST_UARTS} UARTs: is it this board's?"),
            Self::Edit(error) => write!(f, "the device tree: {error}"),
        }
    }
}

impl From<edit::Error> for Error {
    fn from(error: edit::Error) -> Self {
        Self::Edit(error)
    }
}

/// Finds out where Xen's console will be with the command line `args` and `tree`.
///
/// Where `args` have no `dtuart=` and the tree's `stdout-path` is not our UART either, our UART's full path is added.
///
/// # Errors
/// [`Error::CommandLine`].
pub fn resolve(tree: &Tree<'_>, args: &str, ours: Ours<'_>) -> Result<XenConsole, Error> {
    if args.len() > command_line::LONGEST {
        return Err(Error::CommandLine(args.len()));
    }
    let mut console = XenConsole { args: String::from(args), path: None, notes: Vec::new() };
    if let Some(list) = command_line::value(args, "console").filter(|list| list.split(',').all(|item| item != "dtuart"))
    {
        console.notes.push(Note::NotListed(String::from(list)));
        return Ok(console);
    }
    let named = match command_line::value(args, "dtuart").filter(|named| !named.is_empty()) {
        Some(named) => named,
        None => {
            let stdout = tree.stdout().map(|(node, _)| node.path().to_string());
            console::poll();
            let added = format!("dtuart={}", ours.path);
            let longer = if args.is_empty() { added.clone() } else { format!("{args} {added}") };
            if stdout.as_deref() != Some(ours.path) && longer.len() <= command_line::LONGEST {
                console.args = longer;
                console.notes.push(Note::Added(added));
            }
            ours.path
        }
    };
    let named = named.split(':').next().unwrap_or(named);
    let Some(node) = node(tree, named) else {
        console.notes.push(Note::NotFound { named: String::from(named), ours: String::from(ours.path) });
        return Ok(console);
    };
    console::poll();
    let path = node.path().to_string();
    console::poll();
    if !DRIVEN.iter().any(|name| node.is_compatible(name)) {
        console.notes.push(Note::NoDriver(path));
        return Ok(console);
    }
    if path != ours.path
        && let Some(uart) = Uart::find(tree, &path, ours)
    {
        console.notes.push(Note::Elsewhere { uart, ours: String::from(ours.path) });
    }
    if !node.is_enabled() {
        if path != ours.path {
            console.notes.push(Note::Disabled(path));
            return Ok(console);
        }
        console.notes.push(Note::Enabled(path.clone()));
    }
    console.path = Some(path);
    Ok(console)
}

/// The node that Xen finds: a path must be exact, an alias is looked up in `/aliases`.
fn node<'a>(tree: &Tree<'a>, named: &str) -> Option<Node<'a>> {
    if named.starts_with('/') {
        return tree.find(named).filter(|node| node.path().to_string() == named);
    }
    tree.find(tree.alias(named)?)
}

/// Makes the tree fit for Xen's console:
///
/// * the UART is enabled;
/// * other PL011s with the same interrupt go, disabled or not: Xen maps the interrupts of all nodes to Dom0, and panics at one that its
///   own console has ("IRQ 153 is already used by Xen": uart2 to uart5 share one with uart0);
/// * if the UART is ours, other UARTs on our pins are disabled, because Dom0 would take the pins away with the node.
///
/// Gives the paths of the nodes that went or were disabled.
///
/// # Errors
/// [`Error::ManyUarts`], [`Error::Edit`].
pub fn prepare(editor: &mut Editor<'_>, console: &XenConsole, ours: Ours<'_>) -> Result<Vec<String>, Error> {
    let Some(path) = &console.path else { return Ok(Vec::new()) };
    let (mut sharing, mut on_pins) = (Vec::new(), Vec::new());
    {
        let tree = editor.tree()?;
        console::poll();
        let Some(uart) = tree.find(path) else { return Ok(Vec::new()) };
        let interrupts = uart.property("interrupts").map(|property| property.value());
        let looked_at = tree.nodes().enumerate().filter_map(|(index, node)| {
            if index % NODES_AT_ONCE == 0 {
                console::poll();
            }
            is_uart(&node).then_some(node)
        });
        for (index, other) in looked_at.filter(|other| *other != uart).enumerate() {
            if index >= MOST_UARTS {
                return Err(Error::ManyUarts);
            }
            let shares = uart.is_compatible(PL011)
                && other.is_compatible(PL011)
                && interrupts.is_some()
                && other.property("interrupts").map(|property| property.value()) == interrupts;
            if shares {
                sharing.push(other.path().to_string());
            } else if path == ours.path && other.is_enabled() && uses_pins(&tree, &other, ours.pins) {
                on_pins.push(other.path().to_string());
            }
        }
    }
    if console.notes.iter().any(|note| matches!(note, Note::Enabled(_))) {
        editor.set_string(path, "status", "okay")?;
    }
    for other in &sharing {
        console::poll();
        editor.delete_node(other)?;
    }
    for other in &on_pins {
        console::poll();
        editor.set_string(other, "status", "disabled")?;
    }
    sharing.append(&mut on_pins);
    Ok(sharing)
}

/// Nodes that are looked at between two looks at the console.
const NODES_AT_ONCE: usize = 64;

fn is_uart(node: &Node<'_>) -> bool {
    DRIVEN.iter().any(|name| node.is_compatible(name))
}

/// Whether one of the pins that the node asks for is one of `wanted`.
fn uses_pins(tree: &Tree<'_>, node: &Node<'_>, wanted: &[u32]) -> bool {
    pins(tree, node).iter().any(|pin| wanted.contains(pin))
}

/// The pins that the node asks for, as far as its groups name them by number (binding `brcm,bcm2835-gpio`), the first [`MOST_PINS`].
fn pins(tree: &Tree<'_>, node: &Node<'_>) -> Vec<u32> {
    let groups = node.property("pinctrl-0");
    let groups = groups
        .iter()
        .flat_map(|groups| groups.cells())
        .take(MOST_GROUPS)
        .filter_map(|phandle| console::attentively(tree.nodes()).find(|node| node.phandle() == Some(phandle)));
    groups.filter_map(|group| group.property("brcm,pins")).flat_map(|pins| pins.cells()).take(MOST_PINS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::boot::test_tree::TestTree;
    use alloc::vec;

    const MINI: &str = "/soc/serial@7e215040";
    const MAIN: &str = "/soc/serial@7e201000";

    fn here(path: &str) -> Ours<'_> {
        Ours { path, pins: &[14, 15] }
    }

    fn resolve_in(tree: &mut TestTree, args: &str, ours: &str) -> XenConsole {
        resolve(&tree.editor().tree().unwrap(), args, here(ours)).unwrap()
    }

    #[test]
    fn a_line_that_xen_would_cut_is_refused_with_its_length() {
        let mut tree = TestTree::board();
        let editor = tree.editor();
        let found = resolve(&editor.tree().unwrap(), &"x".repeat(1024), here(MINI)).unwrap_err();
        assert_eq!(
            found.to_string(),
            "Xen's command line in /chosen has 1024 bytes, expected at most 1023: Xen would cut the rest without a word"
        );
    }

    #[test]
    fn a_tree_of_uarts_is_refused() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        for index in 0..MOST_UARTS {
            editor.add_node("/soc", &format!("serial@{index}")).unwrap();
            editor.set_string(&format!("/soc/serial@{index}"), "compatible", PL011).unwrap();
        }
        let console = resolve(&editor.tree().unwrap(), "dtuart=serial0", here(MAIN)).unwrap();
        assert_eq!(prepare(&mut editor, &console, here(MAIN)), Err(Error::ManyUarts));
    }

    #[test]
    fn a_full_path_that_is_our_own_uart_needs_no_word() {
        let args = "console=dtuart dtuart=/soc/serial@7e215040 dom0_mem=1G";
        let console = resolve_in(&mut TestTree::board(), args, MINI);
        assert_eq!(console, XenConsole { args: args.into(), path: Some(MINI.into()), notes: vec![] });
    }

    #[test]
    fn aliases_are_those_of_the_tree_and_options_are_left_out() {
        let console = resolve_in(&mut TestTree::board(), "dtuart=serial1:115200n8", MINI);
        assert_eq!((console.path.as_deref(), console.notes.len()), (Some(MINI), 0));
        let console = resolve_in(&mut TestTree::board(), "dtuart=serial0", MINI);
        assert_eq!(console.path.as_deref(), Some(MAIN));
        assert_eq!(
            console.notes[0].to_string(),
            "Xen's console will be on /soc/serial@7e201000 (PL011, GPIO32/33), not here; for here say dtuart=/soc/serial@7e215040"
        );
    }

    #[test]
    fn aliases_of_the_raspberry_pis_own_tree_are_the_other_way_round_and_raise_no_alarm() {
        let mut tree = TestTree::board();
        tree.editor().set_string("/aliases", "serial0", MINI).unwrap();
        tree.editor().set_string("/aliases", "serial1", MAIN).unwrap();
        let console = resolve_in(&mut tree, "console=dtuart dtuart=serial0 dom0_mem=1G", MINI);
        assert_eq!((console.path.as_deref(), console.notes), (Some(MINI), vec![]));
    }

    #[test]
    fn a_uart_is_told_with_what_it_is_and_where_it_leads() {
        let mut tree = TestTree::board();
        let mut editor = tree.editor();
        let told = |editor: &Editor<'_>, path: &str| {
            Uart::find(&editor.tree().unwrap(), path, here(MINI)).unwrap().to_string()
        };
        assert_eq!(told(&editor, MINI), "mini UART, GPIO14/15, this console");
        assert_eq!(told(&editor, MAIN), "PL011, GPIO32/33");
        assert_eq!(told(&editor, "/soc/serial@7e201400"), "PL011");
        editor.add_node(MAIN, "bluetooth").unwrap();
        assert_eq!(told(&editor, MAIN), "PL011, wired to the Bluetooth chip");
        editor.set_string(&format!("{MAIN}/bluetooth"), "status", "disabled").unwrap();
        assert_eq!(told(&editor, MAIN), "PL011, GPIO32/33");
        assert_eq!(Uart::find(&editor.tree().unwrap(), "/soc/serial@1", here(MINI)), None);
        assert_eq!(told(&editor, "/soc/watchdog@7e100000"), "not a UART");
    }

    #[test]
    fn a_name_that_the_tree_does_not_have_means_silence() {
        // Xen wants paths to the letter; only the loader's own search knows names without unit address.
        for named in ["serial9", "/soc/serial", "/soc/serial@7e215040/"] {
            let console = resolve_in(&mut TestTree::board(), &format!("dtuart={named}"), MINI);
            assert_eq!(console.path, None, "{named}");
            assert_eq!(console.notes, [Note::NotFound { named: named.into(), ours: MINI.into() }]);
        }
    }

    #[test]
    fn a_missing_dtuart_is_added_unless_stdout_path_is_right() {
        let console = resolve_in(&mut TestTree::board(), "dom0_mem=1G", MAIN);
        assert_eq!(console.args, "dom0_mem=1G dtuart=/soc/serial@7e201000");
        assert_eq!(console.notes, [Note::Added("dtuart=/soc/serial@7e201000".into())]);
        assert_eq!(console.path.as_deref(), Some(MAIN));
        let console = resolve_in(&mut TestTree::board(), "dom0_mem=1G", MINI);
        assert_eq!((console.args.as_str(), console.notes.len()), ("dom0_mem=1G", 0));
        assert_eq!(console.path.as_deref(), Some(MINI));
        assert_eq!(resolve_in(&mut TestTree::board(), "", MAIN).args, "dtuart=/soc/serial@7e201000");
        let full = "x".repeat(command_line::LONGEST);
        assert_eq!(resolve_in(&mut TestTree::board(), &full, MAIN).args, full, "no room is left to add it");
    }

    #[test]
    fn a_console_list_without_dtuart_means_silence() {
        let console = resolve_in(&mut TestTree::board(), "console=com1,vga dtuart=serial1", MINI);
        assert_eq!((console.path, console.notes), (None, vec![Note::NotListed("com1,vga".into())]));
        assert!(resolve_in(&mut TestTree::board(), "console=vga,dtuart dtuart=serial1", MINI).path.is_some());
    }

    #[test]
    fn what_is_no_uart_or_disabled_means_silence() {
        let mut tree = TestTree::board();
        let console = resolve_in(&mut tree, "dtuart=/soc/watchdog@7e100000", MINI);
        assert_eq!((console.path, console.notes), (None, vec![Note::NoDriver("/soc/watchdog@7e100000".into())]));
        let console = resolve_in(&mut tree, "dtuart=/soc/serial@7e201400", MINI);
        assert_eq!(console.path, None);
        assert_eq!(console.notes[1], Note::Disabled("/soc/serial@7e201400".into()));
    }

    #[test]
    fn our_own_uart_is_enabled_where_a_tree_from_a_file_has_it_disabled() {
        let mut tree = TestTree::board();
        tree.editor().set_string(MINI, "status", "disabled").unwrap();
        let console = resolve_in(&mut tree, "dtuart=serial1", MINI);
        assert_eq!(console.notes, [Note::Enabled(MINI.into())]);
        prepare(&mut tree.editor(), &console, here(MINI)).unwrap();
        assert!(tree.editor().tree().unwrap().find(MINI).unwrap().is_enabled());
    }

    #[test]
    fn xen_on_the_pl011_loses_the_uarts_that_share_its_interrupt_and_those_on_its_pins() {
        let mut tree = TestTree::board();
        let console = resolve_in(&mut tree, "dtuart=serial0", MAIN);
        let gone = prepare(&mut tree.editor(), &console, here(MAIN)).unwrap();
        assert_eq!(gone, ["/soc/serial@7e201400", "/soc/serial@7e201600", MINI]);
        let mut editor = tree.editor();
        let after = editor.tree().unwrap();
        assert!(after.find("/soc/serial@7e201400").is_none() && after.find("/soc/serial@7e201600").is_none());
        assert!(after.find(MAIN).unwrap().is_enabled());
        assert!(!after.find(MINI).unwrap().is_enabled());
        let again = prepare(&mut editor, &console, here(MAIN)).unwrap();
        assert_eq!(again, [""; 0], "doing it again changes nothing");
    }

    #[test]
    fn xen_on_the_mini_uart_leaves_the_others_alone() {
        let mut tree = TestTree::board();
        let before = tree.editor().as_bytes().to_vec();
        let console = resolve_in(&mut tree, "dtuart=serial1", MINI);
        assert_eq!(prepare(&mut tree.editor(), &console, here(MINI)), Ok(vec![]));
        assert_eq!(tree.editor().as_bytes(), before);
    }

    #[test]
    fn pins_are_left_alone_where_ours_is_another_uart() {
        let mut tree = TestTree::board();
        let console = resolve_in(&mut tree, "dtuart=serial0", MINI);
        let gone = prepare(&mut tree.editor(), &console, here(MINI)).unwrap();
        assert_eq!(gone, ["/soc/serial@7e201400", "/soc/serial@7e201600"]);
    }
}
