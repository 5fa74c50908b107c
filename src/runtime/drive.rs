//! The loop that steps a shard on its core, and what it does when there is nothing to do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::config::Idle;
use crate::dataflow::Work;
use crate::error::{Error, Result, panic_message};
use crate::memory::Bell;
use crate::metrics::{Counter, ShardCounters};
use crate::runtime::coordinator::Desk;
use crate::runtime::monitor::Monitor;
use crate::shard::Shard;
use crate::time::{Clock, SystemClock, Timestamp};

/// The longest sleep: a source that must be polled waits no longer.
const SLEEP_MAX: Duration = Duration::from_millis(1);

/// Steps between two looks at what only matters now and then: whether to stop, and whether the
/// warm-up is over.
const STEPS_BETWEEN_LOOKS: u32 = 256;

/// A shard on its core.
pub struct Driver<'a> {
    pub index: usize,
    pub shard: Shard,
    pub clock: &'a SystemClock,
    pub idle: Idle,
    pub bell: &'a Bell,
    pub monitor: &'a Monitor,
    pub counters: &'a ShardCounters,
    /// Where it hears of checkpoints, if there are any.
    pub desk: Option<Desk>,
    /// Latencies and steps before this moment are of the warm-up and are forgotten.
    pub warm_at: Option<Timestamp>,
}

impl Driver<'_> {
    /// Steps the shard until it is done or the engine stops. A panic of an operator stops the
    /// engine and is reported.
    pub fn run(&mut self) {
        if self.idle != Idle::Spin {
            self.bell.attach();
        }
        if let Err(error) = caught(self.index, || {
            self.step_until_over();
            Ok(())
        }) {
            self.monitor.fail(error);
        }
    }

    /// The hot loop: no system call and no allocation of ours. The time of a step is that from its
    /// clock reading to the next one, so knowing the worst costs no reading more.
    fn step_until_over(&mut self) {
        let mut busy_at = self.clock.now();
        let mut turn = 0_u32;
        let mut stepped_at = Timestamp::MAX;
        loop {
            turn = turn.wrapping_add(1);
            let now = self.clock.now();
            self.shard.took(now.since(stepped_at));
            stepped_at = now;
            let work = self.shard.step(now);
            if let Some(desk) = &mut self.desk {
                desk.look(&mut self.shard);
            }
            let tired = work.is_none() && self.is_tired(now, busy_at);
            if !work.is_none() {
                busy_at = now;
            }
            if tired || turn.is_multiple_of(STEPS_BETWEEN_LOOKS) {
                if self.is_over() {
                    self.shard.took(self.clock.now().since(now));
                    return;
                }
                if self.forget_warm_up(now) {
                    stepped_at = Timestamp::MAX;
                }
            }
            if tired {
                self.sleep();
                stepped_at = Timestamp::MAX;
            }
        }
    }

    /// Whether there will be nothing more to do.
    fn is_over(&mut self) -> bool {
        if let Some(error) = self.shard.take_failure() {
            self.monitor.fail(error);
            return true;
        }
        self.monitor.is_stopped()
            || (self.shard.is_done() && self.desk.as_mut().is_none_or(Desk::is_over))
    }

    /// Whether there has been nothing to do for so long that the shard should sleep.
    #[inline(always)]
    fn is_tired(&self, now: Timestamp, busy_at: Timestamp) -> bool {
        match self.idle {
            Idle::Spin => false,
            Idle::SpinThenPark(spin) => now - busy_at >= spin,
            Idle::Park => true,
        }
    }

    fn sleep(&mut self) {
        self.counters.add(Counter::Parked, 1);
        let Self { shard, bell, clock, .. } = self;
        // Looking once more after the announcement is a step: what it finds keeps the shard awake.
        bell.sleep(SLEEP_MAX, || shard.step(clock.now()) > Work::NONE);
    }

    /// Forgets what was of the warm-up, once, when that is over; returns whether it is that moment.
    fn forget_warm_up(&mut self, now: Timestamp) -> bool {
        let is_warm = self.warm_at.is_some_and(|warm_at| now >= warm_at);
        if is_warm {
            self.warm_at = None;
            self.shard.forget_warm_up(now);
        }
        is_warm
    }
}

/// Runs a user's code on a shard; a panic in it becomes an error.
pub fn caught<T>(shard: usize, code: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(code))
        .unwrap_or_else(|panic| Err(Error::Panic { shard, message: panic_message(panic.as_ref()) }))
}
