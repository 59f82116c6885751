//! A TFTP server with RFC 7440 windows and an HTTP server for one directory, both read-only.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::net::{IpAddr, SocketAddr};
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, anyhow};
use tiny_http::{Header, Method, Request, Response, StatusCode};

use crate::process::announce;

/// Serves files over TFTP in a thread of its own, until the program ends.
pub fn start_tftp(directory: &Path, address: IpAddr, port: u16) -> Result<()> {
    let directory = directory.canonicalize().with_context(|| format!("cannot find {}", directory.display()))?;
    let config = tftpd::Config {
        ip_address: address,
        port,
        send_directory: directory.clone(),
        receive_directory: directory.clone(),
        directory,
        read_only: true,
        ..tftpd::Config::default()
    };
    let server = tftpd::Server::new(&config).map_err(|error| anyhow!("{error}"));
    let mut server = server.with_context(|| cannot_listen("TFTP", SocketAddr::new(address, port)))?;
    thread::spawn(move || server.listen());
    Ok(())
}

/// Serves files over HTTP in a thread of its own, until the program ends. Returns the address it listens on: port 0 takes a free one.
pub fn start_http(directory: &Path, address: IpAddr, port: u16) -> Result<SocketAddr> {
    let directory = directory.canonicalize().with_context(|| format!("cannot find {}", directory.display()))?;
    let address = SocketAddr::new(address, port);
    let server = tiny_http::Server::http(address)
        .map_err(|error| anyhow!("{error}"))
        .with_context(|| cannot_listen("HTTP", address))?;
    let bound = server.server_addr().to_ip().context("the HTTP server has no address")?;
    thread::spawn(move || {
        for request in server.incoming_requests() {
            answer(request, &directory);
        }
    });
    Ok(bound)
}

fn cannot_listen(protocol: &str, address: SocketAddr) -> String {
    let hint = if address.port() < 1024 {
        "; ports below 1024 need root, others can be chosen with --tftp-port and --http-port"
    } else {
        ""
    };
    format!("cannot serve {protocol} on {address}{hint}")
}

fn answer(request: Request, directory: &Path) {
    let from = request.remote_addr().map(ToString::to_string).unwrap_or_default();
    let what = format!("HTTP {} {} from {from}", request.method(), request.url());
    let file = match request.method() {
        Method::Get | Method::Head => path_of(request.url()).and_then(|path| File::open(directory.join(path)).ok()),
        _ => None,
    };
    let file = file.filter(|file| file.metadata().is_ok_and(|meta| meta.is_file()));
    announce(&format!("{what}: {}", if file.is_some() { "sent" } else { "not found" }));
    // A board that goes away in the middle is its own affair.
    let _ = match file {
        Some(file) => send(request, file),
        None => request.respond(Response::empty(StatusCode(404))),
    };
}

/// Sends a file, or the rest of it where a client has lost the connection in the middle and the file is still the same.
fn send(request: Request, mut file: File) -> io::Result<()> {
    let metadata = file.metadata()?;
    let size = metadata.len();
    let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    let version = format!("\"{size:x}-{:x}\"", changed.as_nanos());
    let asked = |name: &'static str| {
        let header = request.headers().iter().find(|header| header.field.equiv(name));
        header.map(|header| header.value.as_str())
    };
    let range = asked("Range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<u64>().ok());
    let same = asked("If-Range").is_none_or(|known| known == version);
    let from = range.filter(|from| same && *from < size).unwrap_or(0);
    file.seek(SeekFrom::Start(from))?;
    let mut headers = vec![("Content-Type", "application/octet-stream".to_owned()), ("ETag", version)];
    if from > 0 {
        headers.push(("Content-Range", format!("bytes {from}-{}/{size}", size - 1)));
    }
    let headers = headers.into_iter().filter_map(|(name, value)| Header::from_bytes(name, value).ok()).collect();
    let status = StatusCode(if from > 0 { 206 } else { 200 });
    // In chunks, which the crate prefers for what is long, nobody could tell how long the file is.
    let length = usize::try_from(size - from).ok();
    request.respond(Response::new(status, headers, file, length, None).with_chunked_threshold(usize::MAX))
}

