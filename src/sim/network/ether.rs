//! What all ends of a simulated network share: its time, its connections, its faults.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};

use fastrand::Rng;

use crate::sim::network::datagrams::Inbox;
use crate::sim::network::faults::{NetFaults, strikes};
use crate::sim::network::pipe::Pipe;
use crate::time::Timestamp;

/// Connections that wait at an address to be accepted, at most.
const BACKLOG: usize = 16;

/// One of the two ends of a connection: the one who called is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    pub link: u64,
    pub side: usize,
}

impl End {
    fn other(self) -> usize {
        1 - self.side
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It is decided then whether somebody is there.
    Calling(Timestamp),
    Refused,
    Up,
}

/// A connection.
#[derive(Debug)]
struct Link {
    stage: Stage,
    /// The addresses of the ends.
    addresses: [SocketAddr; 2],
    /// What each end sends.
    pipes: [Pipe; 2],
    open: [bool; 2],
}

/// What has happened on a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Struck {
    /// Connections that were made.
    pub connected: u64,
    /// And that were not.
    pub refused: u64,
    /// Connections that were reset.
    pub reset: u64,
    /// Connections that lost their ends.
    pub vanished: u64,
    /// Times that the network was parted.
    pub parted: u64,
    /// Datagrams that were lost on the way.
    pub lost: u64,
    /// That came twice.
    pub twice: u64,
    /// That were cut.
    pub cut: u64,
}

#[derive(Debug)]
pub struct Ether {
    pub rng: Rng,
    pub now: Timestamp,
    pub faults: NetFaults,
    pub struck: Struck,
    pub inboxes: BTreeMap<SocketAddr, Inbox>,
    parted_until: Timestamp,
    /// Connections that wait to be accepted, by address.
    listening: BTreeMap<SocketAddr, VecDeque<u64>>,
    links: BTreeMap<u64, Link>,
    links_made: u64,
}

impl Ether {
    pub fn new(seed: u64, faults: NetFaults) -> Self {
        Self {
            rng: Rng::with_seed(seed ^ 0x4e7),
            now: Timestamp::MIN,
            faults,
            struck: Struck::default(),
            inboxes: BTreeMap::new(),
            parted_until: Timestamp::MIN,
            listening: BTreeMap::new(),
            links: BTreeMap::new(),
            links_made: 0,
        }
    }

