//! Where a file comes from, as settings write it.

use alloc::string::String;
use core::fmt;
use core::net::Ipv4Addr;

/// The port of TFTP servers (RFC 1350).
pub const TFTP_PORT: u16 = 69;
/// The port of HTTP servers.
pub const HTTP_PORT: u16 = 80;
/// The longest path that is accepted, in bytes: a TFTP request with its options must fit one packet.
pub const LONGEST_PATH: usize = 255;

/// An address and port of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// The IPv4 address. Names are not resolved: a loader that waits for a name server has one more thing to fail.
    pub address: Ipv4Addr,
    /// The UDP (TFTP) or TCP (HTTP) port.
    pub port: u16,
}

impl ServerAddress {
    /// Reads `192.168.0.1` or `192.168.0.1:6969`; the port is `port` where none is written.
    pub fn parse(text: &str, port: u16) -> Result<Self, SourceError> {
        let (host, port) = match text.split_once(':') {
            Some((host, digits)) => (host, digits.parse().ok().filter(|port| *port != 0).ok_or(SourceError::Port)?),
            None => (text, port),
        };
        let address: Ipv4Addr = host.parse().map_err(|_| SourceError::Host)?;
        if address.is_unspecified() || address.is_multicast() || address.is_broadcast() {
            return Err(SourceError::Host);
        }
        Ok(Self { address, port })
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.address, self.port)
    }
}

/// Where a file comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A path at the place the settings came from: a member of the bundle, or a file on the TFTP server.
    Path(String),
    /// `tftp://host[:port]/path`. The path is without the leading slash.
    Tftp(ServerAddress, String),
    /// `http://host[:port]/path`. The path is with its leading slash, as the request line has it.
    Http(ServerAddress, String),
    /// `mmc://0/path` or `mmc://0:PARTITION/path`: a file of the card, on the partition to boot from or on the one of that number. The
    /// path is without the leading slash.
    Card(Option<u32>, String),
    /// `"initramfs"`: what the firmware loaded through `initramfs` in config.txt. Only as a ramdisk.
    Initramfs,
}

impl Source {
    /// Reads a path or URL. The word `initramfs` is a path here: only a ramdisk means the firmware's by it.
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        if text.is_empty() {
            return Err(SourceError::Empty);
        }
        if text.len() > LONGEST_PATH {
            return Err(SourceError::Long(text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err(SourceError::Control);
        }
        let Some((scheme, rest)) = text.split_once("://") else { return Ok(Self::Path(String::from(text))) };
        let (host, path) = rest.split_once('/').ok_or(SourceError::NoPath)?;
        if path.is_empty() {
            return Err(SourceError::NoPath);
        }
        match scheme {
            "tftp" => Ok(Self::Tftp(ServerAddress::parse(host, TFTP_PORT)?, String::from(path))),
            "http" => {
                // The rest of the URL goes into a request line, where a space would end it.
                if path.contains(' ') {
                    return Err(SourceError::Control);
                }
                let at = rest.len() - path.len() - 1;
                let path = rest.get(at..).unwrap_or(path);
                Ok(Self::Http(ServerAddress::parse(host, HTTP_PORT)?, String::from(path)))
            }
            "https" => Err(SourceError::Https),
            "mmc" => Ok(Self::Card(parse_partition(host)?, String::from(path))),
            _ => Err(SourceError::Scheme),
        }
    }

    /// The last component of the path: what messages call the file.
    pub fn name(&self) -> &str {
        let path = match self {
            Self::Path(path) | Self::Tftp(_, path) | Self::Http(_, path) | Self::Card(_, path) => path.as_str(),
            Self::Initramfs => "initramfs",
        };
        path.rsplit('/').find(|component| !component.is_empty()).unwrap_or(path)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Tftp(server, path) if server.port == TFTP_PORT => write!(f, "tftp://{}/{path}", server.address),
            Self::Tftp(server, path) => write!(f, "tftp://{server}/{path}"),
            Self::Http(server, path) if server.port == HTTP_PORT => write!(f, "http://{}{path}", server.address),
            Self::Http(server, path) => write!(f, "http://{server}{path}"),
            Self::Card(None, path) => write!(f, "mmc://0/{path}"),
            Self::Card(Some(partition), path) => write!(f, "mmc://0:{partition}/{path}"),
            Self::Initramfs => f.write_str("initramfs"),
        }
    }
}

/// Reads `0` or `0:PARTITION`, as U-Boot names them: the board has one slot, 0.
fn parse_partition(text: &str) -> Result<Option<u32>, SourceError> {
    match text.split_once(':') {
        None if text == "0" => Ok(None),
        Some(("0", number)) => number.parse().map(Some).map_err(|_| SourceError::Partition),
        _ => Err(SourceError::Partition),
    }
}

/// A file that settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where it comes from.
    pub source: Source,
    /// What its SHA-256 must be, where the settings say so.
    pub sha256: Option<[u8; 32]>,
}

