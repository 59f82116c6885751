//! `loader.toml`, right and wrong.

use super::*;
use crate::config::source::{HTTP_PORT, ServerAddress};
use alloc::format;
use alloc::vec;
use proptest::prelude::*;

/// The example of the design document, with everything in it.
const EXAMPLE: &str = r#"
default = "xen"
timeout = 3                        # seconds; 0 boots at once, "never" waits

[network]                          # all optional: without it, DHCP
address = "192.168.0.2/24"
gateway = "192.168.0.1"
server  = "192.168.0.1"            # TFTP server, "host:port" too; otherwise what DHCP says

[[entry]]
name = "xen"
title = "Xen + Debian Dom0"
device-tree = "bcm2711-rpi-4-b.dtb"      # "firmware" = the tree the firmware passed; "auto" = by board revision
overlays = ["overlays/disable-bt.dtbo"]
fallback = "rescue"

[entry.xen]
image = "xen"                            # or { path = "xen", sha256 = "..." }
args  = "console=dtuart dtuart=serial1 dom0_mem=768M dom0_max_vcpus=1 bootscrub=0 vwfi=native"

[entry.dom0]
kernel  = "Image-dom0"
ramdisk = "rootfs.cpio.gz"
args    = "console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0"

[[entry.domu]]                           # dom0less, as many as wanted
name = "guest"
memory = "256M"
cpus = 1
vpl011 = true
kernel = "Image-domu"
ramdisk = "domu.cpio.gz"
args = "console=ttyAMA0"

[[entry]]
name = "old"
script = "boot2.scr"                     # a U-Boot script, unchanged
[[entry]]
name = "builder"
imagebuilder = "config"                  # an ImageBuilder config file, unchanged
[[entry]]
name = "rescue"
[entry.linux]
image = "Image"
args = "console=ttyS1"
"#;

fn path(path: &str) -> File {
    File { source: Source::Path(path.into()), sha256: None }
}

fn error(text: &str) -> String {
    parse(text.as_bytes()).unwrap_err().to_string()
}

/// An entry that boots, with more lines in its `[[entry]]` table.
fn with_entry(lines: &str) -> String {
    format!("[[entry]]\nname = \"a\"\n{lines}\n[entry.xen]\nimage = \"xen\"\n[entry.dom0]\nkernel = \"Image\"\n")
}

#[test]
fn the_example_says_what_it_seems_to_say() {
    let settings = parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(settings.default_entry().unwrap().name, "xen");
    assert_eq!(settings.timeout, Timeout::Seconds(3));
    let server = ServerAddress { address: Ipv4Addr::new(192, 168, 0, 1), port: 69 };
    let network = Network {
        address: Some(InterfaceAddress { address: Ipv4Addr::new(192, 168, 0, 2), prefix: 24 }),
        gateway: Some(Ipv4Addr::new(192, 168, 0, 1)),
        server: Some(server),
    };
    assert_eq!(settings.network, network);
    let xen = Entry {
        name: "xen".into(),
        title: Some("Xen + Debian Dom0".into()),
        device_tree: DeviceTree::File(path("bcm2711-rpi-4-b.dtb")),
        overlays: vec![path("overlays/disable-bt.dtbo")],
        fallback: Some("rescue".into()),
        payload: Payload::Xen(Xen {
            image: path("xen"),
            args: "console=dtuart dtuart=serial1 dom0_mem=768M dom0_max_vcpus=1 bootscrub=0 vwfi=native".into(),
            dom0: Some(Dom0 {
                kernel: path("Image-dom0"),
                ramdisk: Some(path("rootfs.cpio.gz")),
                args: "console=hvc0 earlycon=xen clk_ignore_unused root=/dev/ram0".into(),
            }),
            domains: vec![Domain {
                name: "guest".into(),
                memory: 256 << 20,
                cpus: 1,
                vpl011: true,
                kernel: path("Image-domu"),
                ramdisk: Some(path("domu.cpio.gz")),
                device_tree: None,
                args: "console=ttyAMA0".into(),
            }],
        }),
    };
    assert_eq!(settings.entries[0], xen);
    assert_eq!(settings.entries[1].payload, Payload::Script(path("boot2.scr")));
    assert_eq!(settings.entries[2].payload, Payload::ImageBuilder(path("config")));
    let linux = Linux { image: path("Image"), ramdisk: None, args: "console=ttyS1".into() };
    assert_eq!(settings.entries[3].payload, Payload::Linux(linux));
    assert_eq!(settings.entries[3].title(), "rescue");
    assert_eq!(settings.entries.len(), 4);
}

