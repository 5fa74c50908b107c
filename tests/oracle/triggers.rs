//! Windows with triggers and evictors against a model that works everything out from the beginning.

use millstream::metrics::Counter;
use millstream::window::triggers::{
    all as both, any, continuous, count, delta, event_time, purging,
};
use millstream::window::{Evictor, Trigger, evictors};
use millstream::{Windowed, ns};
use proptest::prelude::*;

use super::support::model::{Value, grouped, value_of, watermarks};
use super::support::sessions::{Visit, visit};
use super::support::triggers::{Evict, Spec, Triggered, triggered_under};
use super::support::world::{all, values, window_of};
use super::support::{Cut, Row, Seen, World, watch};
use super::{cases, rows, timed};

/// Everything about one run but its trigger.
#[derive(Clone, Debug)]
struct Case {
    world: World,
    rows: Vec<Row>,
    /// `None` is the global window.
    cut: Option<Cut>,
    disorder: i64,
}

fn case() -> impl Strategy<Value = Case> {
    let lateness = prop_oneof![2 => Just(0i64), 3 => 1..80i64, 1 => Just(i64::MAX)];
    let cut =
        (4..60i64, 1..60i64, 0..99i64, lateness).prop_map(|(size, slide, offset, lateness)| {
            let slide = if slide > size || size / slide > 8 { size } else { slide };
            Cut { size, slide, offset, lateness }
        });
    let cut = prop_oneof![5 => cut.prop_map(Some), 1 => Just(None)];
    (World::any(), rows(100), cut, 0..60i64).prop_map(|(world, rows, cut, disorder)| Case {
        world,
        rows,
        cut,
        disorder,
    })
}

type Result = Windowed<u64, Value>;

/// The results of one window and key must be those of the model, in order.
fn compare(
    case: &Case,
    spec: Spec,
    evict: Evict,
    seen: &std::cell::RefCell<Seen<Result>>,
) -> Vec<Row> {
    let windows = Triggered { cut: case.cut, spec, evict };
    let before = watermarks(&case.rows, case.disorder);
    let (want, late) = triggered_under(case.rows.iter().copied().zip(before), &windows);
    let seen = seen.borrow();
    seen.check_over();
    let got: Vec<(i64, Visit)> = seen.records.iter().map(|(at, r)| (*at, visit(*r))).collect();
    let lane = |(_, (fired, _)): &(i64, Visit)| fired.key << 44 ^ fired.end as u64;
    assert_eq!(grouped(&got, lane), grouped(&want, lane), "{windows:?}");
    late
}

/// An accumulator for each window.
fn aggregated<G: Trigger<Row>>(case: &Case, trigger: impl Fn() -> G, spec: Spec) {
    let (seen, gone) = (Seen::<Result>::new(), Seen::<Row>::new());
    let world = &case.world;
    let outcome = world.run(|p| {
        let keyed = timed(p, world, &case.rows, case.disorder).key_by(|row| row.key);
        let windows = match case.cut {
            Some(cut) => {
                let windows = keyed.window(window_of(cut)).trigger(trigger());
                windows.allowed_lateness(ns(cut.lateness as u64))
            }
            None => keyed.global_window().trigger(trigger()),
        };
        let (results, late) = windows.aggregate_with_late(all());
        watch(results, &seen, world);
        watch(late, &gone, world);
        Ok(())
    });
    let late = compare(case, spec, Evict::Nothing, &seen);
    let key = |row: &Row| row.key;
    assert_eq!(grouped(&values(&gone), key), grouped(&late, key));
    assert_eq!(outcome.counters.get(Counter::Late), late.len() as u64);
    assert_eq!(outcome.counters.get(Counter::WindowsFired), seen.borrow().records.len() as u64);
}

