//! The network of a script: what its variables say of it, for the session, and what the session says, for its variables.

use crate::config::source::{ServerAddress, TFTP_PORT};
use crate::config::{self, InterfaceAddress};
use crate::net::tftp::packet::code;
use crate::net::tftp::{self, Refusal};
use crate::net::{dhcp, fetch};
use crate::shell::Failure;
use crate::shell::landing::Landing;
use crate::shell::platform::{Lease, Network, NetworkFailure};
use alloc::format;
use core::net::Ipv4Addr;

/// The session's configuration by the script's variables, and by `settings` where they say nothing. No variable says a port: the server that the
/// settings name has theirs, any other the protocol's.
pub(super) fn configuration(settings: &config::Network, script: &Network) -> Result<config::Network, Failure> {
    let other = script.server.filter(|address| settings.server.is_none_or(|server| server.address != *address));
    let server = other.map(|address| ServerAddress { address, port: TFTP_PORT }).or(settings.server);
    let Some(address) = script.address else { return Ok(config::Network { server, ..*settings }) };
    let mask = script.netmask.unwrap_or(Ipv4Addr::UNSPECIFIED).to_bits();
    if mask.leading_ones() != mask.count_ones() {
        return Err(Failure::because(format!("netmask is {}, expected ones before zeroes", Ipv4Addr::from_bits(mask))));
    }
    // A router that is not on the link cannot be asked for anything; U-Boot does not look at it before it is needed.
    let on_link = |router: &Ipv4Addr| (router.to_bits() ^ address.to_bits()) & mask == 0 && *router != address;
    let gateway = script.gateway.filter(|router| mask != 0 && on_link(router));
    let address = InterfaceAddress { address, prefix: mask.leading_ones() as u8 };
    Ok(config::Network { address: Some(address), gateway, server })
}

/// What a lease says, as scripts want it; the server is the one of `settings`, where they name one.
pub(super) fn lease(lease: &dhcp::Lease, settings: &config::Network) -> Lease {
    Lease {
        address: Some(lease.address),
        netmask: Some(netmask(lease.prefix)),
        gateway: lease.gateway,
        server: settings.server.map(|server| server.address).or(lease.boot_server),
        likely_server: lease.next_server,
        boot_file: lease.boot_file.clone(),
    }
}

/// What the settings say of the network, as scripts want it.
pub(super) fn configured(settings: &config::Network) -> Lease {
    Lease {
        address: settings.address.map(|own| own.address),
        netmask: settings.address.map(|own| netmask(own.prefix)),
        gateway: settings.gateway,
        server: settings.server.map(|server| server.address),
        likely_server: None,
        boot_file: None,
    }
}

fn netmask(prefix: u8) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0))
}

/// The failure of a transfer of `path`.
pub(super) fn not_fetched(path: &str, room: &Landing, error: fetch::Error) -> NetworkFailure {
    match error {
        fetch::Error::Aborted => Failure::Interrupted.into(),
        fetch::Error::Tftp(tftp::Error::Refused(Refusal::TooLarge { size, .. })) => room.too_small(path, size).into(),
        error => NetworkFailure { failure: Failure::because(format!("{path}: {error}")), may_pass: may_pass(&error) },
    }
}

/// The failure of whatever else was asked of the network.
pub(super) fn not_heard(error: fetch::Error) -> NetworkFailure {
    match error {
        fetch::Error::Aborted => Failure::Interrupted.into(),
        error => NetworkFailure { failure: Failure::because(error), may_pass: may_pass(&error) },
    }
}

