//! Datagrams, each on its own way.

use std::collections::VecDeque;
use std::net::SocketAddr;

use crate::sim::network::ether::Ether;
use crate::sim::network::faults::strikes;
use crate::time::Timestamp;

/// What was sent to an address.
#[derive(Debug, Default)]
pub struct Inbox {
    /// On the way, each until its own time.
    flying: Vec<(Timestamp, Vec<u8>)>,
    /// There.
    come: VecDeque<Vec<u8>>,
    /// There was no room for so many.
    pub lost: u64,
}

impl Ether {
    /// Sends a datagram, which may come once, twice or not at all, whole or in part, and in any
    /// order with others.
    pub fn send_datagram(&mut self, to: SocketAddr, bytes: &[u8]) {
        let is_parted = self.is_parted();
        let Self { rng, faults, struck, now, .. } = self;
        if strikes(rng, faults.lose_every) || is_parted {
            struck.lost += 1;
            return;
        }
        let is_cut = !bytes.is_empty() && strikes(rng, faults.cut_every);
        let bytes = if is_cut { &bytes[..rng.usize(..bytes.len())] } else { bytes };
        let comes_twice = strikes(rng, faults.twice_every);
        struck.cut += u64::from(is_cut);
        struck.twice += u64::from(comes_twice);
        let Some(inbox) = self.inboxes.get_mut(&to) else { return };
        for _ in 0..1 + u32::from(comes_twice) {
            let at = now.offset(rng.u64(faults.latency_ns.clone()) as i64);
            inbox.flying.push((at, bytes.to_vec()));
        }
    }

    /// What has come to an address next.
    pub fn next_datagram(&mut self, at: SocketAddr) -> Option<Vec<u8>> {
        let inbox = self.inboxes.get_mut(&at)?;
        let mut come: Vec<_> = inbox.flying.extract_if(.., |(at, _)| *at <= self.now).collect();
        come.sort_by_key(|(at, _)| *at);
        for (_, bytes) in come {
            match inbox.come.len() < self.faults.datagrams_max {
                true => inbox.come.push_back(bytes),
                false => inbox.lost += 1,
            }
        }
        inbox.come.pop_front()
    }

    /// Whether nothing is on its way.
    pub fn is_quiet(&self, at: SocketAddr) -> bool {
        self.inboxes.get(&at).is_none_or(|it| it.flying.is_empty() && it.come.is_empty())
    }
}
