//! The flags that say which sockets are meant.

use std::collections::BTreeSet;

use clap::Args;

use super::nearest::suggesting;
use super::{OutputArgs, ProtocolArgs, SourceArgs, SpaceArgs, one_of};
use crate::error::Error;
use crate::expression::Expression;
use crate::model::{Category, Exposure, Family, Listing, Need, Pid, Port, PortRange, Protocol, Row, State};
use crate::render::document::listing;
use crate::select::{Filter, Pattern, Peer, Ports, StateSet, Target, TargetKind, TargetList, UserName, Wanted};

/// Which sockets are meant: values of one flag are OR-ed, flags are AND-ed.
#[derive(Args, Clone, Debug)]
pub struct SelectionArgs {
    /// Ports, addresses, or names: 8080, 53/udp, 8000-8100, 127.0.0.1:8080, :http, nginx
    ///
    /// A port `8080` or `:8080`, several `3000,5173`, a range `8000-8100`, a port with its protocol `53/udp`, a service
    /// `:http`, an address and port `127.0.0.1:8080`, `[::1]:8080`, `[fe80::1%eth0]:8080`, `*:8080` or `localhost:8080`,
    /// an address `127.0.0.1`, or a name: of a service (`ssh`, `postgresql`), or the start of the name of a process
    /// (`nginx`), a systemd unit (`sshd.service`), or a container. An address also matches wildcard listeners that answer
    /// there. With several targets, lists the sockets that match any of them.
    #[arg(value_name = "TARGET")]
    pub targets: Vec<TargetList>,

    #[command(flatten, next_help_heading = "Which sockets")]
    pub protocols: ProtocolArgs,

    /// Only listeners: TCP LISTEN, and UDP without a peer outside the ephemeral range
    #[arg(short = 'l', long, visible_alias = "listen", help_heading = "Which sockets")]
    pub listening: bool,

    /// Sockets in every state, even with -l
    #[arg(short = 'a', long, help_heading = "Which sockets")]
    pub all: bool,

    /// IPv4 sockets only
    #[arg(short = '4', long, help_heading = "Which sockets")]
    pub ipv4: bool,

    /// IPv6 sockets only
    #[arg(short = '6', long, help_heading = "Which sockets")]
    pub ipv6: bool,

    /// Accepted for compatibility with ss; owners are always shown
    #[arg(short = 'p', long, help_heading = "Which sockets")]
    pub processes: bool,

    /// Accepted for compatibility with ss and netstat
    #[arg(short = 'e', long, hide = true)]
    pub extended: bool,

    /// Only this local port or range
    #[arg(long = "port", value_name = "PORT|LOW-HIGH", value_delimiter = ',', help_heading = "Filters")]
    pub ports: Vec<PortRange>,

    /// Only this state: listen, established, time-wait, ...; `connected` is every state of a connection
    #[arg(long = "state", value_name = "STATE", value_delimiter = ',', value_parser = parse_state, help_heading = "Filters")]
    pub states: Vec<StateSet>,

    /// Only processes whose name starts with NAME
    #[arg(long = "process", value_name = "NAME", value_delimiter = ',', value_parser = parse_name, help_heading = "Filters")]
    pub process_names: Vec<String>,

    /// Only sockets of this process
    #[arg(long = "pid", value_name = "PID", value_delimiter = ',', value_parser = parse_pid, help_heading = "Filters")]
    pub pids: Vec<Pid>,

    /// Only processes whose project starts with NAME: a folder, or PROJECT/SERVICE of Compose
    #[arg(long = "project", value_name = "NAME", value_delimiter = ',', value_parser = parse_name, help_heading = "Filters")]
    pub projects: Vec<String>,

    /// Only sockets of this user, by name or number: the one that created the socket or runs its process
    #[arg(long = "user", value_name = "USER", value_delimiter = ',', value_parser = parse_user, help_heading = "Filters")]
    pub users: Vec<String>,

    /// Only local ports in this category
    #[arg(long = "category", value_name = "CATEGORY", value_delimiter = ',', value_parser = one_of(&Category::ALL, Category::name), help_heading = "Filters")]
    pub categories: Vec<Category>,

    /// Only sockets that this part of the network can reach, judged by the local address
    #[arg(long = "exposure", value_name = "EXPOSURE", value_delimiter = ',', value_parser = one_of(&Exposure::ALL, Exposure::name), help_heading = "Filters")]
    pub exposures: Vec<Exposure>,

