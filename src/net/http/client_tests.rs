use super::*;
use crate::net::tftp::Refusal;
use alloc::collections::VecDeque;
use proptest::prelude::*;

const START: Instant = Instant::from_micros(1_000_000);
const PATIENCE: Duration = Duration::from_secs(15);

/// A sink that checks that bytes come in order, and keeps them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Kept {
    bytes: Vec<u8>,
    begun: Vec<Option<u64>>,
    ended: Option<u64>,
    room: Option<usize>,
}

impl Sink for Kept {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        self.begun.push(size);
        self.bytes.clear();
        match (size, self.room) {
            (Some(size), Some(room)) if size > room as u64 => Err(Refusal::TooLarge { size, room: room as u64 }),
            _ => Ok(()),
        }
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        assert_eq!(offset, self.bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
    fn end(&mut self, size: u64) {
        assert_eq!((self.ended, size), (None, self.bytes.len() as u64));
        self.ended = Some(size);
    }
}

/// A client with a peer that says what it is told to, whatever is asked.
struct Bench {
    client: Client,
    sink: Kept,
    /// What each connection says; the last byte is followed by its end where that is so.
    connections: VecDeque<(Vec<u8>, bool)>,
    /// What was asked on all connections, and to where they went.
    asked: Vec<String>,
    servers: Vec<SocketAddrV4>,
    /// Bytes that come in one piece.
    piece: usize,
}

impl Bench {
    fn new(connections: &[(&str, bool)]) -> Self {
        let connections = connections.iter().map(|(said, ends)| (said.as_bytes().to_vec(), *ends)).collect();
        let client = Client::new(START, "10.0.2.2:8000".parse().unwrap(), "/boot/xen", PATIENCE).unwrap();
        Self { client, sink: Kept::default(), connections, asked: Vec::new(), servers: Vec::new(), piece: usize::MAX }
    }

    /// Runs until the client is over, waits for what nobody says, or has no connection left; a failure that may pass is tried again.
    fn run(&mut self) -> Option<Result<u64, Error>> {
        loop {
            match self.client.outcome() {
                Some(Err(error)) if error.may_pass() && !self.connections.is_empty() => {
                    self.client.start_again(START, Duration::ZERO);
                }
                Some(outcome) => return Some(outcome),
                None => {}
            }
            let server = self.client.wanted(START)?;
            let (said, ends) = self.connections.pop_front()?;
            self.servers.push(server);
            self.client.on_opening(START);
            self.client.on_open(START, false);
            for piece in said.chunks(self.piece) {
                self.send();
                if !self.client.on_bytes(START, piece, &mut self.sink) {
                    break;
                }
            }
            self.send();
            if ends {
                self.client.on_end(START);
            } else if self.client.outcome().is_none() && self.client.wanted(START).is_none() {
                return None;
            }
        }
    }

