//! Sessions in every way in which records may come, and what is refused.

use millstream::aggregates::{count, sum};
use millstream::{Config, Record, Session, Shard, Timestamp, Timing, Windowed, ns};

use super::support::model::{Row, watermarks};
use super::support::sessions::{Gap, Visit, Visits, sessions_under, visit};
use super::support::tester::Tester;
use super::support::world::{all, at, disordered};
use super::{case, rows, said};

fn model(gap: Gap, lateness: i64, disorder: i64) -> Visits {
    let rows = rows();
    let before = watermarks(&rows, disorder);
    sessions_under(rows.into_iter().zip(before), gap, lateness)
}

fn timed(visits: &[Visit]) -> Vec<(i64, Visit)> {
    visits.iter().map(|visit| (visit.0.end - 1, *visit)).collect()
}

/// Sessions with these gaps, lateness and disorder; with a disorder below 45 some records are late.
macro_rules! session_cases {
    ($($name:ident: $session:expr, $gap:expr, $lateness:expr, $disorder:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => Visit, |s| {
                let keyed = s.event_time(at, disordered($disorder)).key_by(|row| row.key);
                let sessions = keyed.session($session).allowed_lateness(ns($lateness as u64));
                sessions.aggregate(all()).map(visit)
            });
            let want = timed(&model($gap, $lateness, $disorder).fired);
            Tester::new(steps, said(&rows()), want).by(|visit| visit.0.key).check();
        }
    )*};
}

const BY_VALUE: Gap = Gap::ByValue(31);

session_cases! {
    session: Session::gap(ns(20)), Gap::Fixed(20), 0, 46;
    session_of_short_gaps: Session::gap(ns(3)), Gap::Fixed(3), 0, 46;
    session_with_late_records: Session::gap(ns(11)), Gap::Fixed(11), 0, 2;
    session_with_lateness: Session::gap(ns(9)), Gap::Fixed(9), 15, 0;
    session_that_is_never_closed: Session::gap(ns(8)), Gap::Fixed(8), i64::MAX, 0;
    session_by_record: Session::gap_by(|row: &Row| BY_VALUE.said(row)), BY_VALUE, 0, 46;
    session_by_record_with_lateness:
        Session::gap_by(|row: &Row| BY_VALUE.said(row)), BY_VALUE, 12, 3;
}

#[test]
fn late_records_of_sessions() {
    let steps = case!(Row => (bool, u64, i64), |s| {
        let keyed = s.event_time(at, disordered(0)).key_by(|row| row.key);
        let sessions = keyed.session(Session::gap(ns(9))).allowed_lateness(ns(5));
        let (results, late) = sessions.aggregate_with_late(sum(|row: &Row| row.value));
        let results = results.map(|session| (true, session.key, session.value));
        results.union(late.map(|row| (false, row.key, row.value)))
    });
    let visits = model(Gap::Fixed(9), 5, 0);
    assert!(!visits.late.is_empty());
    let fired = visits.fired.iter().map(|(f, _)| (f.end - 1, (true, f.key, f.value.1)));
    let late = visits.late.iter().map(|row| (row.at, (false, row.key, row.value)));
    let want: Vec<_> = fired.chain(late).collect();
    Tester::new(steps, said(&rows()), want).by(|(ok, key, _)| 2 * key + u64::from(*ok)).check();
}

/// Windows behind sessions hear of them in time.
#[test]
fn sessions_of_sessions() {
    let steps = case!(Row => (i64, i64, u64), |s| {
        let keyed = s.event_time(at, disordered(46)).key_by(|row| row.key);
        let sessions = keyed.session(Session::gap(ns(20))).aggregate(count());
        let again = sessions.key_by(|_| ()).session(Session::gap(ns(1)));
        let total = again.aggregate(sum(|session: &Windowed<u64, u64>| session.value));
        total.map(|session| (session.span.start.0, session.span.end.0, session.value))
    });
    let row = |(f, _): &Visit| Row { at: f.end - 1, key: 0, value: f.value.0 as i64 };
    let mut ends: Vec<Row> = model(Gap::Fixed(20), 0, 46).fired.iter().map(row).collect();
    ends.sort_by_key(|row| row.at);
    let visits = sessions_under(ends.iter().map(|row| (*row, i64::MIN)), Gap::Fixed(1), 0);
    let total = visits.fired.iter().map(|(f, _)| (f.end - 1, (f.start, f.end, f.value.1 as u64)));
    Tester::new(steps, said(&rows()), total.collect::<Vec<_>>()).check();
}

