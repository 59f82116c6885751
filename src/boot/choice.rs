//! The menu on the board: the keyboard, the clock and the screen that [`Menu`] has not, and what follows from what is chosen in it.

use crate::board::Board;
use crate::boot::attempt::{self, Prefetched};
use crate::boot::bring_up::{Keeper, Machine};
use crate::boot::keyboard::Keyboard;
use crate::boot::network::{Foreground, Verdict, Watch};
use crate::boot::prompt;
use crate::config::{Entry, Payload, Settings, Timeout};
use crate::console::{self, Console};
use crate::menu::{Action, Menu};
use crate::println;
use crate::shell::Leave;
use crate::terminal::Kind;
use crate::terminal::key::Key;
use crate::terminal::query::Query;
use crate::time::{Clock, Duration, Instant};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};

/// Time between two looks at the menu while files come: drawing it takes as long as some blocks take to come, and keys have 10 ms between them.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

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
    /// An entry, which nobody chose (`by_itself`) or somebody did, in the menu or at the prompt. What has been done of it already.
    Boot { entry: Box<Entry>, by_itself: bool, from_prompt: bool, started: Option<Started> },
    /// The prompt.
    Prompt,
}

/// A boot that began while the menu was there.
struct Started {
    /// Its files, or why it was not booted.
    files: Result<Prefetched, attempt::Error>,
    /// Whether it has been said that it is booted.
    announced: bool,
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
            Step::Boot { entry: Box::new(default.clone()), by_itself: true, from_prompt: false, started: None }
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
                    Chosen::Boot { entry, by_itself, started } => {
                        Step::Boot { entry, by_itself, from_prompt: false, started }
                    }
                    Chosen::Prompt => Step::Prompt,
                    Chosen::Reload => return End::Reload,
                }
            }
            Step::Boot { entry, by_itself, from_prompt, started } => {
                let error = boot_with_fallbacks(machine, settings, &entry, from_card, from_prompt, started);
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
                    Some(entry) => Step::Boot {
                        entry: Box::new(entry.clone()),
                        by_itself: false,
                        from_prompt: true,
                        started: None,
                    },
                    None => Step::Prompt,
                },
                Leave::Idle => {
                    // What was taken for somebody may have been noise.
                    machine.keeper.watched = false;
                    Step::Boot { entry: Box::new(default.clone()), by_itself: true, from_prompt: false, started: None }
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
    mut started: Option<Started>,
) -> String {
    let mut reason = None;
    let mut next = Some(entry);
    while let Some(entry) = next {
        let begun = started.take();
        if !begun.as_ref().is_some_and(|begun| begun.announced) {
            announce(entry);
        }
        let error = match begun.map(|begun| begun.files).transpose() {
            Ok(files) => attempt::boot(machine, entry, from_card, files),
            Err(error) => error,
        };
        let error = error.to_string();
        println!("{} was not booted: {error}", entry.name);
        reason.get_or_insert(error);
        let is_watched = machine.keeper.watched && matches!(entry.payload, Payload::Script(_));
        let fallback = entry.fallback.as_deref().filter(|_| !from_prompt && !is_watched);
        next = fallback.and_then(|name| settings.entry(name));
    }
    reason.unwrap_or_default()
}

fn announce(entry: &Entry) {
    println!("Booting {}.", entry.title());
}

/// What was chosen in the menu.
enum Chosen {
    /// `by_itself`: nobody chose it.
    Boot {
        entry: Box<Entry>,
        by_itself: bool,
        started: Option<Started>,
    },
    Prompt,
    Reload,
}

