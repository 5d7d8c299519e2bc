//! The ports that browsers refuse to fetch from, whatever listens there.
//!
//! Source: WHATWG Fetch Standard, section "Port blocking" (<https://fetch.spec.whatwg.org/#port-blocking>), as of 2025,
//! with the names that it gives; 0 is left out, because no program can listen on it.

use crate::model::Port;

/// Bad ports and what they are known for, by number; `-` where the standard has no name.
const BAD_PORTS: [(u16, &str); 82] = [
    (1, "tcpmux"),
    (7, "echo"),
    (9, "discard"),
    (11, "systat"),
    (13, "daytime"),
    (15, "netstat"),
    (17, "qotd"),
    (19, "chargen"),
    (20, "ftp-data"),
    (21, "ftp"),
    (22, "ssh"),
    (23, "telnet"),
    (25, "smtp"),
    (37, "time"),
    (42, "name"),
    (43, "nicname"),
    (53, "domain"),
    (69, "tftp"),
    (77, "-"),
    (79, "finger"),
    (87, "-"),
    (95, "supdup"),
    (101, "hostname"),
    (102, "iso-tsap"),
    (103, "gppitnp"),
    (104, "acr-nema"),
    (109, "pop2"),
    (110, "pop3"),
    (111, "sunrpc"),
    (113, "auth"),
    (115, "sftp"),
    (117, "uucp-path"),
    (119, "nntp"),
    (123, "ntp"),
    (135, "epmap"),
    (137, "netbios-ns"),
    (139, "netbios-ssn"),
    (143, "imap"),
    (161, "snmp"),
    (179, "bgp"),
    (389, "ldap"),
    (427, "svrloc"),
    (465, "submissions"),
    (512, "exec"),
    (513, "login"),
    (514, "shell"),
    (515, "printer"),
    (526, "tempo"),
    (530, "courier"),
    (531, "chat"),
    (532, "netnews"),
    (540, "uucp"),
    (548, "afp"),
    (554, "rtsp"),
    (556, "remotefs"),
    (563, "nntps"),
    (587, "submission"),
    (601, "syslog-conn"),
    (636, "ldaps"),
    (989, "ftps-data"),
    (990, "ftps"),
    (993, "imaps"),
    (995, "pop3s"),
    (1719, "h323gatestat"),
    (1720, "h323hostcall"),
    (1723, "pptp"),
    (2049, "nfs"),
    (3659, "apple-sasl"),
    (4045, "npp"),
    (4190, "sieve"),
    (5060, "sip"),
    (5061, "sips"),
    (6000, "x11"),
    (6566, "sane-port"),
    (6665, "ircu"),
    (6666, "ircu"),
    (6667, "ircu"),
    (6668, "ircu"),
    (6669, "ircu"),
    (6679, "osaut"),
    (6697, "ircs-u"),
    (10080, "amanda"),
];

/// Says whether browsers refuse the port.
pub fn is_bad(port: Port) -> bool {
    BAD_PORTS.binary_search_by_key(&port.get(), |(number, _)| *number).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_and_names_what_the_standard_names() {
        assert!(BAD_PORTS.is_sorted_by(|a, b| a.0 < b.0));
        for number in [1, 6000, 6667, 6679, 10080] {
            assert!(is_bad(Port::new(number)), "{number}");
        }
        for number in [80, 443, 3000, 5000, 8080, 8443] {
            assert!(!is_bad(Port::new(number)), "{number}");
        }
    }
}
