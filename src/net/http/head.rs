//! The head of a response: status line and headers, as far as a file's bytes depend on them.

use super::{Error, LARGEST_HEAD};
use crate::net::tftp::Message;

/// Headers in one head; servers send some ten.
const MOST_HEADERS: usize = 48;

/// What a head says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Head<'h> {
    /// The status code, 100 to 999.
    pub status: u16,
    /// Its words, which may be none.
    pub reason: &'h str,
    /// Whether the connection stays open behind the body.
    pub stays_open: bool,
    /// Bytes of the body.
    pub length: Option<u64>,
    /// How the body is wrapped for its way, where it is (`Transfer-Encoding`).
    pub transfer_coding: Option<&'h [u8]>,
    /// How the file is packed, where it is (`Content-Encoding`).
    pub content_coding: Option<&'h [u8]>,
    /// Which part of the file the body is, as it is written.
    pub range: Option<&'h [u8]>,
    /// Where the file is instead.
    pub location: Option<&'h [u8]>,
    /// The version of the file, as its `ETag`.
    pub tag: Option<&'h [u8]>,
    /// The version of the file, as a date.
    pub modified: Option<&'h [u8]>,
}

impl<'h> Head<'h> {
    /// Reads a head that is whole: with the empty line at its end.
    pub fn parse(bytes: &'h [u8]) -> Result<Self, Error> {
        let not_http = || Error::NotHttp { begins: Message::new(bytes) };
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let mut parser = httparse::ParserConfig::default();
        // Whoever folds lines is to be understood (RFC 9112, section 5.2).
        parser.allow_obsolete_multiline_headers_in_responses(true);
        match parser.parse_response(&mut response, bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Error::LongHead { limit: LARGEST_HEAD }),
            Ok(httparse::Status::Partial) | Err(_) => return Err(not_http()),
        }
        let status = response.code.ok_or_else(not_http)?;
        let reason = response.reason.unwrap_or_default();
        let mut head = Self { status, reason, stays_open: response.version == Some(1), ..Self::default() };
        for httparse::Header { name, value } in response.headers {
            head.header(name, value)?;
        }
        Ok(head)
    }

    fn header(&mut self, name: &str, value: &'h [u8]) -> Result<(), Error> {
        let value = value.trim_ascii();
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        if is("Content-Length") {
            let length = number(value).ok_or(Error::Length { text: Message::new(value) })?;
            if self.length.is_some_and(|before| before != length) {
                return Err(Error::Length { text: Message::new(value) });
            }
            self.length = Some(length);
        } else if is("Connection") {
            let closes = |option: &[u8]| option.trim_ascii().eq_ignore_ascii_case(b"close");
            self.stays_open &= !value.split(|byte| *byte == b',').any(closes);
        } else if is("Transfer-Encoding") {
            self.transfer_coding = Some(value);
        } else if is("Content-Encoding") {
            self.content_coding = (!value.eq_ignore_ascii_case(b"identity")).then_some(value);
        } else if is("Content-Range") {
            self.range = Some(value);
        } else if is("Location") {
            self.location = Some(value);
        } else if is("ETag") {
            self.tag = Some(value);
        } else if is("Last-Modified") {
            self.modified = Some(value);
        }
        Ok(())
    }

    /// What names the file's version so that a range of it can be asked for: the strong tag, else the date.
    pub fn version(&self) -> Option<&'h [u8]> {
        self.tag.filter(|tag| tag.starts_with(b"\"")).or(self.modified)
    }

    /// First byte, last byte and size of the file, from `bytes 500-999/1000`; the size may be unknown (`*`).
    pub fn parsed_range(&self) -> Option<(u64, u64, Option<u64>)> {
        let text = core::str::from_utf8(self.range?).ok()?;
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let size = if size == "*" { None } else { Some(number(size.as_bytes())?) };
        Some((number(first.as_bytes())?, number(last.as_bytes())?, size))
    }
}

/// A decimal number of digits alone; `None` where it is none, or none of 64 bits.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_whatever_the_case_of_its_names() {
        let head = Head::parse(
            b"HTTP/1.1 206 Partial Content\r\ncontent-LENGTH: 7 \r\nETag: \"a\"\r\nConnection: Close\r\n\
              Content-Range: bytes 3-9/10\r\nLast-Modified: today\r\nX: y\r\n\r\n",
        )
        .unwrap();
        assert_eq!((head.status, head.reason, head.length), (206, "Partial Content", Some(7)));
        assert_eq!((head.stays_open, head.version()), (false, Some(&b"\"a\""[..])));
        assert_eq!(head.parsed_range(), Some((3, 9, Some(10))));
    }

    #[test]
    fn old_and_bare_heads_are_read_too() {
        let head = Head::parse(b"HTTP/1.0 200\nContent-Length: 1\nETag: W/\"a\"\nLast-Modified: today\n\n").unwrap();
        assert_eq!((head.status, head.reason, head.length, head.stays_open), (200, "", Some(1), false));
        assert_eq!(head.version(), Some(&b"today"[..]), "a weak tag does not tell one byte from another");
    }

    #[test]
    fn lines_may_be_folded_and_a_connection_may_have_options() {
        let head = Head::parse(
            b"HTTP/1.1 200\r\nX-Note: one\r\n  two\r\n\tthree\r\nContent-Length: 7\r\nConnection: keep-alive , Close\r\n\r\n",
        )
        .unwrap();
        assert_eq!((head.status, head.reason, head.length, head.stays_open), (200, "", Some(7), false));
        let head = Head::parse(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n").unwrap();
        assert!(head.stays_open);
        // A length on two lines is none.
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 2\r\n\r\n").is_err());
        // What is folded into the status line, or before any header, is.
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\n folded\r\n\r\n").is_err());
    }

    #[test]
    fn lengths_that_are_none_are_told() {
        for length in ["-1", "+1", "0x10", "18446744073709551616", "", "1,2", "1 2", "99999999999999999999999999"] {
            let bytes = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
            let text = Message::new(length.as_bytes());
            assert_eq!(Head::parse(bytes.as_bytes()), Err(Error::Length { text }), "{length}");
        }
        let twice = |second: u32| format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: {second}\r\n\r\n");
        assert_eq!(Head::parse(twice(5).as_bytes()).map(|head| head.length), Ok(Some(5)));
        assert_eq!(Head::parse(twice(6).as_bytes()), Err(Error::Length { text: Message::new(b"6") }));
        let largest = b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n";
        assert_eq!(Head::parse(largest).map(|head| head.length), Ok(Some(u64::MAX)));
    }

    #[test]
    fn what_is_no_head_is_told_by_how_it_begins() {
        for bytes in [
            &b"SSH-2.0-OpenSSH_9\r\n\r\n"[..],
            b"HTTP/1.1 abc\r\n\r\n",
            b"\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        ] {
            assert_eq!(Head::parse(bytes), Err(Error::NotHttp { begins: Message::new(bytes) }));
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(100));
        assert_eq!(Head::parse(many.as_bytes()), Err(Error::LongHead { limit: LARGEST_HEAD }));
    }

    #[test]
    fn ranges_that_are_none_are_none() {
        let range = |text: &'static str| Head { range: Some(text.as_bytes()), ..Head::default() }.parsed_range();
        assert_eq!(range("bytes 0-0/*"), Some((0, 0, None)));
        for wrong in
            ["bytes */10", "bytes 1-/10", "items 0-1/2", "bytes 0-1", "bytes 0-99999999999999999999/1", "bytes=0-1/2"]
        {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }
}
