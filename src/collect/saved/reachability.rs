//! What a report says that the firewall's rules do to a port.

use super::document as saved;
use super::facts::target;
use crate::model::{Destination, Lead, Reachability, Redirection, RuleName, Senders, ToPort};

/// Reads the answers for both classes of senders.
pub fn reachability(known: &saved::Reachability) -> Result<Reachability, String> {
    Ok(Reachability {
        outside: redirection(&known.outside)?,
        local: redirection(&known.local)?,
        filtered: known.filtered.as_deref().map(rule),
    })
}

fn redirection(known: &saved::Redirection) -> Result<Redirection, String> {
    let lead = || -> Result<Lead, String> {
        let to = known.to.as_ref().ok_or("a redirect without its target")?;
        let target = target(to)?;
        let port = target.ports.map_or(ToPort::Unknown, ToPort::In);
        let name = known.rule.as_deref().ok_or("a redirect without its rule")?;
        Ok(Lead { to: Destination { address: target.address, port }, rule: rule(name), service: None })
    };
    match known.answer.as_str() {
        "not" => Ok(Redirection::Not),
        "certain" => Ok(Redirection::Certain(lead()?)),
        "some" => {
            let others = known.senders.clone().into_iter().collect();
            Ok(Redirection::Some(lead()?, Senders { others, ..Senders::default() }))
        }
        "unknown" => Ok(Redirection::Unknown(known.reason.clone().unwrap_or_default())),
        other => Err(format!("`{other}` is not an answer about redirects")),
    }
}

/// A report names a rule by its text, which is kept whole.
fn rule(text: &str) -> RuleName {
    RuleName { table: text.to_owned(), chain: String::new(), number: 0 }
}