    #[command(flatten, next_help_heading = "Filters")]
    pub space: SpaceArgs,

    /// Only connections to this peer: ADDR, ADDR/BITS, ADDR:PORT, or :PORT
    #[arg(long = "peer", value_name = "PEER", value_delimiter = ',', help_heading = "Filters")]
    pub peers: Vec<Peer>,

    /// Only sockets for which a CEL condition holds, such as 'local.port > 1023 && owner.tier == "process"'
    ///
    /// The fields of a socket are variables: space, protocol, family, local.address, local.port, peer, state, category,
    /// service, exposure, device, v6only, queue, pending, inode, uid, user, cookie, autobound, time_left_ms, timer, traffic, forward, reachability, activation, owner, peer_owner (`portscope schema` describes them). An
    /// unknown field is null. Null equals only null, and reading a field of null is an error, so test for it first:
    /// `peer != null && peer.port == 443`. If the option is repeated, every condition must hold.
    #[arg(long = "where", value_name = "CEL", help_heading = "Filters")]
    pub conditions: Vec<Expression>,

    #[command(flatten)]
    pub source: SourceArgs,
}

impl SelectionArgs {
    /// What must be collected to answer.
    pub fn need(&self, output: &OutputArgs) -> Need {
        let has_word = self.targets().any(|target| matches!(target.kind, TargetKind::Word(_)));
        let families = self.families();
        self.source.asked(Need {
            protocols: self.need_protocols(),
            families: if families.is_empty() { Family::ALL.to_vec() } else { families },
            states: self.states(),
            named_ports: self.named_ports(),
            argv: output.wants_argv(),
            traffic: output.wants_traffic() || self.asks_for_traffic(),
            runs: output.wants_runs() || has_word || !self.conditions.is_empty(),
            project: output.wants_project() || !self.projects.is_empty() || !self.conditions.is_empty(),
            belonging: output.wants_belonging() || has_word || !self.conditions.is_empty() || !self.projects.is_empty(),
            exe: output.wants_exe() || has_word || !self.process_names.is_empty() || !self.conditions.is_empty(),
            spaces: self.space.choice(),
            ..Need::default()
        })
    }

    /// The ports that were named by number.
    fn named_ports(&self) -> Vec<PortRange> {
        let of_targets = self.targets().filter_map(|target| match &target.kind {
            TargetKind::Ports(Ports::Range(range)) | TargetKind::Endpoint(_, Ports::Range(range)) => Some(*range),
            _ => None,
        });
        of_targets.chain(self.ports.iter().copied()).collect()
    }

    /// What must be known of sockets to say what happens to them; their arguments only when asked for.
    pub fn need_of_events(&self, argv: bool) -> Need {
        let families = self.families();
        self.source.asked(Need {
            protocols: self.protocols.or_every(),
            families: if families.is_empty() { Family::ALL.to_vec() } else { families },
            argv,
            runs: true,
            project: true,
            belonging: true,
            exe: true,
            spaces: self.space.choice(),
            ..Need::default()
        })
    }

    /// The targets, in the order in which they were typed.
    pub fn targets(&self) -> impl Iterator<Item = &Target> {
        TargetList::all(&self.targets)
    }

    /// The protocols whose sockets are listed: those of the flags, and those that targets name.
    fn need_protocols(&self) -> Vec<Protocol> {
        let own: Vec<Protocol> = self.targets().filter_map(|target| target.protocol).collect();
        let all_have_one = !self.targets.is_empty() && self.targets().all(|target| target.protocol.is_some());
        let default = self.protocols.protocols();
        let is_wanted = |protocol: &Protocol| own.contains(protocol) || (!all_have_one && default.contains(protocol));
        Protocol::ALL.into_iter().filter(is_wanted).collect()
    }

    /// Says whether there are flags that leave out sockets on a port that was asked for.
    pub fn has_filters(&self) -> bool {
        self.ipv4 != self.ipv6
            || !(self.ports.is_empty()
                && self.states.is_empty()
                && self.process_names.is_empty()
                && self.pids.is_empty()
                && self.users.is_empty()
                && self.categories.is_empty()
                && self.exposures.is_empty()
                && self.peers.is_empty()
                && self.conditions.is_empty())
    }

    /// Says whether the question is about particular sockets, so that finding none is an answer of its own.
    pub fn is_specific(&self) -> bool {
        !(self.targets.is_empty()
            && self.ports.is_empty()
            && self.process_names.is_empty()
            && self.pids.is_empty()
            && self.projects.is_empty()
            && self.users.is_empty()
            && self.peers.is_empty())
    }

