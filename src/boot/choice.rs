//! The menu on the board: the keyboard, the clock and the screen that [`Menu`] has not, and what follows from what is chosen in it.

use crate::board::Board;
use crate::boot::attempt;
use crate::boot::bring_up::Machine;
use crate::boot::keyboard::Keyboard;
use crate::boot::prompt;
use crate::config::{Entry, Payload, Settings, Timeout};
use crate::console::{self, Console};
use crate::menu::{Action, Menu};
use crate::println;
use crate::shell::Leave;
use crate::terminal::Kind;
use crate::terminal::key::Key;
use crate::terminal::query::Query;
use crate::time::Clock;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

/// How it went with some settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Somebody wants them looked for anew.
    Reload,
    /// Nothing in them could be booted, and nobody is there to choose something else.
    Failed,
}

/// What comes next.
enum Step {
    /// The menu, with what went wrong before.
    Menu(String),
    /// An entry, which nobody chose (`by_itself`) or somebody did, in the menu or at the prompt.
    Boot { entry: Box<Entry>, by_itself: bool, from_prompt: bool },
    /// The prompt.
    Prompt,
}

/// Boots what is chosen from `settings`, or their default. `from_card` says that they came from the card.
pub fn run<B: Board>(machine: &mut Machine<B>, settings: &Settings, from_card: bool) -> End {
    let Some(default) = settings.default_entry() else {
        println!("The settings have no [[entry]]: nothing to boot.");
        return End::Failed;
    };
    let mut visit = None;
    machine.keeper.breathe();
    // Nobody is asked, unless somebody has pressed a key since the loader has its console, or just before.
    let mut step = match settings.timeout {
        Timeout::Seconds(0) if !machine.keeper.watched => {
            Step::Boot { entry: Box::new(default.clone()), by_itself: true, from_prompt: false }
        }
        _ => Step::Menu(String::new()),
    };
    loop {
        step = match step {
            Step::Menu(message) => {
                let visit = match &mut visit {
                    Some(visit) => {
                        Visit::reopen(visit, machine, &message);
                        visit
                    }
                    None => match Visit::open(machine, settings) {
                        Some(new) => visit.insert(new),
                        None => return End::Failed,
                    },
                };
                match visit.choose(machine, from_card) {
                    Chosen::Boot { entry, by_itself } => Step::Boot { entry, by_itself, from_prompt: false },
                    Chosen::Prompt => Step::Prompt,
                    Chosen::Reload => return End::Reload,
                }
            }
            Step::Boot { entry, by_itself, from_prompt } => {
                let error = boot_with_fallbacks(machine, settings, &entry, from_card, from_prompt);
                if by_itself && !machine.keeper.watched {
                    return End::Failed;
                }
                // Whoever booted from there, or watches a script, finds its variables and files at the prompt.
                match from_prompt || matches!(entry.payload, Payload::Script(_)) {
                    true => Step::Prompt,
                    false => Step::Menu(error),
                }
            }
            Step::Prompt => match prompt::run(machine, settings, from_card) {
                Leave::Menu => Step::Menu(String::new()),
                Leave::Reload => return End::Reload,
                Leave::Boot(index) => match settings.entries.get(index) {
                    Some(entry) => Step::Boot { entry: Box::new(entry.clone()), by_itself: false, from_prompt: true },
                    None => Step::Prompt,
                },
                Leave::Idle => {
                    // What was taken for somebody may have been noise.
                    machine.keeper.watched = false;
                    Step::Boot { entry: Box::new(default.clone()), by_itself: true, from_prompt: false }
                }
            },
        };
    }
}

/// Boots `entry`; if that fails its fallback, and so on. Settings have no circles of fallbacks. Comes back with why the first one was not booted.
///
/// Who boots from the prompt wants this entry and no other, and who watches a script fail wants to look at what it left.
fn boot_with_fallbacks<B: Board>(
    machine: &mut Machine<B>,
    settings: &Settings,
    entry: &Entry,
    from_card: bool,
    from_prompt: bool,
) -> String {
    let mut reason = None;
    let mut next = Some(entry);
    while let Some(entry) = next {
        println!("Booting {}.", entry.title());
        let error = attempt::boot(machine, entry, from_card, None).to_string();
        println!("{} was not booted: {error}", entry.name);
        reason.get_or_insert(error);
        let is_watched = machine.keeper.watched && matches!(entry.payload, Payload::Script(_));
        let fallback = entry.fallback.as_deref().filter(|_| !from_prompt && !is_watched);
        next = fallback.and_then(|name| settings.entry(name));
    }
    reason.unwrap_or_default()
}

/// What was chosen in the menu.
enum Chosen {
    /// `by_itself`: nobody chose it.
    Boot {
        entry: Box<Entry>,
        by_itself: bool,
    },
    Prompt,
    Reload,
}

