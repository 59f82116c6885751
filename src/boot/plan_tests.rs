//! Plans, and what is found out before and after fetching.

use super::*;
use crate::config::settings;
use alloc::vec;

const TOML: &str = r#"
[[entry]]
name = "xen"
device-tree = "t.dtb"
overlays = ["a.dtbo", "b.dtbo"]
[entry.xen]
image = { path = "xen", sha256 = "1111111111111111111111111111111111111111111111111111111111111111" }
args = "dom0_mem=768M"
[entry.dom0]
kernel = "Image"
ramdisk = "initramfs"
[[entry.domu]]
name = "guest"
memory = "128M"
kernel = "tftp://10.0.0.1/k"
ramdisk = "r"
device-tree = "passthrough.dtb"
"#;

fn facts() -> Facts<'static> {
    Facts {
        memory: 948 << 20,
        firmware_tree: true,
        board_tree: Some("bcm2711-rpi-4-b.dtb"),
        bundle: None,
        initramfs: Some(1000),
        network: true,
        card: None,
        card_first: false,
    }
}

fn entry(toml: &str) -> Entry {
    settings::parse(toml.as_bytes()).unwrap().entries.remove(0)
}

fn error(toml: &str, facts: &Facts<'_>) -> String {
    Plan::new(&entry(toml), facts).unwrap_err().to_string()
}

fn item(role: Role) -> Item {
    Plan::new(&entry(TOML), &facts()).unwrap().item(role).unwrap().clone()
}

#[test]
fn files_are_planned_small_ones_first() {
    let entry = entry(TOML);
    let plan = Plan::new(&entry, &facts()).unwrap();
    let items: Vec<(&str, String, Place)> =
        plan.items.iter().map(|item| (item.label.as_str(), item.file.source.to_string(), item.place)).collect();
    let expected = [
        ("device tree", "t.dtb", Place::Network),
        ("overlay 1", "a.dtbo", Place::Network),
        ("overlay 2", "b.dtbo", Place::Network),
        ("Xen", "xen", Place::Network),
        ("Dom0 kernel", "Image", Place::Network),
        ("Dom0 ramdisk", "initramfs", Place::Initramfs),
        ("guest kernel", "tftp://10.0.0.1/k", Place::Network),
        ("guest ramdisk", "r", Place::Network),
        ("guest device tree", "passthrough.dtb", Place::Network),
    ];
    assert_eq!(items, expected.map(|(label, source, place)| (label, source.to_string(), place)));
    assert_eq!(plan.items.iter().filter(|item| item.role.is_module()).count(), 5);
}

#[test]
fn the_tree_comes_from_the_firmware_or_by_the_boards_revision() {
    let firmware = entry(&TOML.replace("\"t.dtb\"", "\"firmware\""));
    assert_eq!(Plan::new(&firmware, &facts()).unwrap().item(Role::DeviceTree), None);
    let none = Facts { firmware_tree: false, board_tree: None, ..facts() };
    assert_eq!(Plan::new(&firmware, &none), Err(Error::NoFirmwareTree));
    let auto = entry(&TOML.replace("\"t.dtb\"", "\"auto\""));
    let plan = Plan::new(&auto, &facts()).unwrap();
    assert_eq!(plan.item(Role::DeviceTree).unwrap().file.source, Source::Path("bcm2711-rpi-4-b.dtb".into()));
    assert_eq!(Plan::new(&auto, &none), Err(Error::UnknownBoard));
}

#[test]
fn what_this_version_does_not_do_is_said() {
    let other = |payload: &str| error(&format!("[[entry]]\nname = \"a\"\n{payload}"), &facts());
    assert_eq!(other("imagebuilder = \"c\""), "this version does not read ImageBuilder files");
    assert_eq!(other("[entry.linux]\nimage = \"i\""), "this version does not boot Linux without Xen");
}

