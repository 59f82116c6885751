//! Commands of the network: `tftpboot`, `dhcp`, `ping`.

use crate::range::PhysicalRange;
use crate::shell::platform::{Lease, Network};
use crate::shell::{Command, Environment, Failure, Outcome, Shell, number};
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
    fetch(shell, address, file.as_deref())
}

fn dhcp(shell: &mut Shell<'_>, arguments: &[String]) -> Outcome {
    let Asked { address, file } = Asked::read(shell, arguments)?;
    let lease = shell.platform.lease()?;
    lease.set_variables(&mut shell.environment);
    if shell.environment.says_yes("autoload") == Some(false) {
        return Ok(true);
    }
    fetch(shell, address, file.as_deref())
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

/// Brings `file`, or the variable `bootfile`, to `address`. A server in front of the file is meant for this file alone.
fn fetch(shell: &mut Shell<'_>, address: u64, file: Option<&str>) -> Outcome {
    let file = file.or(shell.environment.get("bootfile")).map(ToString::to_string);
    let file = file.ok_or_else(|| Failure::because("no file named, and bootfile is not set"))?;
    let mut network = network(&shell.environment)?;
    let path = match file.split_once(':') {
        Some((server, path)) if server.parse::<Ipv4Addr>().is_ok() => {
            network.server = server.parse().ok();
            path
        }
        _ => file.as_str(),
    };
    if path.is_empty() {
        return Err(Failure::because(format!("\"{file}\" names no file")));
    }
    let landing = shell.landing(address)?;
    let length = shell.platform.fetch(&network, path, &landing)?;
    shell.landed(path, PhysicalRange { start: address, end: address.saturating_add(length) })?;
    Ok(true)
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
    })
}

fn not_an_address(name: &str, text: &str) -> Failure {
    Failure::because(format!("{name} is \"{text}\", expected an IPv4 address such as 192.168.0.1"))
}
