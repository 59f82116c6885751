//! The commands, on the machine that is not there: one file a subject, and here what they are tried with.

mod devices;
mod help;
mod menus;
mod network;
mod scripts;
mod starting;

use super::all;
use crate::boot::digest::crc32;
use crate::range::PhysicalRange;
use crate::shell::platform::Lease;
use crate::shell::simulation::{FileMap, Simulation};
use crate::shell::{Environment, Failure, Outcome, Shell};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::Ipv4Addr;

const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);

fn machine() -> Simulation {
    let mut files = FileMap::default();
    for (name, size) in [("xen", 5000), ("dir/boot.scr.uimg", 100)] {
        files.server.insert(name.to_string(), alloc::vec![7; size]);
    }
    files.card.insert("boot.scr".to_string(), b"0123456789".to_vec());
    files.card.insert("overlays/a.dtbo".to_string(), b"overlay".to_vec());
    let mut machine = Simulation::raspberry_pi_4(files).unwrap();
    machine.hosts.push(SERVER);
    machine.lease = Some(Lease {
        address: Some(Ipv4Addr::new(192, 168, 0, 2)),
        netmask: Some(Ipv4Addr::new(255, 255, 255, 0)),
        gateway: None,
        server: Some(SERVER),
        likely_server: Some(SERVER),
        boot_file: Some("dir/boot.scr.uimg".to_string()),
    });
    machine
}

/// A machine with programs and a tree to start them with.
fn machine_with_programs() -> Simulation {
    let mut files = FileMap::default();
    let plain = image(5000, 0x20_0000);
    let packed = gzip(&plain);
    let mut tree = crate::boot::test_tree::TestTree::board();
    let tree = tree.editor().as_bytes().to_vec();
    let text = alloc::vec![b'x'; 300];
    for (name, bytes) in [
        ("Image", plain),
        ("Image.gz", packed),
        ("tree", tree),
        ("initrd", alloc::vec![1; 77]),
        ("uInitrd", legacy_image(3, &[1; 77])),
        ("script", legacy_image(6, &[&[0, 0, 0, 77, 0, 0, 0, 0][..], &[b'x'; 77]].concat())),
        ("text", text),
    ] {
        files.server.insert(name.to_string(), bytes);
    }
    Simulation::raspberry_pi_4(files).unwrap()
}

fn machine_with_scripts() -> Simulation {
    let mut files = FileMap::default();
    for (name, text) in [
        ("boot.scr", "setenv first yes; tftpboot C00000 boot2.scr && source C00000; setenv after yes"),
        ("boot2.scr", "setenv second yes; false"),
        ("self.scr", "setenv depth ${depth}x; source 2000000"),
    ] {
        files.server.insert(name.to_string(), script(text));
    }
    let mut cut = script("echo whole");
    *cut.last_mut().unwrap() ^= 1;
    files.server.insert("bad.scr".to_string(), cut);
    files.card.insert("plain.txt".to_string(), b"echo again\n".to_vec());
    files.card.insert("Image".to_string(), image(5000, 0x20_0000));
    files.card.insert("initrd".to_string(), alloc::vec![1; 77]);
    let mut tree = crate::boot::test_tree::TestTree::board();
    files.card.insert("dtb/board.dtb".to_string(), tree.editor().as_bytes().to_vec());
    let menu = "default a\nlabel a\nkernel /Image\ninitrd ../initrd\nfdtdir /dtb/\nappend root=x\n";
    files.card.insert("extlinux.conf".to_string(), menu.replace("../", "").into_bytes());
    let two =
        "default b\nlabel a\nkernel /Image\nfdt /dtb/board.dtb\nfdtoverlays /none.dtbo\nlabel b\nkernel /missing\n";
    files.card.insert("two.conf".to_string(), two.as_bytes().to_vec());
    files.card.insert("none.conf".to_string(), two.replace("/Image", "/absent").into_bytes());
    Simulation::raspberry_pi_4(files).unwrap()
}

fn environment(variables: &[(&str, &str)]) -> Environment {
    let mut environment = Environment::default();
    environment.set("loadaddr", "0x1000000");
    for (name, value) in variables {
        environment.set(name, value);
    }
    environment
}

fn say(shell: &mut Shell<'_>, line: &str) -> Outcome {
    let arguments: Vec<String> = line.split(' ').map(String::from).collect();
    let command = all().find(|command| command.name == arguments[0]).unwrap();
    (command.run)(shell, &arguments)
}

/// The reason why `line` fails.
fn reason(shell: &mut Shell<'_>, line: &str) -> String {
    match say(shell, line) {
        Err(Failure::Reason(reason)) => reason.to_string(),
        other => panic!("{line}: {other:?}"),
    }
}

fn sized(start: u64, size: u64) -> PhysicalRange {
    PhysicalRange { start, end: start + size }
}

/// An arm64 Image of `size` bytes that asks for `memory`.
fn image(size: usize, memory: u64) -> Vec<u8> {
    let mut bytes = alloc::vec![0; size];
    bytes[16..24].copy_from_slice(&memory.to_le_bytes());
    bytes[24] = 8;
    bytes[56..60].copy_from_slice(b"ARM\x64");
    bytes
}

/// A gzip file of `bytes`, in one stored block.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u16;
    let crc = crc32(bytes);
    let mut gzip = alloc::vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1];
    gzip.extend_from_slice(&length.to_le_bytes());
    gzip.extend_from_slice(&(!length).to_le_bytes());
    gzip.extend_from_slice(bytes);
    gzip.extend_from_slice(&crc.to_le_bytes());
    gzip.extend_from_slice(&u32::from(length).to_le_bytes());
    gzip
}

/// What mkimage makes of a script.
fn script(text: &str) -> Vec<u8> {
    let mut data = (text.len() as u32).to_be_bytes().to_vec();
    data.extend_from_slice(&[0; 4]);
    data.extend_from_slice(text.as_bytes());
    legacy_image(6, &data)
}

/// An image of U-Boot's older format, for Linux on arm64, of this type.
fn legacy_image(kind: u8, data: &[u8]) -> Vec<u8> {
    let mut header = alloc::vec![0_u8; 64];
    header[..4].copy_from_slice(&0x2705_1956_u32.to_be_bytes());
    header[12..16].copy_from_slice(&(data.len() as u32).to_be_bytes());
    let crc = crc32(data);
    header[24..28].copy_from_slice(&crc.to_be_bytes());
    header[28..32].copy_from_slice(&[5, 22, kind, 0]);
    let crc = crc32(&header);
    header[4..8].copy_from_slice(&crc.to_be_bytes());
    header.extend_from_slice(data);
    header
}