#[test]
fn an_empty_file_asks_dhcp_and_boots_nothing() {
    assert_eq!(parse(b""), Ok(Settings::default()));
    assert_eq!(parse("\u{feff}# only a comment\r\n".as_bytes()), Ok(Settings::default()));
}

#[test]
fn the_first_entry_is_the_default_one() {
    let settings = parse(with_entry("").as_bytes()).unwrap();
    assert_eq!(settings.default_entry().unwrap().name, "a");
    assert_eq!(settings.timeout, Timeout::Seconds(3));
    assert_eq!(settings.entries[0].device_tree, DeviceTree::Firmware);
}

#[test]
fn files_have_digests_and_urls() {
    let digest = "5A".repeat(32);
    let text = with_entry(&format!(
        "device-tree = {{ path = \"t.dtb\", sha256 = \"{digest}\" }}\noverlays = [\"http://10.0.0.1/o\", {{ path = \"p\" }}]"
    ));
    let entry = &parse(text.as_bytes()).unwrap().entries[0];
    let tree = File { source: Source::Path("t.dtb".into()), sha256: Some([0x5a; 32]) };
    assert_eq!(entry.device_tree, DeviceTree::File(tree));
    let server = ServerAddress { address: Ipv4Addr::new(10, 0, 0, 1), port: HTTP_PORT };
    assert_eq!(entry.overlays[0].source, Source::Http(server, "/o".into()));
    assert_eq!(entry.overlays[1], path("p"));
}

#[test]
fn the_words_firmware_auto_initramfs_and_never() {
    let settings = parse(format!("timeout = \"never\"\n{}", with_entry("device-tree = \"auto\"")).as_bytes()).unwrap();
    assert_eq!(settings.timeout, Timeout::Never);
    assert_eq!(settings.entries[0].device_tree, DeviceTree::Auto);
    let text = with_entry("device-tree = \"firmware\"") + "ramdisk = \"initramfs\"\n";
    let entry = &parse(text.as_bytes()).unwrap().entries[0];
    assert_eq!(entry.device_tree, DeviceTree::Firmware);
    let Payload::Xen(Xen { dom0: Some(dom0), .. }) = &entry.payload else { panic!("{entry:?}") };
    assert_eq!(dom0.ramdisk.as_ref().unwrap().source, Source::Initramfs);
}

#[test]
fn unknown_keys_are_told_with_their_place_and_the_nearest_known_key() {
    assert_eq!(
        error("\ntimout = 3"),
        "line 2, column 1: unknown key \"timout\" in the top level; nearest known key: timeout"
    );
    assert_eq!(
        error(&with_entry("devicetree = \"x\"")),
        "line 3, column 1: unknown key \"devicetree\" in [[entry]]; nearest known key: device-tree"
    );
    assert_eq!(
        error(&(with_entry("") + "  cmdline = \"x\"")),
        "line 8, column 3: unknown key \"cmdline\" in [entry.dom0]; known keys: kernel, ramdisk, args"
    );
    assert_eq!(
        error("[network]\nadress = \"1.2.3.4/8\"\nserverr = \"1.2.3.4\""),
        "line 2, column 1: unknown key \"adress\" in [network]; nearest known key: address"
    );
    // The first in the file counts, not the first in the alphabet.
    assert!(error("zzz = 1\naaa = 1").contains("\"zzz\""));
}

#[test]
fn wrong_types_are_told() {
    let cases = [
        (
            "timeout = true",
            "line 1, column 11: timeout: expected a whole number or a word in quotes, found TOML type boolean",
        ),
        ("default = 3", "line 1, column 11: default: expected a string in quotes, found TOML type integer"),
        ("network = 3", "line 1, column 11: network: expected a table, found TOML type integer"),
        ("[[network]]", "network: expected one table, in single brackets, found TOML type array"),
        ("[entry]", "entry: expected tables, each in double brackets, found TOML type table"),
        ("entry = [1]", "line 1, column 10: entry: expected tables, each in double brackets, found TOML type integer"),
    ];
    for (text, message) in cases {
        assert!(error(text).ends_with(message), "{}", error(text));
    }
    let message = error(&with_entry("overlays = \"o\""));
    assert!(
        message.ends_with("line 3, column 12: overlays: expected a list in brackets, found TOML type string"),
        "{message}"
    );
    let message = error(&with_entry("device-tree = 1"));
    assert!(message.contains("device-tree: expected a path in quotes or {"), "{message}");
}