/// Counts sessions of gap 10 of pushed records; returns the rest of what the shard said.
fn counted(config: Config, sessions_max: usize, times: &[i64]) -> (Vec<(i64, i64, u64)>, String) {
    let (mut shard, (mut input, mut output)) = Shard::embed(config, |p| {
        let (input, stream) = p.input::<u64>();
        let sessions = stream
            .event_time(|at| Timestamp(*at as i64), disordered(1_000))
            .key_by(|_| 0u8)
            .session(Session::gap(ns(10)))
            .sessions_max(sessions_max);
        Ok((input, sessions.aggregate(count()).output()))
    })
    .unwrap();
    for at in times {
        input.push(Timestamp(*at), *at as u64).unwrap();
        shard.step(Timestamp(0));
    }
    input.close();
    (0..50).for_each(|now| _ = shard.step(Timestamp(now)));
    let failure = shard.failure().map(ToString::to_string).unwrap_or_default();
    let session = |Record { value, .. }: Record<Windowed<u8, u64>>| {
        assert_eq!(value.timing, Timing::OnTime);
        (value.span.start.0, value.span.end.0, value.value)
    };
    (std::iter::from_fn(|| output.pop()).map(session).collect(), failure)
}

/// A distance of exactly the gap belongs together, one more does not.
#[test]
fn a_distance_of_the_gap_touches() {
    let (sessions, failure) = counted(Config::embedded(), 9, &[0, 10, 21, 41, 31, 60]);
    assert_eq!(sessions, [(0, 20, 2), (21, 51, 3), (60, 70, 1)]);
    assert_eq!(failure, "");
}

#[test]
fn too_many_sessions_are_an_error() {
    let times: Vec<i64> = (0..9).map(|n| n * 20).collect();
    let (_, failure) = counted(Config::embedded(), 8, &times);
    let said = "session: 8 sessions of one key at once is the limit; raise `sessions_max`";
    assert!(failure.starts_with(said), "{failure}");
    let (_, failure) = counted(Config { keys_max: 8, ..Config::embedded() }, 9, &times);
    assert!(failure.starts_with("session: 8 open sessions is the limit"), "{failure}");
    assert_eq!(counted(Config::embedded(), 9, &times).0.len(), 9);
}

/// One record may join as many sessions as its key has.
#[test]
fn a_storm_of_sessions_becomes_one() {
    let mut rows: Vec<Row> = (0..1_000).map(|n| Row { at: 40 * n, key: 7, value: n % 9 }).collect();
    rows.push(Row { at: 1, key: 7, value: 39_990 });
    rows.push(Row { at: 39_970, key: 7, value: 1 });
    let gap = Gap::ByValue(100_000);
    let want = sessions_under(rows.iter().map(|row| (*row, i64::MIN)), gap, 0);
    assert_eq!((want.fired.len(), want.fired[0].0.value.0), (1, 1_002));
    let steps = case!(Row => Visit, |s| {
        let keyed = s.event_time(at, disordered(50_000)).key_by(|row| row.key);
        let sessions = keyed.session(Session::gap_by(|row: &Row| Gap::ByValue(100_000).said(row)));
        sessions.aggregate(all()).map(visit)
    });
    Tester::new(steps, said(&rows), timed(&want.fired)).check();
}

/// A session fires when the watermark has passed its end: until then a record may touch it.
#[test]
fn a_session_waits_for_what_may_touch_it() {
    let (mut shard, (mut input, mut output)) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<u64>();
        let sessions = stream.key_by(|_| 0u8).session(Session::gap(ns(10)));
        Ok((input, sessions.aggregate(count()).output()))
    })
    .unwrap();
    let mut pop_at = |at: i64, push: bool| {
        if push {
            input.push(Timestamp(at), 0).unwrap();
        }
        shard.step(Timestamp(0));
        input.advance_to(Timestamp(at));
        (0..4).for_each(|now| _ = shard.step(Timestamp(now)));
        output.pop().map(|session| (session.at.0, session.value.span.end.0, session.value.value))
    };
    assert_eq!(pop_at(0, true), None);
    assert_eq!(pop_at(10, false), None);
    assert_eq!(pop_at(10, true), None);
    assert_eq!(pop_at(20, false), None);
    assert_eq!(pop_at(21, false), Some((19, 20, 2)));
}

fn refused(session: Session<millstream::window::FixedGap>, sessions_max: usize) -> String {
    let built = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<u64>();
        let sessions = stream.key_by(|n| *n).session(session).sessions_max(sessions_max);
        Ok((input, sessions.aggregate(count()).output()))
    });
    built.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn impossible_sessions_are_refused() {
    let without = "session gap = 0 ns: without a gap every record would be a session of its own";
    assert_eq!(refused(Session::gap(ns(0)), 1), without);
    let none = "sessions_max = 0: a key needs a session to be in";
    assert_eq!(refused(Session::gap(ns(1)), 0), none);
}
