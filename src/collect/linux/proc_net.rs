//! The socket tables as text, for systems that refuse netlink and for namespaces that cannot be entered.
//!
//! Source: proc_pid_net(5), `net/ipv4/tcp_ipv4.c`, `net/ipv4/udp.c`. The text lacks v6only, device, accept queue limit,
//! cookie and cgroup.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::kernel_socket::{KernelSocket, address};
use crate::model::{Endpoint, Family, Protocol};

/// Appends the rows of the table below a `net` directory such as `/proc/self/net`; returns how many lines could not be
/// parsed. A table of IPv6 or of UDP-Lite that does not exist beside the others means that the kernel does not have it.
pub fn read(directory: &Path, protocol: Protocol, family: Family, rows: &mut Vec<KernelSocket>) -> io::Result<usize> {
    let suffix = if family == Family::Ipv6 { "6" } else { "" };
    let path = directory.join(format!("{}{suffix}", protocol.name()));
    match File::open(&path).and_then(|table| whole(&table)) {
        Ok(text) => Ok(parse(&text, protocol, family, rows)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && directory.is_dir() => match (protocol, family) {
            (_, Family::Ipv6) | (Protocol::UdpLite, _) => Ok(0),
            _ => Err(error),
        },
        Err(error) => Err(error),
    }
}

/// The largest row, with room to spare. The kernel's buffer holds at least a page, which is never below 4 KiB.
const MOST_ROW: usize = 512;
const PAGE: usize = 4096;

/// Reads a table to its end.
///
/// A piece that had room for another row, in the kernel's buffer and in this one, is the last. To ask once more, until
/// nothing comes, has the kernel walk over all connections of the host again, which is most of the time that a table of
/// TCP takes. Source: `seq_read_iter` in `fs/seq_file.c`, `tcp_seq_start` in `net/ipv4/tcp_ipv4.c`.
fn whole(mut table: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = match table.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            length => length?,
        };
        text.extend_from_slice(&piece[..length]);
        if length < PAGE - MOST_ROW {
            return Ok(text);
        }
    }
}

/// Whether the kernel counts no TCP socket of the family here, those left out that no process has: connections that are
/// being established or are over. Two looks must agree, since the count is a sum over the processors, and sockets may come
/// and go on several of them while it is made. Source: `sockstat_seq_show` in `net/ipv4/proc.c`, `net/ipv6/proc.c`.
pub fn has_no_tcp(directory: &Path, family: Family) -> bool {
    let (file, line) = match family {
        Family::Ipv4 => ("sockstat", "TCP: inuse 0"),
        Family::Ipv6 => ("sockstat6", "TCP6: inuse 0"),
    };
    let path = directory.join(file);
    let is_none = |text: &str| text.lines().any(|other| other == line || other.starts_with(&format!("{line} ")));
    (0..2).all(|_| std::fs::read_to_string(&path).is_ok_and(|text| is_none(&text)))
}

/// Appends the well-formed rows; returns how many lines are malformed.
pub fn parse(text: &[u8], protocol: Protocol, family: Family, rows: &mut Vec<KernelSocket>) -> usize {
    let mut malformed = 0;
    for line in text.split(|byte| *byte == b'\n').skip(1).filter(|line| !line.is_empty()) {
        match std::str::from_utf8(line).ok().and_then(|line| entry(line, protocol, family)) {
            Some(entry) => rows.push(entry),
            None => malformed += 1,
        }
    }
    malformed
}

fn entry(line: &str, protocol: Protocol, family: Family) -> Option<KernelSocket> {
    // sl local rem st tx:rx tr:when retrnsmt uid timeout inode ...
    let mut fields = line.split_ascii_whitespace().skip(1);
    let mut next = || fields.next();
    let (local, peer) = (end(next()?, family)?, end(next()?, family)?);
    let state = u8::from_str_radix(next()?, 16).ok()?;
    let (send_queue, receive_queue) = hex_pair(next()?)?;
    let (timer, when) = hex_pair(next()?)?;
    let retransmits = u32::from_str_radix(next()?, 16).ok()?;
    let uid = next()?.parse().ok()?;
    let _timeout = next()?;
    let inode = next()?.parse().ok()?;
    Some(KernelSocket {
        protocol,
        family,
        state,
        local,
        peer,
        interface: 0,
        cookie: None,
        uid,
        inode,
        receive_queue,
        send_queue,
        timer: u8::try_from(timer).ok()?,
        retries: u8::try_from(retransmits).unwrap_or(u8::MAX),
        // In ticks of USER_HZ, which is 100 on every port of Linux.
        expires: if timer == 0 { 0 } else { when.saturating_mul(10) },
        v6only: None,
        cgroup: None,
        traffic: None,
    })
}

/// `0100007F:1F90`: the address as words in the machine's order, each in hexadecimal.
fn end(text: &str, family: Family) -> Option<Endpoint> {
    let (words, port) = text.split_once(':')?;
    let count = if family == Family::Ipv4 { 1 } else { 4 };
    if words.len() != count * 8 || !words.is_ascii() {
        return None;
    }
    let mut octets = [0; 16];
    for (index, octets) in octets.chunks_exact_mut(4).take(count).enumerate() {
        let word = u32::from_str_radix(&words[index * 8..index * 8 + 8], 16).ok()?;
        octets.copy_from_slice(&word.to_ne_bytes());
    }
    let port = if port.len() == 4 { u16::from_str_radix(port, 16).ok()? } else { return None };
    Some(Endpoint::new(address(family, octets), port))
}