#[test]
fn bad_values_are_told() {
    let cases = [
        ("timeout = -1", "timeout: expected a number of seconds from 0 to 3600; found \"-1\""),
        ("timeout = 0xffffffffff", "timeout: expected a number of seconds from 0 to 3600; found \"0xffffffffff\""),
        ("timeout = \"3\"", "timeout: expected a number of seconds without quotes, or \"never\"; found \"3\""),
        (
            "[network]\naddress = \"10.0.0.2\"",
            "address: expected ADDRESS/PREFIX as in \"192.168.0.2/24\"; found \"10.0.0.2\"",
        ),
        ("[network]\naddress = \"10.0.0.2/33\"", "found \"10.0.0.2/33\""),
        ("[network]\naddress = \"10.0.0.2/0\"", "found \"10.0.0.2/0\""),
        ("[network]\naddress = \"224.0.0.2/8\"", "found \"224.0.0.2/8\""),
        (
            "[network]\ngateway = \"10.0.0.1\"",
            "gateway: expected address beside it (without one, DHCP gives both); found \"10.0.0.1\"",
        ),
        ("[network]\nserver = \"tftp.example\"", "(names are not resolved); found \"tftp.example\""),
    ];
    for (text, message) in cases {
        assert!(error(text).ends_with(message), "{}", error(text));
    }
    assert_eq!(parse(b"timeout = 3600").unwrap().timeout, Timeout::Seconds(3600));
    assert_eq!(parse(b"timeout = 0x1_0").unwrap().timeout, Timeout::Seconds(16));
    assert!(parse(b"timeout = 3601").is_err());
}

#[test]
fn names_are_words_and_unique() {
    for name in ["", "a b", "a\\tb", &"n".repeat(33)] {
        let text = format!("[[entry]]\nname = \"{name}\"\nscript = \"s\"");
        assert!(
            error(&text).contains("line 2, column 8: name: expected 1 to 32 characters without spaces"),
            "{}",
            error(&text)
        );
    }
    let twice = "[[entry]]\nname = \"a\"\nscript = \"s\"\n[[entry]]\nscript = \"s\"\nname = \"a\"\n";
    assert_eq!(error(twice), "line 6, column 8: there is already an entry with the name \"a\"");
    assert!(error("[[entry]]\nscript = \"s\"").contains("[[entry]] needs the key name"));
}

#[test]
fn default_and_fallback_name_entries() {
    let text = format!("default = \"rescu\"\n{EXAMPLE}").replace("default = \"xen\"\n", "");
    assert_eq!(error(&text), "line 1, column 11: default: there is no entry \"rescu\"; nearest: rescue");
    let message = error(&with_entry("fallback = \"b\""));
    assert_eq!(message, "line 3, column 12: fallback: there is no entry \"b\"");
    let message = error(&with_entry("fallback = \"a\""));
    assert_eq!(message, "line 3, column 12: the fallbacks of entry \"a\" lead back to it");
}

#[test]
fn a_circle_of_fallbacks_is_told_even_behind_an_entry_outside_it() {
    let one = |name: &str, next: &str| format!("[[entry]]\nname = \"{name}\"\nscript = \"s\"\nfallback = \"{next}\"\n");
    let text = one("a", "b") + &one("b", "c") + &one("c", "b");
    assert_eq!(error(&text), "line 8, column 12: the fallbacks of entry \"b\" lead back to it");
    let chain = one("a", "b") + &one("b", "c") + "[[entry]]\nname = \"c\"\nscript = \"s\"\n";
    assert!(parse(chain.as_bytes()).is_ok());
}

