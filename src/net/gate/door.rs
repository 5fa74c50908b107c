//! One stream of a gate, as sources and sinks see it.

use std::fmt;
use std::sync::Arc;

use crate::error::{ConfigError, Result};
use crate::net::gate::admitted::Admitted;
use crate::net::gate::{Gate, Served};
use crate::net::listener::{Listens, State, Way, failed_to_listen};
use crate::net::wire::{Rung, Shape, Wire};

/// One stream of a [`Gate`]: what a [`TcpSource`](crate::net::TcpSource) reads of those who publish
/// it, or a [`TcpSink`](crate::net::TcpSink) serves to those who subscribe. Clones are the same.
#[derive(Clone)]
pub struct Door {
    gate: Gate,
    served: Arc<Served>,
}

impl Door {
    pub(super) fn new(gate: Gate, served: Arc<Served>) -> Self {
        Self { gate, served }
    }

    /// Its gate.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Ends it: nobody is let in for it any more, and sources end what they read when all that has
    /// come is decoded.
    pub fn stop(&self) {
        self.served.state.stop();
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.place())
    }
}

impl Listens for Door {
    fn place(&self) -> String {
        format!("{} of {}", self.served.stream, self.gate.address())
    }

    fn check(&self, way: Way) -> Result<(), ConfigError> {
        if way == self.served.way {
            return Ok(());
        }
        let reason = "an `inlet` is for sources, an `outlet` for sinks";
        Err(ConfigError::setting("stream", &self.served.stream, reason))
    }

    fn wire(&self, shard: usize, shape: Shape, from: Rung) -> Result<Wire> {
        if shard >= self.served.shards.len() {
            let reason = format!("it was made for {}", self.served.shards.len());
            return Err(ConfigError::setting("shard of a gate", shard, reason).into());
        }
        let wire = Wire::new(shape, from).map_err(|cause| failed_to_listen(self, cause))?;
        self.gate.0.rules.beside.on_shard();
        self.gate.0.bell.ring();
        Ok(wire.behind(Doorway { door: self.clone(), shard }))
    }

    fn state(&self) -> &Arc<State> {
        &self.served.state
    }
}

/// Where those come in who were let in for one shard. It keeps the gate.
pub struct Doorway {
    door: Door,
    shard: usize,
}

impl Doorway {
    /// The next of them. Never waits.
    #[inline]
    pub fn next(&self) -> Option<Admitted> {
        self.door.served.shards[self.shard].pop()
    }

    /// Nobody comes in any more.
    pub fn shut(&self) {
        self.door.served.shards[self.shard].clear();
    }
}
