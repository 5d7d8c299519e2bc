//! The owners of many sockets as JSON. A process often holds thousands of them, and only its descriptor differs from one
//! socket to the next, so that what is known of it becomes text once.

use std::collections::HashMap;
use std::io;
use std::num::NonZeroU64;
use std::sync::OnceLock;

use crate::model::{Pid, Row, Snapshot, Socket};
use crate::render::document::listing;
use crate::render::document::owner::owner;
use crate::render::document::repeats::Repeats;

/// The owners that were made so far.
pub struct OwnerTexts(HashMap<Pid, OnceLock<OwnerText>>);

/// A process as the only holder of a socket that was made in this cgroup.
struct OwnerText {
    cgroup: Option<NonZeroU64>,
    before_descriptor: Vec<u8>,
    after_descriptor: Vec<u8>,
}

impl OwnerTexts {
    /// Those of the processes of a snapshot.
    pub fn of(snapshot: &Snapshot) -> OwnerTexts {
        OwnerTexts(snapshot.processes.keys().map(|pid| (*pid, OnceLock::new())).collect())
    }

    /// Writes the fields of the row's object and its end. `repeats` is the same for the rows of a block.
    pub fn write_row(&self, row: &Row<'_>, repeats: &mut Repeats, text: &mut Vec<u8>) -> io::Result<()> {
        listing::write_fields(row, &mut repeats.reachability, text)?;
        text.extend(b"\"owner\":");
        self.add(row.socket, repeats, text, |text| Ok(serde_json::to_writer(text, &owner(row))?))?;
        text.extend(b",\"peer_owner\":");
        match row.counterpart() {
            Some(peer) => {
                let write = |text: &mut Vec<u8>| Ok(serde_json::to_writer(text, &row.peer_row().as_ref().map(owner))?);
                self.add(peer, repeats, text, write)?;
            }
            None => text.extend(b"null"),
        }
        text.push(b'}');
        Ok(())
    }

    /// Adds the owner of a socket; `write` can write any.
    fn add(
        &self,
        socket: &Socket,
        repeats: &mut Repeats,
        text: &mut Vec<u8>,
        write: impl Fn(&mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        if socket.activation().is_some() {
            return write(text);
        }
        let holder = match socket.owner.holders() {
            [] => {
                let of = (socket.owner.clone(), socket.cgroup, socket.uid.is_some());
                return repeats.owner.add(of, text, |_, text| write(text));
            }
            [holder] => holder,
            _ => return write(text),
        };
        let Some(known) = self.0.get(&holder.pid) else { return write(text) };
        let known = known.get_or_init(|| {
            let mut whole = Vec::new();
            // What cannot be written here cannot be written below either.
            let _ = write(&mut whole);
            OwnerText::split(socket.cgroup, whole)
        });
        if known.cgroup != socket.cgroup || known.after_descriptor.is_empty() {
            return write(text);
        }
        text.extend(&known.before_descriptor);
        match holder.fd {
            Some(fd) => {
                text.extend(b"\"fd\":");
                serde_json::to_writer(&mut *text, &fd)?;
                text.extend(b",\"fds\":[");
                serde_json::to_writer(&mut *text, &fd)?;
                text.push(b']');
            }
            None => text.extend(b"\"fd\":null,\"fds\":[]"),
        }
        text.extend(&known.after_descriptor);
        Ok(())
    }
}

impl OwnerText {
    /// In front of the descriptors there are only words of this program and a number.
    fn split(cgroup: Option<NonZeroU64>, mut whole: Vec<u8>) -> OwnerText {
        let find = |part: &[u8], from: usize| Some(whole[from..].windows(part.len()).position(|at| at == part)? + from);
        let place = find(b"\"fd\":", 0).and_then(|start| Some((start, find(b"]", start)? + 1)));
        let (start, end) = place.unwrap_or((whole.len(), whole.len()));
        let after_descriptor = whole.split_off(end);
        whole.truncate(start);
        OwnerText { cgroup, before_descriptor: whole, after_descriptor }
    }
}