#[test]
fn an_entry_boots_one_thing() {
    let entry = |lines: &str| error(&format!("[[entry]]\nname = \"a\"\n{lines}"));
    assert!(entry("").contains("entry \"a\": nothing to boot"));
    assert!(entry("script = \"s\"\n[entry.linux]\nimage = \"i\"").contains("more than one thing to boot"));
    assert!(entry("script = \"s\"\nimagebuilder = \"i\"").contains("more than one thing to boot"));
    assert!(entry("[entry.xen]\nimage = \"xen\"").contains("needs [entry.dom0] or at least one [[entry.domu]]"));
    assert!(entry("[entry.dom0]\nkernel = \"k\"").contains("need [entry.xen] beside them"));
    assert!(entry("[[entry.domu]]\nname = \"u\"").contains("need [entry.xen] beside them"));
    assert!(entry("[entry.xen]\n[entry.dom0]\nkernel = \"k\"").contains("[entry.xen] needs the key image"));
    assert!(entry("[entry.xen]\nimage = \"x\"\n[entry.dom0]").contains("[entry.dom0] needs the key kernel"));
}

#[test]
fn command_lines_are_checked_where_they_are_written() {
    let xen = |args: &str| with_entry("").replace("[entry.dom0]", &format!("args = \"{args}\"\n[entry.dom0]"));
    let message = error(&xen(&"x".repeat(1024)));
    assert!(message.contains("line 6, column 8: args: expected a command line of at most 1023 bytes"), "{message}");
    assert!(message.len() < 200, "{message}");
    assert!(error(&xen("dom0_mem=1024M,max:1024M")).contains("Xen on Arm rejects it"));
    assert!(error(&xen("a\\nb")).contains("one line without tabs"));
    let dom0 = with_entry("") + &format!("args = \"{}\"\n", "x".repeat(1024));
    assert!(error(&dom0).contains("line 8, column 8: args: expected"), "{}", error(&dom0));
}

#[test]
fn domains_are_checked() {
    let domain = |lines: &str| {
        let text = with_entry("") + "[[entry.domu]]\nkernel = \"k\"\n" + lines;
        parse(text.as_bytes()).map(|settings| settings.entries[0].payload.clone()).map_err(|error| error.to_string())
    };
    let Ok(Payload::Xen(xen)) = domain("name = \"u\"\nmemory = \"1G\"") else { panic!("a domain") };
    assert_eq!((xen.domains[0].memory, xen.domains[0].cpus, xen.domains[0].vpl011), (1 << 30, 1, false));
    for name in ["", "1u", "u@1", "u/v", &"u".repeat(32)] {
        assert!(domain(&format!("name = \"{name}\"\nmemory = \"1G\"")).unwrap_err().contains("name: expected 1 to 31"));
    }
    for memory in ["0", "512B", "much"] {
        assert!(
            domain(&format!("name = \"u\"\nmemory = \"{memory}\"")).unwrap_err().contains("memory: expected a size")
        );
    }
    assert!(domain("name = \"u\"\nmemory = \"1G\"\ncpus = 0").unwrap_err().contains("from 1 to 128"));
    assert!(domain("name = \"u\"").unwrap_err().contains("[[entry.domu]] needs the key memory"));
    let twice = "name = \"u\"\nmemory = \"1G\"\n[[entry.domu]]\nname = \"u\"\nmemory = \"1G\"\nkernel = \"k\"";
    assert!(domain(twice).unwrap_err().contains("already a domain with the name \"u\""));
}

#[test]
fn numbers_of_things_are_bounded() {
    let entries: String = (0..=MOST_ENTRIES).map(|n| format!("[[entry]]\nname = \"e{n}\"\nscript = \"s\"\n")).collect();
    assert!(error(&entries).contains("at most 256 entries"));
    let overlays = format!("overlays = [{}]", "\"o\", ".repeat(MOST_OVERLAYS + 1));
    assert!(error(&with_entry(&overlays)).contains("at most 32 items"));
    assert_eq!(parse(&vec![b' '; LARGEST_PIECE]), Ok(Settings::default()));
    let problem = Problem::LongPiece { bytes: LARGEST_PIECE + 1, limit: LARGEST_PIECE };
    assert_eq!(parse(&vec![b' '; LARGEST_PIECE + 1]), Err(Error { line: 1, column: 1, problem }));
    let problem = Problem::TooLong { bytes: LARGEST + 1, limit: LARGEST };
    assert_eq!(parse(&vec![b' '; LARGEST + 1]), Err(Error { line: 0, column: 0, problem }));
}

