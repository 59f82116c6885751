//! `uboot.env` as U-Boot's own tool makes it. Install u-boot-tools to run it.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};
use xenlift::shell::environment::{TextFormat, checked};
use xenlift::shell::simulation::{FileMap, Simulation};
use xenlift::shell::{Environment, Shell};

/// A block of `size` bytes made by mkenvimage of a text with a variable a line.
fn block(text: &str, size: usize) -> Vec<u8> {
    let mut command = Command::new("mkenvimage");
    let command = command.args(["-s", &size.to_string(), "-p", "0", "-o", "-", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("mkenvimage does not start ({error}): install u-boot-tools"));
    // It reads all before it writes anything.
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn variables_in(format: TextFormat, data: &[u8]) -> Vec<(String, String)> {
    let mut reader = format.reader();
    std::iter::from_fn(|| reader.next(data).unwrap()).collect()
}

#[test]
fn what_u_boot_saved_is_there_for_a_script() {
    let block = block("bootcmd=run one; run two\none=echo 1\ntwo=echo \"a  b\"\n# a comment\nempty=\n", 0x4000);
    let mut files = FileMap::default();
    files.card.insert("uboot.env".to_string(), block);
    let mut machine = Simulation::raspberry_pi_4(files).unwrap();
    let mut shell = Shell::new(&mut machine, Environment::default());
    assert!(shell.load_saved_variables().unwrap() > 0);
    assert!(shell.run_variable("bootcmd").unwrap());
    assert!(shell.environment.get("empty").is_none());
    assert!(machine.output.ends_with("\n1\na  b\n"), "{}", machine.output);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_variable_comes_through(variables in prop::collection::btree_map("[a-z][a-z0-9_]{0,10}", "[!-~][ -~]{0,40}", 1..20)) {
        // mkenvimage takes a # at the start of a value's line for a comment, and a backslash before its end for a continued line.
        let variables: BTreeMap<String, String> = variables.into_iter().map(|(name, value)| (name, value.replace(['#', '\\'], "-"))).collect();
        let text: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        let block = block(&text, 0x2000);
        let data = checked(&block).unwrap();
        let found: BTreeMap<String, String> = variables_in(TextFormat { separator: 0, crlf: false }, data).into_iter().collect();
        prop_assert_eq!(found, variables);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_variables_or_are_not(bytes in prop::collection::vec(any::<u8>(), 0..200), separator in prop_oneof![Just(0_u8), Just(b'\n')], crlf: bool) {
        let size: usize = variables_in(TextFormat { separator, crlf }, &bytes).iter().map(|(name, value)| name.len() + value.len()).sum();
        // A byte that is no UTF-8 becomes a mark of three.
        prop_assert!(size <= bytes.len() * 3);
        let _ = checked(&bytes);
    }
}
