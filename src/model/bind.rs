//! A bind: what a program requests from the kernel before it can serve a port, and what the kernel may answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Port, Protocol, Uid};

/// A bind as a program would ask for it: the arguments of bind(2) and the options that the kernel looks at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Bind {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The address; `0.0.0.0` and `::` stand for every address.
    pub address: IpAddr,
    /// The interface of a link-local address, by index; 0 for none.
    pub scope: u32,
    /// The port.
    pub port: Port,
    /// `IPV6_V6ONLY`: an IPv6 socket leaves IPv4 alone.
    pub v6only: bool,
    /// `SO_REUSEADDR`.
    pub reuseaddr: bool,
    /// `SO_REUSEPORT`.
    pub reuseport: bool,
    /// `SO_BINDTODEVICE`.
    pub device: Option<String>,
    /// The user that binds; absent for the user of this run.
    pub user: Option<Uid>,
}

impl Bind {
    /// A bind without any option.
    pub fn plain(protocol: Protocol, address: IpAddr, port: Port) -> Bind {
        Bind {
            protocol,
            address,
            scope: 0,
            port,
            v6only: false,
            reuseaddr: false,
            reuseport: false,
            device: None,
            user: None,
        }
    }

    /// The addresses that it occupies.
    pub fn reach(&self) -> Reach {
        Reach::of(self.address, self.v6only)
    }
}

/// The part of each family's addresses that a bound socket takes.
///
/// Source: Linux, `ipv6_rcv_saddr_equal` in `net/ipv4/inet_connection_sock.c`: an IPv6 socket takes IPv4 addresses too
/// when it is bound to `::` without `IPV6_V6ONLY`, or to an IPv4 address in its IPv6 form.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Reach {
    /// Of IPv4: one address or, as `0.0.0.0`, every one.
    pub ipv4: Option<Ipv4Addr>,
    /// Of IPv6: one address or, as `::`, every one.
    pub ipv6: Option<Ipv6Addr>,
}

impl Reach {
    /// The reach of a socket that is bound to this address.
    pub fn of(address: IpAddr, v6only: bool) -> Reach {
        match address {
            IpAddr::V4(address) => Reach { ipv4: Some(address), ipv6: None },
            IpAddr::V6(address) => {
                if let Some(mapped) = address.to_ipv4_mapped() {
                    return Reach { ipv4: Some(mapped), ipv6: None };
                }
                let is_dual = address.is_unspecified() && !v6only;
                Reach { ipv4: is_dual.then_some(Ipv4Addr::UNSPECIFIED), ipv6: Some(address) }
            }
        }
    }

    /// The reach of an IPv6 socket that could take IPv4 too until a connection gave it this address. Its IPv4 part is
    /// not empty then: the kernel sets it to an address that no host has, which conflicts with a bind to every IPv4
    /// address.
    ///
    /// Source: Linux, `LOOPBACK4_IPV6` in `tcp_v6_connect`, `tcp_v6_syn_recv_sock` and `__ip6_datagram_connect`.
    pub fn of_connected(address: IpAddr) -> Reach {
        const PLACEHOLDER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);
        let reach = Reach::of(address, true);
        Reach { ipv4: reach.ipv4.or(Some(PLACEHOLDER)), ..reach }
    }

    /// Says whether some address is in both.
    pub fn meets(self, other: Reach) -> bool {
        let ipv4 = self.ipv4.zip(other.ipv4).is_some_and(|(a, b)| a == b || a.is_unspecified() || b.is_unspecified());
        let ipv6 = self.ipv6.zip(other.ipv6).is_some_and(|(a, b)| a == b || a.is_unspecified() || b.is_unspecified());
        ipv4 || ipv6
    }
}

/// Why a bind is refused: an errno of bind(2), or of the call that makes or prepares the socket.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BindError {
    /// `EADDRINUSE`.
    InUse,
    /// `EACCES`: a privileged port, or a rule of the system.
    Access,
    /// `EADDRNOTAVAIL`: no interface of this port space has the address.
    NotAvailable,
    /// `EAFNOSUPPORT`: the system does not support this family.
    Family,
    /// `ENODEV`: no such interface.
    #[allow(dead_code, reason = "made on Linux")]
    NoDevice,
    /// `EINVAL`: an address that this protocol cannot be bound to.
    #[allow(dead_code, reason = "made on Unix")]
    Invalid,
    /// Something else, as the system words it.
    Other(String),
}

impl BindError {
    /// The name of the error in errno(3), or the system's own words.
    pub fn name(&self) -> &str {
        match self {
            BindError::InUse => "EADDRINUSE",
            BindError::Access => "EACCES",
            BindError::NotAvailable => "EADDRNOTAVAIL",
            BindError::Family => "EAFNOSUPPORT",
            BindError::NoDevice => "ENODEV",
            BindError::Invalid => "EINVAL",
            BindError::Other(words) => words,
        }
    }
}

/// The systems whose rules differ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Platform {
    /// Linux, whose rule is known exactly.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
    /// Another one.
    #[allow(dead_code, reason = "made on systems other than Linux")]
    Other,
}

/// The process that binds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Caller {
    /// The system that it runs on.
    pub platform: Platform,
    /// The effective user of this run.
    pub uid: Option<Uid>,
    /// Whether it may bind privileged ports (Linux: `CAP_NET_BIND_SERVICE`); absent if unknown.
    pub is_privileged: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(address: &str, v6only: bool) -> Reach {
        Reach::of(address.parse().unwrap(), v6only)
    }

    #[test]
    fn a_dual_stack_socket_takes_ipv4_and_a_mapped_one_only_ipv4() {
        for (a, a_only, b, b_only, meets) in [
            ("0.0.0.0", false, "127.0.0.1", false, true),
            ("127.0.0.53", false, "127.0.0.1", false, false),
            ("::", false, "127.0.0.1", false, true),
            ("::", true, "127.0.0.1", false, false),
            ("::", true, "0.0.0.0", false, false),
            ("::", false, "::", true, true),
            ("::1", false, "0.0.0.0", false, false),
            ("::1", false, "::", true, true),
            ("::ffff:127.0.0.1", false, "127.0.0.1", false, true),
            ("::ffff:127.0.0.1", false, "::", true, false),
            ("::ffff:127.0.0.1", false, "::", false, true),
            ("::ffff:127.0.0.1", false, "::1", false, false),
        ] {
            assert_eq!(reach(a, a_only).meets(reach(b, b_only)), meets, "{a} {b}");
            assert_eq!(reach(b, b_only).meets(reach(a, a_only)), meets, "{b} {a}");
        }
    }
}
