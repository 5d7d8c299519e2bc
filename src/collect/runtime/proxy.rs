//! docker-proxy: a process that listens on a published port in a container's place.

use std::ffi::{OsStr, OsString};
use std::net::IpAddr;

use crate::model::{Endpoint, Port, Protocol};

/// Its name, as the kernel shortens it to 15 bytes.
pub const NAME: &str = "docker-proxy";

/// Reads where it leads from its arguments: `-container-ip 172.17.0.2 -container-port 80`.
///
/// The arguments are what the process says of itself; they are shown and decide nothing.
pub fn target(argv: &[OsString]) -> Option<(Protocol, Endpoint)> {
    let value = |name: &str| {
        let place =
            argv.iter().position(|argument| argument.to_str().is_some_and(|a| a.trim_start_matches('-') == name));
        argv.get(place? + 1).and_then(|value: &OsString| OsStr::to_str(value))
    };
    let address: IpAddr = value("container-ip")?.parse().ok()?;
    let port: Port = value("container-port")?.parse().ok()?;
    let protocol = value("proto").unwrap_or("tcp");
    let protocol = Protocol::ALL.into_iter().find(|known| known.name() == protocol)?;
    Some((protocol, Endpoint { address, port }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(line: &str) -> Option<String> {
        let argv: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        target(&argv).map(|(protocol, end)| format!("{} {end}", protocol.name()))
    }

    #[test]
    fn the_target_stands_in_the_arguments() {
        let line = "/usr/bin/docker-proxy -proto tcp -host-ip 127.0.0.1 -host-port 8088 -container-ip 172.17.0.2 \
                    -container-port 80 -use-listen-fd";
        assert_eq!(read(line).as_deref(), Some("tcp 172.17.0.2:80"));
        for line in [
            "docker-proxy",
            "docker-proxy -container-ip",
            "docker-proxy -container-ip x -container-port 80",
            "docker-proxy -container-ip 172.17.0.2 -container-port 0",
            "docker-proxy -proto sctp -container-ip 172.17.0.2 -container-port 80",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_arguments_make_it_panic(argv in any::<Vec<String>>()) {
            let argv: Vec<OsString> = argv.into_iter().map(OsString::from).collect();
            let _ = target(&argv);
        }
    }
}
