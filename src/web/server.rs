//! A server and its thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

use crate::error::{ConfigError, IoError, Result};
use crate::trust::Access;
#[cfg(feature = "tls")]
use crate::trust::ServerTls;
use crate::web::connection::accept;
use crate::web::counts::Counts;
use crate::web::house::House;

/// Connections that the kernel holds before they are accepted.
const BACKLOG: u32 = 1024;

/// The limits of a [`WebServer`], and who may ask it.
#[derive(Clone, Debug)]
pub struct Web {
    /// Connections at a time; one more is answered 503 and closed.
    pub connections_max: usize,
    /// Closes a connection on which the head of a request takes so long to come, or nothing comes
    /// for so long between two.
    pub head_max: Duration,
    /// The longest body; one that is longer is answered 413.
    pub body_bytes_max: usize,
    /// What all bodies that are coming in may take together; where there is no room, the answer is
    /// 503.
    pub bodies_bytes_max: usize,
    /// How long a body may take to come; one that takes longer is answered 408.
    pub body_max: Duration,
    /// What the kernel may hold of what is sent to one connection, in bytes: the less it is, the
    /// sooner one who does not read is noticed.
    pub send_buffer_bytes: u32,
    /// TLS, by which everything is then. Only an address of the host itself can do without.
    #[cfg(feature = "tls")]
    pub tls: Option<ServerTls>,
    /// How long a handshake of TLS may take.
    pub handshake_max: Duration,
    /// Connections that shake hands at a time, beside those that there may be; for one more the one
    /// of them makes room that has taken longest.
    pub handshakes_max: usize,
    /// Who may publish and subscribe to which of the names here, and is known by what: a token,
    /// shown as `Authorization: Bearer`, or a certificate that `tls` asks for. Only at
    /// an address of the host itself can that be [anybody](Access::anybody).
    pub access: Access,
    /// Pages that may ask beside the server's own, as `https://desk.example`.
    pub origins: Vec<String>,
    /// How long the end of the server waits for requests that are under way.
    pub linger: Duration,
}

impl Default for Web {
    fn default() -> Self {
        Self {
            connections_max: 1024,
            head_max: Duration::from_secs(30),
            body_bytes_max: 1 << 20,
            bodies_bytes_max: 64 << 20,
            body_max: Duration::from_secs(10),
            send_buffer_bytes: 256 << 10,
            #[cfg(feature = "tls")]
            tls: None,
            handshake_max: Duration::from_secs(5),
            handshakes_max: 256,
            access: Access::anybody(),
            origins: Vec::new(),
            linger: Duration::from_secs(2),
        }
    }
}

impl Web {
    fn check(&self, address: SocketAddr) -> Result<(), ConfigError> {
        self.check_access(address)?;
        let within = |setting, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(ConfigError::setting(setting, value, format!("must be 1 to {most}"))),
        };
        within("connections_max", self.connections_max, 1 << 20)?;
        within("handshakes_max", self.handshakes_max, 1 << 16)?;
        within("bodies_bytes_max", self.bodies_bytes_max, 1 << 32)?;
        within("body_bytes_max", self.body_bytes_max, self.bodies_bytes_max.min(1 << 30))
    }

    fn check_access(&self, address: SocketAddr) -> Result<(), ConfigError> {
        let refused = |reason: &str| Err(ConfigError::setting("address", address, reason));
        let is_beyond = !address.ip().is_loopback();
        if is_beyond && !self.has_tls() {
            return refused(
                "reaches beyond this host, and so needs `tls` (of the feature `tls`): or use a \
                 loopback address, and a proxy there that speaks TLS",
            );
        }
        if is_beyond && self.access.is_open() {
            return refused(
                "reaches beyond this host, and so anybody may not come in: say in `access` who \
                 may, by a `token` or a `certificate`",
            );
        }
        let by_certificate = self.asks_for_certificates() && self.access.has_names();
        if !self.access.is_open() && !self.access.has_tokens() && !by_certificate {
            return refused(
                "lets nobody in: `access` wants a `token`, or a `certificate` and `tls` that asks \
                 for it, or `anybody` on loopback",
            );
        }
        self.access.check()
    }

    /// Whether what is sent can be read by nobody else.
    #[cfg(feature = "tls")]
    pub(super) fn has_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether what is sent can be read by nobody else.
    #[cfg(not(feature = "tls"))]
    pub(super) fn has_tls(&self) -> bool {
        false
    }

    #[cfg(feature = "tls")]
    fn asks_for_certificates(&self) -> bool {
        self.tls.as_ref().is_some_and(ServerTls::asks)
    }

    #[cfg(not(feature = "tls"))]
    fn asks_for_certificates(&self) -> bool {
        false
    }
}

