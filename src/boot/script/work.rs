//! How far a command is that goes through much memory: shown as a file on its way is, to whoever is there to read it.

use crate::board::Board;
use crate::boot::bring_up::Keeper;
use crate::console;
use crate::net::fetch::{Event, Progress};
use crate::terminal::progress::{Display, Manner};
use crate::time::{Duration, Instant};

/// Time between two looks at how far it is.
const INTERVAL: Duration = Duration::from_millis(250);

/// The work that is under way.
pub(super) struct Work {
    display: Display,
    started: Instant,
    reported: Instant,
}

impl Work {
    /// Work that begins now.
    pub(super) fn new<B: Board>(keeper: &Keeper<B>) -> Self {
        let now = keeper.now();
        Self { display: Display::new(keeper.manner()), started: now, reported: now }
    }

    /// `done` of `size` bytes of what is called `what` are done. A log that nobody reads while it is written has nothing of it.
    pub(super) fn progress<B: Board>(&mut self, keeper: &Keeper<B>, what: &str, done: u64, size: u64) {
        let (now, manner) = (keeper.now(), keeper.manner());
        if now.since(self.reported) < INTERVAL || manner == Manner::Unattended {
            return;
        }
        self.reported = now;
        let elapsed = now.since(self.started);
        let progress = Progress { received: done, size: Some(size), elapsed, ..Progress::default() };
        let Self { display, .. } = self;
        // The console's writer never fails. A slow line is not given more to draw before it has brought out the last of it.
        console::with(|console| match console.is_printing() {
            true => None,
            false => (display.set_manner(manner, console))
                .and_then(|()| display.event(now, &Event::Progress { file: what, progress }, console))
                .ok(),
        });
    }

    /// It has ended, with all of it done or not.
    pub(super) fn end<B: Board>(mut self, keeper: &Keeper<B>, what: &str, whole: bool) {
        let ended = Event::Ended { file: what, came: whole };
        console::with(|console| self.display.event(keeper.now(), &ended, console).ok());
    }
}
