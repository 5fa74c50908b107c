//! From a shard to the server: a ring, and the end of a sink that fills it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::dataflow::Pipeline;
use crate::error::{ConfigError, IoError};
use crate::exchange::{PipeReceiver, PipeSender, pipe, pipe_bytes};
use crate::io::Driven;
use crate::time::Timestamp;
use crate::web::alarm::Alarm;
use crate::web::counts::{Count, Counts};

/// Values that the server looks at before others have their turn.
const TURN: usize = 256;

/// What becomes of records while the ring to the server is full, which it is when its thread cannot
/// keep up: subscribers have no part in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The sink takes none until there is room: the sources wait with it.
    Block,
    /// They are dropped and counted.
    Drop,
}

/// What a shard sends.
enum Slot<T> {
    Value(T),
    /// Nothing more will come.
    End,
}

/// What both ends know.
#[derive(Default)]
struct Common {
    alarm: Alarm,
    /// The server is done with everything, to the last subscriber.
    done: AtomicBool,
}

/// A ring to the server, made while the pipeline of a shard is built.
pub fn outgoing<T>(
    p: Pipeline<'_>,
    capacity: usize,
    when_full: WhenFull,
    counts: &Counts,
) -> Result<(Outgoing<T>, Post<T>), ConfigError> {
    if !(1..=1 << 22).contains(&capacity) {
        let reason = "must be 1 to 4194304";
        return Err(ConfigError::setting("ring_capacity of a sink", capacity, reason));
    }
    let batch_max = p.config().batch_max;
    // One for the end, which must not wait for ever.
    let capacity = capacity.max(2 * batch_max) + 1;
    p.reserve_bytes(pipe_bytes::<Slot<T>>(capacity));
    let (sender, receiver) = pipe(capacity);
    let common = Arc::new(Common::default());
    let outgoing = Outgoing {
        sender,
        common: common.clone(),
        when_full,
        batch_max,
        unpublished: 0,
        ending: Ending::No,
        counts: counts.clone(),
    };
    Ok((outgoing, Post { receiver, common }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    No,
    /// It was told of the end, and has found no room to say so.
    Told,
    Said,
}

/// The shard's end.
pub struct Outgoing<T> {
    sender: PipeSender<Slot<T>>,
    common: Arc<Common>,
    when_full: WhenFull,
    batch_max: usize,
    unpublished: usize,
    ending: Ending,
    counts: Counts,
}

impl<T> Outgoing<T> {
    /// Whether there is room for a batch, or none is needed.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.when_full == WhenFull::Drop
            || self.sender.room() > self.batch_max
            || self.sender.is_closed()
    }

    /// Takes a value; without a server, and where that is the policy, one may be dropped.
    #[inline]
    pub fn accept(&mut self, value: T) {
        // The last slot is for the end.
        if self.sender.room() > 1 && self.sender.push(Slot::Value(value)).is_ok() {
            self.unpublished += 1;
        } else {
            self.counts.add(Count::Lost, 1);
        }
    }

    /// Wakes the server for what it was sent.
    #[inline]
    pub fn publish(&mut self) {
        if std::mem::take(&mut self.unpublished) > 0 {
            self.common.alarm.ring();
        }
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        self.ending = Ending::Told;
        self.drive();
    }

    fn drive(&mut self) -> u64 {
        if self.ending != Ending::Told || self.sender.push(Slot::End).is_err() {
            return 0;
        }
        self.ending = Ending::Said;
        self.common.alarm.ring();
        1
    }

    fn is_done(&self) -> bool {
        let is_over = self.common.done.load(Ordering::Acquire) || self.sender.is_closed();
        self.ending != Ending::No && is_over
    }
}

impl<T> Drop for Outgoing<T> {
    /// The ring closes with it, and the server has to see that.
    fn drop(&mut self) {
        let (sender, _) = pipe(0);
        self.sender = sender;
        self.common.alarm.ring();
    }
}

/// What the shard drives of a sink.
pub struct Driver<T>(pub Rc<RefCell<Outgoing<T>>>);

impl<T: 'static> Driven for Driver<T> {
    fn drive(&mut self, _now: Timestamp) -> Result<u64, IoError> {
        Ok(self.0.borrow_mut().drive())
    }

    fn is_done(&self) -> bool {
        self.0.borrow().is_done()
    }
}

/// The server's end.
pub struct Post<T> {
    receiver: PipeReceiver<Slot<T>>,
    common: Arc<Common>,
}

/// Why a shard sends nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It said so.
    Ended,
    /// It is gone without a word: its pipeline failed, or was stopped.
    Lost,
}

impl<T> Post<T> {
    /// Takes what comes, a turn at a time, until nothing more will; `after` is called at the end of
    /// each turn.
    pub async fn each(&mut self, mut take: impl FnMut(T), mut after: impl FnMut()) -> Over {
        loop {
            for turn in 0..TURN {
                match self.receiver.pop() {
                    Some(Slot::Value(value)) => take(value),
                    Some(Slot::End) => {
                        after();
                        return Over::Ended;
                    }
                    None if turn > 0 => break,
                    None if self.receiver.is_closed() => return Over::Lost,
                    None => {
                        self.common.alarm.lie_down();
                        if self.receiver.is_empty() && !self.receiver.is_closed() {
                            self.common.alarm.sleep().await;
                        }
                        self.common.alarm.get_up();
                        break;
                    }
                }
            }
            after();
            tokio::task::yield_now().await;
        }
    }

    /// A way to tell the shard that everything is where it belongs.
    pub fn receipt(&self) -> Receipt {
        Receipt(self.common.clone())
    }
}

/// Tells the shard that everything is where it belongs.
#[derive(Clone)]
pub struct Receipt(Arc<Common>);

impl Receipt {
    pub fn give(&self) {
        self.0.done.store(true, Ordering::Release);
    }
}