/// An entry as people write them, comments included.
fn realistic(number: usize) -> String {
    format!(
        "\n# Machine {number}: with its own root, and the console that Xen uses.\n[[entry]]\nname = \"machine-{number:03}\"\n\
         title = \"Xen 4.20 and Debian, machine {number}\"\ndevice-tree = \"bcm2711-rpi-4-b.dtb\"\n\
         overlays = [\"overlays/disable-bt.dtbo\"]\nfallback = \"machine-000\"\n\n[entry.xen]\nimage = \"xen\"\n\
         args = \"console=dtuart dtuart=serial1 dom0_mem=768M dom0_max_vcpus=1 bootscrub=0 vwfi=native\"\n\n[entry.dom0]\n\
         kernel = \"Image-dom0\"\nramdisk = \"rootfs.cpio.gz\"\nargs = \"console=hvc0 earlycon=xen root=/dev/ram0 n={number}\"\n"
    )
}

#[test]
fn two_hundred_entries_are_read_in_pieces_and_none_are_settings_too() {
    let mut text = String::from("default = \"machine-199\"\n");
    text.extend((0..200).map(realistic));
    let text = text.replacen("fallback = \"machine-000\"\n", "", 1);
    let mut between = 0;
    let settings = parse_in_pieces(text.as_bytes(), &mut || between += 1).unwrap();
    assert_eq!((settings.entries.len(), between), (200, 201));
    assert_eq!(settings.default_entry().unwrap().name, "machine-199");
    assert_eq!(settings.entries[199].fallback.as_deref(), Some("machine-000"));
    assert_eq!(parse(b"").unwrap().entries, []);
    assert_eq!(parse(b"timeout = 0\n").unwrap().entries, []);
}

#[test]
fn a_mistake_in_a_late_entry_is_told_with_its_line_in_the_file() {
    let text: String = (1..150).map(realistic).collect::<String>().replace("machine-000", "machine-001");
    let text = text.replacen("fallback = \"machine-001\"\n", "", 1);
    parse(text.as_bytes()).unwrap();
    let line = text.lines().position(|line| line == "name = \"machine-120\"").unwrap() + 1;
    let wrong = |from: &str, to: &str| error(&text.replacen(from, to, 1));
    let told = wrong("name = \"machine-120\"", "nam = \"machine-120\"");
    assert!(told.starts_with(&format!("line {line}, column 1: unknown key \"nam\"")), "{told}");
    let told = wrong("name = \"machine-120\"", "name = \"machine-120");
    assert!(told.starts_with(&format!("line {line}, column ")) && told.contains("not TOML"), "{told}");
    let told = wrong("name = \"machine-120\"", "name = \"machine-119\"");
    assert!(told.starts_with(&format!("line {line}, column 8: there is already an entry")), "{told}");
    let at = text.find("name = \"machine-120\"").unwrap();
    let (before, after) = text.split_at(at);
    let told =
        error(&format!("{before}{}", after.replacen("fallback = \"machine-001\"", "fallback = \"machine-1\"", 1)));
    assert!(told.starts_with(&format!("line {}, column 12: fallback: there is no entry", line + 4)), "{told}");
}

#[test]
fn what_stands_once_stands_once_across_entries() {
    let network = "[network]\nserver = \"10.0.0.1\"\n";
    let entry = |name: &str| format!("[[entry]]\nname = \"{name}\"\nscript = \"s\"\n");
    // Between entries is a place for it, too.
    let settings = parse(format!("{}{network}{}", entry("a"), entry("b")).as_bytes()).unwrap();
    assert!(settings.network.server.is_some() && settings.entries.len() == 2);
    let told = error(&format!("{network}{}{network}", entry("a")));
    assert!(told.starts_with("line 6, ") && told.contains("already a table with the name \"network\""), "{told}");
    let told = error(&format!("entry = [{{ name = \"a\", script = \"s\" }}]\n{}", entry("b")));
    assert!(told.starts_with("line 2, column 1: not TOML: an entry was written in another way"), "{told}");
    assert!(error(&format!("{}[entry]\nname = \"b\"\n", entry("a"))).contains("not TOML"));
}