#[test]
fn the_file_of_a_script_comes_from_wherever_files_come_from() {
    let file = File { source: Source::Path("boot2.scr".into()), sha256: None };
    let item = script(&file, &facts()).unwrap();
    assert_eq!((item.role, item.place, item.name()), (Role::Script, Place::Network, "script (boot2.scr)".to_string()));
    let alone = Facts { network: false, ..facts() };
    assert!(matches!(script(&file, &alone), Err(Error::NotThere { .. })));
}

/// A bundle with these files, all empty.
fn bundle(paths: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut member = |name: &str, data: &[u8]| {
        let fields = [0, 0o100_644, 0, 0, 1, 0, data.len(), 0, 0, 0, 0, name.len() + 1, 0];
        let header: String = fields.iter().map(|field| format!("{field:08x}")).collect();
        bytes.extend_from_slice(format!("070701{header}{name}\0").as_bytes());
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    };
    let manifest: String = paths.iter().map(|path| format!("{} 0 {path}\n", "0".repeat(64))).collect();
    member("xenlift.manifest", manifest.as_bytes());
    paths.iter().for_each(|path| member(path, b""));
    member("TRAILER!!!", b"");
    bytes
}

#[test]
fn files_of_a_bundle_are_looked_for_there_first() {
    let toml = TOML.replace("tftp://10.0.0.1/k", "k");
    let all = ["loader.toml", "t.dtb", "a.dtbo", "b.dtbo", "xen", "Image", "k", "r", "passthrough.dtb"];
    let bytes = bundle(&all);
    let whole = Bundle::parse(&bytes).unwrap();
    let offline = Facts { bundle: Some(&whole), network: false, ..facts() };
    let parsed = entry(&toml);
    let plan = Plan::new(&parsed, &offline).unwrap();
    assert!(plan.items.iter().all(|item| item.place == Place::Bundle || item.role == Role::Dom0Ramdisk));
    let bytes = bundle(&all[..8]);
    let less = Bundle::parse(&bytes).unwrap();
    let online = Facts { bundle: Some(&less), ..facts() };
    assert_eq!(Plan::new(&parsed, &online).unwrap().item(Role::DomainDeviceTree(0)).unwrap().place, Place::Network);
    let offline = Facts { network: false, ..online };
    assert_eq!(
        error(&toml, &offline),
        "guest device tree: \"passthrough.dtb\" is not in the bundle, and there is no network to fetch it from"
    );
    let message = error(&toml.replace("\"Image\"", "\"image-\""), &offline);
    assert_eq!(message, "Dom0 kernel: \"image-\" is not in the bundle; nearest: Image");
}

/// A card with these files on its boot partition, and on its third.
#[derive(Debug)]
struct Card(&'static [&'static str]);

impl CardFiles for Card {
    fn has(&self, partition: Option<u32>, path: &str) -> bool {
        partition.is_none_or(|number| number == 3) && self.0.contains(&path)
    }
}

#[test]
fn plain_paths_of_settings_from_the_card_are_on_the_card_or_else_on_the_server() {
    let parsed = entry(TOML);
    let place = |facts: &Facts<'_>, role| Plan::new(&parsed, facts).unwrap().item(role).unwrap().place;
    let some = Card(&["xen", "t.dtb"]);
    let both = Facts { card: Some(&some), card_first: true, ..facts() };
    assert_eq!(place(&both, Role::Xen), Place::Card);
    assert_eq!(place(&both, Role::DeviceTree), Place::Card);
    assert_eq!(place(&both, Role::Dom0Kernel), Place::Network);
    assert_eq!(place(&both, Role::DomainKernel(0)), Place::Network);
    let settings_elsewhere = Facts { card_first: false, ..both };
    assert_eq!(place(&settings_elsewhere, Role::Xen), Place::Network);
    let toml = TOML.replace("tftp://10.0.0.1/k", "k");
    let offline = Facts { network: false, ..both };
    assert_eq!(error(&toml, &offline), "overlay 1: a.dtbo is not on the card");
    let all = Card(&["t.dtb", "a.dtbo", "b.dtbo", "xen", "Image", "k", "r", "passthrough.dtb"]);
    let offline = Facts { card: Some(&all), network: false, ..facts() };
    let parsed = entry(&toml);
    let plan = Plan::new(&parsed, &offline).unwrap();
    assert!(plan.items.iter().all(|item| item.place == Place::Card || item.role == Role::Dom0Ramdisk));
}

