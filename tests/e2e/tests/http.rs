//! Booting with files from a web server: redirected, cut off in the middle, and not there.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, ensure};
use xenlift_e2e::boot::{Board, Dom0, TREE, device_tree, fake_xen};
use xenlift_e2e::ethernet::Network;
use xenlift_e2e::servers;
use xenlift_e2e::{cache, emulator_with_ethernet};
use xtask::serve::start_http;
use xtask::u_boot_tools::make_script;

const SETTINGS: &str = "xenlift/default.toml";

/// The tree by TFTP from QEMU's own server, everything else from a URL.
fn settings(xen: &str, kernel: &str, ramdisk: &str) -> String {
    format!(
        "timeout = 0\n[[entry]]\nname = \"web\"\ndevice-tree = \"{TREE}\"\n[entry.xen]\nimage = \"{xen}\"\n\
         args = \"dom0_mem=256M\"\n[entry.dom0]\nkernel = \"{kernel}\"\nramdisk = \"{ramdisk}\"\nargs = \"console=hvc0\"\n"
    )
}

/// `path` at a port of the host's loopback address, as the board sees it.
fn url(server: SocketAddr, path: &str) -> String {
    format!("http://10.0.2.2:{}/{path}", server.port())
}

/// Answers every connection in a thread of its own, until the program ends.
fn serve(answer: impl Fn(TcpStream) -> std::io::Result<()> + Send + Sync + 'static) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    let address = listener.local_addr().context("no free port")?;
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

/// Reads a request as far as its empty line.
fn request(stream: &mut TcpStream) -> std::io::Result<String> {
    let (mut request, mut byte) = (Vec::new(), [0]);
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        request.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

/// A server that sends everybody on to the same path at `target`.
fn redirector(target: SocketAddr) -> Result<SocketAddr> {
    serve(move |mut stream| {
        let request = request(&mut stream)?;
        let path = request.split(' ').nth(1).unwrap_or("/");
        let location = url(target, path.trim_start_matches('/'));
        write!(stream, "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    })
}

/// Stands before `server` and ends each of the first connections after so many bytes of the answer. The requests that it has passed on.
fn cutter(server: SocketAddr, cuts: &[usize]) -> Result<(SocketAddr, Arc<Mutex<Vec<String>>>)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (cuts, requests) = (cuts.to_vec(), Arc::clone(&seen));
    let address = serve(move |mut stream| {
        let request = request(&mut stream)?;
        let limit = {
            let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            requests.push(request.clone());
            cuts.get(requests.len() - 1).copied().unwrap_or(usize::MAX)
        };
        let mut behind = TcpStream::connect(server)?;
        behind.write_all(request.as_bytes())?;
        let mut answer = behind.take(limit as u64);
        std::io::copy(&mut answer, &mut stream)?;
        stream.shutdown(Shutdown::Both)
    })?;
    Ok((address, seen))
}

struct Files {
    dom0: Dom0,
    directory: tempfile::TempDir,
    /// The web server that has them.
    server: SocketAddr,
}

impl Files {
    fn new() -> Result<Self> {
        let directory = tempfile::tempdir().context("no temporary directory")?;
        let server = start_http(directory.path(), IpAddr::V4(Ipv4Addr::LOCALHOST), 0)?;
        let files = Self { dom0: Dom0::new(0x24_5679)?, directory, server };
        for (name, bytes) in [("xen", fake_xen()?), ("kernel", &files.dom0.kernel), ("ramdisk", &files.dom0.ramdisk)] {
            std::fs::write(files.directory.path().join(name), bytes).with_context(|| format!("cannot write {name}"))?;
        }
        Ok(files)
    }
}

fn start(settings: &str, seed: u64) -> Result<(Network, Board)> {
    let tree = std::fs::read(device_tree()?)?;
    let network = Network::new()?.with(SETTINGS, settings.as_bytes())?.with(TREE, &tree)?;
    let board = Board::on(&network, None, seed)?;
    Ok((network, board))
}

#[test]
fn a_boot_by_http_follows_a_redirect_and_takes_up_a_file_where_its_connection_was_cut() -> Result<()> {
    let files = Files::new()?;
    let redirector = redirector(files.server)?;
    let (cutter, requests) = cutter(files.server, &[500_000, 1_000_000])?;
    let (xen, kernel, ramdisk) = (url(files.server, "xen"), url(redirector, "kernel"), url(cutter, "ramdisk"));
    let (network, mut board) = start(&settings(&xen, &kernel, &ramdisk), 1)?;
    files.dom0.is_in(&board.report()?)?;
    let requests = requests.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ensure!(requests.len() == 3, "{requests:?}");
    ensure!(!requests[0].contains("Range:"), "{requests:?}");
    ensure!(requests[1..].iter().all(|request| request.contains("\r\nRange: bytes=")), "{requests:?}");
    let refusals = network.refusals()?;
    ensure!(refusals.is_empty(), "{refusals:?}");
    Ok(())
}

#[test]
fn files_of_three_servers_come_side_by_side() -> Result<()> {
    let files = Files::new()?;
    let tftp = servers::tftpd_hpa(files.directory.path(), &[])?;
    let ramdisk = format!("tftp://10.0.2.2:{}/{}", tftp.address.port(), tftp.path("ramdisk"));
    let tree = std::fs::read(device_tree()?)?;
    let text = settings("xen", &url(files.server, "kernel"), &ramdisk);
    let network = Network::new()?.with(SETTINGS, text.as_bytes())?.with(TREE, &tree)?.with("xen", fake_xen()?)?;
    let mut board = Board::on(&network, None, 3)?;
    files.dom0.is_in(&board.report()?)
}

#[test]
fn dhcps_boot_file_may_be_a_url_and_so_may_a_script() -> Result<()> {
    let files = Files::new()?;
    let text = format!(
        "timeout = 0\ndefault = \"old\"\n[[entry]]\nname = \"old\"\nscript = \"{}\"\nfallback = \"web\"\n{}",
        url(files.server, "boot.scr"),
        settings(&url(files.server, "xen"), &url(files.server, "kernel"), &url(files.server, "ramdisk"))
            .trim_start_matches("timeout = 0\n"),
    );
    std::fs::write(files.directory.path().join("board.toml"), text).context("cannot write the settings")?;
    let script = make_script("echo this script came by http\n")?;
    std::fs::write(files.directory.path().join("boot.scr"), script).context("cannot write the script")?;
    let network = Network::new()?.with(TREE, &std::fs::read(device_tree()?)?)?;
    let boot_file = url(files.server, "board.toml");
    let mut board = Board::start(&emulator_with_ethernet(&cache()?)?, None, |command| {
        network.attach_as(command, &network.user(Some(&boot_file)), 4);
        Ok(())
    })?;
    board.says(&format!("Settings: {boot_file}."))?;
    board.says("this script came by http")?;
    // It started nothing, so the fallback is next.
    files.dom0.is_in(&board.report()?)
}

#[test]
fn a_file_that_the_web_server_does_not_have_is_told_by_name_and_status() -> Result<()> {
    let files = Files::new()?;
    let (xen, ramdisk) = (url(files.server, "xen"), url(files.server, "ramdisk"));
    let (_network, mut board) = start(&settings(&xen, &url(files.server, "none"), &ramdisk), 2)?;
    board.says("/none")?;
    board.says("file not found on the server (HTTP status 404 \"Not Found\")")?;
    Ok(())
}
