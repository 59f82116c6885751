//! Where a redirect leads (RFC 9110, section 10.2.2): an absolute URL, or a reference relative to what was asked for.

use super::Error;
use crate::config::source::{HTTP_PORT, ServerAddress};
use crate::net::tftp::Message;
use alloc::string::String;
use core::net::SocketAddrV4;

/// The longest place that is gone to, in bytes.
const LONGEST: usize = 1024;

/// Server and path that `location` means in an answer from `server` about `path`. The path begins with a slash, as the request line
/// has it.
pub(super) fn resolve(server: SocketAddrV4, path: &str, location: &[u8]) -> Result<(SocketAddrV4, String), Error> {
    let unusable = Error::Location { location: Message::new(location) };
    if location.is_empty() || location.len() > LONGEST || !location.iter().all(u8::is_ascii_graphic) {
        return Err(unusable);
    }
    let text = core::str::from_utf8(location).map_err(|_| unusable)?;
    // What follows # is for a browser.
    let text = text.split_once('#').map_or(text, |(before, _)| before);
    let (server, path) = match text.split_once("://") {
        Some((scheme, rest)) if !scheme.contains(['/', '?']) => {
            if scheme.eq_ignore_ascii_case("https") {
                return Err(Error::Https { location: Message::new(location) });
            }
            if !scheme.eq_ignore_ascii_case("http") {
                return Err(unusable);
            }
            (host(rest, location)?, from_root(rest))
        }
        _ if text.starts_with("//") => {
            let rest = text.trim_start_matches('/');
            (host(rest, location)?, from_root(rest))
        }
        _ if text.starts_with('/') => (server, String::from(text)),
        _ => (server, beside(path, text)),
    };
    Ok((server, without_dots(&path)))
}

/// The server at the beginning of `rest`, what follows `//`.
fn host(rest: &str, location: &[u8]) -> Result<SocketAddrV4, Error> {
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    let server = ServerAddress::parse(host, HTTP_PORT).map_err(|_| Error::Host { location: Message::new(location) })?;
    Ok(SocketAddrV4::new(server.address, server.port))
}

/// Path and query in `rest`, what follows `//`.
fn from_root(rest: &str) -> String {
    match rest.find(['/', '?']).and_then(|at| rest.get(at..)) {
        Some(path) if path.starts_with('/') => String::from(path),
        Some(query) => String::from("/") + query,
        None => String::from("/"),
    }
}

/// `reference` beside `path`: in the same directory, or the same file with another query.
fn beside(path: &str, reference: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    let kept = match reference.starts_with('?') {
        true => path.len(),
        false => path.rfind('/').map_or(0, |slash| slash + 1),
    };
    String::from(path.get(..kept).unwrap_or("/")) + reference
}

/// `path` without its `.` and `..` (RFC 3986, section 5.2.4); the query stays.
fn without_dots(path: &str) -> String {
    let (path, query) = path.split_at(path.find('?').unwrap_or(path.len()));
    let mut kept = String::with_capacity(path.len() + query.len());
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." => {}
            ".." => kept.truncate(kept.rfind('/').unwrap_or(0)),
            _ => {
                kept.push('/');
                kept.push_str(part);
            }
        }
        if parts.peek().is_none() && matches!(part, "." | "..") {
            kept.push('/');
        }
    }
    if kept.is_empty() {
        kept.push('/');
    }
    kept + query
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SERVER: &str = "10.0.2.2:8000";

    fn resolved(location: &str) -> Result<String, Error> {
        let (server, path) = resolve(SERVER.parse().unwrap(), "/a/b/xen?v=1", location.as_bytes())?;
        Ok(format!("{server}{path}"))
    }

    #[test]
    fn places_are_found_as_a_browser_finds_them() {
        let cases = [
            ("http://10.0.2.3/x", "10.0.2.3:80/x"),
            ("HTTP://10.0.2.3:81/x/../y?q=/../z#f", "10.0.2.3:81/y?q=/../z"),
            ("http://10.0.2.3", "10.0.2.3:80/"),
            ("http://10.0.2.3?q", "10.0.2.3:80/?q"),
            ("//10.0.2.3/x", "10.0.2.3:80/x"),
            ("/x", "10.0.2.2:8000/x"),
            ("x", "10.0.2.2:8000/a/b/x"),
            ("./x", "10.0.2.2:8000/a/b/x"),
            ("../../../x", "10.0.2.2:8000/x"),
            ("..", "10.0.2.2:8000/a/"),
            ("?v=2", "10.0.2.2:8000/a/b/xen?v=2"),
            ("x?u=http://10.0.0.1/", "10.0.2.2:8000/a/b/x?u=http://10.0.0.1/"),
        ];
        for (location, place) in cases {
            assert_eq!(resolved(location).as_deref(), Ok(place), "{location}");
        }
    }

    #[test]
    fn places_that_cannot_be_gone_to_are_told() {
        let message = |text: &str| Message::new(text.as_bytes());
        for secure in ["https://10.0.2.2/x", "HTTPS://10.0.2.2/x"] {
            assert_eq!(resolved(secure), Err(Error::Https { location: message(secure) }));
        }
        for name in ["http://mirror.example/x", "//user@10.0.2.2/x", "http://10.0.2.2:0/x", "http:///x"] {
            assert_eq!(resolved(name), Err(Error::Host { location: message(name) }));
        }
        let long = "x".repeat(LONGEST + 1);
        for unusable in ["", "ftp://10.0.2.2/x", "/a b", "/\u{e4}", "/\u{1b}[2J", &long] {
            assert_eq!(resolved(unusable), Err(Error::Location { location: message(unusable) }));
        }
    }

    proptest! {
        #[test]
        fn a_place_is_always_a_path_of_visible_characters(location in "[./?#a:%@0-9]{0,40}") {
            if let Ok((_, path)) = resolve(SERVER.parse().unwrap(), "/a", location.as_bytes()) {
                prop_assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }

        #[test]
        fn no_bytes_panic(location in proptest::collection::vec(any::<u8>(), 0..60), path in ".{0,20}") {
            let _ = resolve(SERVER.parse().unwrap(), &path, &location);
        }
    }
}
