//! Files of cases: scripts, and what a real U-Boot answered.
//!
//! ```text
//! #### what it is about
//! a script
//! ---- 0
//! what it printed, and after the dashes above its exit status
//! ---> 0 why Xenlift differs on purpose
//! what it prints instead
//! ```
//!
//! The cases of a file are run one after the other: variables stay. A status with `-n` says that the output's last line has no end. Messages about
//! mistakes are stored as `<a message>`: that there is one is part of the answer, its words are not.

/// An answer: exit status, and what was printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: String,
    pub printed: String,
}

impl Answer {
    pub fn new(status: &str, printed: &str) -> Self {
        let ended = printed.is_empty() || printed.ends_with('\n');
        let (option, end) = if ended { ("", "") } else { (" -n", "\n") };
        Self { status: format!("{status}{option}"), printed: format!("{printed}{end}") }
    }
}

#[derive(Clone, Debug)]
pub struct Case {
    pub title: String,
    pub script: String,
    /// U-Boot's.
    pub answer: Option<Answer>,
    /// Ours, with the reason, where it is another on purpose.
    pub ours: Option<(String, Answer)>,
}

const TITLE: &str = "#### ";
const ANSWER: &str = "---- ";
const OURS: &str = "---> ";

pub fn read(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    // What the lines belong to: the script, the answer, our answer.
    let mut part = 0;
    for line in text.split_terminator('\n') {
        if let Some(title) = line.strip_prefix(TITLE) {
            cases.push(Case { title: title.to_string(), script: String::new(), answer: None, ours: None });
            part = 0;
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        if let Some(status) = line.strip_prefix(ANSWER) {
            case.answer = Some(Answer { status: status.to_string(), printed: String::new() });
            part = 1;
        } else if let Some(rest) = line.strip_prefix(OURS) {
            let (status, reason) = rest.split_once(' ').unwrap_or((rest, ""));
            let answer = Answer { status: status.to_string(), printed: String::new() };
            case.ours = Some((reason.to_string(), answer));
            part = 2;
        } else {
            let lines = match (part, &mut case.answer, &mut case.ours) {
                (1, Some(answer), _) => &mut answer.printed,
                (2, _, Some((_, answer))) => &mut answer.printed,
                _ => &mut case.script,
            };
            lines.push_str(line);
            lines.push('\n');
        }
    }
    cases
}

#[allow(dead_code, reason = "the recorder writes, the replay does not")]
pub fn write(cases: &[Case]) -> String {
    let mut text = String::new();
    for case in cases {
        text.push_str(&format!("{TITLE}{}\n{}", case.title, case.script));
        if let Some(answer) = &case.answer {
            text.push_str(&format!("{ANSWER}{}\n{}", answer.status, answer.printed));
        }
        if let Some((reason, answer)) = &case.ours {
            text.push_str(&format!("{OURS}{} {reason}\n{}", answer.status, answer.printed));
        }
    }
    text
}

/// The files, by name.
pub const FILES: [&str; 5] = ["lexing.txt", "control.txt", "conditions.txt", "variables.txt", "idioms.txt"];

/// Where they are.
pub fn directory() -> std::path::PathBuf {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = if here.ends_with("tests/e2e") { here.join("../..") } else { here.to_path_buf() };
    root.join("tests/shell/cases")
}

/// Puts one word in the place of every message about a mistake: U-Boot's and ours are not the same words, but stand in the same places.
pub fn without_diagnostics(printed: &str, ours: bool) -> String {
    let theirs = [
        "## Error",
        "Unknown command",
        "syntax error",
        "Unknown operator",
        "invalid op",
        "Invalid data width",
        "## ",
        "Error compiling",
    ];
    let kept = ["## Resetting", "## Info", "## Warning"];
    let mut text = String::new();
    let mut lines = printed.split_inclusive('\n').peekable();
    let mut last_was = false;
    while let Some(line) = lines.next() {
        let usage = !ours && lines.peek().is_some_and(|next| *next == "\n") && line.contains(" - ");
        let is_diagnostic = if ours {
            names_a_line(line) || (last_was && line.starts_with("    "))
        } else {
            usage
                || (theirs.iter().any(|start| line.starts_with(start))
                    && !kept.iter().any(|start| line.starts_with(start)))
        };
        if usage {
            // Name and help, an empty line, "Usage:", the forms, another empty line or the end.
            lines.next();
            lines.next();
            while lines.next_if(|line| is_usage(line)).is_some() {}
        }
        if !is_diagnostic {
            text.push_str(line);
        } else if !last_was {
            text.push_str("<a message>\n");
        }
        last_was = is_diagnostic;
    }
    text
}

/// Whether a line begins as our messages do: `boot.scr, line 3: `.
fn names_a_line(line: &str) -> bool {
    let number = line.split_once(", line ").and_then(|(_, rest)| rest.split_once(": "));
    number.is_some_and(|(number, _)| number.parse::<u32>().is_ok())
}

/// Whether a line is of the usage that U-Boot prints for one of the commands that the cases misuse.
fn is_usage(line: &str) -> bool {
    let commands = ["itest", "setexpr", "setenv", "env", "run", "sleep", "printenv"];
    line.starts_with("    ")
        || line.starts_with("      ")
        || commands.iter().any(|command| line.starts_with(command))
        || line == "\n"
}