    fn send(&mut self) {
        let request = self.client.to_send();
        if !request.is_empty() {
            self.asked.push(String::from_utf8(request.to_vec()).unwrap());
            let half = request.len() / 2;
            self.client.on_sent(half);
            self.client.on_sent(self.client.to_send().len());
        }
    }
}

/// Counts what comes in order, and keeps nothing.
struct Endless(u64);

impl Sink for Endless {
    fn begin(&mut self, size: Option<u64>) -> Result<(), Refusal> {
        assert_eq!(size, Some(FIVE_GIB));
        Ok(())
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Refusal> {
        assert_eq!(offset, self.0);
        self.0 += bytes.len() as u64;
        Ok(())
    }
}

const FIVE_GIB: u64 = 5 << 30;

#[test]
fn a_file_of_more_bytes_than_32_bits_can_count_comes_whole_and_goes_on_where_it_was_cut() {
    let mut client = Client::new(START, "10.0.2.2:80".parse().unwrap(), "/f", PATIENCE).unwrap();
    let mut sink = Endless(0);
    let piece = vec![7; 1 << 20];
    let cut = FIVE_GIB - 1;
    for (head, pieces) in [
        (format!("HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: {FIVE_GIB}\r\n\r\n"), FIVE_GIB >> 20),
        (format!("HTTP/1.1 206 x\r\nContent-Range: bytes {cut}-{cut}/{FIVE_GIB}\r\n\r\n"), 1),
    ] {
        client.on_open(START, false);
        client.on_sent(client.to_send().len());
        client.on_bytes(START, head.as_bytes(), &mut sink);
        for number in 0..pieces {
            let left = usize::try_from(FIVE_GIB - sink.0).unwrap_or(usize::MAX).min(piece.len());
            let end = left - usize::from(pieces > 1 && number + 1 == pieces);
            client.on_bytes(START, &piece[..end], &mut sink);
        }
        client.on_end(START);
        client.start_again(START, Duration::ZERO);
    }
    assert_eq!((client.outcome(), client.received(), sink.0), (Some(Ok(FIVE_GIB)), FIVE_GIB, FIVE_GIB));
}

/// What comes of one connection that says `said` and ends.
fn outcome(said: &str) -> Option<Result<u64, Error>> {
    Bench::new(&[(said, true)]).run()
}

fn message(text: &str) -> Message {
    Message::new(text.as_bytes())
}

const PLAIN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"v1\"\r\n\r\nhello";

#[test]
fn a_file_is_asked_for_and_comes() {
    let mut bench = Bench::new(&[(PLAIN, false)]);
    assert_eq!(bench.run(), Some(Ok(5)));
    assert_eq!(bench.sink, Kept { bytes: b"hello".to_vec(), begun: vec![Some(5)], ended: Some(5), room: None });
    let request =
        "GET /boot/xen HTTP/1.1\r\nHost: 10.0.2.2:8000\r\nUser-Agent: xenlift\r\nAccept-Encoding: identity\r\n\r\n";
    assert_eq!(bench.asked, [request]);
    assert!(bench.client.leaves_connection());
}

#[test]
fn a_connection_is_used_again_only_where_the_server_keeps_it_and_says_no_more_than_the_file() {
    let leaves = |said: &str| {
        let mut bench = Bench::new(&[(said, false)]);
        assert_eq!(bench.run(), Some(Ok(5)));
        assert_eq!(bench.sink.bytes, b"hello");
        bench.client.leaves_connection()
    };
    assert!(leaves(PLAIN));
    assert!(!leaves(&format!("{PLAIN}more")));
    assert!(!leaves(&PLAIN.replace("HTTP/1.1", "HTTP/1.0")));
    assert!(!leaves(&PLAIN.replace("ETag: \"v1\"", "Connection: close")));
}

#[test]
fn a_kept_connection_that_has_ended_meanwhile_is_no_loss() {
    let mut bench = Bench::new(&[(PLAIN, false)]);
    bench.client.on_open(START, true);
    bench.client.on_end(START);
    assert_eq!((bench.run(), bench.client.losses()), (Some(Ok(5)), 0));
}

#[test]
fn a_file_of_no_bytes_comes_too() {
    let mut bench = Bench::new(&[("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false)]);
    assert_eq!(bench.run(), Some(Ok(0)));
    assert_eq!((bench.sink.begun, bench.sink.ended), (vec![None], Some(0)));
}

#[test]
fn the_port_stands_in_the_request_only_where_it_is_another_one() {
    let mut client = Client::new(START, "10.0.2.2:80".parse().unwrap(), "/x", PATIENCE).unwrap();
    client.on_open(START, false);
    assert!(client.to_send().starts_with(b"GET /x HTTP/1.1\r\nHost: 10.0.2.2\r\n"));
    for path in ["", "x", "/a b", "/a\r\nb"] {
        let client = Client::new(START, "10.0.2.2:80".parse().unwrap(), path, PATIENCE);
        assert_eq!(client.err(), Some(Error::Path { length: path.len() }));
    }
}

#[test]
fn a_lost_connection_costs_nothing_of_what_has_come() {
    let rest =
        "HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nContent-Range: bytes 2-4/5\r\nETag: \"v1\"\r\n\r\nllo";
    let mut bench = Bench::new(&[(&PLAIN[..PLAIN.len() - 3], true), (rest, false)]);
    assert_eq!(bench.run(), Some(Ok(5)));
    assert_eq!((&bench.sink.bytes[..], &bench.sink.begun[..]), (&b"hello"[..], &[Some(5)][..]));
    assert!(bench.asked[1].contains("\r\nRange: bytes=2-\r\nIf-Range: \"v1\"\r\n"), "{}", bench.asked[1]);
    assert_eq!(bench.client.losses(), 1);
}

#[test]
fn a_date_names_a_version_where_there_is_no_strong_tag() {
    let date = "Sat, 21 Nov 2026 19:00:00 GMT";
    let first = format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: W/\"1\"\r\nLast-Modified: {date}\r\n\r\nhe");
    let rest = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/*\r\n\r\nllo";
    let mut bench = Bench::new(&[(&first, true), (rest, true)]);
    assert_eq!(bench.run(), Some(Ok(5)));
    assert!(bench.asked[1].contains(&format!("If-Range: {date}\r\n")), "{}", bench.asked[1]);
}

#[test]
fn two_versions_are_never_joined() {
    let cut = &PLAIN[..PLAIN.len() - 3];
    let other = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nETag: \"v2\"\r\n\r\nworld!";
    // The server looks at If-Range; does not, and says so; has another size; has become shorter; knows no ranges.
    for between in [
        None,
        Some("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-4/5\r\nETag: \"v2\"\r\n\r\nrld"),
        Some("HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/6\r\n\r\nrld!"),
        Some("HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */1\r\n\r\n"),
    ] {
        let mut said = vec![(cut, true), (other, true)];
        if let Some(between) = between {
            said.insert(1, (between, true));
        }
        let mut bench = Bench::new(&said);
        assert_eq!(bench.run(), Some(Ok(6)), "{between:?}");
        assert_eq!((&bench.sink.bytes[..], bench.sink.ended), (&b"world!"[..], Some(6)));
    }
    let unnamed = PLAIN.replace("ETag: \"v1\"\r\n", "");
    let mut bench = Bench::new(&[(&unnamed[..unnamed.len() - 3], true), (other, true)]);
    assert_eq!(bench.run(), Some(Ok(6)));
    assert!(!bench.asked[1].contains("Range"), "{}", bench.asked[1]);
}

#[test]
fn another_part_than_the_rest_is_told() {
    for answer in ["bytes 1-4/5", "bytes 3-4/5", "bytes 2-3/5", "bytes 2-5/5", "bytes x", "bytes 4-2/5"] {
        let rest = format!("HTTP/1.1 206 Partial Content\r\nContent-Range: {answer}\r\n\r\nllo");
        let outcome = Bench::new(&[(&PLAIN[..PLAIN.len() - 3], true), (&rest, true)]).run();
        assert_eq!(outcome, Some(Err(Error::Range { asked: 2, answer: message(answer) })));
    }
    let rest = "HTTP/1.1 206 Partial Content\r\nContent-Length: 4\r\nContent-Range: bytes 2-4/5\r\n\r\nllo";
    let outcome = Bench::new(&[(&PLAIN[..PLAIN.len() - 3], true), (rest, true)]).run();
    assert_eq!(outcome, Some(Err(Error::Range { asked: 2, answer: message("bytes 2-4/5") })));
    // Nobody has asked for a part.
    assert!(matches!(self::outcome(rest), Some(Err(Error::Status { code: 206, .. }))));
}

#[test]
fn redirects_are_followed_on_the_same_connection_and_to_other_servers() {
    let redirect =
        |code: u16, to: &str| format!("HTTP/1.1 {code} Moved\r\nLocation: {to}\r\nContent-Length: 3\r\n\r\n...");
    for code in [301, 302, 303, 307, 308] {
        let mut bench = Bench::new(&[(&(redirect(code, "../b?c") + PLAIN), true)]);
        bench.piece = 1;
        assert_eq!(bench.run(), Some(Ok(5)));
        assert!(bench.asked[1].starts_with("GET /b?c HTTP/1.1\r\nHost: 10.0.2.2:8000\r\n"), "{}", bench.asked[1]);
    }
    let mut bench = Bench::new(&[(&redirect(302, "http://10.0.2.3/x"), false), (PLAIN, false)]);
    assert_eq!(bench.run(), Some(Ok(5)));
    assert_eq!(bench.servers[1], "10.0.2.3:80".parse().unwrap());
    assert!(bench.asked[1].starts_with("GET /x HTTP/1.1\r\nHost: 10.0.2.3\r\n"), "{}", bench.asked[1]);
    // A long or unbounded page is not worth its connection.
    for page in [
        "Content-Length: 1000000\r\n",
        "",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Connection: close\r\n",
    ] {
        let first = format!("HTTP/1.1 302 Found\r\n{page}Location: /x\r\n\r\nblah");
        assert_eq!(Bench::new(&[(&first, false), (PLAIN, false)]).run(), Some(Ok(5)), "{page}");
    }
}

#[test]
fn redirects_that_lead_nowhere_are_told() {
    let circle = "HTTP/1.1 302 Found\r\nLocation: /boot/xen\r\nContent-Length: 0\r\n\r\n";
    let outcome = outcome(&circle.repeat(20));
    assert_eq!(outcome, Some(Err(Error::Redirects { followed: MOST_REDIRECTS, location: message("/boot/xen") })));
    let far = circle.replace("/boot/xen", "https://10.0.2.2/boot/xen");
    assert_eq!(self::outcome(&far), Some(Err(Error::Https { location: message("https://10.0.2.2/boot/xen") })));
    let error = self::outcome("HTTP/1.1 301 Moved\r\n\r\n").unwrap().unwrap_err();
    assert_eq!(error, Error::Status { code: 301, reason: message("Moved") });
}

#[test]
fn what_a_server_refuses_is_told_in_words() {
    let error = outcome("HTTP/1.0 404 Not Found\r\nContent-Length: 100\r\n\r\n<html>").unwrap().unwrap_err();
    assert_eq!(error.to_string(), "file not found on the server (HTTP status 404 \"Not Found\")");
    for code in [204, 205, 300, 304, 400, 401, 403, 416, 500, 503, 999, 101] {
        let error = outcome(&format!("HTTP/1.1 {code} No\x1b\r\n\r\n"));
        assert!(error.is_some_and(|outcome| outcome.is_err()), "{code}");
    }
}

#[test]
fn bodies_that_may_be_cut_or_packed_are_not_taken() {
    assert_eq!(outcome("HTTP/1.1 200 OK\r\n\r\nhello"), Some(Err(Error::NoLength)));
    let with = |header: &str| outcome(&PLAIN.replace("ETag: \"v1\"", header));
    assert_eq!(with("Transfer-Encoding: chunked"), Some(Err(Error::Coded { coding: message("chunked") })));
    assert_eq!(with("Content-Encoding: gzip"), Some(Err(Error::Coded { coding: message("gzip") })));
    assert_eq!(with("Content-Encoding: identity"), Some(Ok(5)));
}

#[test]
fn a_file_that_is_stored_packed_is_taken_as_it_is_where_its_name_says_so() {
    let said = |path: &str, coding: &str| {
        let mut bench = Bench::new(&[(&PLAIN.replace("ETag: \"v1\"", &format!("Content-Encoding: {coding}")), false)]);
        bench.client = Client::new(START, "10.0.2.2:8000".parse().unwrap(), path, PATIENCE).unwrap();
        (bench.run(), bench.sink.bytes)
    };
    for (path, coding) in [("/Image.gz", "gzip"), ("/Image.GZ?v=1", "x-gzip"), ("/r.cpio.xz", "XZ"), ("/r.zst", "zstd")]
    {
        assert_eq!(said(path, coding), (Some(Ok(5)), b"hello".to_vec()), "{path}");
    }
    for (path, coding) in [
        ("/Image", "gzip"),
        ("/Image.", "gzip"),
        ("/Image.g", "gzip"),
        ("/gz", "gzip"),
        ("/Image.gz", "br"),
        ("/x?.gz", "gzip"),
    ] {
        assert_eq!(said(path, coding).0, Some(Err(Error::Coded { coding: message(coding) })), "{path}");
    }
}

#[test]
fn heads_have_an_end() {
    let endless = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1 << 20));
    let mut bench = Bench::new(&[(&endless, false)]);
    bench.piece = 100;
    assert_eq!(bench.run(), Some(Err(Error::LongHead { limit: LARGEST_HEAD })));
    assert!(bench.client.head.capacity() <= 2 * LARGEST_HEAD);
    let announced = "HTTP/1.1 102 Processing\r\n\r\n";
    assert_eq!(outcome(&(announced.repeat(8) + PLAIN)), Some(Ok(5)));
    assert!(matches!(outcome(&announced.repeat(9)), Some(Err(Error::Status { code: 102, .. }))));
}

#[test]
fn what_is_not_http_is_told_at_its_first_line() {
    let error = Bench::new(&[("SSH-2.0-OpenSSH_9.7\r\n", false)]).run();
    assert_eq!(error, Some(Err(Error::NotHttp { begins: message("SSH-2.0-OpenSSH_9.7") })));
}

#[test]
fn a_sink_may_refuse_by_the_size() {
    let mut bench = Bench::new(&[("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx", false)]);
    bench.sink.room = Some(1 << 30);
    let refusal = Refusal::TooLarge { size: u64::MAX, room: 1 << 30 };
    assert_eq!(bench.run(), Some(Err(Error::Refused(refusal))));
}

#[test]
fn silence_ends_it_and_every_byte_of_the_file_counts_as_progress() {
    let server = "10.0.2.2:8000".parse().unwrap();
    let later = |seconds| START.after(Duration::from_secs(seconds));
    let mut client = Bench::new(&[]).client;
    client.on_opening(START);
    client.on_time(later(14));
    assert_eq!(client.outcome(), None);
    client.on_time(later(15));
    assert_eq!(client.outcome(), Some(Err(Error::NoAnswer { server, waited: PATIENCE })));

    client.start_again(later(15), Duration::from_secs(1));
    assert_eq!((client.wanted(later(15)), client.wanted(later(16))), (None, Some(server)));
    client.on_opening(later(16));
    client.on_open(later(16), false);
    client.on_bytes(later(20), b"HTTP/1.1 200 OK\r\n", &mut Kept::default());
    client.on_bytes(later(30), b"Content-Length: 9\r\n\r\n1", &mut Kept::default());
    client.on_time(later(44));
    assert_eq!(client.outcome(), None);
    client.on_time(later(45));
    let stalled = Error::Stalled { server, received: 1, size: Some(9), waited: PATIENCE };
    assert_eq!(client.outcome(), Some(Err(stalled)));

    client.start_again(later(45), Duration::ZERO);
    client.on_opening(later(45));
    client.on_end(later(45));
    assert_eq!(client.outcome(), Some(Err(Error::NoServer { server })));
    client.abort(Error::Aborted);
    assert_eq!(client.outcome(), Some(Err(Error::NoServer { server })));
}

/// Answers as servers give them, and as they should not.
fn answers() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just("HTTP/1.1 200 OK\r\n"),
        Just("HTTP/1.1 206 Partial Content\r\n"),
        Just("HTTP/1.1 302 Found\r\n"),
        Just("HTTP/1.1 100 Continue\r\n\r\n"),
        Just("HTTP/1.0 404 Not Found\r\n"),
        Just("Content-Length: 4\r\n"),
        Just("Content-Length: 0\r\n"),
        Just("Content-Range: bytes 2-3/4\r\n"),
        Just("Location: /y\r\n"),
        Just("Location: http://10.0.2.9/z\n"),
        Just("ETag: \"a\"\r\n"),
        Just("Connection: close\r\n"),
        Just("X: "),
        Just("\r\n"),
        Just("\n"),
        Just("\r"),
        Just("data"),
        Just("\u{0}\u{ff}"),
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.concat().into_bytes())
}