#[test]
fn a_circle_of_fallbacks_among_many_is_found_and_costs_little() {
    let entry = |n: usize, next: usize| format!("[[entry]]\nname = \"e{n}\"\nscript = \"s\"\nfallback = \"e{next}\"\n");
    let circle: String = (0..MOST_ENTRIES).map(|n| entry(n, (n + 1) % MOST_ENTRIES)).collect();
    assert!(error(&circle).starts_with("line 4, column 12: the fallbacks of entry \"e0\" lead back to it"));
    let tail: String = (0..MOST_ENTRIES).map(|n| entry(n, (n + 1).min(MOST_ENTRIES - 1))).collect();
    assert!(error(&tail).contains("\"e255\" lead back to it"));
}

#[test]
fn text_that_is_not_toml_is_told_with_its_place() {
    assert!(error("timeout = 3\ndefault = \"xen\n").starts_with("line 2, column "), "{}", error("default = \"xen\n"));
    assert!(error("a = 1\na = 2").contains("line 2, column 1: not TOML"), "{}", error("a = 1\na = 2"));
    let latin1 = Error { line: 2, column: 6, problem: Problem::NotUtf8(0xe4) };
    assert_eq!(parse(b"# ok\n# abc\xe4"), Err(latin1));
    assert_eq!(parse(b"\xff\xfea\0").unwrap_err().problem, Problem::Utf16);
}

#[test]
fn columns_count_characters_and_not_bytes() {
    assert!(error("[[entry]]\nname = \"ä\" # äöü\nscript = \"s\"\n\"ü\" = 1").contains("line 4, column 1"));
    assert!(error("network = { \"äöü\" = 1, x = 2 }").contains("line 1, column 13"));
}

#[test]
fn messages_carry_no_control_characters_to_the_terminal() {
    for text in ["\"\\u001b[2J\" = 1", "default = \"\\u001b[2J\"", "timeout = \"\\u001b[2J\"", "a = \u{1b}"] {
        assert!(!error(text).contains('\u{1b}'), "{:?}", error(text));
    }
}

#[test]
fn deep_nesting_ends_in_an_error() {
    for opening in ["[", "{a=", "a.", "[a."] {
        let text = format!("a = {}", opening.repeat(LARGEST_PIECE / opening.len() - 8));
        assert!(parse(text.as_bytes()).is_err());
        assert!(parse(opening.repeat(LARGEST_PIECE / opening.len()).as_bytes()).is_err());
    }
}

proptest! {
    #[test]
    fn garbage_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn damaged_settings_are_answered(
        cut in 0usize..2000,
        edits in prop::collection::vec((0usize..2000, prop::sample::select(b"[]{}=\"'\\.,#\n 0ax\xff\0".to_vec())), 0..8),
    ) {
        let mut bytes = EXAMPLE.as_bytes().to_vec();
        bytes.truncate(cut);
        let length = bytes.len().max(1);
        for (at, value) in edits {
            if let Some(byte) = bytes.get_mut(at % length) {
                *byte = value;
            }
        }
        if let Err(error) = parse(&bytes) {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            prop_assert!(error.line <= lines);
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn titles_are_shown_harmless_and_not_refused() {
    let title = |title: &str| {
        let text = format!("[[entry]]\nname = \"a\"\ntitle = \"{title}\"\nscript = \"s\"\n");
        parse(text.as_bytes()).unwrap().entries[0].title().to_string()
    };
    assert_eq!(title("a\\u001b[2J\\nb"), "a?[2J?b");
    assert_eq!(title(&"x".repeat(64)), "x".repeat(64));
    assert_eq!(title(&"x".repeat(65)), "x".repeat(64) + "...");
}

#[test]
fn the_example_of_the_documentation_is_read_whole() {
    let page = include_str!("../../docs/loader-toml.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let settings = parse(example.as_bytes()).unwrap();
    let names: Vec<_> = settings.entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["xen", "guests", "old"]);
    let keys = [ROOT_KEYS, NETWORK_KEYS, ENTRY_KEYS, XEN_KEYS, DOM0_KEYS, DOMU_KEYS, FILE_KEYS].concat();
    for key in keys {
        assert!(page.contains(key), "{key} is not in docs/loader-toml.md");
    }
}
