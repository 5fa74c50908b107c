//! Where the pipelines of the shards meet while they are built.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::ConfigError;
use crate::memory::Bell;

/// A link between two shards: which edge of the pipeline, from which shard, to which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Link {
    /// The edge, counted in the order of building.
    pub edge: usize,
    /// The sending shard.
    pub from: usize,
    /// The receiving shard.
    pub to: usize,
}

/// What is left of a link when one side has taken its end.
#[derive(Default)]
struct Ends {
    sender: Option<Box<dyn Any + Send>>,
    receiver: Option<Box<dyn Any + Send>>,
}

/// Where the pipelines of the shards meet while they are built: every shard runs the same build
/// closure, and whichever comes first to a link makes it and leaves the other end here. No record
/// ever passes through.
pub struct Fabric {
    links: Mutex<HashMap<Link, Ends>>,
    bells: Vec<Arc<Bell>>,
}

impl Fabric {
    /// A meeting place for this many shards.
    pub fn new(shards: usize) -> Self {
        let bells = (0..shards).map(|_| Arc::default()).collect();
        Self { links: Mutex::default(), bells }
    }

    /// How many shards meet here.
    pub fn shards(&self) -> usize {
        self.bells.len()
    }

    /// The door bell of a shard.
    pub fn bell(&self, shard: usize) -> Arc<Bell> {
        self.bells[shard].clone()
    }

    /// This side's sending end of a link; `make` makes both ends if the other side has not been
    /// here yet.
    pub(crate) fn sender<S: Any + Send, R: Any + Send>(
        &self,
        link: Link,
        make: impl FnOnce() -> (S, R),
    ) -> Result<S, ConfigError> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ends) = links.remove(&link) {
            return ends.sender.and_then(downcast).ok_or_else(|| differs(link));
        }
        let (sender, receiver) = make();
        links.insert(link, Ends { sender: None, receiver: Some(Box::new(receiver)) });
        Ok(sender)
    }

    /// This side's receiving end of a link; see [`sender`](Self::sender).
    pub(crate) fn receiver<S: Any + Send, R: Any + Send>(
        &self,
        link: Link,
        make: impl FnOnce() -> (S, R),
    ) -> Result<R, ConfigError> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ends) = links.remove(&link) {
            return ends.receiver.and_then(downcast).ok_or_else(|| differs(link));
        }
        let (sender, receiver) = make();
        links.insert(link, Ends { sender: Some(Box::new(sender)), receiver: None });
        Ok(receiver)
    }

    /// Once all shards are built: every link must have been claimed from both sides.
    pub fn check(&self) -> Result<(), ConfigError> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.keys().min().map_or(Ok(()), |link| Err(differs(*link)))
    }
}

fn downcast<E: Any>(end: Box<dyn Any + Send>) -> Option<E> {
    end.downcast().ok().map(|end| *end)
}

fn differs(Link { edge, from, to }: Link) -> ConfigError {
    ConfigError::Pipeline(format!(
        "shards {from} and {to} built different pipelines: edge {edge} does not meet; \
         the build closure must do the same on every shard"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link = Link { edge: 0, from: 0, to: 1 };

    #[test]
    fn both_sides_get_ends_of_one_link() {
        let fabric = Fabric::new(2);
        let sender: Result<u8, _> = fabric.sender(LINK, || (1u8, 2u16));
        assert_eq!(sender.ok(), Some(1));
        assert!(fabric.check().is_err(), "the receiver has not come yet");
        let receiver: Result<u16, _> = fabric.receiver(LINK, || (9u8, 9u16));
        assert_eq!(receiver.ok(), Some(2));
        assert!(fabric.check().is_ok());
    }

    #[test]
    fn ends_of_different_types_do_not_meet() {
        let fabric = Fabric::new(2);
        assert!(fabric.sender(LINK, || (1u8, 2u16)).is_ok());
        assert!(fabric.receiver(LINK, || (1u32, 2u32)).is_err());
    }
}
