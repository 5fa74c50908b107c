//! What a wire does for connections that came in by a gate.

use std::io;

use nix::libc;

use crate::net::gate::admitted::Admitted;
use crate::net::gate::door::Doorway;
use crate::net::gate::kernel::{self, Stray};
use crate::net::gate::relay::Parting;
use crate::net::wire::{Connection, Event, Wire};

/// Where connections come in, and which of them the kernel does TLS for.
#[derive(Default)]
pub struct Sealed {
    doorway: Option<Doorway>,
    is_shut: bool,
    slots: Vec<(usize, Parting)>,
}

impl Sealed {
    /// Who came in since.
    #[inline]
    pub fn next(&self) -> Option<Event> {
        let doorway = self.doorway.as_ref().filter(|_| !self.is_shut)?;
        doorway.next().map(|admitted| Event::Accepted(Connection::Admitted(admitted)))
    }

    /// Nobody comes in any more; who is in stays.
    pub fn shut(&mut self) {
        self.is_shut = true;
        if let Some(doorway) = &self.doorway {
            doorway.shut();
        }
    }

    /// Whether the kernel does TLS for this one.
    pub fn has(&self, slot: usize) -> bool {
        self.slots.iter().any(|(other, _)| *other == slot)
    }
}

/// Whether a receive stumbled over something that is no data.
pub fn is_stray(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EIO)
}

impl Wire {
    /// Takes in those who come by a gate.
    pub fn behind(mut self, doorway: Doorway) -> Self {
        self.sealed.doorway = Some(doorway);
        self
    }

    /// Takes in one who was let in; returns his slot.
    pub fn adopt_admitted(&mut self, admitted: Admitted) -> io::Result<usize> {
        let slot = self.adopt(Connection::Socket(admitted.stream))?;
        self.sealed.slots.extend(admitted.parting.map(|parting| (slot, parting)));
        Ok(slot)
    }

    /// Leaves the end of a connection to the thread that waits for such, if the kernel does TLS for
    /// it: what the kernel has not encrypted and sent when it is closed is lost.
    pub fn part(&mut self, slot: usize) -> bool {
        let all = &mut self.sealed.slots;
        let Some(at) = all.iter().position(|(other, _)| *other == slot) else { return false };
        let (_, parting) = all.swap_remove(at);
        let Some(socket) = self.release(slot) else { return false };
        parting.take(socket);
        true
    }

    /// Looks at what a receive stumbled over, and goes on if that was nothing.
    pub fn look_at_stray(&mut self, slot: usize) -> Option<Option<io::Error>> {
        match kernel::stray(self.stream(slot)?) {
            Stray::Goodbye => Some(None),
            Stray::Other(error) => Some(Some(error)),
            Stray::Nothing => {
                self.receive(slot);
                None
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        while let Some(slot) = self.sealed.slots.last().map(|(slot, _)| *slot) {
            self.part(slot);
        }
    }
}