/// The menu, and the terminal that it is on.
struct Visit<'s> {
    menu: Menu<'s>,
    /// What is booted if nobody chooses anything.
    default: &'s Entry,
    /// What has been done of that already.
    started: Option<Started>,
    /// Whether that was tried.
    tried: bool,
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
        let default = settings.default_entry()?;
        Some(Self { menu, default, started: None, tried: false, keyboard, query, early })
    }

    /// Shows the menu again, below what was printed since.
    fn reopen<B: Board>(&mut self, machine: &mut Machine<B>, message: &str) {
        let now = machine.board.clock().now();
        // What came with the key that led away from the menu was meant for what it led to, if for anything.
        self.keyboard.forget();
        self.early.clear();
        console::with(|console| self.menu.reopen(now, message, console));
        if machine.keeper.terminal.is_some_and(|kind| kind != Kind::Plain) {
            self.query = console::with(|console| Query::ask(now, console));
        }
    }

    /// Until something is chosen.
    fn choose<B: Board>(&mut self, machine: &mut Machine<B>, from_card: bool) -> Chosen {
        loop {
            let (action, by_itself) = match self.prefetch(machine, from_card) {
                Some(chosen) => chosen,
                None => self.action(machine),
            };
            if !matches!(action, Action::Details(_)) && !self.boots_default(action) {
                self.give_up(machine);
            }
            match action {
                Action::Boot(index) => {
                    // An index of the menu's own is always one of an entry.
                    if let Some(entry) = self.menu.entry(index).cloned() {
                        let started = self.started.take();
                        return Chosen::Boot { entry: Box::new(entry), by_itself, started };
                    }
                }
                Action::Shell => return Chosen::Prompt,
                Action::Reload => return Chosen::Reload,
                Action::Details(index) => self.show_details(machine, index, from_card),
            }
        }
    }

    /// Whether that is the entry which is booted by itself, as the settings have it.
    fn boots_default(&self, action: Action) -> bool {
        matches!(action, Action::Boot(index) if self.menu.entry(index) == Some(self.default))
    }

    /// Gives back what the default entry's files take.
    fn give_up<B: Board>(&mut self, machine: &mut Machine<B>) {
        if let Some(Started { files: Ok(files), .. }) = self.started.take() {
            files.give_up(&mut machine.ram);
            machine.keeper.untold_files.clear();
        }
    }

    /// Brings the default entry's files while the countdown runs, once. What was chosen meanwhile, if anything was: if it was that entry, its files
    /// have gone on coming since.
    fn prefetch<B: Board>(&mut self, machine: &mut Machine<B>, from_card: bool) -> Option<(Action, bool)> {
        if core::mem::replace(&mut self.tried, true) || !self.menu.is_counting() {
            return None;
        }
        let default = self.default;
        let looked = machine.keeper.now();
        let mut ahead = Ahead { visit: self, looked, chosen: None, wanted: false };
        let files = attempt::prefetch(machine, default, from_card, &mut ahead);
        let Ahead { chosen, wanted, .. } = ahead;
        self.started = match files {
            Ok(files) => files.map(|files| Started { files: Ok(files), announced: wanted }),
            // What nobody has asked for yet need not have worked.
            Err(error) => wanted.then_some(Started { files: Err(error), announced: true }),
        };
        chosen
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

    /// The next thing that is asked for, and whether nobody asked. Link and lease are worked on meanwhile.
    fn action<B: Board>(&mut self, machine: &mut Machine<B>) -> (Action, bool) {
        let clock = machine.board.clock();
        loop {
            let now = clock.now();
            if let Some(found) = self.look(&mut machine.keeper, now) {
                return found;
            }
            if let Ok(session) = &mut machine.network {
                // What keeps them away is told when they are wanted.
                let _ = session.advance(now, &mut Watch::hidden(&mut machine.keeper, now, None));
            }
        }
    }

    /// What is asked for now, if anything is, and whether nobody asked.
    fn look<B: Board>(&mut self, keeper: &mut Keeper<B>, now: Instant) -> Option<(Action, bool)> {
        keeper.breathe();
        let Self { menu, keyboard, query, early, .. } = self;
        let found = console::with(|console| {
            menu.set_line_busy(console.is_printing());
            while let Some(key) = early.pop_front().or_else(|| match menu.takes_text() {
                true => keyboard.text_key(now, console),
                false => keyboard.key(now, console),
            }) {
                if query.as_mut().is_some_and(|query| query.key(key)) {
                    let kind = query.map_or(Kind::Plain, |query| query.kind());
                    keeper.set_terminal_of(console, kind);
                    menu.set_kind(now, kind, console);
                } else if !matches!(key, Key::Report { .. }) {
                    keeper.watched = true;
                    if let Some(action) = menu.key(now, key, console) {
                        return Some((action, false));
                    }
                    if key == Key::Control(b'l') {
                        // The terminal may have another size by now. Nobody waits for its answer.
                        *query = Some(Query::ask(now, console));
                    }
                }
            }
            menu.idle(now, console).map(|action| (action, true))
        });
        let (action, by_itself) = found.flatten()?;
        // Nobody has chosen for long: whoever was there has gone, or was noise.
        keeper.watched &= !by_itself;
        keeper.timing.mark(now, format_args!("menu"));
        Some((action, by_itself))
    }
}

/// The menu while the default entry's files come behind it.
struct Ahead<'v, 's> {
    visit: &'v mut Visit<'s>,
    /// When the menu was last looked at.
    looked: Instant,
    chosen: Option<(Action, bool)>,
    /// The entry whose files they are was chosen.
    wanted: bool,
}

impl<B: Board> Foreground<B> for Ahead<'_, '_> {
    fn look(&mut self, keeper: &mut Keeper<B>, now: Instant) -> Verdict {
        if self.chosen.is_none() && now.since(self.looked) < BETWEEN_LOOKS {
            keeper.breathe();
            return Verdict::Open;
        }
        self.looked = now;
        if self.chosen.is_none() {
            self.chosen = self.visit.look(keeper, now);
        }
        match self.chosen {
            None if self.visit.menu.is_counting() => Verdict::Open,
            Some((action, _)) if self.visit.boots_default(action) => {
                self.wanted = true;
                announce(self.visit.default);
                Verdict::Wanted
            }
            _ => Verdict::Unwanted,
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
