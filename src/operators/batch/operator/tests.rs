//! Half-full batches that move to another number of shards.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::operators::batch::gather::{Append, Update};
use crate::time::ManualClock;

/// Notes the values of each batch.
struct Log(Rc<RefCell<Vec<Vec<u64>>>>);

impl Operator<Batched<u64>> for Log {
    fn on_record(&mut self, record: Record<Batched<u64>>, _cx: &mut Context) {
        let values = record.value.iter().map(|record| record.value).collect();
        self.0.borrow_mut().push(values);
    }
    fn on_watermark(&mut self, _: Watermark, _cx: &mut Context) {}
    fn on_batch_end(&mut self, _cx: &mut Context) {}
    fn on_checkpoint(&mut self, _: Checkpoint, _cx: &mut Context) {}
    fn resume(&mut self, _cx: &mut Context) -> Work {
        Work::NONE
    }
    fn pressure(&self) -> Pressure {
        Pressure::Clear
    }
    fn save(&self, _out: &mut Saved) {}
}

/// No batch holds more than it may, and none of the records is lost: neither those of a batch that
/// goes on, nor those of others that come into it.
#[test]
fn half_full_batches_go_on_and_none_gets_too_large() {
    move_batches(|| Append, |_| true);
    // Of each number the last that came, and each batch knows its own.
    let last = |value: &u64| !value.is_multiple_of(10);
    move_batches(|| Update::new(|value: &u64| value / 10 * 10 + value % 10 / 2, 4, 7), last);
}

fn move_batches<G: Gather<u64>>(gather: impl Fn() -> G, stays: impl Fn(&u64) -> bool) {
    let log = Rc::new(RefCell::new(Vec::new()));
    let mut cx = Context::new(Rc::new(ManualClock::default()), Default::default());
    (cx.now, cx.ingress) = (Timestamp(0), Timestamp(0));
    let operator = || {
        let settings = Settings { records_max: 4, wait_ns: 1_000, fire_max: 8, batch_max: 8 };
        BatchOperator::new(settings, gather(), Pool::new(4), Log(log.clone()))
    };
    let mut held = |shard: u64| {
        let (mut batch, mut saved) = (operator(), Saved::new());
        for value in 10 * shard..10 * shard + 3 {
            batch.on_record(Record::new(Timestamp(value as i64), value), &mut cx);
        }
        batch.save(&mut saved);
        saved.checked().unwrap()
    };
    let all: Vec<Saved> = (0..3).map(&mut held).collect();
    for shards in [1, 2, 5] {
        let mut moved = Vec::new();
        for shard in 0..shards {
            let to = Rescale { shard, shards, before: 3, hash_seed: 0 };
            let mut saved = Saved::rescaling(all.clone(), to);
            let mut batch = operator();
            batch.load(&mut saved);
            assert_eq!(saved.finish(), Ok(()));
            cx.now = Timestamp(0);
            batch.on_batch_end(&mut cx);
            while batch.pressure() != Pressure::Clear {
                cx.now = cx.now.offset(500);
                batch.resume(&mut cx);
            }
            let batches = log.take();
            assert!(batches.iter().all(|batch| (1..=4).contains(&batch.len())), "{batches:?}");
            let values: Vec<u64> = batches.into_iter().flatten().collect();
            let of = (0..3u64).filter(|it| to.follows(*it as usize));
            let want = of.flat_map(|it| 10 * it..10 * it + 3).filter(&stays);
            assert_eq!(values, want.collect::<Vec<_>>());
            moved.extend(values);
        }
        assert_eq!(moved.len(), 3 * (0..3).filter(&stays).count());
    }
}