/// All that can be seen of a client that was told `connections` in pieces of these sizes.
fn seen(connections: &[Vec<u8>], pieces: &[usize]) -> (Option<Result<u64, Error>>, Kept, Vec<String>, bool) {
    let mut bench = Bench::new(&[]);
    let mut sizes = pieces.iter().copied().cycle();
    let mut surplus = false;
    for said in connections {
        bench.client.start_again(START, Duration::ZERO);
        bench.client.on_opening(START);
        bench.client.on_open(START, false);
        let mut rest = &said[..];
        while !rest.is_empty() {
            bench.send();
            let (piece, after) = rest.split_at(sizes.next().unwrap_or(usize::MAX).clamp(1, rest.len()));
            surplus = !bench.client.on_bytes(START, piece, &mut bench.sink);
            assert!(bench.client.head.len() <= LARGEST_HEAD);
            rest = after;
            if surplus {
                break;
            }
        }
        bench.send();
        bench.client.on_end(START);
        if matches!(bench.client.outcome(), Some(Ok(_))) {
            break;
        }
    }
    (bench.client.outcome(), bench.sink, bench.asked, surplus)
}

proptest! {
    #[test]
    fn the_same_comes_however_it_is_cut_into_pieces(
        connections in proptest::collection::vec(answers(), 1..4), pieces in proptest::collection::vec(1_usize..40, 1..6),
    ) {
        prop_assert_eq!(seen(&connections, &pieces), seen(&connections, &[usize::MAX]));
    }

    #[test]
    fn no_bytes_panic(
        connections in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..4),
        status in prop_oneof![Just("HTTP/1.1 200 OK\r\n"), Just("HTTP/1.1 206 X\r\nContent-Length: 3\r\n"), Just("")],
    ) {
        let said = connections.iter().map(|bytes| [status.as_bytes(), bytes].concat()).collect::<Vec<_>>();
        prop_assert_eq!(seen(&said, &[7]), seen(&said, &[usize::MAX]));
    }

    #[test]
    fn a_file_comes_whole_however_often_its_connection_is_cut(
        file in proptest::collection::vec(any::<u8>(), 1..500), cuts in proptest::collection::vec(0_usize..200, 0..8), ranges: bool,
    ) {
        let mut bench = Bench::new(&[]);
        let version = "ETag: \"v\"\r\n";
        for cut in cuts.into_iter().map(Some).chain([None]) {
            let from = bench.client.received() as usize;
            let (status, from, range) = match ranges && from > 0 {
                true => (206, from, format!("Content-Range: bytes {from}-{}/{}\r\n", file.len() - 1, file.len())),
                false => (200, 0, String::new()),
            };
            let rest = &file[from..];
            let mut said = format!("HTTP/1.1 {status} x\r\n{version}{range}Content-Length: {}\r\n\r\n", rest.len()).into_bytes();
            said.extend_from_slice(rest);
            said.truncate(cut.unwrap_or(usize::MAX));
            bench.connections.push_back((said, true));
            match bench.run() {
                Some(Ok(_)) => break,
                Some(Err(error)) => prop_assert!(error.may_pass(), "{error}"),
                None => {}
            }
            bench.client.start_again(START, Duration::ZERO);
        }
        prop_assert_eq!(bench.client.outcome(), Some(Ok(file.len() as u64)));
        prop_assert_eq!(bench.sink.bytes, file);
    }
}
