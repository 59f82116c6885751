//! Commands that run commands: `source`.

use crate::shell::image::image_at;
use crate::shell::{Command, Failure, Outcome, Shell, number};
use alloc::format;
use alloc::string::String;

/// The commands.
pub const COMMANDS: &[Command] = &[Command {
    name: "source",
    usage: "[ADDRESS][:FILE|#CONFIGURATION]",
    help: "run a script that was loaded",
    example: "tftpboot 0x2400000 boot.scr; source 0x2400000",
    run: source,
}];

fn source(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    match arguments {
        [_] => shell.run_loaded(None),
        [_, place] => shell.run_loaded(Some(place)),
        _ => Err(Failure::Usage),
    }
}

impl Shell<'_> {
    /// Runs the script at `place`, `[ADDRESS][:FILE|#CONFIGURATION]`, [`Shell::image_place`] without one.
    ///
    /// # Errors
    /// There is no script; and as [`Shell::run_script`].
    pub fn run_loaded(&mut self, place: Option<&str>) -> Outcome {
        let (text, note) = self.script_text(place)?;
        if let Some(note) = note {
            self.say(format_args!("Note: {note}\n"))?;
        }
        let address = place.map_or("", |place| place.split([':', '#']).next().unwrap_or(place));
        let address = if address.is_empty() { self.image_place } else { number::hexadecimal(address)? };
        let file = self.loaded.iter().position(|loaded| loaded.range.start == address);
        // Its text has been copied: whatever comes over it overwrites nothing that is wanted. Of a plain text nothing else knows the length.
        let name = match file {
            Some(index) if image_at(self.platform, address)?.is_some() => self.loaded.remove(index).name,
            Some(index) => self.loaded.get_mut(index).map_or_else(String::new, |loaded| {
                loaded.spent = true;
                loaded.name.clone()
            }),
            None => format!("the script at {address:#x}"),
        };
        self.run_script(&name, &text)
    }
}
