//! The kernel's answer to one request: datagrams that are decoded one after the other, or, where they are many, while the
//! next one is received.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, sync_channel};
use std::thread::{Builder, scope};

use super::decode::{self, Message};
use super::{BUFFER, DumpError, receive};
use crate::collect::linux::kernel_socket::KernelSocket;
use crate::collect::linux::netlink::{self, DONE, ERROR};
use crate::model::Protocol;

/// An answer of more datagrams than this is received on a thread of its own. On a host with fewer sockets, which has two
/// cores, the other one is busy with looking for their holders anyway.
pub const FEW: usize = 32;
/// Datagrams that wait to be decoded.
const AHEAD: usize = 4;

/// An answer that is being read.
pub struct Answer<'a, T> {
    /// The table that it is of.
    pub protocol: Protocol,
    /// The number of the request.
    pub sequence: u32,
    /// What is kept of a row; nothing of those that are not wanted.
    pub keep: &'a dyn Fn(&KernelSocket) -> Option<T>,
    /// What was kept.
    pub rows: &'a mut Vec<T>,
    /// How many datagrams are received on this thread.
    pub few: usize,
    /// Whether the kernel has said that the table changed meanwhile.
    pub is_interrupted: bool,
}

impl<T> Answer<'_, T> {
    /// Reads the whole answer.
    pub fn read(&mut self, socket: &OwnedFd, buffer: &mut Vec<u8>) -> Result<(), DumpError> {
        for _ in 0..self.few {
            if receive(socket, buffer)? && self.add(buffer)? {
                return Ok(());
            }
        }
        self.read_beside(socket, buffer)
    }

    /// Decodes on this thread what another one receives.
    fn read_beside(&mut self, socket: &OwnedFd, buffer: &mut Vec<u8>) -> Result<(), DumpError> {
        let sequence = self.sequence;
        let (sender, received) = sync_channel(AHEAD);
        let (emptied, spare) = mpsc::channel::<Vec<u8>>();
        let work = move || {
            loop {
                let mut buffer = spare.try_recv().unwrap_or_else(|_| Vec::with_capacity(BUFFER));
                let datagram = match receive(socket, &mut buffer) {
                    Ok(false) => continue,
                    Ok(true) => Ok(buffer),
                    Err(error) => Err(error),
                };
                let is_last = datagram.as_ref().map_or(true, |datagram| ends(datagram, sequence));
                // Nobody takes more once a datagram could not be decoded.
                if sender.send(datagram).is_err() || is_last {
                    return;
                }
            }
        };
        scope(|scope| {
            if Builder::new().spawn_scoped(scope, work).is_err() {
                // The system gives no further thread.
                loop {
                    if receive(socket, buffer)? && self.add(buffer)? {
                        return Ok(());
                    }
                }
            }
            for datagram in received {
                let datagram = datagram?;
                if self.add(&datagram)? {
                    return Ok(());
                }
                let _ = emptied.send(datagram);
            }
            Err(DumpError::Incomplete("no end"))
        })
    }

    /// Takes the rows of a datagram; says whether it is the last.
    fn add(&mut self, datagram: &[u8]) -> Result<bool, DumpError> {
        for framed in decode::messages(datagram, self.protocol) {
            let framed = framed.map_err(|_| DumpError::Incomplete("a malformed message"))?;
            if framed.sequence != self.sequence {
                continue; // the rest of a dump that was given up
            }
            self.is_interrupted |= framed.interrupted;
            match framed.message {
                Message::Socket(entry) => self.rows.extend((self.keep)(&entry)),
                Message::Done(0) if self.is_interrupted => return Err(DumpError::Incomplete("the table changed")),
                Message::Done(0) => return Ok(true),
                Message::Done(code) | Message::Error(code) => {
                    return Err(DumpError::Kernel(io::Error::from_raw_os_error(code.saturating_neg())));
                }
                Message::Overrun => return Err(DumpError::Incomplete("overrun")),
                Message::Other => {}
            }
        }
        Ok(false)
    }
}

/// Says whether nothing of this answer follows the datagram.
fn ends(datagram: &[u8], sequence: u32) -> bool {
    netlink::messages(datagram).any(|message| {
        message.map_or(true, |message| message.sequence == sequence && [DONE, ERROR].contains(&message.kind))
    })
}
