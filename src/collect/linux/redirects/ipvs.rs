//! Reads /proc/net/ip_vs: the virtual servers of IPVS. Source: Linux, `ip_vs_info_seq_show`.

use std::net::{IpAddr, Ipv4Addr};

use super::ruleset::{Taken, VirtualServer};

/// Reads the table; a line that is not understood is nothing.
pub fn parse(text: &str) -> Vec<VirtualServer> {
    let mut servers: Vec<VirtualServer> = Vec::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match &words[..] {
            ["FWM", mark, ..] => {
                servers.extend(
                    u32::from_str_radix(mark, 16)
                        .ok()
                        .map(|mark| VirtualServer { takes: Taken::Mark(mark), to: vec![] }),
                );
            }
            [protocol @ ("TCP" | "UDP"), end, ..] => {
                let number = if *protocol == "TCP" { 6 } else { 17 };
                let taken = self::end(end).map(|(address, port)| Taken::Address(number, address, port));
                servers.extend(taken.map(|takes| VirtualServer { takes, to: vec![] }));
            }
            ["->", end, _, weight, ..] if *weight != "0" => {
                if let Some(server) = servers.last_mut() {
                    server.to.extend(self::end(end));
                }
            }
            _ => {}
        }
    }
    servers
}

/// `C0A80001:0050`, `[fd00:0000:...:0001]:0050`.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let address = match address.strip_prefix('[') {
        Some(address) => address.strip_suffix(']')?.parse().ok()?,
        None => IpAddr::V4(Ipv4Addr::from_bits(u32::from_str_radix(address, 16).ok()?)),
    };
    Some((address, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_servers_have_their_real_ones() {
        let text = "IP Virtual Server version 1.2.1 (size=4096)\n\
                    Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
                    TCP  C0A80001:0050 rr persistent 300\n  -> C0A80102:1F90      Masq    0      0          0\n\
                    \x20 -> C0A80103:1F90      Masq    1      0          0\n\
                    UDP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0035 wlc\nFWM  0000000A rr\n";
        let servers = parse(text);
        let real = vec![("192.168.1.3".parse().unwrap(), 8080)];
        assert_eq!(servers[0].takes, Taken::Address(6, "192.168.0.1".parse().unwrap(), 80));
        assert_eq!(servers[0].to, real, "a server without weight gets nothing");
        assert_eq!(servers[1].takes, Taken::Address(17, "fd00::1".parse().unwrap(), 53));
        assert_eq!(servers[2].takes, Taken::Mark(10));
    }
}
