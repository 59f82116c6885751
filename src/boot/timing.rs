//! When each step of the boot was taken: what `timing` shows at the prompt.
//!
//! A record, and nothing that measures: whoever takes a step says so, with the moment. Moments count from the clock's zero, the board's
//! power-on, so what comes before the loader is seen too.

use crate::time::{Duration, Instant};
use alloc::collections::VecDeque;
use alloc::string::String;
use core::fmt;

/// Steps that are kept: three boots with all the files that Xen takes. After that the oldest goes.
pub const MOST_STEPS: usize = 128;

/// Bytes of a step's name that are kept.
const LONGEST_NAME: usize = 64;

/// A step that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it was done.
    pub at: Instant,
    /// What it was.
    pub name: String,
}

/// The steps so far, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    steps: VecDeque<Step>,
}

impl Timing {
    /// At the moment `at`, `name` was done. What has no place in a line of text is left out of it.
    pub fn mark(&mut self, at: Instant, name: fmt::Arguments<'_>) {
        let mut kept = Name(String::new());
        // It fails where the name is longer than what is kept.
        let _ = fmt::write(&mut kept, name);
        if self.steps.len() >= MOST_STEPS {
            self.steps.pop_front();
        }
        self.steps.push_back(Step { at, name: kept.0 });
    }

    /// The steps.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter()
    }
}

struct Name(String);

impl fmt::Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars().filter(|character| !character.is_control()) {
            if self.0.len() + character.len_utf8() > LONGEST_NAME {
                return Err(fmt::Error);
            }
            self.0.push(character);
        }
        Ok(())
    }
}

/// A line a step: when since power-on, how long since the one before, both in milliseconds, and what.
impl fmt::Display for Timing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut before = Instant::default();
        for Step { at, name } in &self.steps {
            writeln!(
                f,
                "{:>9} {:>+8}  {name}",
                Milliseconds(at.since(Instant::default())),
                Milliseconds(at.since(before))
            )?;
            before = *at;
        }
        Ok(())
    }
}

struct Milliseconds(Duration);

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX);
        let sign = if f.sign_plus() { "+" } else { "" };
        f.pad(&alloc::format!("{sign}{}.{}", micros / 1000, micros / 100 % 10))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_step_has_its_moment_and_the_time_since_the_one_before() {
        let mut timing = Timing::default();
        timing.mark(Instant::from_micros(3_120_000), format_args!("start"));
        timing.mark(Instant::from_micros(3_121_450), format_args!("console"));
        timing.mark(Instant::from_micros(63_121_450), format_args!("file {}", "Image"));
        assert_eq!(
            timing.to_string(),
            "   3120.0  +3120.0  start\n   3121.4     +1.4  console\n  63121.4 +60000.0  file Image\n"
        );
    }

    #[test]
    fn names_are_one_short_line_and_the_oldest_steps_go() {
        let mut timing = Timing::default();
        for step in 0..1000 {
            timing.mark(Instant::from_micros(step), format_args!("{step}\r\n\x1b[2J{}", "ä".repeat(100)));
        }
        let steps: Vec<_> = timing.steps().collect();
        assert_eq!(steps.len(), MOST_STEPS);
        assert!(steps[0].name.starts_with("872[2Jä"), "{:?}", steps[0].name);
        assert!(steps.iter().all(|step| step.name.len() <= LONGEST_NAME && !step.name.contains(char::is_control)));
    }
}
