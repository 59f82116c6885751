//! Commands of the network: `tftpboot` and `dhcp`, again as often as the variable `netretry` says, and `ping`, whose silence is an answer.

use crate::range::PhysicalRange;
use crate::shell::platform::{Lease, Network, NetworkFailure};
use crate::shell::{Command, Environment, Failure, Outcome, Shell, number};
use crate::time::Duration;
use alloc::format;
use alloc::string::{String, ToString};
use core::net::Ipv4Addr;

/// The commands.
pub const COMMANDS: &[Command] = &[
    Command {
        name: "tftpboot",
        usage: "[ADDRESS] [[SERVER:]FILE]",
        help: "load a file by TFTP",
        example: "tftpboot 0x1000000 xen",
        run: tftpboot,
    },
    Command {
        name: "dhcp",
        usage: "[ADDRESS] [[SERVER:]FILE]",
        help: "get an address by DHCP, and, unless autoload says no, a file by TFTP",
        example: "dhcp 0x2400000 boot.scr",
        run: dhcp,
    },
    Command { name: "ping", usage: "HOST", help: "see whether a host answers", example: "ping $serverip", run: ping },
];

impl Lease {
    /// Sets the variables that `dhcp` sets. A `serverip` that is set stays, where no server was named.
    pub fn set_variables(&self, environment: &mut Environment) {
        let likely = || self.likely_server.filter(|_| environment.get("serverip").is_none());
        let server = self.server.or_else(likely);
        let addresses =
            [("ipaddr", self.address), ("netmask", self.netmask), ("gatewayip", self.gateway), ("serverip", server)];
        for (name, address) in addresses {
            if let Some(address) = address {
                environment.set(name, &address.to_string());
            }
        }
        if let Some(file) = &self.boot_file {
            environment.set("bootfile", file);
        }
    }
}

/// What a command says of the file to load.
struct Asked {
    address: u64,
    /// The file, if the command names one.
    file: Option<String>,
}

impl Asked {
    /// One argument alone is an address if it can be one. The address is from here on that of images, whatever comes of the command.
    fn read(shell: &mut Shell<'_>, arguments: &[String]) -> Result<Self, Failure> {
        let asked = match arguments {
            [_] => Self { address: shell.fetch_address()?, file: None },
            [_, one] => match number::hexadecimal(one) {
                Ok(address) => Self { address, file: None },
                Err(_) => Self { address: shell.fetch_address()?, file: Some(one.clone()) },
            },
            [_, address, file] => Self { address: number::hexadecimal(address)?, file: Some(file.clone()) },
            _ => return Err(Failure::Usage),
        };
        shell.image_place = asked.address;
        Ok(asked)
    }
}

fn tftpboot(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let Asked { address, file } = Asked::read(shell, arguments)?;
    again(shell, &mut |shell| fetch(shell, address, file.as_deref()))
}

fn dhcp(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let Asked { address, file } = Asked::read(shell, arguments)?;
    again(shell, &mut |shell| {
        let lease = shell.platform.lease()?;
        lease.set_variables(&mut shell.environment);
        if shell.environment.says_yes("autoload") == Some(false) {
            // Nothing else tells whoever typed it that there was an answer.
            let of = |name| shell.environment.get(name).unwrap_or("not set").to_string();
            let (own, gateway, server) = (of("ipaddr"), of("gatewayip"), of("serverip"));
            shell.say(format_args!("DHCP: ipaddr {own}, gatewayip {gateway}, serverip {server}\n"))?;
            return Ok(());
        }
        fetch(shell, address, file.as_deref())
    })
}

fn ping(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let [_, host] = arguments else { return Err(Failure::Usage) };
    let host: Ipv4Addr = host.parse().map_err(|_| not_an_address("the host", host))?;
    let network = network(&shell.environment)?;
    let alive = shell.platform.ping(&network, host)?;
    let answer = if alive { "alive" } else { "not alive" };
    shell.say(format_args!("host {host} is {answer}\n"))?;
    Ok(alive)
}

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// Does `attempt`; where it fails for a reason that may pass, again, as often as `netretry` says.
fn again(shell: &mut Shell<'_>, attempt: &mut dyn FnMut(&mut Shell<'_>) -> Result<(), NetworkFailure>) -> Outcome {
    let retries = retries(&shell.environment);
    for tried in 1_u64.. {
        match attempt(shell) {
            Ok(()) => return Ok(true),
            Err(NetworkFailure { failure: Failure::Reason(reason), may_pass: true }) if tried <= retries => {
                // With doubled distances: it can go on for days, and what a script prints is bounded.
                if tried.is_power_of_two() {
                    shell.say(format_args!("{reason}; trying again (netretry)\n"))?;
                }
                shell.wait(PAUSE)?;
            }
            Err(NetworkFailure { failure, .. }) => return Err(failure),
        }
    }
    Ok(false)
}

