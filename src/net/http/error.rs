//! Why a file did not come by HTTP.

use crate::net::tftp::{Message, Refusal};
use crate::time::Duration;
use core::fmt;
use core::net::SocketAddrV4;

/// Why a file did not come. The file's name is known to the caller, which puts it in front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The path is empty, does not begin with a slash, or holds what a request line cannot have.
    Path {
        /// Bytes of the path.
        length: usize,
    },
    /// The heap has no room for a connection.
    NoRoom,
    /// Nobody answers at the server's port.
    NoAnswer {
        /// The server.
        server: SocketAddrV4,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The server refuses connections.
    NoServer {
        /// The server.
        server: SocketAddrV4,
    },
    /// The connection ended before the file did.
    Lost {
        /// The server.
        server: SocketAddrV4,
        /// Bytes received until then.
        received: u64,
        /// Bytes announced, where there was an answer.
        size: Option<u64>,
    },
    /// The server has fallen silent.
    Stalled {
        /// The server.
        server: SocketAddrV4,
        /// Bytes received until then.
        received: u64,
        /// Bytes announced, where there was an answer.
        size: Option<u64>,
        /// How long it has been silent.
        waited: Duration,
    },
    /// What came is not HTTP.
    NotHttp {
        /// Its beginning.
        begins: Message,
    },
    /// The head of the answer does not end.
    LongHead {
        /// Bytes that it may have.
        limit: usize,
    },
    /// The server said no.
    Status {
        /// Its status code.
        code: u16,
        /// Its words.
        reason: Message,
    },
    /// The length is no number of 64 bits, or there are two.
    Length {
        /// What the server said.
        text: Message,
    },
    /// The server does not say how long the file is.
    NoLength,
    /// The body is packed or cut into chunks.
    Coded {
        /// The name of the coding.
        coding: Message,
    },
    /// Another part came than was asked for.
    Range {
        /// The first byte that was asked for.
        asked: u64,
        /// What the server said.
        answer: Message,
    },
    /// One redirect too many.
    Redirects {
        /// How many were followed.
        followed: u8,
        /// Where the next one leads.
        location: Message,
    },
    /// A redirect to where nobody can go.
    Location {
        /// What the server said.
        location: Message,
    },
    /// A redirect to https.
    Https {
        /// What the server said.
        location: Message,
    },
    /// A redirect to a host that is not written as an address.
    Host {
        /// What the server said.
        location: Message,
    },
    /// The sink did not take it.
    Refused(Refusal),
    /// The client's owner gave it up.
    Aborted,
}

impl Error {
    /// Whether the same request may succeed in a moment, on a connection of its own.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Stalled { .. } | Self::NoServer { .. } | Self::NoAnswer { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Path { length } => {
                write!(f, "a path of {length} bytes cannot be asked for: it needs a slash first, and no spaces")
            }
            Self::NoRoom => f.write_str("no room in the loader's heap for an HTTP connection"),
            Self::NoAnswer { server, waited } => write!(
                f,
                "no answer from {server} in {} s: does a web server run there, and does a firewall let TCP port {} \
                 through?",
                waited.as_secs(),
                server.port()
            ),
            Self::NoServer { server } => {
                write!(f, "{server} refuses the connection: does a web server run there, at that port?")
            }
            Self::Lost { server, received, size } => {
                write!(f, "{server} ended the connection after {received} bytes")?;
                of(f, size)
            }
            Self::Stalled { server, received, size, waited } => {
                write!(f, "{server} fell silent for {} s after {received} bytes", waited.as_secs())?;
                of(f, size)
            }
            Self::NotHttp { begins } => {
                write!(f, "the answer is not HTTP, it begins \"{begins}\": is that the web server's port?")
            }
            Self::LongHead { limit } => {
                write!(f, "the head of the answer has too many lines, or more than {limit} bytes")
            }
            Self::Status { code, reason } => {
                let meaning = match code {
                    401 | 407 => "the server wants a password, which cannot be given here",
                    403 => "the server may not show it: look at the file's permissions there",
                    404 | 410 => "file not found on the server",
                    500..=599 => "the server has trouble: look at its log",
                    _ => "the server does not send the file",
                };
                write!(f, "{meaning} (HTTP status {code} \"{reason}\")")
            }
            Self::Length { text } => write!(f, "the server says a length that is none: \"{text}\""),
            Self::NoLength => f.write_str(
                "the server does not say how long the file is (no Content-Length), so a cut one would not be noticed: \
                 let it serve a plain file",
            ),
            Self::Coded { coding } => {
                write!(
                    f,
                    "the server sends the file as \"{coding}\", and only plain bytes can be taken: let it serve a plain file"
                )
            }
            Self::Range { asked, answer } => {
                write!(f, "the rest from byte {asked} was asked for, and \"{answer}\" came")
            }
            Self::Redirects { followed, location } => {
                write!(f, "redirected more than {followed} times, at last to {location}: do they lead in a circle?")
            }
            Self::Location { location } => write!(f, "redirected to \"{location}\", where nobody can go"),
            Self::Https { location } => write!(
                f,
                "redirected to {location}, and https cannot be had here: let the server serve this path by http"
            ),
            Self::Host { location } => write!(
                f,
                "redirected to {location}, and names of hosts are not resolved here: let the server say an IPv4 address"
            ),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Aborted => f.write_str("given up"),
        }
    }
}

impl core::error::Error for Error {}

/// The rest of a sentence about received bytes.
fn of(f: &mut fmt::Formatter<'_>, size: Option<u64>) -> fmt::Result {
    size.map_or(Ok(()), |size| write!(f, " of {size}"))
}
