//! Both forms, as a terminal of 80x24 or 40x12 and a log have them.

use super::*;
use crate::boot::xen_console::Leads;
use crate::terminal::emulator::Emulator;

fn range(start: u64, size: u64) -> PhysicalRange {
    PhysicalRange::sized(start, size).unwrap()
}

const FILES: [Loaded<'static>; 4] = [
    Loaded {
        label: "Xen",
        source: "xen-4.17-arm64",
        range: PhysicalRange { start: 0x20_0000, end: 0x33_60c8 },
        digest: Some(Digest::Sha256([0x1a; 32])),
    },
    Loaded {
        label: "Dom0 kernel",
        source: "vmlinuz-6.1.0-50-arm64",
        range: PhysicalRange { start: 0x40_0000, end: 0x236_de00 },
        digest: Some(Digest::Sha256([0xfe; 32])),
    },
    Loaded {
        label: "Dom0 ramdisk",
        source: "rootfs.cpio.gz",
        range: PhysicalRange { start: 0x236_e000, end: 0x246_e067 },
        digest: None,
    },
    Loaded {
        label: "device tree",
        source: "firmware",
        range: PhysicalRange { start: 0x1000, end: 0xe123 },
        digest: Some(Digest::Crc32(0x1234_abcd)),
    },
];
const LINES: [CommandLine<'static>; 2] = [
    CommandLine {
        label: "Xen",
        args: "console=dtuart dtuart=serial1 dom0_mem=768M dom0_max_vcpus=1 bootscrub=0 vwfi=native",
    },
    CommandLine { label: "Dom0", args: "console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0" },
];

fn uart() -> Uart {
    Uart { path: "/soc/serial@7e215040".into(), model: "mini UART", leads: Leads::Here(vec![14, 15]) }
}

fn summary<'a>(uart: &'a Uart, notes: &'a [String], memory: &'a [Occupant]) -> Summary<'a> {
    Summary {
        files: &FILES,
        command_lines: &LINES,
        entry: 0x20_0000,
        system: System::Xen { version: Some((4, 17)), raspberry_pi_4: true },
        next: Next::Xen { console: Some(uart) },
        notes,
        memory,
    }
}

fn memory() -> [Occupant; 4] {
    let occupant = |name: &str, range| Occupant { name: name.into(), range, block: range, reserved: true };
    [
        occupant("page 0", range(0, 0x1000)),
        occupant("memory that the firmware reserves", range(0, 0x1000)),
        occupant("Xen", FILES[0].range),
        occupant("the loader", range(0x3b20_0000, 0x20_0000)),
    ]
}

/// The long form, and what a terminal shows of it.
fn long(summary: &Summary<'_>, columns: u16, rows: u16) -> (String, String) {
    let mut text = String::new();
    summary.long(columns, &mut text).unwrap();
    let mut terminal = Emulator::new(columns, rows);
    terminal.show(&text.replace('\n', "\r\n"));
    let shown = terminal.text();
    (text, shown)
}

#[test]
fn the_short_form_has_a_line_a_file() {
    let (uart, notes) = (uart(), [String::from("no dom0_mem= in Xen's args: Dom0 gets 512 MiB")]);
    let mut text = String::new();
    summary(&uart, &notes, &[]).short(&mut text).unwrap();
    assert_eq!(
        text,
        "\
Xen          0x00200000-0x003360c7 sha256 1a1a1a1a xen-4.17-arm64
Dom0 kernel  0x00400000-0x0236ddff sha256 fefefefe vmlinuz-6.1.0-50-arm64
Dom0 ramdisk 0x0236e000-0x0246e066 rootfs.cpio.gz
device tree  0x00001000-0x0000e122 crc32 1234abcd firmware
Xen args: console=dtuart dtuart=serial1 dom0_mem=768M dom0_max_vcpus=1 bootscrub=0 vwfi=native
Dom0 args: console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0
Note: no dom0_mem= in Xen's args: Dom0 gets 512 MiB
Xen's console is /soc/serial@7e215040; the next line is Xen's.
"
    );
    assert!(text.len() < 600, "an unattended boot prints 1,500 bytes at most: {}", text.len());
}

#[test]
fn a_console_elsewhere_is_the_last_word_here() {
    let uart = Uart { leads: Leads::Bluetooth, ..uart() };
    let mut text = String::new();
    summary(&uart, &[], &[]).short(&mut text).unwrap();
    assert!(text.ends_with("Xen's console is /soc/serial@7e215040; nothing more will be seen here.\n"), "{text}");
    let (_, shown) = long(&summary(&uart, &[], &[]), 80, 24);
    assert!(shown.trim_end().ends_with("Bluetooth chip).\nBeware: nothing more will be seen here."), "{shown}");
}

#[test]
fn the_long_form_is_a_table_with_everything() {
    let (uart, memory) = (uart(), memory());
    let notes =
        [String::from("Xen does not know \"dom0_men\" of its args, and will go on without it: is dom0_mem meant?")];
    let (text, shown) = long(&summary(&uart, &notes, &memory), 80, 24);
    assert_eq!(
        shown.trim_end(),
        "\
what         where                    bytes digest          file
Xen          0x00200000-0x003360c7  1269960 sha256 1a1a1a1a xen-4.17-arm64
Dom0 kernel  0x00400000-0x0236ddff 32955904 sha256 fefefefe
  vmlinuz-6.1.0-50-arm64
Dom0 ramdisk 0x0236e000-0x0246e066  1048679                 rootfs.cpio.gz
device tree  0x00001000-0x0000e122    53539 crc32 1234abcd  firmware
Also in memory:
  0x00000000-0x00000fff page 0
  0x3b200000-0x3b3fffff the loader
Xen args:
  console=dtuart dtuart=serial1 dom0_mem=768M dom0_max_vcpus=1 bootscrub=0
  vwfi=native
Dom0 args:
  console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0
Note: Xen does not know \"dom0_men\" of its args, and will go on without it: is
  dom0_mem meant?
Entry: Xen 4.17 at 0x00200000, EL2, device tree in x0
Xen's console is /soc/serial@7e215040 (mini UART, GPIO14/15, this console).
The next line is Xen's."
    );
    assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
}