#[test]
fn a_url_of_the_card_is_there_or_told() {
    let with = |url: &str| TOML.replace("tftp://10.0.0.1/k", url);
    let card = Card(&["k"]);
    let facts = Facts { card: Some(&card), ..facts() };
    for url in ["mmc://0/k", "mmc://0:3/k"] {
        let parsed = entry(&with(url));
        assert_eq!(Plan::new(&parsed, &facts).unwrap().item(Role::DomainKernel(0)).unwrap().place, Place::Card);
    }
    assert_eq!(error(&with("mmc://0:1/k"), &facts), "guest kernel: mmc://0:1/k is not on the card");
    let none = Facts { card: None, ..facts };
    assert_eq!(error(&with("mmc://0/k"), &none), "guest kernel: mmc://0/k, but there is no card that can be read");
}

#[test]
fn without_network_or_initramfs_what_needs_them_is_refused() {
    let toml =
        "[[entry]]\nname = \"a\"\n[entry.xen]\nimage = \"tftp://10.0.0.1/xen\"\n[entry.dom0]\nkernel = \"initramfs\"\n";
    let offline = Facts { network: false, ..facts() };
    assert_eq!(error(toml, &offline), "Xen: tftp://10.0.0.1/xen, but there is no network");
    for initramfs in [None, Some(0)] {
        let without = Facts { initramfs, ..facts() };
        assert!(error(TOML, &without).starts_with("Dom0 ramdisk: \"initramfs\", but the firmware loaded none"));
    }
}

#[test]
fn xen_takes_thirty_modules() {
    let toml = |domains: usize| {
        let domain = |n| format!("[[entry.domu]]\nname = \"u{n}\"\nmemory = \"1M\"\nkernel = \"k\"\n");
        let domains: String = (0..domains).map(domain).collect();
        format!("[[entry]]\nname = \"a\"\n[entry.xen]\nimage = \"xen\"\n{domains}")
    };
    assert!(Plan::new(&entry(&toml(30)), &facts()).is_ok());
    assert_eq!(error(&toml(31), &facts()), "31 kernels, ramdisks and device trees of domains; Xen takes at most 30");
}

#[test]
fn memory_is_shared_out_only_once() {
    let memory = |megabytes: u64| Facts { memory: megabytes << 20, ..facts() };
    assert!(Plan::new(&entry(TOML), &memory(768 + 128 + 1)).is_ok());
    assert_eq!(
        error(TOML, &memory(768 + 128)),
        "dom0_mem=768M and 128 MiB for other domains: the firmware left 896 MiB, and Xen and its modules need some of them; \
         write dom0_mem=576M"
    );
    let silent = entry(&TOML.replace("dom0_mem=768M", ""));
    assert!(Plan::new(&silent, &memory(512 + 128 + 1)).is_ok());
    assert!(Plan::new(&silent, &memory(512 + 128)).is_err());
}

#[test]
fn command_lines_are_checked_wherever_the_entry_came_from() {
    let mut entry = entry(TOML);
    let Payload::Xen(xen) = &mut entry.payload else { panic!("Xen") };
    xen.domains[0].args = "x".repeat(1024);
    let error = Plan::new(&entry, &facts()).unwrap_err().to_string();
    assert_eq!(error, "guest args: expected a command line of at most 1023 bytes (Xen cuts the rest), not 1024");
    let Payload::Xen(xen) = &mut entry.payload else { panic!("Xen") };
    xen.args = "dom0_mem=1024M,max:1024M".into();
    assert!(matches!(Plan::new(&entry, &facts()), Err(Error::Arguments { label, .. }) if label == "Xen"));
}

