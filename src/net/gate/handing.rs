//! How a connection that is settled becomes a socket of plain bytes for a shard.

use std::io;
use std::net::SocketAddr;

use crate::net::counts::Count;
use crate::net::gate::admitted::Admitted;
use crate::net::gate::beside::Beside;
use crate::net::gate::kernel::{self, Kernel};
use crate::net::gate::relay::Relay;
use crate::net::gate::session::{Failure, Session};
use crate::net::gate::teller::Teller;

/// What does TLS for connections that are settled.
pub struct Handing {
    kernel: Kernel,
    teller: Teller,
    beside: Beside,
    /// From the first connection with TLS on.
    relay: Option<Relay>,
}

impl Handing {
    pub fn new(kernel: Kernel, teller: Teller, beside: Beside) -> Self {
        Self { kernel, teller, beside, relay: None }
    }

    /// Hands one over: to the kernel if it can take it, else to the thread.
    pub fn hand(&mut self, mut session: Session, remote: SocketAddr) -> Result<Admitted, Failure> {
        let broken = |error: io::Error| Failure::new(Count::Broken, error.to_string());
        let unread = session.has_more();
        let Session { stream, sealed } = session;
        let (stream, parting) = match sealed {
            None => (stream, None),
            // What has been read already the kernel does not see.
            Some(sealed) if self.kernel.can(&sealed.tls) && !unread => {
                let parting = self.relay().map_err(broken)?.parting();
                kernel::take_over(&stream, sealed.tls).map_err(broken)?;
                self.teller.count(Count::ByKernel);
                (stream, Some(parting))
            }
            Some(sealed) => {
                let inner = self.relay().and_then(|it| it.take(sealed.tls, stream, remote));
                let inner = inner.map_err(broken)?;
                self.teller.count(Count::ByThread);
                (inner, None)
            }
        };
        // On a ring a socket that waits is one on which nothing is there yet.
        stream.set_nonblocking(false).map_err(broken)?;
        Ok(Admitted { stream, remote, parting })
    }

    fn relay(&mut self) -> io::Result<&Relay> {
        match &mut self.relay {
            Some(relay) => Ok(relay),
            none => Ok(none.insert(Relay::start(self.teller.clone(), self.beside.clone())?)),
        }
    }
}
