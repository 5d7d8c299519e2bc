//! Who can reach a socket, by the address that it is bound to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::model::Exposure;

/// Returns who can reach a socket that is bound to this address and, if any, this device.
///
/// Source: the IANA special-purpose address registries (RFC 6890).
pub fn exposure_of(address: IpAddr, device: Option<&str>) -> Exposure {
    if device == Some("lo") {
        return Exposure::Loopback;
    }
    match address.to_canonical() {
        IpAddr::V4(address) => of_ipv4(address),
        IpAddr::V6(address) => of_ipv6(address),
    }
}

fn of_ipv4(address: Ipv4Addr) -> Exposure {
    if address.is_unspecified() {
        Exposure::Any
    } else if address.is_loopback() {
        Exposure::Loopback
    } else if address.is_link_local() {
        Exposure::LinkLocal
    } else if address.is_private() || is_shared(address) {
        Exposure::Private
    } else {
        Exposure::Public
    }
}

/// 100.64.0.0/10, between a provider's NAT and its customers (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}

fn of_ipv6(address: Ipv6Addr) -> Exposure {
    if address.is_unspecified() {
        Exposure::Any
    } else if address.is_loopback() {
        Exposure::Loopback
    } else if address.is_unicast_link_local() {
        Exposure::LinkLocal
    } else if address.is_unique_local() {
        Exposure::Private
    } else {
        Exposure::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bind_address_decides_who_can_reach_a_socket() {
        for (address, exposure) in [
            ("0.0.0.0", Exposure::Any),
            ("::", Exposure::Any),
            ("::ffff:0.0.0.0", Exposure::Any),
            ("127.0.0.53", Exposure::Loopback),
            ("::1", Exposure::Loopback),
            ("::ffff:127.0.0.1", Exposure::Loopback),
            ("169.254.1.1", Exposure::LinkLocal),
            ("fe80::1", Exposure::LinkLocal),
            ("10.0.0.1", Exposure::Private),
            ("172.31.255.255", Exposure::Private),
            ("172.32.0.0", Exposure::Public),
            ("100.64.0.1", Exposure::Private),
            ("fd00::1", Exposure::Private),
            ("8.8.8.8", Exposure::Public),
            ("2606:4700::1", Exposure::Public),
        ] {
            assert_eq!(exposure_of(address.parse().unwrap(), None), exposure, "{address}");
        }
    }

    #[test]
    fn a_wildcard_socket_on_the_loopback_device_is_loopback_only() {
        assert_eq!(exposure_of("0.0.0.0".parse().unwrap(), Some("lo")), Exposure::Loopback);
        assert_eq!(exposure_of("0.0.0.0".parse().unwrap(), Some("eth0")), Exposure::Any);
    }
}
