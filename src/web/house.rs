//! What a server serves, by name.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::response::Response;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::error::ConfigError;
use crate::web::counts::Counts;
use crate::web::hall::Hall;
use crate::web::server::Web;
use crate::web::sink::Publishing;

/// How a request came.
#[derive(Clone, Copy)]
pub struct Visit {
    /// By which connection.
    pub connection: u64,
    /// When its head was there.
    pub came: Instant,
}

/// What takes the bodies that are posted to a name.
pub trait Door: Any + Send + Sync {
    /// Takes one that has come.
    fn take(&self, body: Bytes, visit: Visit) -> BoxFuture<'_, Response>;

    /// Takes no more, and ends the sources behind it.
    fn stop(&self);
}

/// What the threads share.
pub struct House {
    pub settings: Web,
    pub counts: Counts,
    /// What bodies take, in bytes.
    pub bodies: Semaphore,
    rooms: Mutex<Rooms>,
}

#[derive(Default)]
struct Rooms {
    doors: BTreeMap<Box<str>, Arc<dyn Door>>,
    halls: BTreeMap<Box<str>, Arc<Hall>>,
    pages: BTreeMap<Box<str>, (&'static str, Bytes)>,
    stopped: bool,
}

impl House {
    /// One that serves nothing.
    pub fn new(settings: Web) -> Self {
        let bodies = Semaphore::new(settings.bodies_bytes_max);
        Self { settings, counts: Counts::default(), bodies, rooms: Mutex::default() }
    }

    /// The door of a name, made if there is none.
    ///
    /// # Errors
    /// It is no name, or that of something else.
    pub fn door<D: Door>(
        &self,
        name: &str,
        make: impl FnOnce() -> D,
    ) -> Result<Arc<D>, ConfigError> {
        check_name(name)?;
        let mut rooms = self.lock();
        let door: Arc<dyn Any + Send + Sync> = match rooms.doors.get(name) {
            Some(door) => door.clone(),
            None => {
                let door = Arc::new(make());
                if rooms.stopped {
                    door.stop();
                }
                rooms.doors.insert(name.into(), door.clone());
                door
            }
        };
        let reason = || format!("requests to `{name}` are for something else already");
        door.downcast().map_err(|_| ConfigError::Pipeline(reason()))
    }

    /// The hall of a name, made if there is none.
    ///
    /// # Errors
    /// It is no name.
    pub fn hall(
        &self,
        name: &str,
        publishing: Publishing,
        handle: &Handle,
    ) -> Result<Arc<Hall>, ConfigError> {
        check_name(name)?;
        let mut rooms = self.lock();
        let hall = rooms.halls.entry(name.into()).or_insert_with(|| {
            let hall = Arc::new(Hall::new(publishing, self.counts.clone()));
            handle.spawn(Hall::look_after(Arc::downgrade(&hall)));
            hall
        });
        Ok(hall.clone())
    }

    /// Shows a page at a path.
    pub fn show(&self, path: &str, content_type: &'static str, content: Bytes) {
        self.lock().pages.insert(path.into(), (content_type, content));
    }

    pub fn find_door(&self, name: &str) -> Option<Arc<dyn Door>> {
        self.lock().doors.get(name).cloned()
    }

    pub fn find_hall(&self, name: &str) -> Option<Arc<Hall>> {
        self.lock().halls.get(name).cloned()
    }

    pub fn find_page(&self, path: &str) -> Option<(&'static str, Bytes)> {
        self.lock().pages.get(path).cloned()
    }

    /// Ends all sources.
    pub fn stop(&self) {
        let mut rooms = self.lock();
        rooms.stopped = true;
        rooms.doors.values().for_each(|door| door.stop());
    }

    /// Tells all subscribers of the end.
    pub fn close(&self) {
        self.lock().halls.values().for_each(|hall| hall.close());
    }

    fn lock(&self) -> MutexGuard<'_, Rooms> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_name(name: &str) -> Result<(), ConfigError> {
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=64).contains(&name.len()) && name.bytes().all(is_fit) {
        return Ok(());
    }
    let reason = "must be 1 to 64 letters, digits, `-`, `_` and `.`";
    Err(ConfigError::setting("name at a server", format!("`{name}`"), reason))
}
