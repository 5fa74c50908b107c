//! Which step was the worst, and whose doing it was.

use crate::dataflow::Work;

/// The step that took longest of those that found something to do, as a driver with a clock saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorstStep {
    /// How long it took, in nanoseconds. Whatever took the core away meanwhile is in it.
    pub ns: u64,
    /// What it did.
    pub work: Work,
    /// The stage that did most of it, by its steps. No clock is read between stages, so the time is
    /// laid to the stage with the most units of work in one call of that step.
    pub stage: String,
    /// The CPU that it ran on, where the driver knows.
    pub cpu: Option<usize>,
}

impl WorstStep {
    /// The longer of two.
    pub fn longer(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        one.into_iter().chain(other).max_by_key(|step| step.ns)
    }
}

/// The most that a stage has done in one call, in units of work: the bound on a step that does not
/// depend on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageWork {
    /// The stage, by its steps.
    pub stage: String,
    /// The most units of work of one call; a step calls a stage at most twice.
    pub most: Work,
}

impl StageWork {
    /// Takes in what the same stages did on another shard.
    pub fn merge(all: &mut Vec<Self>, other: Vec<Self>) {
        for (index, theirs) in other.into_iter().enumerate() {
            match all.get_mut(index) {
                Some(ours) => ours.most = ours.most.max(theirs.most),
                None => all.push(theirs),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::shard::{Input, Shard};
    use crate::time::{Timestamp, ns};
    use crate::window::Tumbling;
    use crate::window::aggregates::count;

    const KEYS: u64 = 100;

    fn shard() -> (Shard, Input<u64>) {
        let config = Config { batch_max: 8, fire_max: 32, ..Config::embedded() };
        let built = Shard::embed(config, |p| {
            let (input, stream) = p.input::<u64>();
            let windows = stream.map(|n| n % KEYS).key_by(|n| *n).window(Tumbling::of(ns(1_000)));
            windows.aggregate(count()).for_each(drop);
            Ok(input)
        });
        built.unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn stages_are_named_by_their_steps_and_bounded_by_the_config() {
        let (mut shard, mut input) = shard();
        for n in 0..4_000 {
            assert!(input.push(Timestamp(n), n as u64).is_ok());
            shard.step(Timestamp(n));
        }
        let all = shard.stage_work();
        let names: Vec<_> = all.iter().map(|of| of.stage.as_str()).collect();
        assert_eq!(names[0], "source (1 here) > map");
        assert!(
            names[1].starts_with("key_by > window (") && names[1].ends_with(" > sink for_each")
        );
        assert_eq!(all[0].most, Work::ONE, "a record a step");
        // A slice of the window, the step that ends its firing, a table to be cleaned.
        assert!(Work(32) < all[1].most && all[1].most <= Work(32 + 2), "{:?}", all[1].most);
        shard.forget_warm_up(Timestamp(4_000));
        assert!(shard.stage_work().iter().all(|of| of.most.is_none()));
    }

    #[test]
    fn the_longest_step_is_kept_with_what_it_did() {
        let (mut shard, mut input) = shard();
        shard.step(Timestamp(0));
        shard.took(9_999);
        assert_eq!(shard.worst_step(), None, "a step that found nothing to do is none");
        for records in [1, 5, 2] {
            (0..records).for_each(|n| assert!(input.push(Timestamp(n), n as u64).is_ok()));
            let work = shard.step(Timestamp(1));
            shard.took(100 * records as u64);
            assert!(work.0 > records as u64);
        }
        let worst = shard.worst_step().unwrap_or_else(|| panic!("there were steps"));
        assert_eq!((worst.ns, worst.work), (500, Work(11)));
        assert!(worst.stage.starts_with("key_by"), "5 records and their end, not 5 records");
        shard.forget_warm_up(Timestamp(2));
        assert_eq!(shard.worst_step(), None);
    }

    #[test]
    fn shards_are_taken_together() {
        let step = |ns| Some(WorstStep { ns, work: Work(ns), stage: String::new(), cpu: None });
        assert_eq!(WorstStep::longer(step(3), step(7)), step(7));
        assert_eq!(WorstStep::longer(None, step(7)), step(7));
        let of = |most| vec![StageWork { stage: "s".to_owned(), most: Work(most) }];
        let mut all = of(3);
        StageWork::merge(&mut all, of(9));
        StageWork::merge(&mut all, of(1));
        assert_eq!(all, of(9));
    }
}