/// Reads 64 hexadecimal digits, upper or lower case.
pub fn parse_sha256(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut digest = [0u8; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        let mut value = 0;
        for digit in pair {
            value = value * 16 + char::from(*digit).to_digit(16)?;
        }
        *byte = u8::try_from(value).ok()?;
    }
    Some(digest)
}

/// What is wrong with a path or URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceError {
    /// There is nothing.
    Empty,
    /// More than [`LONGEST_PATH`] bytes; how many.
    Long(usize),
    /// A control character, or a space in an HTTP path.
    Control,
    /// Something other than `tftp`, `http` or `mmc` before `://`.
    Scheme,
    /// `https`, for which there is no TLS here.
    Https,
    /// A URL with no path after the host.
    NoPath,
    /// The host is no IPv4 address of one machine.
    Host,
    /// The port is no number from 1 to 65535.
    Port,
    /// What follows `mmc://` is not the slot, or no number of a partition follows it.
    Partition,
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a path or URL, not an empty string"),
            Self::Long(length) => write!(f, "at most {LONGEST_PATH} bytes, not {length}"),
            Self::Control => f.write_str("no control characters (and no spaces in an http path)"),
            Self::Scheme => f.write_str("tftp://HOST/PATH, http://HOST/PATH, mmc://0/PATH or a plain path"),
            Self::Https => f.write_str("http://HOST/PATH: https cannot be had here, a sha256 of the file can"),
            Self::NoPath => f.write_str("a path after the host, as in tftp://192.168.0.1/xen"),
            Self::Host => f.write_str("a host written as an IPv4 address such as 192.168.0.1 (names are not resolved)"),
            Self::Port => f.write_str("a port from 1 to 65535 after the colon"),
            Self::Partition => f.write_str("the card slot and a partition, as in mmc://0/PATH or mmc://0:1/PATH"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    fn server(port: u16) -> ServerAddress {
        ServerAddress { address: Ipv4Addr::new(192, 168, 0, 1), port }
    }

    #[test]
    fn a_plain_path_stays_as_it_is() {
        assert_eq!(Source::parse("overlays/disable-bt.dtbo"), Ok(Source::Path("overlays/disable-bt.dtbo".into())));
        assert_eq!(Source::parse("initramfs"), Ok(Source::Path("initramfs".into())));
    }

    #[test]
    fn urls_are_taken_apart_and_written_back_alike() {
        let cases = [
            ("tftp://192.168.0.1/boot/xen", Source::Tftp(server(69), "boot/xen".into())),
            ("tftp://192.168.0.1:6969/xen", Source::Tftp(server(6969), "xen".into())),
            ("http://192.168.0.1/a/b", Source::Http(server(80), "/a/b".into())),
            ("http://192.168.0.1:8000//b", Source::Http(server(8000), "//b".into())),
            ("mmc://0/boot/xen", Source::Card(None, "boot/xen".into())),
            ("mmc://0:2/xen", Source::Card(Some(2), "xen".into())),
        ];
        for (text, source) in cases {
            assert_eq!(Source::parse(text), Ok(source.clone()));
            assert_eq!(source.to_string(), text);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let cases = [
            ("", SourceError::Empty),
            ("a\u{1b}[2J", SourceError::Control),
            ("http://192.168.0.1/a b", SourceError::Control),
            ("ftp://192.168.0.1/xen", SourceError::Scheme),
            ("https://192.168.0.1/xen", SourceError::Https),
            ("tftp://192.168.0.1", SourceError::NoPath),
            ("tftp://192.168.0.1/", SourceError::NoPath),
            ("tftp://server/xen", SourceError::Host),
            ("tftp://0.0.0.0/xen", SourceError::Host),
            ("tftp://192.168.0.1:0/xen", SourceError::Port),
            ("tftp://192.168.0.1:65536/xen", SourceError::Port),
            ("tftp://192.168.0.1:/xen", SourceError::Port),
            ("mmc://1/xen", SourceError::Partition),
            ("mmc://0:one/xen", SourceError::Partition),
            ("mmc:///xen", SourceError::Partition),
            ("mmc://0:1", SourceError::NoPath),
        ];
        for (text, error) in cases {
            assert_eq!(Source::parse(text), Err(error), "{text}");
        }
        assert_eq!(Source::parse(&"p".repeat(256)), Err(SourceError::Long(256)));
        assert!(Source::parse(&"p".repeat(255)).is_ok());
    }

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        let text = "00ff".repeat(16);
        let digest = parse_sha256(&text).unwrap();
        assert_eq!((digest[0], digest[1], digest[31]), (0, 255, 255));
        assert_eq!(parse_sha256(&text.to_uppercase()), Some(digest));
        assert_eq!(parse_sha256(&text[1..]), None);
        assert_eq!(parse_sha256(&text.replace('f', "g")), None);
        assert_eq!(parse_sha256(&"+1".repeat(32)), None);
    }

    #[test]
    fn the_name_is_the_last_component() {
        assert_eq!(Source::Path("a/b/xen".into()).name(), "xen");
        assert_eq!(Source::Path("/".into()).name(), "/");
    }
}
