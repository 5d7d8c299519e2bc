//! What the firewall does to what is sent to a port, in words.

use crate::model::{ForwardTarget, Port, Reachability, Redirection, RuleName, UNREAD};

/// `10.0.0.1:80`; this host's own address is left out.
pub fn target(to: ForwardTarget) -> String {
    match to.ports {
        Some(ports) if to.address.is_unspecified() => format!("port {ports} of this host"),
        _ => to.to_string(),
    }
}

fn rule(name: &RuleName) -> String {
    format!("firewall rule {name}")
}

/// Where connections to the port go that do not reach it, a sentence each.
pub fn notes(reachability: &Reachability, port: Port) -> Vec<String> {
    let classes = [(&reachability.outside, "other hosts"), (&reachability.local, "this host")];
    let note = |(redirection, whose): (&Redirection, &str)| match redirection {
        Redirection::Not => None,
        Redirection::Certain(lead) => {
            Some(format!("connections from {whose} go to {} ({})", target(lead.to.of(port)), rule(&lead.rule)))
        }
        Redirection::Some(lead, senders) => {
            let to = target(lead.to.of(port));
            Some(format!("some connections from {whose} ({senders}) go to {to} ({})", rule(&lead.rule)))
        }
        // That they were not read is said for all ports.
        Redirection::Unknown(why) if why == UNREAD => None,
        Redirection::Unknown(why) => {
            Some(format!("can't tell whether the firewall redirects connections from {whose}: {why}"))
        }
    };
    let filtered = reachability.filtered.as_ref();
    let filtered = filtered.map(|name| format!("the firewall drops connections from other hosts ({})", rule(name)));
    classes.into_iter().filter_map(note).chain(filtered).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Destination, Lead, Senders, ToPort};

    #[test]
    fn a_note_names_senders_target_and_rule() {
        let to = Destination { address: "10.0.0.2".parse().unwrap(), port: ToPort::Same };
        let rule = RuleName { table: "iptables nat".to_owned(), chain: "PREROUTING".to_owned(), number: 2 };
        let lead = Lead { to, rule: rule.clone(), service: None };
        let senders = Senders { interfaces: vec!["tun0".to_owned()], ..Senders::default() };
        let outside = Redirection::Some(lead.clone(), senders);
        let reachability = Reachability { outside, local: Redirection::Certain(lead), filtered: Some(rule) };
        let rule = "(firewall rule iptables nat PREROUTING rule 2)";
        assert_eq!(
            notes(&reachability, Port::new(80)),
            [
                format!("some connections from other hosts (via tun0) go to 10.0.0.2:80 {rule}"),
                format!("connections from this host go to 10.0.0.2:80 {rule}"),
                format!("the firewall drops connections from other hosts {rule}"),
            ]
        );
        assert!(notes(&Reachability::default(), Port::new(80)).is_empty());
    }
}
