//! From where a socket can be reached, by the address that it is bound to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// From where a socket can be reached, judged by its address and device. Firewalls are not considered.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Exposure {
    /// This host only.
    Loopback,
    /// The same link only.
    LinkLocal,
    /// A private network: RFC 1918, RFC 6598, unique local IPv6.
    Private,
    /// An address that is routed on the internet.
    Public,
    /// Every interface.
    Any,
}

impl Exposure {
    /// Every exposure, narrowest first.
    pub const ALL: [Exposure; 5] =
        [Exposure::Loopback, Exposure::LinkLocal, Exposure::Private, Exposure::Public, Exposure::Any];

    /// The name in every output and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Exposure::Loopback => "loopback",
            Exposure::LinkLocal => "link-local",
            Exposure::Private => "private",
            Exposure::Public => "public",
            Exposure::Any => "any",
        }
    }

    /// Returns from where a socket can be reached that is bound to this address and, if any, this device.
    ///
    /// A socket that is bound to a multicast group can be reached from wherever packets for the group are forwarded.
    ///
    /// Source: the IANA special-purpose address registries (RFC 6890); for groups RFC 5771, RFC 2365 and RFC 7346.
    pub fn of(address: IpAddr, device: Option<&str>) -> Exposure {
        if device == Some("lo") {
            return Exposure::Loopback;
        }
        match address.to_canonical() {
            IpAddr::V4(address) => of_ipv4(address),
            IpAddr::V6(address) => of_ipv6(address),
        }
    }
}

fn of_ipv4(address: Ipv4Addr) -> Exposure {
    if address.is_unspecified() {
        Exposure::Any
    } else if address.is_loopback() {
        Exposure::Loopback
    } else if address.is_link_local() || address.is_broadcast() || is_group_of_link(address) {
        Exposure::LinkLocal
    } else if address.is_private() || is_shared(address) || is_group_of_site(address) {
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

/// 224.0.0.0/24, which no router passes on (RFC 5771).
fn is_group_of_link(address: Ipv4Addr) -> bool {
    address.octets().starts_with(&[224, 0, 0])
}

/// 239.0.0.0/8, which stays inside of a site or organization (RFC 2365).
fn is_group_of_site(address: Ipv4Addr) -> bool {
    address.octets().starts_with(&[239])
}

fn of_ipv6(address: Ipv6Addr) -> Exposure {
    if address.is_unspecified() {
        Exposure::Any
    } else if address.is_loopback() {
        Exposure::Loopback
    } else if address.is_multicast() {
        of_scope(address.octets()[1] & 0xf)
    } else if address.is_unicast_link_local() {
        Exposure::LinkLocal
    } else if address.is_unique_local() {
        Exposure::Private
    } else {
        Exposure::Public
    }
}

/// How far a group of IPv6 reaches, by the scope that its address has (RFC 7346).
fn of_scope(scope: u8) -> Exposure {
    match scope {
        1 => Exposure::Loopback,
        2 => Exposure::LinkLocal,
        3..=0xd => Exposure::Private,
        _ => Exposure::Public,
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
            ("255.255.255.255", Exposure::LinkLocal),
            ("224.0.0.251", Exposure::LinkLocal),
            ("224.0.1.1", Exposure::Public),
            ("232.1.2.3", Exposure::Public),
            ("239.255.255.250", Exposure::Private),
            ("::ffff:224.0.0.251", Exposure::LinkLocal),
            ("ff01::1", Exposure::Loopback),
            ("ff02::fb", Exposure::LinkLocal),
            ("ff32::8000:1", Exposure::LinkLocal),
            ("ff05::1:3", Exposure::Private),
            ("ff0e::1", Exposure::Public),
        ] {
            assert_eq!(Exposure::of(address.parse().unwrap(), None), exposure, "{address}");
        }
    }

    #[test]
    fn a_wildcard_socket_on_the_loopback_device_is_loopback_only() {
        assert_eq!(Exposure::of("0.0.0.0".parse().unwrap(), Some("lo")), Exposure::Loopback);
        assert_eq!(Exposure::of("0.0.0.0".parse().unwrap(), Some("eth0")), Exposure::Any);
    }
}
