//! Changes that are made at random are found, and found mirrored when the reports are swapped.

use proptest::prelude::*;

use super::*;

/// Something that happens to one socket.
#[derive(Clone, Copy, Debug)]
enum Event {
    Closes,
    Widens,
    MovesAddress,
    MovesSpace,
    ChangesHands,
    IsForwarded,
    IsHidden,
    ConnectsElsewhere,
    IsRenumbered,
    IsCalledAnew,
    IsReadAsText,
    IsForDevice,
    IsChosenByKernel,
}

fn happen(snapshot: &mut Snapshot, index: usize, event: Event) {
    if snapshot.sockets.is_empty() {
        return;
    }
    let index = index % snapshot.sockets.len();
    let spaces = &mut snapshot.spaces;
    match event {
        Event::IsRenumbered => {
            let from = std::mem::replace(&mut spaces[1].id, SpaceId(8));
            snapshot
                .sockets
                .iter_mut()
                .filter(|socket| socket.space == from)
                .for_each(|socket| socket.space = SpaceId(8));
        }
        Event::IsCalledAnew => spaces[1].label = "red".to_owned(),
        Event::IsReadAsText => {
            let index = index % spaces.len();
            spaces[index].source = SocketSource::ProcNet;
            let id = spaces[index].id;
            for socket in snapshot.sockets.iter_mut().filter(|socket| socket.space == id) {
                (socket.device, socket.autobound) = (None, None);
            }
        }
        _ => {}
    }
    let socket = &mut snapshot.sockets[index];
    match event {
        Event::Closes => drop(snapshot.sockets.remove(index)),
        Event::Widens => socket.local.address = "0.0.0.0".parse().unwrap(),
        Event::MovesAddress => socket.local.address = "127.0.0.9".parse().unwrap(),
        Event::MovesSpace => socket.space = SpaceId(7),
        Event::ChangesHands => {
            socket.owner = Owner::Processes(vec![crate::model::Holder { pid: Pid(811), fd: None }].into());
        }
        Event::IsForwarded => {
            let forward = Forward { by: ForwardedBy::Nat, to: socket.local.into(), container: None, service: None };
            socket.stands_for = Some(Box::new(StandsFor::Forward(forward)));
        }
        Event::IsHidden => socket.owner = Owner::Hidden(HiddenBecause::Permission),
        Event::ConnectsElsewhere => socket.peer = Some(Endpoint::new("192.0.2.77".parse().unwrap(), 7)),
        Event::IsForDevice => socket.device = Some("lo".into()),
        Event::IsChosenByKernel => {
            (socket.protocol, socket.state, socket.autobound) = (Protocol::Udp, None, Some(true));
        }
        Event::IsRenumbered | Event::IsCalledAnew | Event::IsReadAsText => {}
    }
}

fn any_host() -> impl Strategy<Value = Snapshot> {
    let events = [
        Event::Closes,
        Event::Widens,
        Event::MovesAddress,
        Event::MovesSpace,
        Event::ChangesHands,
        Event::IsForwarded,
        Event::IsHidden,
        Event::ConnectsElsewhere,
        Event::IsRenumbered,
        Event::IsCalledAnew,
        Event::IsReadAsText,
        Event::IsForDevice,
        Event::IsChosenByKernel,
    ];
    prop::collection::vec((0..8_usize, prop::sample::select(events.to_vec())), 0..6).prop_map(|events| {
        let mut snapshot = with_further();
        for (index, event) in events {
            happen(&mut snapshot, index, event);
        }
        snapshot
    })
}

/// A change as it looks from the other end.
fn mirrored(change: Change) -> Change {
    let kind = match change.kind {
        Kind::Opened => Kind::Closed,
        Kind::Closed => Kind::Opened,
        Kind::ExposureWidened => Kind::ExposureNarrowed,
        Kind::ExposureNarrowed => Kind::ExposureWidened,
        same => same,
    };
    let turned =
        |space: &PairedSpace| Rc::new(PairedSpace { before: space.after.clone(), after: space.before.clone() });
    let from = turned(&change.identity.space);
    let to = change.to_space.as_deref().map(turned);
    let (space, to_space) = to.map_or((Rc::clone(&from), None), |to| (to, Some(Rc::clone(&from))));
    let identity = Identity { space, ..change.identity };
    Change { kind, identity, to_space, before: change.after, after: change.before }
}

proptest! {
    #[test]
    fn a_listing_is_the_same_as_itself(host in any_host(), all in any::<bool>()) {
        let listing = join::listing(&host, None);
        let diff = diff(&listing, &listing, all);
        prop_assert_eq!((diff.changes, diff.doubts), (vec![], vec![]));
    }

    #[test]
    fn a_diff_has_its_mirror(a in any_host(), b in any_host(), all in any::<bool>()) {
        let (a, b) = (join::listing(&a, None), join::listing(&b, None));
        let (forth, back) = (diff(&a, &b, all), diff(&b, &a, all));
        prop_assert_eq!(forth.incomparable, back.incomparable);
        let mut mirror: Vec<Change> = forth.changes.into_iter().map(mirrored).collect();
        mirror.sort_by(|a, b| (&a.identity, a.kind).cmp(&(&b.identity, b.kind)));
        prop_assert_eq!(mirror, back.changes);
    }
}
