//! The `xenlift.*` words of the firmware's command line (cmdline.txt), which change single keys of whichever settings won.
//!
//! | word | changes |
//! |---|---|
//! | `xenlift.default=NAME` | `default`: the entry to boot |
//! | `xenlift.timeout=SECONDS` or `never` | `timeout` |
//! | `xenlift.address=ADDRESS/PREFIX` | `[network] address`; no DHCP then |
//! | `xenlift.gateway=ADDRESS` | `[network] gateway` |
//! | `xenlift.server=ADDRESS[:PORT]` | `[network] server` |
//! | `xenlift.log=LEVEL` | what of the log is shown: `off`, `error`, `warn` (as without it), `info`, `debug`; `trace` shows no more |
//! | `xenlift.config=PATH`, `tftp://ADDRESS/PATH` or `http://ADDRESS/PATH` | where settings are fetched from, before every other place on the network |
//!
//! A word that is wrong is reported and left out; the rest counts. Of a repeated word the last counts.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::Ipv4Addr;
use log::LevelFilter;

use super::reader::shown;
use super::settings::{LONGEST_TIMEOUT, parse_gateway, parse_interface_address};
use super::source::{ServerAddress, Source, SourceError, TFTP_PORT};
use super::{InterfaceAddress, Settings, Timeout, command_line, nearest};

const PREFIX: &str = "xenlift.";
const KEYS: [&str; 7] = ["default", "timeout", "address", "gateway", "server", "config", "log"];

/// What the words say; `None` where there is no such word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `xenlift.default=`
    pub default: Option<String>,
    /// `xenlift.timeout=`
    pub timeout: Option<Timeout>,
    /// `xenlift.address=`
    pub address: Option<InterfaceAddress>,
    /// `xenlift.gateway=`
    pub gateway: Option<Ipv4Addr>,
    /// `xenlift.server=`
    pub server: Option<ServerAddress>,
    /// `xenlift.config=`
    pub config: Option<Source>,
    /// `xenlift.log=`
    pub log: Option<LevelFilter>,
}

/// A word that was left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The word, fit to be shown.
    pub word: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// There is no such key; the one that was perhaps meant.
    Unknown(Option<&'static str>),
    /// The value is not what was expected, in words.
    Value(&'static str),
    /// The value is no path, URL or address.
    Source(SourceError),
    /// The settings have no entry of that name; the one that was perhaps meant.
    NoSuchEntry(Option<String>),
    /// A gateway is of no use without an address.
    NoAddress,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command line: {} ignored: ", self.word)?;
        match &self.problem {
            Problem::Unknown(Some(nearest)) => write!(f, "no such key; nearest: {PREFIX}{nearest}"),
            Problem::Unknown(None) => {
                f.write_str("no such key; known:")?;
                KEYS.iter().try_for_each(|key| write!(f, " {key}"))
            }
            Problem::Value(expected) => write!(f, "expected {expected}"),
            Problem::Source(error) => write!(f, "expected {error}"),
            Problem::NoSuchEntry(Some(nearest)) => write!(f, "no such entry; nearest: {nearest}"),
            Problem::NoSuchEntry(None) => f.write_str("no such entry"),
            Problem::NoAddress => f.write_str("a gateway needs an address beside it"),
        }
    }
}

impl Overrides {
    /// Reads the words out of `line`; other words are not looked at. Words that are wrong come back as errors.
    pub fn parse(line: &str) -> (Self, Vec<Error>) {
        let (mut overrides, mut errors) = (Self::default(), Vec::new());
        let line = line.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        for word in command_line::words(line) {
            let Some(setting) = word.strip_prefix(PREFIX) else { continue };
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            if let Err(problem) = overrides.set(key, value) {
                errors.push(Error { word: shown(word), problem });
            }
        }
        (overrides, errors)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), Problem> {
        match key {
            "default" if value.is_empty() => return Err(Problem::Value("the name of an entry")),
            "default" => self.default = Some(String::from(value)),
            "timeout" => self.timeout = Some(timeout(value)?),
            "address" => {
                let expected = Problem::Value("ADDRESS/PREFIX as in 192.168.0.2/24");
                self.address = Some(parse_interface_address(value).ok_or(expected)?);
            }
            "gateway" => {
                let expected = Problem::Value("an IPv4 address as in 192.168.0.1");
                self.gateway = Some(parse_gateway(value).ok_or(expected)?);
            }
            "server" => self.server = Some(ServerAddress::parse(value, TFTP_PORT).map_err(Problem::Source)?),
            "config" => self.config = Some(Source::parse(value).map_err(Problem::Source)?),
            "log" => {
                let expected = Problem::Value("off, error, warn, info, debug or trace");
                self.log = Some(value.parse().map_err(|_| expected)?);
            }
            _ => return Err(Problem::Unknown(nearest::nearest(key, KEYS))),
        }
        Ok(())
    }