    /// Says whether a condition may ask who holds the other end of a connection.
    pub fn asks_for_peers(&self) -> bool {
        !self.conditions.is_empty()
    }

    /// Says whether a condition may ask what connections have carried.
    pub fn asks_for_traffic(&self) -> bool {
        self.conditions.iter().any(|condition| condition.names("traffic"))
    }

    /// Says whether sockets that no process holds are only counted for a person: nothing was asked for that they are.
    pub fn folds_leftovers(&self) -> bool {
        !self.all && self.states.is_empty() && self.targets.is_empty() && !self.is_specific()
    }

    /// The states that can pass the filters.
    fn states(&self) -> Option<Vec<State>> {
        if self.listening && !self.all {
            return Some(vec![State::Listen, State::Unconnected, State::Redirect]);
        }
        let named = |state: &State| self.states.iter().any(|states| states.contains(*state));
        (!self.states.is_empty()).then(|| State::ALL.into_iter().filter(named).collect())
    }

    /// What was typed as a filter; words are looked up with `ports_named`.
    pub fn filter(&self, ports_named: impl Fn(&str) -> BTreeSet<(Port, Protocol)>) -> Filter {
        Filter {
            targets: self.targets().map(|target| Wanted::new(target, &ports_named)).collect(),
            protocols: self.protocols.protocols(),
            families: self.families(),
            listeners_only: self.listening && !self.all,
            states: self.states.clone(),
            processes: self.process_names.iter().map(|name| Pattern::new(name)).collect(),
            pids: self.pids.clone(),
            projects: self.projects.iter().map(|name| Pattern::new(name)).collect(),
            users: self.users.iter().map(|name| UserName::new(name)).collect(),
            categories: self.categories.clone(),
            exposures: self.exposures.clone(),
            spaces: self.space.spaces.clone(),
            ports: self.ports.clone(),
            peers: self.peers.clone(),
        }
    }

    /// Keeps the rows for which every `--where` holds. A condition without an answer for one of them is an error, and all
    /// rows stay.
    pub fn keep_where(&self, listing: &mut Listing<'_>) -> Result<(), Error> {
        let before = listing.rows.len();
        let holds = |row: &Row<'_>| {
            // Made anew for each row: the objects of all of them would not find room.
            let object = serde_json::to_value(listing::socket(row)).unwrap_or_default();
            for condition in &self.conditions {
                let holds = condition.holds(&object).map_err(|problem| {
                    let socket = row.socket;
                    Error::Usage(format!("--where, for {} {}: {problem}", socket.protocol.name(), socket.local))
                })?;
                if !holds {
                    return Ok(false);
                }
            }
            Ok::<bool, Error>(true)
        };
        if !self.conditions.is_empty() {
            let kept: Vec<bool> = listing.rows.iter().map(holds).collect::<Result<_, _>>()?;
            let mut kept = kept.into_iter();
            listing.rows.retain(|_| kept.next() == Some(true));
        }
        listing.filtered |= listing.rows.len() < before;
        Ok(())
    }

    fn families(&self) -> Vec<Family> {
        match (self.ipv4, self.ipv6) {
            (true, false) => vec![Family::Ipv4],
            (false, true) => vec![Family::Ipv6],
            (true, true) | (false, false) => Vec::new(),
        }
    }
}

fn parse_state(text: &str) -> Result<StateSet, String> {
    let names = State::ALL.into_iter().map(|state| state.name().to_ascii_lowercase());
    text.parse().map_err(|problem| suggesting(problem, text, names.chain(["connected".to_owned()])))
}

fn parse_pid(text: &str) -> Result<Pid, String> {
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map(Pid).ok_or_else(|| format!("`{text}` is not a process ID: expected 1 or more"))
}

/// Reads the beginning of a name. An empty one would be that of every name.
pub fn parse_name(text: &str) -> Result<String, String> {
    let name = (!text.is_empty()).then(|| text.to_owned());
    name.ok_or_else(|| "an empty name is the beginning of every name: expected at least one letter of it".to_owned())
}

fn parse_user(text: &str) -> Result<String, String> {
    let name = (!text.is_empty()).then(|| text.to_owned());
    name.ok_or_else(|| "nobody has an empty name: expected the name or the number of a user".to_owned())
}
