//! The commands on a machine that is not there.

use super::digest;
use super::{COMMANDS, PhysicalRange};
use crate::boot::digest::crc32_continued;
use crate::shell::simulation::{FileMap, Simulation};
use crate::shell::{Environment, Loaded, Platform};
use crate::shell::{Failure, Outcome, Shell};
use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec::Vec;

struct Session {
    machine: Simulation,
    environment: Environment,
}

fn session() -> Session {
    let mut machine = Simulation::raspberry_pi_4(FileMap::default()).unwrap();
    let range = PhysicalRange { start: 0x100_0000, end: 0x100_0010 };
    machine.memory_mut(range).unwrap().copy_from_slice(b"0123456789abc\xff\0\n");
    Session { machine, environment: Environment::default() }
}

impl Session {
    fn run(&mut self, line: &str) -> Outcome {
        let words: Vec<String> = line.split(' ').map(String::from).collect();
        let name = words[0].split('.').next().unwrap();
        let command = COMMANDS
            .iter()
            .chain(super::NOT_HERE)
            .chain(digest::COMMANDS)
            .find(|command| command.name == name)
            .unwrap();
        let mut shell = Shell::new(&mut self.machine, core::mem::take(&mut self.environment));
        let range = PhysicalRange { start: 0x200_0000, end: 0x200_0100 };
        shell.loaded.push(Loaded { name: "xen".to_string(), range, spent: false });
        let outcome = (command.run)(&mut shell, &words);
        self.environment = shell.environment;
        outcome
    }

    fn said(&mut self, line: &str) -> String {
        self.machine.output.clear();
        self.run(line).unwrap();
        self.machine.output.clone()
    }

