//! The files of an entry, fetched side by side: from servers that send one block at a time, and do not tell how large a file is.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use xenlift_e2e::boot::{Board, TREE, device_tree, fake_xen, kernel, pattern, sha256};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::plain_tftp::{Event, PlainTftp, Served};

/// Files of an entry, the settings apart.
struct Files {
    kernel: Vec<u8>,
    ramdisk: Vec<u8>,
    guest_kernel: Vec<u8>,
    guest_ramdisk: Vec<u8>,
}

impl Files {
    fn new() -> Result<Self> {
        Ok(Self {
            kernel: kernel(0x10_b123)?,
            ramdisk: pattern(0xc_5679),
            guest_kernel: kernel(0x9_0001)?,
            guest_ramdisk: pattern(0xb_0200),
        })
    }

    /// A server of them that tells the sizes of those whose names `tells` wants. The last blocks of all but the tree are held.
    fn served(&self, tells: impl Fn(&str) -> bool) -> Result<PlainTftp> {
        let tree = std::fs::read(device_tree()?)?;
        let files = [
            (TREE, tree),
            ("xen", fake_xen()?.to_vec()),
            ("kernel", self.kernel.clone()),
            ("ramdisk", self.ramdisk.clone()),
            ("guest-kernel", self.guest_kernel.clone()),
            ("guest-ramdisk", self.guest_ramdisk.clone()),
        ];
        let served = files.map(|(name, bytes)| {
            (name.to_owned(), Served { bytes, tells_size: tells(name), pause: Duration::ZERO, held: name != TREE })
        });
        PlainTftp::start(HashMap::from(served))
    }

    fn boot(&self, server: &PlainTftp, more: &str, seed: u64) -> Result<(Network, Board)> {
        let settings = format!(
            "timeout = 0\n[network]\nserver = \"10.0.2.2:{}\"\n[[entry]]\nname = \"net\"\ndevice-tree = \"{TREE}\"\n\
             [entry.xen]\nimage = \"xen\"\nargs = \"dom0_mem=256M\"\n[entry.dom0]\n{more}ramdisk = \"ramdisk\"\n\
             args = \"console=hvc0\"\n[[entry.domu]]\nname = \"guest\"\nmemory = \"128M\"\nkernel = \"guest-kernel\"\n\
             ramdisk = \"guest-ramdisk\"\n",
            server.port
        );
        let network = Network::new()?.with("xenlift/default.toml", settings.as_bytes())?;
        let board = Board::on(&network, None, seed)?;
        Ok((network, board))
    }

    fn all_come(&self, server: &PlainTftp, more: &str, seed: u64) -> Result<()> {
        let (network, mut board) = self.boot(server, more, seed)?;
        // None comes to its end before all were asked for.
        for name in ["xen", "kernel", "ramdisk", "guest-kernel", "guest-ramdisk"] {
            server.until(|event| *event == Event::Asked(name.to_owned()))?;
        }
        server.release();
        let report = board.report()?;
        for bytes in [&self.kernel, &self.ramdisk, &self.guest_kernel, &self.guest_ramdisk] {
            report.has_module(bytes)?;
        }
        let refusals = network.refusals()?;
        ensure!(refusals.is_empty(), "{refusals:?}");
        Ok(())
    }
}

/// Where the kernel is, and nothing more.
const KERNEL: &str = "kernel = \"kernel\"\n";

#[test]
fn the_tree_comes_first_and_then_all_other_files_at_once() -> Result<()> {
    let files = Files::new()?;
    let server = files.served(|_| true)?;
    files.all_come(&server, KERNEL, 21)?;
    ensure!(server.most_at_once() == 5, "{:?}", server.events());
    let first = [Event::Asked(TREE.into()), Event::Last(TREE.into())];
    ensure!(server.events().starts_with(&first), "{:?}", server.events());
    Ok(())
}

#[test]
fn files_of_which_nobody_tells_the_size_come_whole_beside_each_other() -> Result<()> {
    let files = Files::new()?;
    let server = files.served(|_| false)?;
    files.all_come(&server, KERNEL, 22)?;
    ensure!(server.most_at_once() == 5, "{:?}", server.events());
    Ok(())
}

#[test]
fn a_file_of_which_nobody_tells_the_size_comes_whole_beside_others() -> Result<()> {
    let files = Files::new()?;
    let server = files.served(|name| name != "kernel")?;
    let digest = format!("kernel = {{ path = \"kernel\", sha256 = \"{}\" }}\n", sha256(&files.kernel));
    files.all_come(&server, &digest, 23)
}

#[test]
fn one_file_that_is_not_what_it_should_be_is_named_and_one_that_is_not_there_ends_the_others() -> Result<()> {
    let files = Files::new()?;
    let server = files.served(|_| true)?;
    let digest = format!("kernel = {{ path = \"kernel\", sha256 = \"{}\" }}\n", sha256(b"another"));
    server.release();
    let (_network, mut board) = files.boot(&server, &digest, 24)?;
    let said = board.says("Starting over")?;
    ensure!(said.contains("net was not booted: Dom0 kernel (kernel): SHA-256 is "), "{said}");

    let server = files.served(|_| true)?;
    server.release();
    let (_network, mut board) = files.boot(&server, "kernel = \"missing\"\n", 25)?;
    let said = board.says("Starting over")?;
    ensure!(said.contains("net was not booted: Dom0 kernel (missing): "), "{said}");
    ensure!(said.contains("no such file"), "{said}");
    server.until(|event| matches!(event, Event::GivenUp(_)))
}
