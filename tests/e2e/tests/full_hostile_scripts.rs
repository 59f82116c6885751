//! Scripts that would use the loader up: on the board, with its stack and its heap, each ends with its reason and the next entry is tried.

use anyhow::{Result, ensure};
use xenlift_e2e::boot::Board;
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::u_boot_tools::make_script;

/// A script, and what the console says of it in the end.
struct Case {
    name: &'static str,
    script: String,
    says: &'static str,
}

fn cases() -> Vec<Case> {
    let case = |name, script: String, says| Case { name, script, says };
    let words = "x ".repeat(3000);
    let long = "x".repeat(60_000);
    let nested = |inside: &str| format!("{}{inside}{}", "if true; then ".repeat(64), "; fi".repeat(64));
    // As deep as both bounds allow: nested 64 deep, and in there scripts 23 deep.
    let mut deepest = String::from("setenv b21 'echo at the bottom'\n");
    for depth in 0..21 {
        deepest.push_str(&format!("setenv b{depth} 'run b{}'\n", depth + 1));
    }
    deepest.push_str(&nested("run b0"));
    vec![
        case(
            "itself",
            "setenv a 'if true; then run a; fi'\nrun a\n".to_owned(),
            "nested more than 24 deep; does one run itself?",
        ),
        case("deepest", deepest + "\n", "at the bottom"),
        case("too-deep", nested(&nested("true")) + "\n", "nested more than 64 deep"),
        case(
            "values",
            format!("setenv w '{words}'\nfor i in $w; do for j in $w; do for k in $w; do true; done; done; done\n"),
            "more than 8192 words",
        ),
        case("line", format!("echo {}\n", "x ".repeat(20_000)), "more than 8192 words"),
        case(
            "variables",
            format!("setenv w {long}\na=$w\nfor i in 1 2 3; do setenv v$i $w; done\nb=$w; c=$w; d=$w\n"),
            "variables have more than 131072 bytes together",
        ),
        case(
            "growing",
            "setenv w xxxxxxxx\nwhile true; do setenv w $w$w; done\n".to_owned(),
            "longer than 65536 bytes",
        ),
        case(
            "large",
            format!("{}echo the end of a large script\n", "true a b c d e f\n".repeat(12_000)),
            "the end of a large script",
        ),
        case(
            "pattern",
            "setexpr x gsub '((a|a)*)*b' y aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n".to_owned(),
            "the pattern takes too long",
        ),
        case("endless", "while true; do true; done\n".to_owned(), "1000000 commands have been run"),
        case("last", "echo everything was survived\n".to_owned(), "everything was survived"),
    ]
}

#[test]
fn no_script_uses_the_loader_up() -> Result<()> {
    let cases = cases();
    let mut settings = String::from("timeout = 0\n");
    let mut network = Network::new()?;
    for (index, case) in cases.iter().enumerate() {
        settings.push_str(&format!("[[entry]]\nname = \"{0}\"\nscript = \"{0}.scr\"\n", case.name));
        if let Some(next) = cases.get(index + 1) {
            settings.push_str(&format!("fallback = \"{}\"\n", next.name));
        }
        network = network.with(&format!("{}.scr", case.name), &make_script(&case.script)?)?;
    }
    let mut board = Board::on(&network, Some(settings.as_bytes()), 1)?;
    for case in &cases {
        board.says(&format!("Running {}.scr.", case.name))?;
        board.says(case.says)?;
    }
    ensure!(network.refusals()?.is_empty());
    Ok(())
}