/// All records of each window, but for those that are evicted.
fn applied<G: Trigger<Row>, E: Evictor<Row>>(
    case: &Case,
    trigger: impl Fn() -> G,
    spec: Spec,
    evictor: impl Fn() -> E,
    evict: Evict,
) {
    let (seen, gone) = (Seen::<Result>::new(), Seen::<Row>::new());
    let world = &case.world;
    world.run(|p| {
        let keyed = timed(p, world, &case.rows, case.disorder).key_by(|row| row.key);
        let windows = match case.cut {
            Some(cut) => {
                let windows = keyed.window(window_of(cut)).trigger(trigger());
                windows.allowed_lateness(ns(cut.lateness as u64))
            }
            None => keyed.global_window().trigger(trigger()),
        };
        let (results, late) = windows.evict(evictor()).apply_with_late(|_, _, records| {
            let len = records.len();
            let rows: Vec<Row> = records.map(|record| record.value).collect();
            assert_eq!(rows.len(), len);
            value_of(&rows)
        });
        watch(results, &seen, world);
        watch(late, &gone, world);
        Ok(())
    });
    let late = compare(case, spec, evict, &seen);
    let key = |row: &Row| row.key;
    assert_eq!(grouped(&values(&gone), key), grouped(&late, key));
}

fn value(row: &Row) -> f64 {
    row.value as f64
}

proptest! {
    #![proptest_config(cases(500))]

    /// Triggers alone and combined, on windows that end and on global ones.
    #[test]
    fn triggers_are_the_models(case in case(), which in 0..10u32) {
        let each = || Spec::event_time(Spec::Never, Spec::Each);
        let two = || both(count(2), delta(30.0, value));
        let two_spec = || Spec::all(Spec::Count(2), Spec::Delta(30.0));
        match which {
            0 => aggregated(&case, || count(3), Spec::Count(3)),
            1 => aggregated(&case, || delta(20.0, value), Spec::Delta(20.0)),
            2 => aggregated(&case, || continuous(ns(7)), Spec::Continuous(7)),
            3 => aggregated(&case, || purging(count(2)), Spec::Count(2).purging()),
            4 => {
                let spec = Spec::event_time(Spec::Count(3), Spec::Count(2));
                aggregated(&case, || event_time().early(count(3)).late(count(2)), spec);
            }
            5 => {
                let spec = Spec::any(each(), Spec::Count(2)).purging();
                aggregated(&case, || purging(any(event_time(), count(2))), spec);
            }
            6 => {
                let spec = Spec::any(two_spec(), Spec::Continuous(11).purging());
                aggregated(&case, || any(two(), purging(continuous(ns(11)))), spec);
            }
            7 => aggregated(&case, two, two_spec()),
            8 => {
                let spec = Spec::all(Spec::event_time(Spec::Each, Spec::Each), Spec::Count(4));
                aggregated(&case, || both(event_time().early(count(1)), count(4)), spec);
            }
            _ => {
                let early = Spec::any(Spec::Count(5), Spec::Delta(90.0).purging());
                let spec = Spec::event_time(early, Spec::Each);
                let early = || any(count(5), purging(delta(90.0, value)));
                aggregated(&case, || event_time().early(early()), spec);
            }
        }
    }

    /// Windows that keep their records, and drop some of them.
    #[test]
    fn evictors_are_the_models(case in case(), which in 0..5u32) {
        let spec = Spec::Count(2);
        match which {
            0 => applied(&case, || count(2), spec, || evictors::count(3), Evict::Count(3)),
            1 => applied(&case, || count(2), spec, || evictors::time(ns(9)), Evict::Time(9)),
            2 => {
                let evictor = || evictors::delta(40.0, value);
                applied(&case, || count(2), spec, evictor, Evict::Delta(40.0));
            }
            3 => {
                let (trigger, spec) = (|| purging(count(3)), Spec::Count(3).purging());
                applied(&case, trigger, spec, || evictors::count(2), Evict::Count(2));
            }
            _ => {
                let trigger = || event_time().early(count(4));
                let spec = Spec::event_time(Spec::Count(4), Spec::Each);
                applied(&case, trigger, spec, || evictors::count(usize::MAX), Evict::Nothing);
            }
        }
    }
}