    /// Time goes on, and with it whatever goes wrong.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = now;
        if strikes(&mut self.rng, self.faults.part_every) {
            let most = self.faults.part_max.as_nanos() as i64;
            self.parted_until = now.offset(self.rng.i64(0..=most));
            self.struck.parted += 1;
        }
        let Self { rng, faults, struck, .. } = self;
        for link in self.links.values_mut().filter(|link| link.stage == Stage::Up) {
            if strikes(rng, faults.reset_every) {
                link.pipes.iter_mut().for_each(|pipe| pipe.reset(now, rng));
                struck.reset += 1;
            }
            if strikes(rng, faults.vanish_every) {
                link.pipes.iter_mut().for_each(|pipe| pipe.vanish(now, faults));
                struck.vanished += 1;
            }
        }
        if !self.is_parted() {
            self.decide();
        }
    }

    pub fn is_parted(&self) -> bool {
        self.now < self.parted_until
    }

    /// Nothing goes wrong from now on.
    pub fn heal(&mut self) {
        let (window, bytes_per_ms) = (self.faults.window, self.faults.bytes_per_ms);
        self.faults = NetFaults { window, bytes_per_ms, ..NetFaults::none() };
        self.parted_until = Timestamp::MIN;
    }

    /// Makes the connections whose time it is, or does not.
    fn decide(&mut self) {
        let Self { rng, faults, struck, listening, now, .. } = self;
        for (number, link) in &mut self.links {
            if !matches!(link.stage, Stage::Calling(at) if at <= *now) {
                continue;
            }
            let backlog = listening.get_mut(&link.addresses[1]);
            let backlog = backlog.filter(|it| it.len() < BACKLOG);
            link.stage = match backlog.filter(|_| !strikes(rng, faults.refuse_every)) {
                Some(backlog) => {
                    backlog.push_back(*number);
                    struck.connected += 1;
                    Stage::Up
                }
                None => {
                    struck.refused += 1;
                    Stage::Refused
                }
            };
        }
    }

    pub fn listen(&mut self, at: SocketAddr) -> io::Result<()> {
        if self.listening.contains_key(&at) {
            return Err(ErrorKind::AddrInUse.into());
        }
        self.listening.insert(at, VecDeque::new());
        Ok(())
    }

    /// Who waits to be accepted is turned away.
    pub fn stop_listening(&mut self, at: SocketAddr) {
        for link in self.listening.remove(&at).into_iter().flatten() {
            self.reset(End { link, side: 1 });
            self.close(End { link, side: 1 });
        }
    }

    pub fn accept(&mut self, at: SocketAddr) -> Option<End> {
        let link = self.listening.get_mut(&at)?.pop_front()?;
        Some(End { link, side: 1 })
    }

    /// Begins to connect.
    pub fn call(&mut self, to: SocketAddr) -> End {
        self.links_made += 1;
        let port = 1024 + (self.links_made % 60_000) as u16;
        let from = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let way = 2 * self.rng.u64(self.faults.latency_ns.clone());
        let link = Link {
            stage: Stage::Calling(self.now.offset(way as i64)),
            addresses: [from, to],
            pipes: Default::default(),
            open: [true; 2],
        };
        self.links.insert(self.links_made, link);
        End { link: self.links_made, side: 0 }
    }

    /// The address of the other end.
    pub fn remote(&self, end: End) -> Option<SocketAddr> {
        Some(self.links.get(&end.link)?.addresses[end.other()])
    }

    pub fn is_connected(&self, end: End) -> bool {
        let link = self.links.get(&end.link);
        link.is_some_and(|link| {
            let is_broken = link.pipes[end.other()].broken(self.now).is_some();
            link.stage == Stage::Up && !is_broken
        })
    }

    /// Whether a send would say something: that there is room, or that it broke.
    pub fn is_writable(&self, end: End) -> bool {
        let Some(link) = self.links.get(&end.link) else { return true };
        match link.stage {
            Stage::Calling(_) => false,
            Stage::Refused => true,
            Stage::Up => {
                let is_broken = link.pipes[end.other()].broken(self.now).is_some();
                is_broken || link.pipes[end.side].room(&self.faults) > 0
            }
        }
    }

    /// Sends some of these bytes.
    ///
    /// # Errors
    /// There is no room, or it broke.
    pub fn send(&mut self, end: End, bytes: &[u8]) -> io::Result<usize> {
        let Self { links, now, faults, rng, .. } = self;
        let link = links.get_mut(&end.link).ok_or(ErrorKind::NotConnected)?;
        if link.stage != Stage::Up {
            return Err(ErrorKind::NotConnected.into());
        }
        if let Some(kind) = link.pipes[end.other()].broken(*now) {
            return Err(kind.into());
        }
        let taken = link.pipes[end.side].send(bytes, *now, faults, rng);
        if taken == 0 && !bytes.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        if taken > 0 && !link.open[end.other()] {
            // Who is gone answers so.
            link.pipes[end.other()]
                .reset(now.offset(rng.u64(faults.latency_ns.clone()) as i64), rng);
        }
        Ok(taken)
    }

    /// Reads some of what has come; nothing at the end.
    ///
    /// # Errors
    /// Nothing has come, or it broke.
    pub fn read(&mut self, end: End, into: &mut [u8]) -> io::Result<usize> {
        let is_parted = self.is_parted();
        let Self { links, now, rng, .. } = self;
        let link = links.get_mut(&end.link).ok_or(ErrorKind::NotConnected)?;
        match link.stage {
            Stage::Refused => Err(ErrorKind::ConnectionRefused.into()),
            Stage::Up if !is_parted => link.pipes[end.other()].read(into, *now, rng),
            _ => Err(ErrorKind::WouldBlock.into()),
        }
    }

    /// Says that no more will come, and reads on.
    pub fn finish(&mut self, end: End) {
        let Self { links, now, faults, rng, .. } = self;
        if let Some(link) = links.get_mut(&end.link) {
            link.pipes[end.side].finish(*now, faults, rng);
        }
    }

    /// Closes an end as the kernel does: what was sent goes on its way, unless something had come
    /// that was not read.
    pub fn close(&mut self, end: End) {
        let Self { links, now, faults, rng, .. } = self;
        let Some(link) = links.get_mut(&end.link) else { return };
        link.open[end.side] = false;
        match link.pipes[end.other()].is_read(*now) {
            true => link.pipes[end.side].finish(*now, faults, rng),
            false => link.pipes[end.side].reset(*now, rng),
        }
        link.pipes[end.other()].swallow();
        if link.open == [false; 2] || link.stage != Stage::Up {
            links.remove(&end.link);
        }
    }

    /// Breaks a connection, somewhere within what it carries.
    pub fn reset(&mut self, end: End) {
        let Self { links, now, rng, .. } = self;
        if let Some(link) = links.get_mut(&end.link) {
            link.pipes.iter_mut().for_each(|pipe| pipe.reset(*now, rng));
        }
    }

    /// An end is gone without a word.
    pub fn vanish(&mut self, end: End) {
        let Self { links, now, faults, .. } = self;
        if let Some(link) = links.get_mut(&end.link) {
            link.pipes.iter_mut().for_each(|pipe| pipe.vanish(*now, faults));
        }
    }
}