/// The relative path that a request names, if it stays below the directory served.
fn path_of(url: &str) -> Option<PathBuf> {
    let path = Path::new(url.split(['?', '#']).next()?.trim_start_matches('/'));
    let inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    inside.then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream, UdpSocket};
    use std::time::Duration;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn get(server: SocketAddr, path: &str) -> String {
        get_with(server, path, "")
    }

    /// The same with more headers, each with its line end.
    fn get_with(server: SocketAddr, path: &str, headers: &str) -> String {
        let mut stream = TcpStream::connect(server).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn http_serves_files_with_their_length_and_nothing_outside() {
        let outer = tempfile::tempdir().unwrap();
        let served = outer.path().join("served");
        fs::create_dir(&served).unwrap();
        fs::write(served.join("xen"), "hypervisor").unwrap();
        fs::write(outer.path().join("secret"), "secret").unwrap();
        let server = start_http(&served, LOCAL, 0).unwrap();
        let answer = get(server, "/xen");
        assert!(
            answer.starts_with("HTTP/1.1 200")
                && answer.contains("Content-Length: 10\r\n")
                && answer.ends_with("hypervisor")
        );
        for path in ["/missing", "/../secret", "//../secret", "/"] {
            assert!(get(server, path).starts_with("HTTP/1.1 404"), "{path}");
        }
    }

    #[test]
    fn http_sends_long_files_with_their_length_and_the_rest_of_the_same_version() {
        let served = tempfile::tempdir().unwrap();
        let text = "0123456789".repeat(10_000);
        fs::write(served.path().join("Image"), &text).unwrap();
        let server = start_http(served.path(), LOCAL, 0).unwrap();
        let ask = |headers: &str| get_with(server, "/Image", headers);
        let whole = ask("");
        assert!(whole.starts_with("HTTP/1.1 200") && whole.contains("Content-Length: 100000\r\n"), "{}", &whole[..200]);
        let (_, tag) = whole.split_once("ETag: ").unwrap();
        let (tag, _) = tag.split_once("\r\n").unwrap();
        let rest = ask(&format!("Range: bytes=99995-\r\nIf-Range: {tag}\r\n"));
        assert!(rest.starts_with("HTTP/1.1 206") && rest.ends_with("\r\n\r\n56789"), "{rest}");
        assert!(rest.contains("Content-Range: bytes 99995-99999/100000\r\n"), "{rest}");
        for more in ["Range: bytes=5-\r\nIf-Range: \"old\"\r\n", "Range: bytes=100000-\r\n", "Range: bytes=5-6\r\n"] {
            assert!(ask(more).ends_with(&text), "{more}");
        }
    }

    #[test]
    fn tftp_grants_window_block_size_and_tells_the_size() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("xen"), vec![7; 5000]).unwrap();
        // A port that was free a moment ago; the server's own crate does not tell which one it took.
        let port = UdpSocket::bind((LOCAL, 0)).unwrap().local_addr().unwrap().port();
        start_tftp(directory.path(), LOCAL, port).unwrap();
        let client = UdpSocket::bind((LOCAL, 0)).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let request = b"\0\x01xen\0octet\0blksize\x001468\0windowsize\x0016\0tsize\x000\0";
        client.send_to(request, (LOCAL, port)).unwrap();
        let mut answer = [0; 600];
        let (length, _) = client.recv_from(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[2..length]).into_owned();
        assert_eq!(answer[..2], [0, 6], "an OACK: {text}");
        for option in ["blksize\x001468\0", "windowsize\x0016\0", "tsize\x005000\0"] {
            assert!(text.contains(option), "{option:?} in {text:?}");
        }
    }
}