#[test]
fn a_terminal_of_40_columns_has_lines_of_its_own_for_each_file() {
    let uart = uart();
    let (text, shown) = long(&summary(&uart, &[], &[]), 40, 30);
    assert_eq!(
        shown.trim_end(),
        "\
Xen: xen-4.17-arm64
  0x00200000-0x003360c7, 1269960 bytes
  sha256 1a1a1a1a
Dom0 kernel: vmlinuz-6.1.0-50-arm64
  0x00400000-0x0236ddff, 32955904 bytes
  sha256 fefefefe
Dom0 ramdisk: rootfs.cpio.gz
  0x0236e000-0x0246e066, 1048679 bytes
device tree: firmware
  0x00001000-0x0000e122, 53539 bytes
  crc32 1234abcd
Xen args:
  console=dtuart dtuart=serial1
  dom0_mem=768M dom0_max_vcpus=1
  bootscrub=0 vwfi=native
Dom0 args:
  console=hvc0 earlycon=xen
  clk_ignore_unused root=/dev/ram0
Entry: Xen 4.17 at 0x00200000, EL2,
  device tree in x0
Xen's console is /soc/serial@7e215040
  (mini UART, GPIO14/15, this console).
The next line is Xen's."
    );
    assert!(text.lines().all(|line| line.chars().count() < 40), "{text}");
    // A terminal of 12 rows shows the end of it: what matters most.
    let (_, shown) = long(&summary(&uart, &[], &[]), 40, 12);
    assert!(shown.trim_end().ends_with("\nThe next line is Xen's."), "{shown}");
}

#[test]
fn who_speaks_next_is_told_for_a_silent_xen_and_for_a_kernel() {
    let uart = uart();
    let silent = Summary { next: Next::Xen { console: None }, ..summary(&uart, &[], &[]) };
    let (text, _) = long(&silent, 80, 24);
    assert!(text.ends_with("\nXen has no console; nothing more will be seen here.\n"), "{text}");
    let system = System::Xen { version: None, raspberry_pi_4: true };
    let (text, _) = long(&Summary { system, ..silent }, 80, 24);
    assert!(text.contains("\nEntry: Xen (its image does not tell its version) at 0x00200000, EL2, "), "{text}");
    let kernel = Summary { next: Next::Kernel, system: System::Linux, ..silent };
    let (text, _) = long(&kernel, 80, 24);
    assert!(text.contains("\nEntry: Linux at ") && text.contains("\nThe next line is the kernel's"), "{text}");
    let mut text = String::new();
    kernel.short(&mut text).unwrap();
    assert!(text.ends_with("The next line is the kernel's, if its command line names this console.\n"), "{text}");
}

#[test]
fn nothing_in_names_and_command_lines_moves_the_cursor() {
    let uart = uart();
    let evil = "a\x1b[2J\r\n\u{9b}H\u{202e}b";
    let files = [Loaded { label: evil, source: evil, ..FILES[0] }];
    let lines = [CommandLine { label: evil, args: evil }];
    let notes = [String::from(evil)];
    let summary = Summary { files: &files, command_lines: &lines, ..summary(&uart, &notes, &[]) };
    let mut short = String::new();
    summary.short(&mut short).unwrap();
    for text in [short, long(&summary, 80, 24).0, long(&summary, 40, 12).0] {
        assert!(text.contains("a?[2J???H?b"), "{text:?}");
        assert!(text.chars().all(|character| character == '\n' || !character.is_control()), "{text:?}");
    }
}

#[test]
fn a_command_line_that_takes_minutes_to_print_is_cut() {
    let (uart, args) = (uart(), "é".repeat(1 << 20));
    let lines = [CommandLine { label: "Dom0", args: &args }];
    let summary = Summary { files: &[], command_lines: &lines, ..summary(&uart, &[], &[]) };
    let mut text = String::new();
    summary.short(&mut text).unwrap();
    assert!(text.starts_with(&format!("Dom0 args: {}...\n", "é".repeat(1024))), "{}", text.len());
    let (text, _) = long(&summary, 80, 24);
    assert!(text.len() < 2500 && text.contains("é...\n"), "{}", text.len());
}

proptest::proptest! {
    #[test]
    fn no_line_is_wider_than_the_terminal(
        columns in 0u16..200,
        words in proptest::collection::vec("[a-z=/,]{0,60}", 0..40),
        label in "[a-zA-Z0-9 ]{0,60}",
        start in 0u64..1 << 40,
    ) {
        let uart = uart();
        let args = words.join(" ");
        let files = [Loaded { label: &label, source: &args, range: range(start, 0x1234), digest: None }];
        let lines = [CommandLine { label: &label, args: &args }];
        let notes = [args.clone()];
        let summary = Summary { files: &files, command_lines: &lines, ..summary(&uart, &notes, &[]) };
        let mut text = String::new();
        summary.long(columns, &mut text).unwrap();
        let width = usize::from(columns.max(crate::boot::page::LEAST_COLUMNS));
        for line in text.lines() {
            proptest::prop_assert!(line.chars().count() < width, "{line:?}");
        }
        // Every word is there, whole or broken at the end of a line only.
        let joined: String = text.split_whitespace().collect();
        let wanted: String = args.split_whitespace().collect();
        proptest::prop_assert!(joined.contains(&wanted));
    }
}