/// Whether what failed may succeed in a moment: a cable, a server that starts. That a file is not there, or must not be read, is an answer, as
/// with U-Boot.
fn may_pass(error: &fetch::Error) -> bool {
    match error {
        fetch::Error::Tftp(tftp::Error::Server { code, .. }) => !matches!(*code, code::NOT_FOUND | code::ACCESS),
        fetch::Error::Tftp(error) => {
            !matches!(error, tftp::Error::Path { .. } | tftp::Error::Refused(_) | tftp::Error::Aborted)
        }
        fetch::Error::Http(error) => error.may_pass(),
        error => matches!(
            error,
            fetch::Error::NoLink { .. }
                | fetch::Error::LinkLost { .. }
                | fetch::Error::NoLease { .. }
                | fetch::Error::NoNeighbor { .. }
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const OWN: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 2);
    const SERVER: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 1);

    fn settings() -> config::Network {
        let server = ServerAddress { address: Ipv4Addr::new(10, 0, 0, 1), port: 6969 };
        config::Network { address: None, gateway: None, server: Some(server) }
    }

    #[test]
    fn what_the_variables_leave_open_is_as_the_settings_have_it() {
        assert_eq!(configuration(&settings(), &Network::default()).unwrap(), settings());
        let script = Network { server: Some(SERVER), ..Network::default() };
        let found = configuration(&settings(), &script).unwrap();
        assert_eq!(found.server, Some(ServerAddress { address: SERVER, port: TFTP_PORT }));
        assert_eq!(found.address, None);
    }

    #[test]
    fn the_server_of_the_settings_keeps_its_port_until_the_script_names_another() {
        let server = configured(&settings()).server;
        assert_eq!(server, Some(Ipv4Addr::new(10, 0, 0, 1)));
        let script = Network { server, ..Network::default() };
        assert_eq!(configuration(&settings(), &script).unwrap().server, settings().server);
        let without = config::Network { server: None, ..settings() };
        let found = configuration(&without, &script).unwrap().server;
        assert_eq!(found, server.map(|address| ServerAddress { address, port: TFTP_PORT }));
    }

    #[test]
    fn a_lease_says_another_server_only_where_the_settings_name_none() {
        let leased = dhcp::Lease {
            address: OWN,
            prefix: 24,
            gateway: None,
            boot_server: Some(SERVER),
            next_server: Some(SERVER),
            boot_file: Some("boot.scr".to_string()),
            dhcp_server: SERVER,
            given_at: crate::time::Instant::default(),
            duration: crate::time::Duration::from_secs(60),
            renewal: crate::time::Instant::default(),
        };
        let found = lease(&leased, &settings());
        assert_eq!((found.server, found.netmask), (Some([10, 0, 0, 1].into()), Some([255, 255, 255, 0].into())));
        assert_eq!(found.boot_file.as_deref(), Some("boot.scr"));
        assert_eq!(lease(&leased, &config::Network::default()).server, Some(SERVER));
        let unnamed = lease(&dhcp::Lease { boot_server: None, ..leased }, &config::Network::default());
        assert_eq!((unnamed.server, unnamed.likely_server), (None, Some(SERVER)), "a guess is kept apart");
    }

    #[test]
    fn a_static_network_becomes_variables_that_lead_back_to_it() {
        let own = InterfaceAddress { address: OWN, prefix: 24 };
        let settings = config::Network { address: Some(own), gateway: Some(SERVER), ..settings() };
        let mut environment = crate::shell::Environment::default();
        configured(&settings).set_variables(&mut environment);
        for (name, value) in [
            ("ipaddr", "192.168.0.2"),
            ("netmask", "255.255.255.0"),
            ("gatewayip", "192.168.0.1"),
            ("serverip", "10.0.0.1"),
        ] {
            assert_eq!(environment.get(name), Some(value), "{name}");
        }
        let Lease { address, netmask, gateway, server, .. } = configured(&settings);
        let script = Network { address, netmask, gateway, server, ..Network::default() };
        assert_eq!(configuration(&settings, &script).unwrap(), settings);
    }

    #[test]
    fn without_a_netmask_everything_is_on_the_link() {
        let gateway = Some(Ipv4Addr::new(192, 168, 0, 254));
        let script = Network { address: Some(OWN), gateway, ..Network::default() };
        let found = configuration(&settings(), &script).unwrap();
        assert_eq!(found.address, Some(InterfaceAddress { address: OWN, prefix: 0 }));
        assert_eq!(found.gateway, None);
    }

    #[test]
    fn a_netmask_makes_a_router_count_if_it_is_on_the_link() {
        let netmask = Some(Ipv4Addr::new(255, 255, 255, 0));
        for (gateway, expected) in [([192, 168, 0, 254], true), ([192, 168, 1, 254], false), ([192, 168, 0, 2], false)]
        {
            let gateway = Some(Ipv4Addr::from(gateway));
            let script = Network { address: Some(OWN), netmask, gateway, ..Network::default() };
            let found = configuration(&settings(), &script).unwrap();
            assert_eq!(found.address, Some(InterfaceAddress { address: OWN, prefix: 24 }));
            assert_eq!(found.gateway, gateway.filter(|_| expected), "{gateway:?}");
        }
    }

    #[test]
    fn a_netmask_with_holes_is_refused() {
        let netmask = Some(Ipv4Addr::new(255, 0, 255, 0));
        let script = Network { address: Some(OWN), netmask, ..Network::default() };
        match configuration(&settings(), &script) {
            Err(Failure::Reason(reason)) => {
                assert_eq!(reason.to_string(), "netmask is 255.0.255.0, expected ones before zeroes");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_file_that_is_too_long_says_what_is_in_its_way() {
        let place = crate::range::PhysicalRange { start: 0x1000, end: 0x3000 };
        let refused = fetch::Error::Tftp(tftp::Error::Refused(Refusal::TooLarge { size: 0x2001, room: 0x2000 }));
        match not_fetched("xen", &Landing::new(place), refused) {
            NetworkFailure { failure: Failure::Reason(reason), may_pass: false } => {
                assert!(reason.to_string().starts_with("xen has 0x2001 bytes"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        let place = Landing::new(place);
        assert!(matches!(not_fetched("xen", &place, fetch::Error::Aborted).failure, Failure::Interrupted));
    }

    #[test]
    fn what_lies_out_there_may_pass_and_what_the_script_says_does_not() {
        let waited = crate::time::Duration::from_secs(15);
        let place = Landing::new(crate::range::PhysicalRange { start: 0x1000, end: 0x3000 });
        let server = "10.0.0.1:69".parse().unwrap();
        let refused =
            |code| fetch::Error::Tftp(tftp::Error::Server { code, message: tftp::Message::new(b"as the server says") });
        let cut = tftp::Error::Shorter { received: 1, announced: 2 };
        for (error, expected) in [
            (fetch::Error::NoLink { waited }, true),
            (fetch::Error::Tftp(tftp::Error::NoAnswer { server, waited, stranger: None }), true),
            (refused(code::NOT_DEFINED), true),
            (refused(code::NOT_FOUND), false),
            (refused(code::ACCESS), false),
            (fetch::Error::Tftp(cut), true),
            (fetch::Error::NoServer, false),
            (fetch::Error::Unreachable { server: SERVER, address: OWN, prefix: 24 }, false),
            (fetch::Error::Tftp(tftp::Error::Path { length: 0 }), false),
            (fetch::Error::Aborted, false),
        ] {
            assert_eq!(not_fetched("xen", &place, error).may_pass, expected, "{error}");
            assert_eq!(not_heard(error).may_pass, expected, "{error}");
        }
    }
}
