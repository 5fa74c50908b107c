//! What a source or a sink sees of a simulated network: as unkind as any ring or epoll may be.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem::take;
use std::net::SocketAddr;

use crate::net::network::{Connection, Event, Incoming, Shape, Sockets};
use crate::sim::network::ether::{End, Ether};
use crate::sim::network::streams::SimNetwork;

/// One send in so many is heard of later than others.
const LATE: u32 = 5;

/// One look at who has called in so many finds that the system has no descriptors left.
const NO_DESCRIPTORS: u32 = 50;

/// What is in a slot.
#[derive(Clone, Copy, Debug)]
enum Socket {
    Stream(End),
    Datagrams(SocketAddr),
}

#[derive(Debug, Default)]
struct Slot {
    socket: Option<Socket>,
    receives: bool,
    waits_to_write: bool,
}

/// The sockets of one source or sink.
pub struct SimSockets {
    network: SimNetwork,
    listening: Option<SocketAddr>,
    slots: Vec<Slot>,
    /// Free slots, and those that are when the system has let go of them.
    vacant: Vec<usize>,
    closing: Vec<usize>,
    buffers: Vec<Vec<u8>>,
    free: Vec<u16>,
    /// Sends that are under way, of slots that may be closed since.
    sending: Vec<(Option<usize>, io::Result<usize>)>,
    events: VecDeque<Event>,
}

impl SimSockets {
    pub fn new(network: SimNetwork, shape: Shape) -> Self {
        Self {
            network,
            listening: None,
            slots: (0..shape.slots).map(|_| Slot::default()).collect(),
            vacant: (0..shape.slots).rev().collect(),
            closing: Vec::new(),
            buffers: vec![vec![0; shape.buffer_bytes]; shape.buffers.into()],
            free: (0..shape.buffers).collect(),
            sending: Vec::new(),
            events: VecDeque::new(),
        }
    }

    fn take_in(&mut self, socket: Socket) -> io::Result<usize> {
        let slot = self.vacant.pop().ok_or(ErrorKind::QuotaExceeded)?;
        self.slots[slot] = Slot { socket: Some(socket), ..Slot::default() };
        Ok(slot)
    }

    fn end(&self, slot: usize) -> Option<End> {
        match self.slots.get(slot)?.socket {
            Some(Socket::Stream(end)) => Some(end),
            _ => None,
        }
    }

    fn accept(&mut self) {
        let Some(at) = self.listening else { return };
        if self.network.ether().rng.u32(..NO_DESCRIPTORS) == 0 {
            return self.events.push_back(Event::NotAccepted);
        }
        let accepted = self.network.ether().accept(at);
        if let Some(end) = accepted {
            let incoming = SimIncoming { network: self.network.clone(), end: Some(end) };
            self.events.push_back(Event::Accepted(Connection::Plugged(Box::new(incoming))));
        }
    }

    /// Reads into one buffer, if there is one and anything to be read.
    fn read(&mut self, slot: usize) {
        let (Some(socket), true) = (self.slots[slot].socket, self.slots[slot].receives) else {
            return;
        };
        let Some(buffer) = self.free.pop() else { return };
        let into = &mut self.buffers[usize::from(buffer)];
        let result = match socket {
            Socket::Stream(end) => self.network.ether().read(end, into),
            Socket::Datagrams(at) => next_datagram(&mut self.network.ether(), at, into),
        };
        let event = match result {
            Ok(bytes @ 1..) => Event::Received { slot, buffer, bytes },
            Err(error) if error.kind() == ErrorKind::WouldBlock => return self.free.push(buffer),
            other => {
                self.free.push(buffer);
                self.slots[slot].receives = false;
                Event::Ended { slot, error: other.err() }
            }
        };
        self.events.push_back(event);
    }

    /// Says that there is room, or that there never will be.
    fn look_for_room(&mut self, slot: usize) {
        let Some(end) = self.end(slot).filter(|_| self.slots[slot].waits_to_write) else { return };
        if self.network.ether().is_writable(end) {
            self.slots[slot].waits_to_write = false;
            self.events.push_back(Event::Writable { slot });
        }
    }

    fn random(&self, below: usize) -> usize {
        self.network.ether().rng.usize(..below.max(1))
    }
}

/// A datagram; of one that is longer, what there is room for.
fn next_datagram(ether: &mut Ether, at: SocketAddr, into: &mut [u8]) -> io::Result<usize> {
    let datagram = ether.next_datagram(at).ok_or(ErrorKind::WouldBlock)?;
    let bytes = datagram.len().min(into.len());
    into[..bytes].copy_from_slice(&datagram[..bytes]);
    Ok(bytes)
}

impl Sockets for SimSockets {
    fn listen(&mut self, at: SocketAddr) -> io::Result<()> {
        self.network.ether().listen(at)?;
        self.listening = Some(at);
        Ok(())
    }

    fn stop_listening(&mut self) {
        if let Some(at) = self.listening.take() {
            self.network.ether().stop_listening(at);
        }
    }

