//! Several sockets on one port, made at random, and what a real bind does beside them.
//!
//! PORTSCOPE_SEED repeats a run.

use super::*;
use crate::support::random::Random;

/// How many ports there are, each with sockets of its own.
const PORTS: u16 = 150;

/// The first of them, below the range that clients get.
const FIRST: u16 = 20_000;

/// A bind that was refused, and the sockets that were named as in its way.
struct Refused {
    port: u16,
    place: Place,
    option: &'static str,
    named: BTreeSet<u64>,
}

fn inode(socket: &Socket) -> u64 {
    rustix::fs::fstat(socket).unwrap().st_ino
}

/// Up to four sockets on the port, as far as the kernel lets them be together.
fn crowd(random: &mut Random, kind: Type, port: u16) -> Vec<Socket> {
    let mut crowd = Vec::new();
    for _ in 0..=random.below(4) {
        let (place, option) = (random.of(&PLACES), random.of(&OPTIONS));
        let Ok(socket) = bind(kind, place, option, port) else { continue };
        if kind == Type::STREAM && random.one_in(2) {
            // Another that listens may forbid it; then it stays bound.
            drop(socket.listen(1));
        }
        crowd.push(socket);
    }
    crowd
}

#[test]
fn beside_any_crowd_of_sockets_a_bind_does_what_is_said_and_succeeds_once_its_blockers_are_closed() {
    let Some(space) = OwnSpace::new("") else { return };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let seed = std::env::var("PORTSCOPE_SEED").map_or(now.subsec_nanos().into(), |seed| seed.parse().unwrap());
    println!("PORTSCOPE_SEED={seed}");
    let mut random = Random::new(seed);
    let addresses = "0.0.0.0,127.0.0.1,::,::1";
    for (flag, kind) in [("-t", Type::STREAM), ("-u", Type::DGRAM)] {
        let ports: Vec<u16> = (FIRST..FIRST + PORTS).collect();
        let crowds: Vec<Vec<Socket>> = space.run(|| ports.iter().map(|port| crowd(&mut random, kind, *port)).collect());
        let (mut compared, mut doubtful) = (0, 0);
        let mut refused: Vec<Refused> = Vec::new();
        for (option, v6only) in OPTIONS.into_iter().flat_map(|option| [false, true].map(|v6only| (option, v6only))) {
            let run = portscope(["check", "--json", flag, option, "-a", addresses]).args(&ports);
            let run = if v6only { run.args(["--v6only"]) } else { run };
            let report = run.under(space.inside()).exits(1).json();
            let _alone = support::alone();
            for (answer, port) in report["ports"].as_array().unwrap().iter().zip(&ports) {
                assert_eq!(answer["port"], *port);
                for answer in answer["binds"].as_array().unwrap() {
                    let address = PLACES.iter().find(|place| answer["address"] == place.address).unwrap().address;
                    let place = Place { address, v6only: v6only && address.contains(':') };
                    let is_granted = space.run(|| bind(kind, place, option, *port).is_ok());
                    let case = format!("PORTSCOPE_SEED={seed} {flag} {option} {place:?}\n{answer:#}");
                    assert_eq!(answer["outcome"] != "refused", is_granted, "{case}");
                    assert_ne!(answer["agrees"], false, "{case}");
                    match answer["rule"].as_str().unwrap() {
                        "depends" => doubtful += 1,
                        rule => assert_eq!(rule != "refused", is_granted, "{case}"),
                    }
                    if option == "--no-reuseaddr" {
                        assert_ne!(answer["rule"], "depends", "without options nothing is in doubt: {case}");
                    }
                    compared += 1;
                    if !is_granted {
                        let blockers = answer["blockers"].as_array().unwrap();
                        let named = blockers.iter().map(|blocker| blocker["socket"]["inode"].as_u64().unwrap());
                        refused.push(Refused { port: *port, place, option, named: named.collect() });
                    }
                }
            }
        }
        let waited =
            portscope(["wait", "--free", "--json", "--timeout", "0s", flag]).args(&ports).under(space.inside());
        let waited = waited.exits_with([0, 1]).json();
        let _alone = support::alone();
        for (port, waited) in ports.iter().zip(waited["ports"].as_array().unwrap()) {
            let can_serve = space.run(|| can_serve(kind, *port));
            assert_eq!(waited["reached"], can_serve, "PORTSCOPE_SEED={seed} {flag} {port}");
        }
        // One bind of each port: others may have named other sockets, which are closed now too.
        let granted = refused.len();
        let mut crowds: Vec<Option<Vec<Socket>>> = crowds.into_iter().map(Some).collect();
        let mut tried = 0;
        while !refused.is_empty() {
            let index = usize::try_from(random.below(refused.len() as u64)).unwrap();
            let chosen = refused.swap_remove(index);
            let Some(crowd) = crowds[usize::from(chosen.port - FIRST)].take() else { continue };
            let left: Vec<Socket> = crowd.into_iter().filter(|socket| !chosen.named.contains(&inode(socket))).collect();
            let real = space.run(|| bind(kind, chosen.place, chosen.option, chosen.port));
            let case = format!("PORTSCOPE_SEED={seed} {flag} {} {:?} on {}", chosen.option, chosen.place, chosen.port);
            assert!(real.is_ok(), "{case}: {} sockets are left, none of them named", left.len());
            tried += 1;
        }
        println!(
            "{flag}: {compared} binds compared, {doubtful} in doubt, {granted} refused, {tried} granted once clear"
        );
        assert!(tried > usize::from(PORTS) / 2 && compared == usize::from(PORTS) * 24);
    }
}