/// How often a command of the network that has failed is tried again (U-Boot: net/net.c, `net_start_again`).
fn retries(environment: &Environment) -> u64 {
    match environment.get("netretry") {
        Some("yes") => u64::MAX,
        Some("once") => 1,
        Some(count) => number::leading(count, 0),
        None => 0,
    }
}

/// Brings `file`, or the variable `bootfile`, to `address`. A server in front of the file is meant for this file alone.
fn fetch(shell: &mut Shell<'_>, address: u64, file: Option<&str>) -> Result<(), NetworkFailure> {
    let file = file.or(shell.environment.get("bootfile")).map(ToString::to_string);
    let file = file.ok_or_else(|| Failure::because("no file named, and bootfile is not set"))?;
    let mut network = network(&shell.environment)?;
    network.patience = patience(shell)?;
    let path = match file.split_once(':') {
        Some((server, path)) if server.parse::<Ipv4Addr>().is_ok() => {
            network.server = server.parse().ok();
            path
        }
        _ => file.as_str(),
    };
    if path.is_empty() {
        return Err(Failure::because(format!("\"{file}\" names no file")).into());
    }
    let landing = shell.landing(address).map_err(Failure::from)?;
    let length = shell.platform.fetch(&network, path, &landing)?;
    Ok(shell.landed(path, PhysicalRange { start: address, end: address.saturating_add(length) })?)
}

/// What U-Boot takes for `tftptimeout`, in milliseconds, and for `tftptimeoutcountmax`, where they are not set.
const TIMEOUT: u64 = 5000;
const TIMEOUTS: u64 = 10;

/// The shortest `tftptimeout`, in milliseconds: the protocol counts in seconds.
const SHORTEST_TIMEOUT: u64 = 1000;

/// How long a server may be silent by the variables: until U-Boot has asked in vain for the last time. When something is asked for again is up
/// to the measured round trip.
fn patience(shell: &mut Shell<'_>) -> Result<Option<Duration>, Failure> {
    let value = |name: &str| shell.environment.get(name).map(number::decimal).transpose();
    let (timeout, count) = match (value("tftptimeout")?, value("tftptimeoutcountmax")?) {
        (None, None) => return Ok(None),
        (timeout, count) => (timeout.unwrap_or(TIMEOUT), count.unwrap_or(TIMEOUTS)),
    };
    if timeout < SHORTEST_TIMEOUT {
        shell.say(format_args!("Note: tftptimeout is {timeout} ms; {SHORTEST_TIMEOUT} ms, the least, are taken\n"))?;
    }
    let timeout = timeout.max(SHORTEST_TIMEOUT);
    Ok(Some(Duration::from_millis(timeout.saturating_mul(count.saturating_add(1)))))
}

/// The network as the variables say.
fn network(environment: &Environment) -> Result<Network, Failure> {
    let address = |name: &str| match environment.get(name) {
        None => Ok(None),
        Some(text) => match text.parse::<Ipv4Addr>() {
            Ok(address) => Ok(Some(address).filter(|address| !address.is_unspecified())),
            Err(_) => Err(not_an_address(name, text)),
        },
    };
    let count = |name: &str| match environment.get(name) {
        None => Ok(None),
        Some(text) => match number::decimal(text)?.try_into() {
            Ok(0) => Ok(None),
            Ok(count) => Ok(Some(count)),
            Err(_) => Err(Failure::because(format!("{name} is {text}, expected at most {}", u16::MAX))),
        },
    };
    Ok(Network {
        address: address("ipaddr")?,
        netmask: address("netmask")?,
        gateway: address("gatewayip")?,
        server: address("serverip")?,
        block_size: count("tftpblocksize")?,
        window: count("tftpwindowsize")?,
        patience: None,
    })
}

fn not_an_address(name: &str, text: &str) -> Failure {
    Failure::because(format!("{name} is \"{text}\", expected an IPv4 address such as 192.168.0.1"))
}