    fn connect(&mut self, to: SocketAddr) -> io::Result<usize> {
        if self.vacant.is_empty() {
            return Err(ErrorKind::QuotaExceeded.into());
        }
        let end = self.network.ether().call(to);
        self.take_in(Socket::Stream(end))
    }

    fn hear(&mut self, at: SocketAddr) -> io::Result<usize> {
        self.network.hear(at);
        self.take_in(Socket::Datagrams(at))
    }

    fn adopt(&mut self, incoming: Box<dyn Incoming>) -> io::Result<usize> {
        let incoming: Box<dyn Any> = incoming;
        let mut incoming =
            incoming.downcast::<SimIncoming>().map_err(|_| ErrorKind::Unsupported)?;
        if self.vacant.is_empty() {
            return Err(ErrorKind::QuotaExceeded.into());
        }
        let end = incoming.end.take().ok_or(ErrorKind::NotConnected)?;
        self.take_in(Socket::Stream(end))
    }

    fn is_connected(&self, slot: usize) -> bool {
        self.end(slot).is_some_and(|end| self.network.ether().is_connected(end))
    }

    fn receive(&mut self, slot: usize) {
        if let Some(it) = self.slots.get_mut(slot) {
            it.receives = true;
        }
    }

    fn received(&self, buffer: u16, bytes: usize) -> &[u8] {
        &self.buffers[usize::from(buffer)][..bytes]
    }

    /// What was in it is not to be seen any more.
    fn give_back(&mut self, buffer: u16) {
        self.buffers[usize::from(buffer)].fill(0xee);
        self.free.push(buffer);
    }

    fn send(&mut self, slot: usize, bytes: &[u8]) {
        let Some(end) = self.end(slot) else { return };
        let result = self.network.ether().send(end, bytes);
        self.sending.push((Some(slot), result));
    }

    fn sends(&self) -> usize {
        let sent = |event: &&Event| matches!(event, Event::Sent { .. });
        self.sending.len() + self.events.iter().filter(sent).count()
    }

    fn await_writable(&mut self, slot: usize) {
        if let Some(it) = self.slots.get_mut(slot) {
            it.waits_to_write = true;
        }
    }

    /// Its slot is free later. Of a send that is under way the end is awaited, and not told.
    fn close(&mut self, slot: usize) {
        let Some(socket) = self.slots.get_mut(slot).and_then(|it| it.socket.take()) else { return };
        if let Socket::Stream(end) = socket {
            self.network.ether().close(end);
        }
        self.closing.push(slot);
        for (sender, _) in &mut self.sending {
            *sender = sender.filter(|sender| *sender != slot);
        }
        for event in take(&mut self.events) {
            match event {
                Event::Received { slot: its, buffer, .. } if its == slot => self.give_back(buffer),
                Event::Sent { slot: its, .. }
                | Event::Ended { slot: its, .. }
                | Event::Writable { slot: its }
                    if its == slot => {}
                other => self.events.push_back(other),
            }
        }
    }

    fn drive(&mut self) {
        self.flush();
        self.accept();
        let first = self.random(self.slots.len());
        let count = self.slots.len();
        for at in first..first + count {
            self.look_for_room(at % count);
            self.read(at % count);
        }
        if self.random(2) == 0 {
            self.vacant.append(&mut self.closing);
        }
    }

    fn flush(&mut self) {
        for (slot, result) in take(&mut self.sending) {
            let is_late = self.random(LATE as usize) == 0;
            match slot {
                _ if is_late => self.sending.push((slot, result)),
                Some(slot) => self.events.push_back(Event::Sent { slot, result }),
                None => {}
            }
        }
    }

    fn next(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
}

impl Drop for SimSockets {
    /// Who held them has ended, or its host has: then nobody is told.
    fn drop(&mut self) {
        self.stop_listening();
        for slot in 0..self.slots.len() {
            let Some(end) = self.slots[slot].socket.take().and_then(|it| match it {
                Socket::Stream(end) => Some(end),
                Socket::Datagrams(_) => None,
            }) else {
                continue;
            };
            let ether = &mut *self.network.ether();
            match ether.rng.u32(..4) {
                0 if ether.faults.vanish_every > 0 => ether.vanish(end),
                1 if ether.faults.reset_every > 0 => ether.reset(end),
                _ => {}
            }
            ether.close(end);
        }
    }
}

/// A connection that nobody has taken in.
#[derive(Debug)]
struct SimIncoming {
    network: SimNetwork,
    end: Option<End>,
}

impl Incoming for SimIncoming {
    fn remote(&self) -> SocketAddr {
        let ether = self.network.ether();
        let remote = self.end.and_then(|end| ether.remote(end));
        remote.unwrap_or_else(|| (std::net::Ipv4Addr::UNSPECIFIED, 0).into())
    }
}

impl Drop for SimIncoming {
    fn drop(&mut self) {
        if let Some(end) = self.end {
            self.network.ether().close(end);
        }
    }
}
