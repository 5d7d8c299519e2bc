//! The representative services that `portscope services` prints; their names win over other sources for TCP.

use crate::model::{Port, Service, ServiceSource};

const TABLE: &str = include_str!("well_known.txt");

/// One row of the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WellKnown {
    /// The port.
    pub port: Port,
    /// Its service.
    pub service: Service<'static>,
    aliases: &'static str,
}

impl WellKnown {
    /// Says whether this is the service's name or one of its aliases, in any case of letters.
    pub fn is_named(&self, name: &str) -> bool {
        self.names().any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The service's name and its aliases.
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let aliases = self.aliases.split(',').filter(|alias| *alias != "-");
        std::iter::once(self.service.name).chain(aliases)
    }
}

/// The rows, by port.
pub fn all() -> impl Iterator<Item = WellKnown> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(row)
}

/// The service of a TCP port.
pub fn service(port: Port) -> Option<Service<'static>> {
    // Most ports are above the table.
    if port.get() > 1023 {
        return None;
    }
    all().find(|row| row.port == port).map(|row| row.service)
}

fn row(line: &'static str) -> Option<WellKnown> {
    let mut fields = line.split('\t');
    let port = fields.next()?.parse().ok()?;
    let (name, aliases, description) = (fields.next()?, fields.next()?, fields.next()?);
    let service = Service { name, description: Some(description), source: ServiceSource::WellKnown };
    Some(WellKnown { port, service, aliases })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list from the product's design, written a second time on purpose.
    const DESIGN: &str = "20 ftp-data File Transfer [Default Data] · 21 ftp File Transfer · 22 ssh SSH Remote Login Protocol · 23 telnet Telnet · 25 smtp Simple Mail Transfer · 53 domain Domain Name Server · 67 bootps Bootstrap Protocol Server · 68 bootpc Bootstrap Protocol Client · 70 gopher Gopher · 79 finger Finger · 80 www-http World Wide Web HTTP · 88 kerberos Kerberos · 110 pop3 Post Office Protocol - Version 3 · 119 nntp Network News Transfer Protocol · 123 ntp Network Time Protocol · 137 netbios-ns NETBIOS Name Service · 138 netbios-dgm NETBIOS Datagram Service · 139 netbios-ssn NETBIOS Session Service · 161 snmp SNMP · 162 snmptrap SNMPTRAP · 179 bgp Border Gateway Protocol · 443 https http protocol over TLS/SSL · 445 microsoft-ds Microsoft-DS · 636 ldaps ldap protocol over TLS/SSL";

    #[test]
    fn the_table_is_the_designs_row_by_row() {
        let table: Vec<String> = all()
            .map(|row| format!("{} {} {}", row.port, row.service.name, row.service.description.unwrap_or("")))
            .collect();
        assert_eq!(table, DESIGN.split(" · ").collect::<Vec<_>>());
    }

    #[test]
    fn a_row_answers_to_its_aliases() {
        let port_of = |name| all().find(|row| row.is_named(name)).map(|row| row.port.get());
        for (name, port) in
            [("http", Some(80)), ("WWW", Some(80)), ("www-http", Some(80)), ("dns", Some(53)), ("-", None)]
        {
            assert_eq!(port_of(name), port, "{name}");
        }
    }
}
