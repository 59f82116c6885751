//! The TFTP client against somebody else's server with windows (RFC 7440), over the loopback interface.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod loopback;

use loopback::{fetch, file, free_port, local};
use std::net::SocketAddrV4;
use std::path::PathBuf;
use xenlift::net::tftp::{Error, Parameters};

/// Starts a server of the `tftpd` crate in a thread; it serves `files` until the test ends.
fn serve(name: &str, files: &[(&str, &[u8])], options: &[&str]) -> SocketAddrV4 {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&directory).unwrap();
    for (path, bytes) in files {
        std::fs::write(directory.join(path), bytes).unwrap();
    }
    let port = free_port();
    let port_text = port.to_string();
    let directory = directory.to_str().unwrap();
    let arguments = ["tftpd", "-i", "127.0.0.1", "-p", &port_text, "-d", directory, "-r"];
    let arguments = arguments.iter().chain(options).map(|argument| argument.to_string());
    let config = tftpd::Config::new(arguments).unwrap();
    let mut server = tftpd::Server::new(&config).unwrap();
    std::thread::spawn(move || server.listen());
    local(port)
}

#[test]
fn files_of_every_awkward_length_come_whole_in_every_window() {
    let lengths = [0, 1, 1467, 1468, 1469, 1468 * 192, 3_000_000];
    let names = lengths.map(|length| format!("file-{length}"));
    let contents = lengths.map(file);
    let files: Vec<_> = names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)).collect();
    for (directory, options) in [("ports", &[][..]), ("port", &["--single-port"])] {
        let server = serve(directory, &files, options);
        for window in [1, 2, 64, 192] {
            for (name, bytes) in &files {
                let fetched = fetch(server, name, Parameters { window, ..Parameters::default() }).unwrap();
                assert!(fetched.bytes == *bytes, "{name} differs, window {window}");
                assert_eq!((fetched.client.window(), fetched.client.block_size()), (window, 1468));
            }
        }
    }
}

#[test]
fn block_numbers_roll_over() {
    let bytes = file(66_000 * 8);
    for (directory, options) in [("zero", ["--rollover", "0"]), ("one", ["--rollover", "1"])] {
        let server = serve(directory, &[("f", &bytes)], &options);
        let fetched = fetch(server, "f", Parameters { block_size: 8, window: 1, ..Parameters::default() }).unwrap();
        assert!(fetched.bytes == bytes, "rollover to {directory}");
    }
    let server = serve("windows", &[("f", &bytes)], &[]);
    let fetched = fetch(server, "f", Parameters { block_size: 8, window: 64, ..Parameters::default() }).unwrap();
    assert!(fetched.bytes == bytes);
}

#[test]
fn a_missing_file_is_said_to_be_missing() {
    let server = serve("empty", &[], &[]);
    let error = fetch(server, "nothing", Parameters::default()).err();
    assert!(matches!(error, Some(Error::Server { code: 1, .. })), "{error:?}");
}