    /// Puts what the words say into `settings`. What does not fit there is left out and comes back as errors.
    pub fn apply(&self, settings: &mut Settings) -> Vec<Error> {
        let mut errors = Vec::new();
        if let Some(name) = &self.default {
            if settings.entry(name).is_some() {
                settings.default = Some(name.clone());
            } else {
                let names = settings.entries.iter().map(|entry| entry.name.as_str());
                let problem = Problem::NoSuchEntry(nearest::nearest(name, names).map(String::from));
                errors.push(Error { word: alloc::format!("{PREFIX}default={}", shown(name)), problem });
            }
        }
        settings.timeout = self.timeout.unwrap_or(settings.timeout);
        settings.network.address = self.address.or(settings.network.address);
        settings.network.server = self.server.or(settings.network.server);
        if let Some(gateway) = self.gateway {
            if settings.network.address.is_some() {
                settings.network.gateway = Some(gateway);
            } else {
                let word = alloc::format!("{PREFIX}gateway={gateway}");
                errors.push(Error { word, problem: Problem::NoAddress });
            }
        }
        errors
    }
}

fn timeout(value: &str) -> Result<Timeout, Problem> {
    if value == "never" {
        return Ok(Timeout::Never);
    }
    let seconds = if value.starts_with('+') { None } else { value.parse::<u16>().ok() };
    match seconds.filter(|seconds| u32::from(*seconds) <= LONGEST_TIMEOUT) {
        Some(seconds) => Ok(Timeout::Seconds(seconds)),
        None => Err(Problem::Value("seconds from 0 to 3600, or never")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings;
    use alloc::string::ToString;
    use proptest::prelude::*;

    const TWO: &str = "default = 'a'\n[[entry]]\nname = 'a'\nscript = 's'\n[[entry]]\nname = 'b'\nscript = 's'\n";

    #[test]
    fn every_key_changes_its_setting() {
        let line = "coherent_pool=1M xenlift.default=b xenlift.timeout=7 xenlift.address=10.0.0.2/8 xenlift.gateway=10.0.0.1 \
                    xenlift.server=10.0.0.3:6969 xenlift.config=tftp://10.0.0.4/x.toml\n";
        let (overrides, errors) = Overrides::parse(line);
        assert_eq!(errors, []);
        let mut settings = settings::parse(TWO.as_bytes()).unwrap();
        assert_eq!(overrides.apply(&mut settings), []);
        assert_eq!(settings.default_entry().unwrap().name, "b");
        assert_eq!(settings.timeout, Timeout::Seconds(7));
        let network = settings.network;
        let address = InterfaceAddress { address: Ipv4Addr::new(10, 0, 0, 2), prefix: 8 };
        assert_eq!((network.address, network.gateway), (Some(address), Some(Ipv4Addr::new(10, 0, 0, 1))));
        assert_eq!(network.server.unwrap().to_string(), "10.0.0.3:6969");
        assert_eq!(overrides.config.unwrap().to_string(), "tftp://10.0.0.4/x.toml");
    }

    #[test]
    fn no_words_change_nothing() {
        let mut settings = settings::parse(TWO.as_bytes()).unwrap();
        let before = settings.clone();
        let (overrides, errors) = Overrides::parse("console=ttyS1 root=/dev/mmcblk0p2\0\n");
        assert_eq!((overrides.apply(&mut settings), errors), (Vec::new(), Vec::new()));
        assert_eq!(settings, before);
    }

    #[test]
    fn a_wrong_word_is_told_and_the_others_count() {
        let (overrides, errors) =
            Overrides::parse("xenlift.timeuot=1 xenlift.timeout=soon xenlift.timeout=never xenlift.zz");
        assert_eq!(overrides.timeout, Some(Timeout::Never));
        let texts: Vec<String> = errors.iter().map(|error| error.to_string()).collect();
        assert_eq!(
            texts,
            [
                "command line: xenlift.timeuot=1 ignored: no such key; nearest: xenlift.timeout",
                "command line: xenlift.timeout=soon ignored: expected seconds from 0 to 3600, or never",
                "command line: xenlift.zz ignored: no such key; known: default timeout address gateway server config log",
            ]
        );
        for bad in
            ["default=", "timeout=3601", "timeout=+1", "address=10.0.0.1", "gateway=x", "server=10.0.0.1:0", "config="]
        {
            let (overrides, errors) = Overrides::parse(&alloc::format!("xenlift.{bad}"));
            assert_eq!((overrides, errors.len()), (Overrides::default(), 1), "{bad}");
        }
    }

    #[test]
    fn what_does_not_fit_the_settings_is_told() {
        let mut settings = settings::parse(TWO.as_bytes()).unwrap();
        let (overrides, _) = Overrides::parse("xenlift.default=c xenlift.gateway=10.0.0.1");
        let texts: Vec<String> = overrides.apply(&mut settings).iter().map(|error| error.to_string()).collect();
        assert_eq!(
            texts,
            [
                "command line: xenlift.default=c ignored: no such entry",
                "command line: xenlift.gateway=10.0.0.1 ignored: a gateway needs an address beside it",
            ]
        );
        assert_eq!(settings, settings::parse(TWO.as_bytes()).unwrap());
    }

    proptest! {
        #[test]
        fn whatever_comes_is_answered(line in "(xenlift[.][a-z]{0,8}=?[ -~]{0,20} ?){0,4}\\PC{0,20}") {
            let (overrides, _) = Overrides::parse(&line);
            overrides.apply(&mut Settings::default());
        }
    }
}