    fn refusal(&mut self, line: &str) -> String {
        match self.run(line) {
            Err(Failure::Reason(reason)) => reason.to_string(),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[test]
fn memory_is_shown_in_u_boots_columns() {
    let mut session = session();
    assert_eq!(
        session.said("md.b 1000000 10"),
        "01000000: 30 31 32 33 34 35 36 37 38 39 61 62 63 ff 00 0a  0123456789abc...\n"
    );
    assert_eq!(session.said("md 1000000 3"), "01000000: 33323130 37363534 62613938           0123456789ab\n");
    assert_eq!(session.said("md.q 1000000 1"), "01000000: 3736353433323130                   01234567\n");
    assert_eq!(session.said("md.w 1000000 2"), "01000000: 3130 3332                                0123\n");
    assert_eq!(session.said("md 1000000").lines().count(), 16);
}

#[test]
fn memory_is_filled_copied_and_compared() {
    let mut session = session();
    session.said("mw.w 2000000 1234abcd 3");
    assert_eq!(session.said("md.b 2000000 8"), "02000000: cd ab cd ab cd ab 00 00                          ........\n");
    session.said("cp.b 1000000 1000004 c");
    assert_eq!(
        session.said("md.b 1000000 10"),
        "01000000: 30 31 32 33 30 31 32 33 34 35 36 37 38 39 61 62  01230123456789ab\n"
    );
    assert_eq!(session.said("cmp.b 1000000 1000004 4"), "Total of 4 byte(s) were the same\n");
    assert_eq!(
        session.said("cmp 1000000 1000004 4"),
        "word at 0x01000004 (0x33323130) != word at 0x01000008 (0x37363534)\nTotal of 1 word(s) were the same\n"
    );
    assert!(!session.run("cmp 1000000 1000004 4").unwrap());
    session.said("mw.b 3000000 5a 20003");
    assert_eq!(session.said("cmp.b 3000000 3000001 20002"), "Total of 131074 byte(s) were the same\n");
    assert!(session.said("cmp.b 3000000 3000001 20003").ends_with("Total of 131074 byte(s) were the same\n"));
}

#[test]
fn digests_are_shown_kept_and_compared() {
    let mut session = session();
    assert_eq!(
        session.said("crc32 1000000 9"),
        format!("CRC32 for 01000000 ... 01000008 ==> {:08x}\n", crc32_continued(0, b"012345678"))
    );
    session.said("mw.b 1000000 31 1");
    session.said("crc32 1000000 1 2000000");
    assert_eq!(session.said("md.b 2000000 4"), "02000000: b7 ef dc 83                                      ....\n");
    assert!(session.run("crc32 -v 1000000 1 83DCEFB7").unwrap());
    assert!(session.run("hash -v crc32 1000000 1 83dcefb7").unwrap());
    session.environment.set("wanted", "83dcefb8");
    assert!(!session.run("crc32 -v 1000000 1 wanted").unwrap());
    assert!(session.machine.output.ends_with(" ==> 83dcefb7 != 83dcefb8 ** ERROR **\n"));
    assert!(session.refusal("crc32 -v 1000000 1 nothing").contains("neither 8 digits"));
    session.said("hash sha256 1000000 1 sum");
    let sum = session.environment.get("sum").unwrap().to_string();
    assert_eq!(sum, "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b");
    assert!(session.run(&format!("sha256sum -v 1000000 1 {sum}")).unwrap());
    assert!(session.run("hash -v sha256 1000000 1 sum").unwrap());
    assert!(!session.run("sha256sum -v 1000000 2 sum").unwrap());
    assert_eq!(
        session.said("hash md5 1000000 9"),
        "md5 for 01000000 ... 01000008 ==> 88312213c3492c4cd89d297f16cb0fc4\n"
    );
    session.said("hash sha1 1000000 9 sum");
    assert_eq!(session.environment.get("sum"), Some("2f0a8cb899a0bad307240e06c1f7036e9851672f"));
    assert!(session.run("hash -v sha1 1000000 9 sum").unwrap());
    assert!(!session.run("hash -v sha1 1000000 8 sum").unwrap());
    assert_eq!(
        session.refusal("hash sha512 1000000 1"),
        "sha512 is not computed here: crc32, md5, sha1 and sha256 are"
    );
    assert!(session.said("sha256sum 1000000 20000 *2000000").contains("sha256 for 01000000 ... 0101ffff ==> "));
}

#[test]
fn what_is_not_memory_or_kept_is_refused() {
    let mut session = session();
    let registers = "0xfe201000-0xfe201003 is not memory, and devices' registers are left alone here; `bdinfo` shows what is memory";
    for line in [
        "md fe201000 1",
        "mw fe201000 1",
        "cp fe201000 1000000 1",
        "cp 1000000 fe201000 1",
        "cmp fe201000 1000000 1",
        "cmp 1000000 fe201000 1",
        "crc32 fe201000 4",
    ] {
        assert_eq!(session.refusal(line), registers, "{line}");
    }
    assert!(session.refusal("mw 0 1").contains("page 0 is at 0x00000000-0x00000fff"), "{}", session.refusal("mw 0 1"));
    assert!(session.refusal("crc32 1000000 1 0").contains("page 0 is at 0x00000000-0x00000fff"));
    assert!(session.refusal("md ffffffffffffffff 2").contains("pass the end of memory"));
    assert!(session.refusal("mw.q 0 0 ffffffffffffffff").contains("pass the end of memory"));
    assert!(session.refusal("md.x 0").contains("no size .x"));
    assert!(matches!(session.run("md"), Err(Failure::Usage)));
    assert!(matches!(session.run("mw 0"), Err(Failure::Usage)));
    assert!(session.refusal("mm 0").contains("md shows it"));
    assert!(session.refusal("base 1000000").contains("no offset"));
}

#[test]
fn ctrl_c_ends_what_takes_long() {
    let mut session = session();
    for line in
        ["md.b 1000000 100000", "mw.b 1000000 0 10000000", "crc32 1000000 10000000", "cmp 1000000 1000000 1000000"]
    {
        session.machine.interrupt_at = Some(crate::time::Instant::from_micros(0));
        assert!(matches!(session.run(line), Err(Failure::Interrupted)), "{line}");
    }
}

#[test]
fn the_board_shows_who_lies_where() {
    let mut session = session();
    session.environment.set("ipaddr", "192.168.0.2");
    let said = session.said("bdinfo");
    assert!(
        said.starts_with(
            "DRAM bank   = 0x0000000000000000\n-> start    = 0x0000000000000000\n-> size     = 0x000000003b400000\n"
        ),
        "{said}"
    );
    assert!(said.contains("ipaddr      = 192.168.0.2\n") && said.contains("0x00000000-0x00000fff  page 0\n"), "{said}");
    assert!(said.contains("0x02000000-0x020000ff  xen\n"), "{said}");
}