/// The menu, and the terminal that it is on.
struct Visit<'s> {
    menu: Menu<'s>,
    keyboard: Keyboard,
    /// What was asked of the terminal, as long as the answer may come.
    query: Option<Query>,
    /// Keys that came while its answer was waited for.
    early: VecDeque<Key>,
}

impl<'s> Visit<'s> {
    /// Asks what the terminal is, if nobody has, and shows the menu. `None` if there is nothing in it.
    fn open<B: Board>(machine: &mut Machine<B>, settings: &'s Settings) -> Option<Self> {
        let clock = machine.board.clock();
        let started = clock.now();
        // What was typed before there was anything to choose from stops the countdown, and chooses nothing.
        machine.keeper.breathe();
        console::with(Console::discard_input);
        let mut keyboard = Keyboard::default();
        let mut early = VecDeque::new();
        let mut query = None;
        if machine.keeper.terminal.is_none() {
            query = ask(machine, &mut keyboard, &mut early);
        }
        let watched = machine.keeper.watched;
        let kind = machine.keeper.terminal.unwrap_or(Kind::Plain);
        let mut menu = Menu::new(settings, kind, started)?;
        console::with(|console| menu.open(clock.now(), watched, console));
        Some(Self { menu, keyboard, query, early })
    }

    /// Shows the menu again, below what was printed since.
    fn reopen<B: Board>(&mut self, machine: &mut Machine<B>, message: &str) {
        let now = machine.board.clock().now();
        // What came with the key that led away from the menu was meant for what it led to, if for anything.
        self.keyboard.forget();
        self.early.clear();
        console::with(|console| self.menu.reopen(now, message, console));
    }

    /// Until something is chosen.
    fn choose<B: Board>(&mut self, machine: &mut Machine<B>, from_card: bool) -> Chosen {
        loop {
            let (action, by_itself) = self.action(machine);
            match action {
                Action::Boot(index) => {
                    // An index of the menu's own is always one of an entry.
                    if let Some(entry) = self.menu.entry(index).cloned() {
                        return Chosen::Boot { entry: Box::new(entry), by_itself };
                    }
                }
                Action::Shell => return Chosen::Prompt,
                Action::Reload => return Chosen::Reload,
                Action::Details(index) => self.show_details(machine, index, from_card),
            }
        }
    }

    fn show_details<B: Board>(&mut self, machine: &mut Machine<B>, index: usize, from_card: bool) {
        let Some(entry) = self.menu.entry(index).cloned() else { return };
        let mut text = String::new();
        if let Err(error) = attempt::outline(machine, &entry, from_card, &mut text) {
            text.push_str(&alloc::format!("It would not be booted: {error}\n"));
        }
        let now = machine.board.clock().now();
        console::with(|console| self.menu.show(now, "What would be done", &text, console));
    }

    /// The next thing that is asked for, and whether nobody asked.
    fn action<B: Board>(&mut self, machine: &mut Machine<B>) -> (Action, bool) {
        let clock = machine.board.clock();
        loop {
            machine.keeper.breathe();
            let now = clock.now();
            let Self { menu, keyboard, query, early } = self;
            let found = console::with(|console| {
                menu.set_line_busy(console.is_printing());
                while let Some(key) = early.pop_front().or_else(|| match menu.takes_text() {
                    true => keyboard.text_key(now, console),
                    false => keyboard.key(now, console),
                }) {
                    if query.as_mut().is_some_and(|query| query.key(key)) {
                        let kind = query.map_or(Kind::Plain, |query| query.kind());
                        machine.keeper.set_terminal(kind);
                        menu.set_kind(now, kind, console);
                    } else if !matches!(key, Key::Report { .. }) {
                        machine.keeper.watched = true;
                        if let Some(action) = menu.key(now, key, console) {
                            return Some((action, false));
                        }
                    }
                }
                menu.idle(now, console).map(|action| (action, true))
            });
            if let Some((action, by_itself)) = found.flatten() {
                // Nobody has chosen for long: whoever was there has gone, or was noise.
                machine.keeper.watched &= !by_itself;
                return (action, by_itself);
            }
        }
    }
}

/// Asks what the terminal is, and waits for the answer as long as one is worth it. Keys that come meanwhile are for `early`.
fn ask<B: Board>(machine: &mut Machine<B>, keyboard: &mut Keyboard, early: &mut VecDeque<Key>) -> Option<Query> {
    let clock = machine.board.clock();
    let mut query = console::with(|console| Query::ask(clock.now(), console))?;
    while query.is_open(clock.now()) {
        machine.keeper.breathe();
        let key = console::with(|console| keyboard.key(clock.now(), console)).flatten();
        early.extend(key.filter(|key| !query.key(*key) && !matches!(key, Key::Report { .. })));
    }
    machine.keeper.set_terminal(query.kind());
    Some(query)
}
