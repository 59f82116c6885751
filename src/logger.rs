//! Diagnosis: the `log` crate's messages, on the console, with the time since the start.
//!
//! What the user reads is printed on the [`crate::console`]; `log` is for the one who looks for a fault. An unattended boot
//! shows warnings and errors only.

use crate::console;
use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};

/// What is shown unless somebody asks for more.
pub const DEFAULT_LEVEL: LevelFilter = LevelFilter::Warn;

struct ConsoleLogger;

impl Log for ConsoleLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // Without its crate and parent modules: the last word of `xenlift::net::dhcp` says enough.
        let target = record.target().rsplit("::").next().unwrap_or_default();
        let (level, text) = (record.level().as_str(), record.args());
        let shown = console::with(|console| console.stamped_line(format_args!("{level} {target}: {text}")));
        if shown.is_none() {
            console::count_missed();
        }
    }

    fn flush(&self) {}
}

/// Sends `log`'s messages up to `level` to the console. An error if another logger is installed.
pub fn init(level: LevelFilter) -> Result<(), SetLoggerError> {
    static LOGGER: ConsoleLogger = ConsoleLogger;
    log::set_logger(&LOGGER)?;
    set_level(level);
    Ok(())
}

/// Changes what is shown.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}
