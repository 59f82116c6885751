//! Settings looked for on a server.

use crate::simulation::board::Board;
use crate::simulation::lan::{Lan, MACHINE};
use crate::simulation::server::{ADDRESS, Manner, Server};
use crate::simulation::web::Web;
use crate::{FULL, NEVER, server};
use smoltcp::wire::EthernetAddress;
use std::net::Ipv4Addr;
use xenlift::config::LARGEST_FILE;
use xenlift::net::settings;
use xenlift::time::Instant;

#[test]
fn settings_are_looked_for_in_their_order() {
    let files = ["xenlift/10000000abcdef01.toml", "xenlift/dc-a6-32-01-02-03.toml", "xenlift/default.toml"];
    for first in 0..files.len() {
        let mut server = Server::new(FULL);
        for path in &files[first..] {
            server = server.with(path, path.as_bytes().to_vec());
        }
        let mut board = Board::new(Lan::new(server));
        let found = settings::probe(&mut board.session, Some("10000000abcdef01"), &mut board.watcher).unwrap().unwrap();
        assert_eq!((found.path.as_str(), found.bytes.as_slice()), (files[first], files[first].as_bytes()));
        assert!(board.seconds() < 0.1);
    }
}

#[test]
fn dhcps_boot_file_wins_if_it_is_settings_or_a_script() {
    for (boot_file, expected) in
        [("pi/my.toml", "pi/my.toml"), ("boot.scr", "boot.scr"), ("u-boot.bin", "xenlift/default.toml")]
    {
        let server = Server::new(FULL)
            .with("pi/my.toml", b"mine".to_vec())
            .with("boot.scr", b"script".to_vec())
            .with("u-boot.bin", b"another loader".to_vec())
            .with("xenlift/default.toml", b"default".to_vec());
        let mut lan = Lan::new(server);
        lan.dhcp.boot_file = boot_file;
        let mut board = Board::new(lan);
        let found = settings::probe(&mut board.session, None, &mut board.watcher).unwrap().unwrap();
        assert_eq!(found.path, expected);
    }
}

/// What is found with such a boot file, where a web server has some of the files.
fn found_by(boot_file: &'static str) -> (Result<Option<settings::Found>, settings::Error>, f64) {
    let mut lan =
        Lan::new(Server::new(FULL).with("xenlift/default.toml", b"default".to_vec()).with("my.toml", b"mine".to_vec()));
    lan.dhcp.boot_file = boot_file;
    let other = Web::new(Ipv4Addr::new(10, 0, 2, 3), EthernetAddress([2, 0, 0, 0, 0, 3]));
    let mut web = Web::new(ADDRESS, MACHINE).with("/pi/boot.scr", b"script".to_vec());
    web.redirects.insert("/far.toml".into(), "http://10.0.2.3/moved.toml".into());
    web.redirects.insert("/lost.toml".into(), "http://10.0.2.77/moved.toml".into());
    lan.webs = vec![web, other.with("/moved.toml", b"moved".to_vec())];
    let mut board = Board::new(lan);
    let found = settings::probe(&mut board.session, None, &mut board.watcher);
    (found, board.seconds())
}

#[test]
fn dhcps_boot_file_may_be_a_url() {
    for (boot_file, contents) in [
        ("http://10.0.2.2/pi/boot.scr", "script"),
        ("http://10.0.2.2/far.toml", "moved"),
        ("http://10.0.2.3/moved.toml", "moved"),
        ("tftp://10.0.2.2/my.toml", "mine"),
    ] {
        let (found, seconds) = found_by(boot_file);
        let found = found.unwrap().unwrap();
        assert_eq!((found.path.as_str(), found.bytes.as_slice()), (boot_file, contents.as_bytes()));
        assert!(seconds < 0.3, "{boot_file}: {seconds}");
    }
}

#[test]
fn a_url_that_has_nothing_is_passed_over_and_one_that_nobody_can_go_to_is_told() {
    for boot_file in [
        "http://10.0.2.2/none.toml",
        "http://10.0.2.2:81/none.toml",
        "http://10.0.2.77/none.toml",
        "http://10.0.2.2/lost.toml",
        "tftp://10.0.2.77/none.toml",
    ] {
        let (found, seconds) = found_by(boot_file);
        assert_eq!(found.unwrap().unwrap().path, "xenlift/default.toml", "{boot_file}");
        assert!(seconds < 1.2, "{boot_file}: {seconds}");
    }
    for boot_file in ["https://10.0.2.2/my.toml", "http://server.example/my.toml", "nfs://10.0.2.2/my.toml"] {
        let error = found_by(boot_file).0.unwrap_err().to_string();
        assert!(error.starts_with(&format!("{boot_file}: DHCP's boot file is no URL that can be fetched")), "{error}");
    }
}

#[test]
fn no_settings_anywhere_cost_nothing_and_a_silent_server_a_second() {
    let mut board = Board::new(Lan::new(server()));
    assert_eq!(settings::probe(&mut board.session, None, &mut board.watcher), Ok(None));
    assert!(board.seconds() < 0.1);
    board.whole("xen");

    for prepare in
        [|lan: &mut Lan| lan.server.absent = Some((Instant::default(), NEVER)), |lan: &mut Lan| lan.arp_silent = true]
    {
        let mut lan = Lan::new(server());
        prepare(&mut lan);
        let mut board = Board::new(lan);
        assert_eq!(settings::probe(&mut board.session, None, &mut board.watcher), Ok(None));
        assert!((0.9..1.05).contains(&board.seconds()), "{}", board.seconds());
    }
}

#[test]
fn settings_too_large_are_an_error_that_names_the_file() {
    let server = Server::new(FULL).with("xenlift/default.toml", vec![b'#'; LARGEST_FILE + 1]);
    let mut board = Board::new(Lan::new(server));
    let error = settings::probe(&mut board.session, None, &mut board.watcher).unwrap_err().to_string();
    assert!(
        error.starts_with("xenlift/default.toml: it needs 262145 bytes or more and there is room for 262144"),
        "{error}"
    );

    let server = Server::new(Manner::Ignores).with("xenlift/default.toml", vec![b'#'; LARGEST_FILE]);
    let mut board = Board::new(Lan::new(server));
    let found = settings::probe(&mut board.session, None, &mut board.watcher).unwrap().unwrap();
    assert_eq!(found.bytes.len(), LARGEST_FILE);
}
