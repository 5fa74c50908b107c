//! Connections, each a task on the server's thread.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use crate::web::counts::Count;
use crate::web::hall::Present;
use crate::web::house::House;
use crate::web::route::answer;
#[cfg(feature = "tls")]
use crate::web::sealing::{Shaking, seal};

/// What a connection may hold of what it reads and writes, in bytes.
const BUFFER: usize = 64 << 10;

/// Headers of a request, and the bytes of its head.
const HEADERS_MAX: usize = 64;
const HEAD_MAX: usize = 32 << 10;

/// How long the system is left alone when it cannot accept.
const PAUSE: Duration = Duration::from_millis(20);

/// How long one who is cut off may still read why.
const GRACE: Duration = Duration::from_millis(500);

const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\
                      Retry-After: 1\r\nConnection: close\r\n\r\n";

/// What the requests of a connection know of it.
pub struct Seat {
    pub number: u64,
    /// Rung when it is to be cut.
    pub cut: Arc<Notify>,
    /// The names in the certificate that was shown.
    pub names: Vec<String>,
    /// The subscriber that it is, until it is over.
    present: Mutex<Option<Present>>,
    /// Of those connections that there may be.
    _place: OwnedSemaphorePermit,
}

impl Seat {
    /// A subscriber is there as long as this connection is.
    pub fn hold(&self, present: Present) {
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) = Some(present);
    }
}

/// Accepts connections until it is over, and waits for them then.
pub async fn accept(listener: TcpListener, house: Arc<House>, mut is_over: watch::Receiver<bool>) {
    let most = house.settings.connections_max;
    let places = Arc::new(Semaphore::new(most));
    #[cfg(feature = "tls")]
    let shaking = Arc::<Shaking>::default();
    let mut number = 0;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = come(&mut is_over) => break,
        };
        let Ok((stream, _)) = accepted else {
            house.counts.add(Count::NotAccepted, 1);
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        number += 1;
        let welcome = Welcome { number, places: places.clone(), house: house.clone() };
        let is_over = is_over.clone();
        #[cfg(feature = "tls")]
        if let Some(tls) = house.settings.tls.clone() {
            let shaking = shaking.clone();
            tokio::spawn(async move {
                if let Some((stream, names)) = seal(stream, &tls, &welcome.house, &shaking).await {
                    welcome.serve(stream, names, is_over).await;
                }
            });
            continue;
        }
        tokio::spawn(welcome.serve(stream, Vec::new(), is_over));
    }
    drop(listener);
    let all = places.acquire_many(most as u32);
    let _ = tokio::time::timeout(house.settings.linger, all).await;
}

/// Comes back when it is over.
async fn come(is_over: &mut watch::Receiver<bool>) {
    let _ = is_over.wait_for(|over| *over).await;
}

/// What a connection is let in by.
struct Welcome {
    number: u64,
    /// As many as there may be.
    places: Arc<Semaphore>,
    house: Arc<House>,
}

impl Welcome {
    /// Serves a connection to its end, if there is a place for it.
    async fn serve<S>(self, mut stream: S, names: Vec<String>, is_over: watch::Receiver<bool>)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Self { number, places, house } = self;
        let Ok(place) = places.try_acquire_owned() else {
            house.counts.add(Count::Refused, 1);
            let refuse = async {
                let _ = stream.write_all(FULL).await;
                let _ = stream.shutdown().await;
            };
            let _ = tokio::time::timeout(GRACE, refuse).await;
            return;
        };
        house.counts.add(Count::Accepted, 1);
        let (cut, present) = (Arc::default(), Mutex::default());
        let seat = Arc::new(Seat { number, cut, names, present, _place: place });
        serve(stream, seat, house, is_over).await;
    }
}

/// Serves a connection to its end.
async fn serve<S>(stream: S, seat: Arc<Seat>, house: Arc<House>, mut is_over: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (at_house, on_seat) = (house.clone(), seat.clone());
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (house, seat) = (at_house.clone(), on_seat.clone());
        async move { Ok::<_, Infallible>(answer(request.map(Body::new), house, seat).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(house.settings.head_max)
        .max_buf_size(BUFFER)
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let is_well = tokio::select! {
        result = connection.as_mut() => result.is_ok(),
        () = seat.cut.notified() => {
            let ended = tokio::time::timeout(GRACE, connection.as_mut()).await;
            ended.is_ok_and(|result| result.is_ok())
        }
        () = come(&mut is_over) => {
            connection.as_mut().graceful_shutdown();
            connection.as_mut().await.is_ok()
        }
    };
    if !is_well {
        house.counts.add(Count::Broken, 1);
    }
    house.counts.add(Count::Closed, 1);
    seat.present.lock().unwrap_or_else(PoisonError::into_inner).take();
}
