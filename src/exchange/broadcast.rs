//! To every shard.

use crate::dataflow::{Context, Placement, Record};
use crate::exchange::partition::Route;
use crate::exchange::ports::Ports;

/// A copy to every other shard, and the record itself to this one.
pub struct ToAll;

impl<T: Clone + 'static> Route<T> for ToAll {
    #[inline]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, _cx: &mut Context) {
        let here = ports.here();
        for shard in (0..ports.shards()).filter(|shard| *shard != here) {
            ports.push(shard, record.clone());
        }
        ports.push(here, record);
    }

    fn placement(&self) -> Placement {
        Placement::Everywhere
    }
}
