//! The one console: where it is installed, how it is reached, and the macros that print on it.
//!
//! The lock is `spin`'s: wanted are the MMU and the data cache (exclusives on memory that is not cacheable are not defined to work). It is
//! only ever tried, never waited for: the one that could hold it is the code that was interrupted by a panic or exception, which then
//! writes through [`crate::drivers::uart::Polled`].

use super::Console;
use crate::terminal::wrap;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use spin::Mutex;

static CONSOLE: Mutex<Option<Console>> = Mutex::new(None);

/// Messages that found the console busy or missing.
static MISSED: AtomicU32 = AtomicU32::new(0);

/// Makes `console` the one that [`with`] finds, in the place of any other. `false`, and nothing done, if that one is in use at
/// this moment.
pub fn install(console: Console) -> bool {
    CONSOLE.try_lock().map(|mut slot| *slot = Some(console)).is_some()
}

/// Does `work` with the console. `None`, and `work` not called, if there is none or if it is in use: inside another `with`, or
/// in a report about a panic that happened there.
pub fn with<R>(work: impl FnOnce(&mut Console) -> R) -> Option<R> {
    CONSOLE.try_lock()?.as_mut().map(work)
}

/// Moves what can be moved at once: [`Console::poll`] of the one console, if it is free. A look that came late is a message of the log.
pub fn poll() {
    let gap = with(|console| {
        console.poll();
        console.take_gap()
    });
    if let Some(gap) = gap.flatten() {
        log::debug!("{gap}");
    }
}

/// Prints on the one console; counted in [`missed`] if it is missing or in use. For the macros.
pub fn print(text: fmt::Arguments<'_>) {
    if with(|console| fmt::Write::write_fmt(console, text)).is_none() {
        count_missed();
    }
}

/// Prints a line on the one console, in rows where the terminal is known to have less room. For the macros.
pub fn print_line(text: fmt::Arguments<'_>) {
    match with(|console| console.columns()).flatten() {
        // The last column stays free: terminals differ in when they wrap.
        Some(columns) => wrap::rows(&alloc::fmt::format(text), usize::from(columns.saturating_sub(1)))
            .iter()
            .for_each(|row| print(format_args!("{row}\n"))),
        None => print(format_args!("{text}\n")),
    }
}

/// Counts a message that found the console missing or in use.
pub(crate) fn count_missed() {
    MISSED.fetch_add(1, Ordering::Relaxed);
}

/// Messages that [`print`] and the logger could not bring out because the console was missing or in use.
pub fn missed() -> u32 {
    MISSED.load(Ordering::Relaxed)
}

/// Prints on the console, as `std`'s does.
#[macro_export]
macro_rules! print {
    ($($text:tt)*) => { $crate::console::print(::core::format_args!($($text)*)) };
}

/// Prints a line on the console, as `std`'s does, which is cut at blanks where it is wider than the terminal.
#[macro_export]
macro_rules! println {
    () => { $crate::console::print(::core::format_args!("\n")) };
    ($($text:tt)*) => { $crate::console::print_line(::core::format_args!($($text)*)) };
}
