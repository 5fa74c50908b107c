//! What a wire does for connections that came in by a gate.

use std::io;

use nix::libc;

use crate::net::gate::admitted::Admitted;
use crate::net::gate::door::Doorway;
use crate::net::gate::kernel::{self, Beside};
use crate::net::wire::{Connection, Event, Wire};

/// Where connections come in, and which of them the kernel does TLS for.
#[derive(Default)]
pub struct Sealed {
    doorway: Option<Doorway>,
    is_shut: bool,
    slots: Vec<usize>,
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
        self.slots.contains(&slot)
    }
}

/// Whether a receive stumbled over something that is no data.
pub fn is_beside(error: &io::Error) -> bool {
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
        let Admitted { stream, is_sealed, .. } = admitted;
        let slot = self.adopt(Connection::Socket(stream))?;
        if is_sealed {
            self.sealed.slots.push(slot);
        }
        Ok(slot)
    }

    /// Says that no more comes to one for whom the kernel does TLS.
    pub fn say_goodbye(&mut self, slot: usize) {
        let Some(at) = self.sealed.slots.iter().position(|other| *other == slot) else { return };
        self.sealed.slots.swap_remove(at);
        if let Some(stream) = self.stream(slot) {
            kernel::say_goodbye(stream);
        }
    }

    /// Looks at what a receive stumbled over, and goes on if that was nothing.
    pub fn look_beside(&mut self, slot: usize) -> Option<Option<io::Error>> {
        match kernel::beside(self.stream(slot)?) {
            Beside::Goodbye => Some(None),
            Beside::Other(error) => Some(Some(error)),
            Beside::Nothing => {
                self.receive(slot);
                None
            }
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        while let Some(slot) = self.sealed.slots.last().copied() {
            self.say_goodbye(slot);
        }
    }
}
