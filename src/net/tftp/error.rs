//! Why a transfer ended without its file.

use super::Refusal;
use super::packet::code;
use core::fmt;
use core::net::SocketAddrV4;
use core::time::Duration;

/// Why a transfer ended without its file. The file's name is known to the caller, which puts it in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The name is empty, holds a NUL or does not fit into a request.
    Path {
        /// Bytes of the name.
        length: usize,
    },
    /// The server never answered.
    NoAnswer {
        /// Where the requests went.
        server: SocketAddrV4,
        /// How long it was waited for.
        waited: Duration,
        /// Somebody else who did send something.
        stranger: Option<SocketAddrV4>,
    },
    /// The server answered, and then no more.
    Stalled {
        /// The server's end of the transfer.
        server: SocketAddrV4,
        /// Bytes received until then.
        received: u64,
        /// Bytes announced.
        size: Option<u64>,
        /// How long it has made no progress.
        waited: Duration,
    },
    /// The server sends nothing but blocks that are here.
    Repeats {
        /// The server's end of the transfer.
        server: SocketAddrV4,
        /// Blocks that came again since the last one that was new.
        times: u64,
    },
    /// The server said no.
    Server {
        /// The code of its ERROR packet.
        code: u16,
        /// Its text.
        message: Message,
    },
    /// A DATA packet holds more bytes than were agreed upon.
    LongBlock {
        /// Bytes that it holds.
        length: usize,
        /// Bytes of a full block.
        block_size: u16,
    },
    /// The transfer ended before all announced bytes had come.
    Shorter {
        /// Bytes received.
        received: u64,
        /// Bytes announced (`tsize`).
        announced: u64,
    },
    /// More bytes came than were announced.
    Longer {
        /// Bytes received so far.
        received: u64,
        /// Bytes announced (`tsize`).
        announced: u64,
    },
    /// A block came that lies behind the last one.
    Behind {
        /// Bytes of the file, by its last block.
        size: u64,
    },
    /// The sink did not take it.
    Refused(Refusal),
    /// The client's owner gave it up.
    Aborted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Path { length } => {
                write!(f, "a name of {length} bytes cannot be asked for (1 to about 440 bytes, no zero byte)")
            }
            Self::NoAnswer { server, waited, stranger } => {
                write!(f, "no answer from {server} in {} s: does a TFTP server run there", waited.as_secs())?;
                write!(f, ", and does a firewall let UDP port {} through?", server.port())?;
                match stranger {
                    Some(other) => write!(f, " ({other} sent something, but was not asked)"),
                    None => Ok(()),
                }
            }
            Self::Stalled { server, received, size, waited } => {
                write!(f, "{server} fell silent for {} s after {received} bytes", waited.as_secs())?;
                match size {
                    Some(size) => write!(f, " of {size}"),
                    None => Ok(()),
                }
            }
            Self::Repeats { server, times } => {
                write!(f, "{server} sends the same blocks over and over ({times} that were here already)")
            }
            Self::Server { code, message } => {
                let meaning = match code {
                    code::NOT_FOUND => "file not found on the server",
                    code::ACCESS => "the server may not read it: look at the file's permissions there",
                    code::NO_ROOM => "the server has no room",
                    code::ILLEGAL => "the server does not understand the request",
                    code::UNKNOWN_TRANSFER => "the server does not know this transfer (any more)",
                    code::OPTIONS => "the server refuses the request's options",
                    _ => "the server refused",
                };
                write!(f, "{meaning} (TFTP error {code}: \"{message}\")")
            }
            Self::LongBlock { length, block_size } => {
                write!(f, "the server sent {length} bytes in a block where {block_size} were agreed upon")
            }
            Self::Shorter { received, announced } => write!(
                f,
                "it ended after {received} bytes, shorter than the {announced} that the server had announced: was it \
                 being written?"
            ),
            Self::Longer { received, announced } => {
                write!(f, "{received} bytes came where the server had announced {announced}: was it being written?")
            }
            Self::Behind { size } => {
                write!(f, "the server ended it after {size} bytes and had sent more: was it being written?")
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Aborted => f.write_str("given up"),
        }
    }
}

impl core::error::Error for Error {}

/// The text of an ERROR packet, made fit for a console: at most 80 characters, all printable ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Message {
    text: [u8; Self::LONGEST],
    length: u8,
}

impl Message {
    const LONGEST: usize = 80;

    /// Keeps the first 80 bytes; whatever is not printable ASCII becomes a question mark.
    pub fn new(bytes: &[u8]) -> Self {
        let mut text = [0; Self::LONGEST];
        let mut length = 0;
        for (place, &byte) in text.iter_mut().zip(bytes) {
            *place = if byte == b' ' || byte.is_ascii_graphic() { byte } else { b'?' };
            length += 1;
        }
        Self { text, length }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..usize::from(self.length)).unwrap_or_default();
        core::str::from_utf8(text).unwrap_or_default()
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_servers_text_cannot_reach_the_terminal_raw() {
        let message = Message::new(b"\x1b[2Jgone\r\n\xff");
        assert_eq!(message.as_str(), "?[2Jgone???");
        assert_eq!(Message::new(&[b'a'; 500]).as_str().len(), 80);
    }

    #[test]
    fn messages_say_what_failed_and_what_to_try() {
        let server = "10.0.2.2:69".parse().unwrap();
        let error = Error::NoAnswer { server, waited: Duration::from_secs(15), stranger: None };
        assert!(error.to_string().starts_with("no answer from 10.0.2.2:69 in 15 s"), "{error}");
        let error = Error::Shorter { received: 10, announced: 20 };
        assert!(error.to_string().contains("shorter than the 20"), "{error}");
    }
}
