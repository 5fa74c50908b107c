//! A server and its thread.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;

use crate::error::{ConfigError, IoError, Result};
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
    /// What a request must show, as `Authorization: Bearer`. Without it, only an address of the
    /// host itself can be listened at.
    pub token: Option<String>,
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
            token: None,
            origins: Vec::new(),
            linger: Duration::from_secs(2),
        }
    }
}

impl Web {
    fn check(&self, address: SocketAddr) -> Result<(), ConfigError> {
        if self.token.is_none() && !address.ip().is_loopback() {
            let reason = "reaches beyond this host, and there is no token: use a loopback address, \
                          or set one";
            return Err(ConfigError::setting("address", address, reason));
        }
        if self.token.as_ref().is_some_and(|token| token.is_empty()) {
            return Err(ConfigError::setting("token", "", "must not be empty"));
        }
        let within = |setting, value: usize, most: usize| match (1..=most).contains(&value) {
            true => Ok(()),
            false => Err(ConfigError::setting(setting, value, format!("must be 1 to {most}"))),
        };
        within("connections_max", self.connections_max, 1 << 20)?;
        within("bodies_bytes_max", self.bodies_bytes_max, 1 << 32)?;
        within("body_bytes_max", self.body_bytes_max, self.bodies_bytes_max.min(1 << 30))
    }
}

/// A server of HTTP, on a thread beside the shards.
///
/// Made before the engine starts; clones are the same. It outlives the pipeline, so that a restart
/// finds the address and the subscribers again, and ends when the last clone is dropped.
///
/// ```
/// use millstream::web::{Web, WebServer};
///
/// let server = WebServer::on("127.0.0.1:0".parse().unwrap(), Web::default())?;
/// assert_ne!(server.address().port(), 0);
/// let all = "0.0.0.0:0".parse().unwrap();
/// let refused = WebServer::on(all, Web::default()).err().unwrap().to_string();
/// assert!(refused.contains("beyond this host"), "{refused}");
/// let token = Some("a long secret".to_owned());
/// assert!(WebServer::on(all, Web { token, ..Web::default() }).is_ok());
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
    /// An address that others can reach, without a token; a setting that cannot be; and what the
    /// system said, which may be that the port is in use.
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
