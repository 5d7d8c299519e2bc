//! Multipath TCP: several rows, one socket.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{RecvFlags, SendFlags, SocketType, ipproto, recv, send};

use super::devices::{in_own_network, ip};
use super::keys::Keys;
use super::made::{Made, Row};
use super::net;
use super::outcome::{Context, Failure, Outcome, wait_until};
use super::stage::Stage;
use super::table::{self, ESTABLISHED};

/// `mptcp`: a listener and a connection with `subflows` more paths, in a network namespace of its own; where there is
/// none to be had, or with `plain=1`, a connection of one path here.
pub fn mptcp(keys: &Keys, stage: &mut Stage) -> Outcome<Made> {
    let subflows: u8 = keys.value("subflows", 2)?;
    if keys.choice("plain", &["0", "1"])? == "1" {
        return connection(SocketAddr::from(([127, 0, 0, 1], 0)), 0, stage);
    }
    let made = in_own_network(stage, |stage| {
        ip(&format!("mptcp limits set subflow {subflows} add_addr_accepted {subflows}"))?;
        ip("addr add 10.9.0.1/32 dev lo")?;
        for number in 2..2 + subflows {
            ip(&format!("addr add 10.9.0.{number}/32 dev lo"))?;
            ip(&format!("mptcp endpoint add 10.9.0.{number} dev lo subflow"))?;
        }
        connection(SocketAddr::from(([10, 9, 0, 1], 0)), subflows, stage)
    });
    match made {
        Err(Failure::Skipped(_)) => connection(SocketAddr::from(([127, 0, 0, 1], 0)), 0, stage),
        made => made,
    }
}

/// The rows are the kernel's: a subflow has no descriptor to ask, and carries the inode of its connection.
fn connection(address: SocketAddr, subflows: u8, stage: &mut Stage) -> Outcome<Made> {
    let listener = socket(address)?;
    net::bind_to(&listener, address)?;
    net::start_listening(&listener, 16)?;
    let address = net::local(&listener)?;
    let client = socket(address)?;
    net::connect_to(&client, address)?;
    let server = rustix::net::accept(&listener).context("accept")?;
    // Further paths are made once the first has carried data both ways.
    for (from, to) in [(&client, &server), (&server, &client)] {
        send(from, b"x", SendFlags::empty()).context("send")?;
        recv(to, &mut [0_u8; 1], RecvFlags::empty()).context("receive")?;
    }

    let inodes = [("client", net::inode(&client)?), ("server", net::inode(&server)?)];
    let expected = inodes.len() * (usize::from(subflows) + 1);
    let mut rows = vec![Row::of(&listener, "listener")?];
    rows.extend(wait_until("all subflows", || {
        let mut rows = Vec::new();
        for line in table::read("tcp")?.iter().filter(|line| line.state == ESTABLISHED) {
            if let Some((side, _)) = inodes.iter().find(|(_, inode)| *inode == line.inode) {
                rows.push(Row::of_table("tcp", line, side).held_by([std::process::id()]));
            }
        }
        Ok((rows.len() == expected).then_some(rows))
    })?);
    stage.keep((listener, client, server));
    Ok(Made::of(rows).fact("subflows", subflows))
}

fn socket(address: SocketAddr) -> Outcome<OwnedFd> {
    net::socket(address, SocketType::STREAM, Some(ipproto::MPTCP))
}
