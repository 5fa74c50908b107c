//! To the shard that the pipeline's author chooses.

use crate::dataflow::{Context, Placement, Record};
use crate::error::Error;
use crate::exchange::partition::Route;
use crate::exchange::ports::Ports;

/// To the shard that a function chooses, of so many.
pub struct Chosen<F> {
    step: &'static str,
    choose: F,
}

impl<F> Chosen<F> {
    /// By `choose`; errors name `step`.
    pub fn new(step: &'static str, choose: F) -> Self {
        Self { step, choose }
    }
}

impl<T: 'static, F: Fn(&T, usize) -> usize + 'static> Route<T> for Chosen<F> {
    #[inline]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, cx: &mut Context) {
        let shards = ports.shards();
        let shard = (self.choose)(&record.value, shards);
        if shard < shards {
            ports.push(shard, record);
        } else {
            cx.fail(Error::NoShard { step: self.step, shard, shards });
        }
    }

    fn placement(&self) -> Placement {
        Placement::Chosen
    }
}