/// A server of HTTP, or HTTPS, on a thread beside the shards.
///
/// Made before the engine starts; clones are the same. It outlives the pipeline, so that a restart
/// finds the address and the subscribers again, and ends when the last clone is dropped.
///
/// ```
/// use millstream::web::{Access, Web, WebServer};
///
/// let server = WebServer::on("127.0.0.1:0".parse().unwrap(), Web::default())?;
/// assert_ne!(server.address().port(), 0);
/// let access = Access::nobody().token("feed", "0f7e5c1b9a3d4826").may_publish("feed", "trades");
/// let all = "0.0.0.0:0".parse().unwrap();
/// let refused = WebServer::on(all, Web { access, ..Web::default() }).err().unwrap().to_string();
/// assert!(refused.contains("beyond this host, and so needs `tls`"), "{refused}");
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone)]
pub struct WebServer(Arc<Running>);

struct Running {
    house: Arc<House>,
    address: SocketAddr,
    handle: Handle,
    /// True when it is over.
    over: watch::Sender<bool>,
    /// Closed by the thread when it ends.
    ended: std::sync::Mutex<Receiver<()>>,
}

impl WebServer {
    /// Serves at an address. Port 0 takes a free one.
    ///
    /// # Errors
    /// An address that others can reach, without TLS or where anybody may come in; a setting that
    /// cannot be; and what the system said, which may be that the port is in use.
    pub fn on(address: SocketAddr, settings: Web) -> Result<Self> {
        settings.check(address)?;
        let failed = |cause| IoError::new("serve at", address.to_string(), cause);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let listener = {
            let _within = runtime.enter();
            listen(address, &settings).map_err(failed)?
        };
        let address = listener.local_addr().map_err(failed)?;
        let handle = runtime.handle().clone();
        let house = Arc::new(House::new(settings));
        let (over, is_over) = watch::channel(false);
        let (ending, ended) = mpsc::channel();
        let served = house.clone();
        let run = move || {
            serve(runtime, listener, served, is_over);
            drop(ending);
        };
        std::thread::Builder::new().name("web".to_owned()).spawn(run).map_err(failed)?;
        Ok(Self(Arc::new(Running { house, address, handle, over, ended: ended.into() })))
    }

    /// Where it serves.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// What happened.
    pub fn counts(&self) -> Counts {
        self.0.house.counts.clone()
    }

    /// Shows a page at a path, as `/`: before all else that is there.
    pub fn show(&self, path: &str, content_type: &'static str, page: impl Into<Vec<u8>>) {
        self.0.house.show(path, content_type, page.into().into());
    }

    /// Ends what comes in: requests with records and questions are answered 503 from now on, and
    /// sources end when what they were sent is taken. Subscribers hear of the end as the pipeline
    /// comes to it.
    pub fn stop(&self) {
        self.0.house.stop();
    }

    pub(super) fn house(&self) -> &Arc<House> {
        &self.0.house
    }

    /// What its thread runs is started through.
    pub(super) fn handle(&self) -> &Handle {
        &self.0.handle
    }
}

impl Drop for Running {
    /// Requests that are under way come to their end, if they do so soon.
    fn drop(&mut self) {
        self.house.stop();
        self.house.close();
        self.over.send_replace(true);
        let ended = self.ended.get_mut().unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = ended.recv_timeout(self.house.settings.linger + Duration::from_secs(1));
    }
}

fn listen(address: SocketAddr, settings: &Web) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // What was closed a moment ago does not hold the address.
    socket.set_reuseaddr(true)?;
    // Connections have it from here.
    socket.set_send_buffer_size(settings.send_buffer_bytes)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The thread.
fn serve(
    runtime: Runtime,
    listener: TcpListener,
    house: Arc<House>,
    is_over: watch::Receiver<bool>,
) {
    let linger = house.settings.linger;
    runtime.block_on(accept(listener, house, is_over));
    runtime.shutdown_timeout(linger);
}
