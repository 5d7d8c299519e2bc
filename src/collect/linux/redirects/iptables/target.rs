//! The targets of iptables.

use std::net::IpAddr;

use super::Words;
use super::option::number;
use crate::collect::linux::redirects::ruleset::{Action, MarkBase, MarkValue, Step, Test, To, ToPort};

/// What a rule does, with the options of its target.
#[derive(Default)]
pub struct Target {
    name: String,
    goes_away: bool,
    address: Option<IpAddr>,
    port: Option<ToPort>,
    mark: Option<MarkValue>,
    sets_connection: bool,
    does_not_track: bool,
    is_unclear: bool,
}

impl Target {
    /// The target of that name; `goes_away` where it does not come back from the chain.
    pub fn named(name: &str, goes_away: bool) -> Target {
        Target { name: name.to_owned(), goes_away, ..Target::default() }
    }

    /// Reads one of its options; returns a test if the option belongs to a match instead.
    pub fn option(&mut self, option: &str, words: &mut Words<'_>) -> Option<Test> {
        match (self.name.as_str(), option) {
            ("DNAT", "--to-destination") => self.destination(words.take().unwrap_or_default()),
            ("REDIRECT", "--to-ports") => self.port = Some(to_port(words.take().unwrap_or_default())),
            ("TPROXY", "--on-port") => {
                let port = words.take().and_then(|port| port.parse::<u16>().ok());
                // 0 stands for the port that the packet was for.
                self.port = match port {
                    Some(0) => Some(ToPort::Same),
                    port => port.map(|port| ToPort::Between(port, port)),
                };
            }
            ("TPROXY", "--on-ip") => {
                let address: Option<IpAddr> = words.take().and_then(|address| address.parse().ok());
                self.address = address.filter(|address| !address.is_unspecified());
            }
            ("MARK", _) => self.mark = words.take().and_then(|value| changed(option, value, MarkBase::Packet)),
            ("CONNMARK", "--restore-mark") => self.mark = Some(MarkValue::of(MarkBase::Connection)),
            ("CONNMARK", "--save-mark") => {
                (self.mark, self.sets_connection) = (Some(MarkValue::of(MarkBase::Packet)), true);
            }
            ("CONNMARK", "--set-xmark" | "--set-mark" | "--and-mark" | "--or-mark" | "--xor-mark") => {
                self.mark = words.take().and_then(|value| changed(option, value, MarkBase::Connection));
                self.sets_connection = true;
            }
            // Only some bits are copied.
            ("CONNMARK", "--nfmask" | "--ctmask" | "--mask") => {
                if words.take().and_then(number) != Some(u32::MAX) {
                    self.mark = Some(MarkValue::UNKNOWN);
                }
            }
            ("CT", "--notrack") => self.does_not_track = true,
            _ => while words.value().is_some() {},
        }
        None
    }

    /// `172.17.0.2:80`, `[fd00::2]:80`, `172.17.0.2`, `172.17.0.2:8000-8100`; of several addresses the first.
    fn destination(&mut self, text: &str) {
        let (address, port) = match text.rsplit_once(':') {
            Some((address, port)) if address.starts_with('[') || !address.contains(':') => {
                (address, Some(to_port(port)))
            }
            _ => (text, None),
        };
        let address = address.trim_start_matches('[').trim_end_matches(']').split('-').next().unwrap_or_default();
        self.address = address.parse().ok();
        self.port = port;
        // `:8080` changes the port alone.
        self.is_unclear = self.address.is_none();
    }

    /// What the rule does.
    pub fn steps(self) -> Vec<Step> {
        let to = To { address: self.address, port: self.port.unwrap_or(ToPort::Same) };
        let unclear = |why: String| Action::Unclear(why);
        let action = match self.name.as_str() {
            "ACCEPT" => Action::Accept,
            "DROP" | "REJECT" | "TARPIT" => Action::Drop,
            "RETURN" => Action::Return,
            "REDIRECT" => Action::Translate(to),
            "DNAT" if self.is_unclear => unclear("the target of a DNAT rule is not understood".to_owned()),
            "DNAT" => Action::Translate(to),
            "TPROXY" => Action::Proxy(to, true),
            "NOTRACK" => Action::DoNotTrack,
            "CT" if self.does_not_track => Action::DoNotTrack,
            "MARK" => Action::SetMark(self.mark.unwrap_or(MarkValue::UNKNOWN)),
            "CONNMARK" if self.sets_connection => Action::SetConnectionMark(self.mark.unwrap_or(MarkValue::UNKNOWN)),
            "CONNMARK" => Action::SetMark(self.mark.unwrap_or(MarkValue::UNKNOWN)),
            "NETMAP" | "NFQUEUE" | "QUEUE" | "SYNPROXY" | "HMARK" | "BALANCE" | "DNPT" | "SNPT" => {
                unclear(format!("the target {} is not followed", self.name))
            }
            // These change nothing about where a packet goes.
            "" | "MASQUERADE" | "SNAT" | "LOG" | "NFLOG" | "ULOG" | "TRACE" | "CT" | "TCPMSS" | "CHECKSUM"
            | "CLASSIFY" | "DSCP" | "TOS" | "TTL" | "HL" | "ECN" | "SECMARK" | "CONNSECMARK" | "SET" | "TEE"
            | "AUDIT" | "IDLETIMER" | "RATEEST" | "LED" | "TCPOPTSTRIP" => return Vec::new(),
            chain if self.goes_away => Action::Goto(chain.to_owned()),
            chain => Action::Jump(chain.to_owned()),
        };
        vec![Step::Act(action)]
    }
}

/// `80`, `8000-8100`, and `8000-8100/8000` for ports that move along with the first.
fn to_port(text: &str) -> ToPort {
    let Some((range, _)) = text.split_once('/') else {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        return match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => ToPort::Between(first, last),
            _ => ToPort::Unknown,
        };
    };
    to_port(range)
}

/// `--set-xmark 0x1/0xff` and its kin.
fn changed(option: &str, text: &str, base: MarkBase) -> Option<MarkValue> {
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (number(value)?, number(mask)?),
        None => (number(text)?, u32::MAX),
    };
    let base = Some(base);
    Some(match option {
        "--set-xmark" => MarkValue { base, and: !mask, or: 0, xor: value },
        "--set-mark" => MarkValue { base, and: !(mask | value), or: value, xor: 0 },
        "--and-mark" => MarkValue { base, and: value, or: 0, xor: 0 },
        "--or-mark" => MarkValue { base, and: u32::MAX, or: value, xor: 0 },
        "--xor-mark" => MarkValue { base, and: u32::MAX, or: 0, xor: value },
        _ => return None,
    })
}
