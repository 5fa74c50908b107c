//! TLS for the server's connections: the handshake of each is a task of its own, bounded in time,
//! and there are so many at once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::trust::{Fault, ServerTls, names_of};
use crate::web::counts::Count;
use crate::web::house::House;

/// Those who shake hands now, in the order in which they came.
#[derive(Default)]
pub struct Shaking(Mutex<VecDeque<Arc<Notify>>>);

impl Shaking {
    /// Begins a handshake: where there are as many as there may be, the one that has taken longest
    /// makes room, so that those who say nothing keep nobody out.
    fn begin(&self, most: usize) -> Hand<'_> {
        let crowded = Arc::<Notify>::default();
        let mut all = self.lock();
        while all.len() >= most {
            let Some(longest) = all.pop_front() else { break };
            longest.notify_one();
        }
        all.push_back(crowded.clone());
        Hand { shaking: self, crowded }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One handshake, until it is over.
struct Hand<'a> {
    shaking: &'a Shaking,
    /// Rung when it has to make room.
    crowded: Arc<Notify>,
}

impl Drop for Hand<'_> {
    fn drop(&mut self) {
        let mut all = self.shaking.lock();
        if let Some(at) = all.iter().position(|it| Arc::ptr_eq(it, &self.crowded)) {
            all.remove(at);
        }
    }
}

/// A connection with TLS, and the names in the certificate that was shown; none, and that is
/// counted by its reason, if it comes to nothing.
pub async fn seal(
    stream: TcpStream,
    tls: &ServerTls,
    house: &House,
    shaking: &Shaking,
) -> Option<(TlsStream<TcpStream>, Vec<String>)> {
    let hand = shaking.begin(house.settings.handshakes_max);
    // As the files are now: they may have been read again.
    let acceptor = TlsAcceptor::from(tls.config_for_http());
    let shake = tokio::time::timeout(house.settings.handshake_max, acceptor.accept(stream));
    let reason = tokio::select! {
        shaken = shake => match shaken {
            Ok(Ok(stream)) => {
                let shown = stream.get_ref().1.peer_certificates();
                let names = shown.and_then(<[_]>::first).map(names_of).unwrap_or_default();
                return Some((stream, names));
            }
            Ok(Err(error)) => Fault::of_io(&error).map_or(Count::Broken, counted_as),
            Err(_) => Count::Unready,
        },
        () = hand.crowded.notified() => Count::Crowded,
    };
    house.counts.add(reason, 1);
    None
}

fn counted_as(fault: Fault) -> Count {
    match fault {
        Fault::CutShort => Count::Broken,
        Fault::NoCertificate => Count::NoCertificate,
        Fault::Expired => Count::Expired,
        Fault::Foreign => Count::ForeignCertificate,
        Fault::Declined => Count::NotTrusted,
        Fault::NotTls => Count::NotTls,
    }
}