fn image(text: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[16..24].copy_from_slice(&0x1360c8u64.to_le_bytes());
    bytes[24] = 10;
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes.extend_from_slice(text);
    bytes
}

#[test]
fn xen_is_given_the_memory_that_its_header_asks_for() {
    let checked = item(Role::Xen).check(&image(b"Xen version %d.%d%s\0brcm,bcm2711\0xen,xen-4.17\0")).unwrap();
    assert_eq!(checked, Checked { request: Request::xen(0x1360c8), notes: vec![] });
    let module = item(Role::Dom0Kernel).check(&image(b"")).unwrap();
    assert_eq!(module.request, Request::new(64), "Xen copies a kernel to where it runs");
    assert_eq!(item(Role::Dom0Ramdisk).check(b"1").unwrap().request, Request::new(1));
}

#[test]
fn an_image_that_is_not_the_right_xen_is_told() {
    let xen = item(Role::Xen);
    let notes = |text: &[u8]| xen.check(&image(text)).unwrap().notes;
    let old = notes(b"Xen version %d.%d%s\0xen,xen-4.13");
    assert_eq!(old[0].to_string(), "Xen 4.13 does not know the Raspberry Pi 4; 4.14 and newer do");
    assert_eq!(notes(b"Xen version %d.%d%s\0xen,xen-4.14"), [Note::NotForThisBoard]);
    assert_eq!(notes(b"Xen version %d.%d%s\0brcm,bcm2711\0xen,xen-4.14"), []);
    assert_eq!(notes(b"something"), [Note::UnknownHypervisor]);
    let linux = xen.check(&image(b"Linux version 6.1")).unwrap_err();
    assert_eq!(linux.to_string(), "Xen (xen): the file is a Linux kernel");
    let page = xen.check(b"<html>404").unwrap_err();
    assert_eq!(page.to_string(), "Xen (xen): no arm64 Image (9 bytes): it is text");
    let kernel = item(Role::DomainKernel(0)).check(b"\x7fELF").unwrap_err();
    assert!(kernel.to_string().starts_with("guest kernel (tftp://10.0.0.1/k): no arm64 Image"));
    assert_eq!(item(Role::Overlay(1)).check(b"").unwrap_err().to_string(), "overlay 2 (b.dtbo): the file is empty");
}

#[test]
fn a_file_must_be_the_one_that_the_settings_want() {
    assert_eq!(item(Role::Xen).check_digest(&[0x11; 32]), Ok(()));
    assert_eq!(item(Role::Dom0Kernel).check_digest(&[0x22; 32]), Ok(()), "nothing was wanted");
    let error = item(Role::Xen).check_digest(&[0x22; 32]).unwrap_err().to_string();
    assert_eq!(error, "Xen (xen): SHA-256 is 2222222222222222..., the settings say 1111111111111111...");
}

#[test]
fn a_kernel_that_its_domain_has_no_room_for_is_refused() {
    let entry = entry(TOML);
    let plan = Plan::new(&entry, &facts()).unwrap();
    let check = |role, size: u64| {
        let mut kernel = vec![0; 64];
        kernel[16..24].copy_from_slice(&size.to_le_bytes());
        kernel[56..60].copy_from_slice(b"ARM\x64");
        plan.check_room(plan.item(role).unwrap(), &kernel).map_err(|error| error.to_string())
    };
    assert_eq!(check(Role::Dom0Kernel, (768 << 20) - 1), Ok(()));
    assert_eq!(
        check(Role::Dom0Kernel, 768 << 20),
        Err("Dom0 kernel (Image): it takes 768 MiB of memory (image_size in its header), its domain gets 768 MiB"
            .into())
    );
    assert_eq!(check(Role::DomainKernel(0), (128 << 20) - 1), Ok(()));
    assert!(check(Role::DomainKernel(0), 128 << 20).is_err());
    assert_eq!(check(Role::Dom0Ramdisk, u64::MAX), Ok(()));
}