fn hex_pair(text: &str) -> Option<(u32, u32)> {
    let (first, second) = text.split_once(':')?;
    Some((u32::from_str_radix(first, 16).ok()?, u32::from_str_radix(second, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
    // On a big-endian machine the kernel would write these words the other way round.
    #[cfg(target_endian = "little")]
    const LISTENER: &str = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000003 00:00000000 00000000    33        0 4242 1 0000000000000000 100 0 0 10 0\n";

    fn rows(text: &str, family: Family) -> (Vec<KernelSocket>, usize) {
        let mut rows = Vec::new();
        let malformed = parse(text.as_bytes(), Protocol::Tcp, family, &mut rows);
        (rows, malformed)
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn a_line_is_read() {
        let (rows, malformed) = rows(&format!("{HEAD}{LISTENER}"), Family::Ipv4);
        assert_eq!(malformed, 0);
        assert_eq!(rows[0].local.to_string(), "127.0.0.1:8080");
        assert_eq!((rows[0].state, rows[0].uid, rows[0].inode, rows[0].receive_queue), (10, 33, 4242, 3));
        assert_eq!((rows[0].cookie, rows[0].v6only), (None, None));
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn an_ipv6_line_and_a_long_slot_number_are_read() {
        let line = "123456: 00000000000000000000000001000000:0016 B80D0120000000000000000001000000:C001 06 00000000:00000000 03:000001F4 00000000     0        0 0 3 0000000000000000\n";
        let (rows, _) = rows(&format!("{HEAD}{line}"), Family::Ipv6);
        assert_eq!(rows[0].local.to_string(), "[::1]:22");
        assert_eq!(rows[0].peer.to_string(), "[2001:db8::1]:49153");
        assert_eq!((rows[0].state, rows[0].expires), (6, 5000));
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn malformed_lines_are_counted_and_their_neighbours_kept() {
        for bad in [
            "x\n",
            "0: 0100007F:1F90\n",
            "0: 0100007:1F90 00000000:0000 0A 0:0 0:0 0 0 0 1\n",
            "\u{e9}\n",
            "0: 0100007F:1F90 00000000:0000 ZZ 0:0 0:0 0 0 0 1\n",
        ] {
            let (rows, malformed) = rows(&format!("{HEAD}{LISTENER}{bad}{LISTENER}"), Family::Ipv4);
            assert_eq!((rows.len(), malformed), (2, 1), "{bad}");
        }
    }

    #[test]
    fn a_missing_table_of_ipv6_means_no_ipv6() {
        let empty = std::env::temp_dir().join(format!("portscope-no-ipv6-{}", std::process::id()));
        std::fs::create_dir_all(&empty).unwrap();
        let mut rows = Vec::new();
        assert!(matches!(read(&empty, Protocol::Tcp, Family::Ipv6, &mut rows), Ok(0)));
        assert!(read(&empty, Protocol::Tcp, Family::Ipv4, &mut rows).is_err());
        std::fs::remove_dir(&empty).unwrap();
    }

    #[test]
    fn a_table_is_read_up_to_a_piece_with_room_for_another_row_and_never_beyond() {
        struct Pieces(Vec<usize>);
        impl Read for Pieces {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = self.0.remove(0);
                buffer[..length].fill(b'x');
                Ok(length)
            }
        }
        for (pieces, left) in [(vec![4050, 65_536, 3600, 150, 150], 1), (vec![0, 1], 1), (vec![4050, 0], 0)] {
            let whole_length: usize = pieces[..pieces.len() - left].iter().sum();
            let mut table = Pieces(pieces);
            assert_eq!(whole(&mut table).unwrap().len(), whole_length);
            assert_eq!(table.0.len(), left);
        }
    }

    #[test]
    fn a_space_has_no_tcp_only_where_the_kernel_says_so() {
        let folder = std::env::temp_dir().join(format!("portscope-no-tcp-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let says = |file: &str, text: &str, family| {
            std::fs::write(folder.join(file), text).unwrap();
            has_no_tcp(&folder, family)
        };
        let head = "sockets: used 7\n";
        assert!(says(
            "sockstat",
            &format!("{head}TCP: inuse 0 orphan 0 tw 0 alloc 9 mem 0\nUDP: inuse 1\n"),
            Family::Ipv4
        ));
        assert!(!says("sockstat", &format!("{head}TCP: inuse 01 orphan 0 tw 0 alloc 9 mem 0\n"), Family::Ipv4));
        assert!(!says("sockstat", head, Family::Ipv4));
        assert!(says("sockstat6", "TCP6: inuse 0\nUDP6: inuse 4\n", Family::Ipv6));
        assert!(!says("sockstat6", "TCP6: inuse 2\nUDP6: inuse 0\n", Family::Ipv6));
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(!has_no_tcp(&folder, Family::Ipv4));
        let _listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        assert!(!has_no_tcp("/proc/self/net".as_ref(), Family::Ipv4));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_lose_a_neighbour(before in any::<Vec<u8>>(), after in any::<Vec<u8>>()) {
            let good = &b"\n0: 00000000:0050 00000000:0000 0A 0:0 0:0 0 7 0 99\n"[..];
            let text = [&before, good, &after].concat();
            let mut rows = Vec::new();
            parse(&text, Protocol::Tcp, Family::Ipv4, &mut rows);
            prop_assert!(rows.iter().any(|row| row.inode == 99));
        }
    }
}
