//! What is on a port that could not be bound: every socket there, also connections and those in TIME_WAIT, which no table
//! of open ports has.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::collect::CollectError;
use crate::collect::linux::holdings::Holdings;
use crate::collect::linux::procfs::Processes;
use crate::collect::linux::tables::{OWN_TABLES, Tables};
use crate::collect::linux::{owners, process, spaces};
use crate::model::{Act, BindError, Need, Pid, Port, Process, Protocol, Reach, Sighting, Socket, SpaceId, State};

/// Where a bind has failed.
type Place = (SpaceId, Protocol, Port);

/// Of so few ports of one space each is asked for by itself; of more all sockets are listed once.
const FEW: usize = 8;

/// Looks at ports that could not be bound.
pub struct OnPort {
    own: SpaceId,
    need: Need,
    /// The tables of this process's own space, once they were needed.
    tables: Option<Tables>,
}

impl OnPort {
    pub fn new(own: SpaceId, need: &Need) -> OnPort {
        OnPort { own, need: Need { states: None, ports: None, ..need.clone() }, tables: None }
    }

    /// Adds what is on the ports to each bind that failed because its port was in use. In spaces that a table has had
    /// listeners are known with their owners; where none of them takes the address that was asked for, owners are looked
    /// for.
    pub fn look(
        &mut self,
        sightings: &mut [Sighting],
        known: &BTreeSet<SpaceId>,
        processes: &mut BTreeMap<Pid, Process>,
    ) {
        let places: BTreeSet<Place> = sightings.iter().filter_map(place).collect();
        if places.is_empty() {
            return;
        }
        let mut found = self.all_on(&places);
        let is_explained = |sighting: &Sighting| {
            let on_port = place(sighting).and_then(|place| found.get(&place));
            let is_known = |socket: &&Socket| known.contains(&socket.space) && is_open(socket);
            on_port.into_iter().flatten().filter(is_known).any(|socket| meets(&sighting.socket, socket))
        };
        let unexplained: BTreeSet<Place> =
            sightings.iter().filter(|sighting| !is_explained(sighting)).filter_map(place).collect();
        self.find_owners(&mut found, &unexplained, processes);
        for sighting in sightings {
            if let Some(sockets) = place(sighting).and_then(|place| found.get(&place))
                && let Act::BindFailed { on_port, .. } = &mut sighting.act
            {
                on_port.clone_from(sockets);
            }
        }
    }

    fn all_on(&mut self, places: &BTreeSet<Place>) -> HashMap<Place, Vec<Socket>> {
        let mut of_spaces: BTreeMap<SpaceId, BTreeSet<(Protocol, Port)>> = BTreeMap::new();
        for (space, protocol, port) in places {
            of_spaces.entry(*space).or_default().insert((*protocol, *port));
        }
        let mut found: HashMap<Place, Vec<Socket>> = HashMap::new();
        for (space, ports) in of_spaces {
            let need = &self.need;
            let listed = if space == self.own {
                let open = || Tables::open(space, vec![OWN_TABLES.into()]);
                list(self.tables.get_or_insert_with(open), &ports, need)
            } else {
                list_elsewhere(space, &ports, need)
            };
            // What cannot be read, as of a space that is gone by now, names nobody.
            for socket in listed.unwrap_or_default() {
                found.entry((space, socket.protocol, socket.local.port)).or_default().push(socket);
            }
        }
        found
    }

    fn find_owners(
        &self,
        found: &mut HashMap<Place, Vec<Socket>>,
        places: &BTreeSet<Place>,
        processes: &mut BTreeMap<Pid, Process>,
    ) {
        let mut sockets: Vec<Socket> = places.iter().filter_map(|place| found.remove(place)).flatten().collect();
        if sockets.iter().any(|socket| socket.inode.is_some()) {
            let mut finder = owners::Finder::start(&self.need, &Processes::default(), true);
            // Nothing is listed again: what has gone by now was in the way all the same.
            let list_again = |in_doubt: &[Socket]| Ok(in_doubt.to_vec());
            if let Ok((_, facts)) = owners::assign(&mut sockets, &mut finder, list_again) {
                for (pid, process) in process::describe(&Holdings::of(&sockets), &self.need, &facts) {
                    processes.entry(pid).or_insert(process);
                }
            }
        }
        for socket in sockets {
            found.entry((socket.space, socket.protocol, socket.local.port)).or_default().push(socket);
        }
    }
}

/// Where a bind has failed because the port was in use.
fn place(sighting: &Sighting) -> Option<Place> {
    let socket = &sighting.socket;
    let is_in_use = matches!(sighting.act, Act::BindFailed { error: BindError::InUse, .. });
    (is_in_use && socket.local.port.get() != 0).then_some((socket.space, socket.protocol, socket.local.port))
}

/// Says whether it is one of those that a table of open ports has.
fn is_open(socket: &Socket) -> bool {
    matches!(socket.state, Some(State::Listen | State::Bound | State::Unconnected))
}

fn meets(asked: &Socket, other: &Socket) -> bool {
    Reach::of(asked.local.address, asked.v6only == Some(true)).meets(other.reach())
}

fn list(tables: &mut Tables, ports: &BTreeSet<(Protocol, Port)>, need: &Need) -> Result<Vec<Socket>, CollectError> {
    if ports.len() > FEW {
        let protocols: BTreeSet<Protocol> = ports.iter().map(|(protocol, _)| *protocol).collect();
        let need = Need { protocols: protocols.into_iter().collect(), ..need.clone() };
        return tables.sockets(&need, &|entry| ports.contains(&(entry.protocol, entry.local.port)));
    }
    let mut sockets = Vec::new();
    for (protocol, port) in ports {
        let need = Need { protocols: vec![*protocol], ..need.clone() };
        sockets.extend(tables.sockets_on(*port, &need)?);
    }
    Ok(sockets)
}

/// The same in a space that has to be entered first.
fn list_elsewhere(
    space: SpaceId,
    ports: &BTreeSet<(Protocol, Port)>,
    need: &Need,
) -> Result<Vec<Socket>, CollectError> {
    let found = spaces::find(false, &Processes::default()).unwrap_or_default();
    let namespace = found.iter().find(|namespace| namespace.space.id == space);
    let opened = namespace.and_then(|namespace| spaces::within(namespace, || Tables::open(space, Vec::new())).ok());
    opened.map_or_else(|| Ok(Vec::new()), |mut tables| list(&mut tables, ports, need))
}
