//! Ports that are forwarded without a socket: rules of the firewall that change where a packet goes (DNAT).
//!
//! Containers are published so where no proxy runs, and so are the NodePorts of Kubernetes. Reading the rules takes
//! CAP_NET_ADMIN. That there are none is learnt from the kernel itself; only where there are some are the firewall's
//! own tools asked for them.

mod chains;
pub mod iptables;
mod matching;
pub mod nft;
mod rows;
mod rules;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use super::spaces;
use crate::collect::runtime;
use crate::model::{Family, Gap, Need, Port, Protocol, RulesUnread};
use chains::{Nat, Packets};
use rules::{Answer, Question, Redirect, Rules};

/// What was learnt of redirects in a namespace.
#[derive(Debug, Default)]
pub struct Redirects {
    found: Vec<Redirect>,
    /// Why some may be missing.
    pub gaps: Vec<Gap>,
}

impl Redirects {
    /// Nothing, because rows of this kind are not asked for.
    pub fn not_wanted() -> Redirects {
        Redirects::missing(RulesUnread::NotWanted)
    }

    /// Nothing, for this reason.
    pub fn missing(why: RulesUnread) -> Redirects {
        Redirects { found: Vec::new(), gaps: vec![gap(why)] }
    }

    /// Nothing, because nobody could look.
    pub fn not_looked_for(error: &std::io::Error) -> Redirects {
        let is_refused = error.kind() == std::io::ErrorKind::PermissionDenied;
        let problem = error.to_string();
        Redirects::missing(if is_refused { RulesUnread::Refused { problem } } else { RulesUnread::Failed { problem } })
    }

    /// The same, with the space that the gaps are of.
    pub fn of_space(mut self, label: &str) -> Redirects {
        for gap in &mut self.gaps {
            if let Gap::Redirects { space, .. } = gap {
                *space = Some(label.to_owned());
            }
        }
        self
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// Reads the redirects of the namespace that this process is in.
pub fn read(need: &Need) -> Redirects {
    match chains::with_nat(Packets::All) {
        Ok(nat) => of_tables(nat, need),
        Err(error) => Redirects::not_looked_for(&error),
    }
}

/// Reads those of another namespace, which the calling thread has entered, unless it is too late for that. What happens
/// to packets that are sent in it does not concern who looks from outside: the engines of containers make such rules in
/// each for the names of the others.
pub fn read_entered(label: &str, need: &Need, end: Instant) -> Redirects {
    let redirects = match chains::with_nat(Packets::Incoming) {
        Ok(nat) if nat.any() && Instant::now() > end => Redirects::missing(RulesUnread::TooLate),
        Ok(nat) => of_tables(nat, need),
        Err(error) => Redirects::not_looked_for(&error),
    };
    redirects.of_space(label)
}

fn of_tables(nat: Nat, need: &Need) -> Redirects {
    if !nat.any() {
        return Redirects::default();
    }
    if !need.helpers {
        return Redirects::missing(RulesUnread::NotAsked);
    }
    let mut asked = Asked::new(need.ports.as_ref());
    if nat.by_nftables {
        match asked.of("nft", &["-j", "list", "ruleset"], &nft::parse) {
            // Rules that iptables made are written in its own language; nft does not translate all of them.
            Ok(answer) if answer.has_extensions => {
                // The tool of the older iptables, where only that is there, knows nothing of them.
                if !asked.iptables_of_today() {
                    let problem = "iptables-save does not show those that iptables made".to_owned();
                    asked.unread.push(RulesUnread::Tool { problem });
                }
            }
            Ok(_) => {}
            Err(error) => {
                asked.unread.push(RulesUnread::Tool { problem: error });
                asked.iptables_of_today();
            }
        }
    }
    if nat.by_older_ipv4 {
        asked.iptables(["iptables-legacy-save", "iptables-save"], Family::Ipv4);
    }
    if nat.by_older_ipv6 {
        asked.iptables(["ip6tables-legacy-save", "ip6tables-save"], Family::Ipv6);
    }
    Redirects { found: asked.found.into_iter().collect(), gaps: asked.unread.into_iter().map(gap).collect() }
}

fn gap(why: RulesUnread) -> Gap {
    Gap::Redirects { space: None, why, further_spaces: 0 }
}

/// The tools that were asked, and what they told together.
struct Asked<'a> {
    addresses: BTreeSet<std::net::IpAddr>,
    ports: Option<&'a BTreeSet<Port>>,
    found: BTreeSet<Redirect>,
    unread: Vec<RulesUnread>,
}

impl Asked<'_> {
    fn new(ports: Option<&BTreeSet<Port>>) -> Asked<'_> {
        let addresses = spaces::addresses(Path::new("/proc/thread-self/net"));
        Asked { addresses, ports, found: BTreeSet::new(), unread: Vec::new() }
    }

    fn of(
        &mut self,
        name: &'static str,
        arguments: &[&str],
        parse: &dyn Fn(&[u8]) -> Option<Rules>,
    ) -> Result<Answer, String> {
        let text = runtime::output(name, arguments).map_err(|error| error.to_string())?;
        let rules = parse(&text).ok_or_else(|| format!("the answer of {name} is not understood"))?;
        let mut answer = rules.redirects(Question { addresses: &self.addresses, ports: self.ports });
        self.found.append(&mut answer.redirects.drain(..).collect());
        self.unread.extend(answer.unread());
        Ok(answer)
    }

    /// Asks for the rules that today's iptables keeps in nftables; says whether there are any.
    fn iptables_of_today(&mut self) -> bool {
        let ipv4 = self.iptables(["iptables-nft-save", "iptables-save"], Family::Ipv4);
        let ipv6 = self.iptables(["ip6tables-nft-save", "ip6tables-save"], Family::Ipv6);
        ipv4 || ipv6
    }

    /// Asks the first of the tools that is there; says whether it shows any rules.
    fn iptables(&mut self, names: [&'static str; 2], family: Family) -> bool {
        let mut ask = |name| self.of(name, &["-t", "nat"], &|text| iptables::parse(text, family));
        match ask(names[0]).or_else(|_| ask(names[1])) {
            Ok(answer) => answer.steps > 0,
            Err(error) => {
                self.unread.push(RulesUnread::Tool { problem: error });
                false
            }
        }
    }
}

/// Reads the name of a protocol with ports.
fn protocol(name: &str) -> Option<Protocol> {
    Protocol::REGISTERED.into_iter().find(|protocol| protocol.name() == name)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
use tests::told;
