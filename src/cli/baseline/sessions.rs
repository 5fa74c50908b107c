//! One thread, a map from key to its open sessions: a keyed count and sum of sessions, of records
//! that come somewhat out of order.

use hashbrown::HashMap;

use super::Checksum;
use crate::cli::workload::{Delayed, PERIOD_NS, delayed};

/// Buckets of time to a gap: a session is found closed at most a sixteenth of a gap late.
const BUCKETS: i64 = 16;

#[derive(Clone, Copy)]
struct Session {
    start: i64,
    last: i64,
    count: u64,
    sum: u64,
    /// The bucket that it is going to be looked for in.
    bucket: i64,
}

/// Open sessions by key, in order of time, and by when they might be over.
struct Sessions {
    gap: i64,
    open: HashMap<u64, Vec<Session>>,
    /// Keys with a session that was to end in a bucket, as it was last looked at: those of bucket
    /// `n` are at `n` modulo their number.
    buckets: Vec<Vec<u64>>,
    width: i64,
    /// The first bucket that has not been looked through.
    next: i64,
    checksum: Checksum,
}

/// Counts and sums `records` delayed readings of `keys` meters by session, which ends when there
/// is no reading for more than `gap` nanoseconds.
pub fn count_and_sum(records: u64, keys: u64, gap: i64, delay: i64) -> Checksum {
    let mut sessions = Sessions::new(gap);
    for index in 0..records {
        sessions.add(delayed(index, index as i64 * PERIOD_NS, keys, delay));
        // Nothing before this will come.
        sessions.close((index as i64 + 1) * PERIOD_NS - delay);
    }
    sessions.close(records as i64 * PERIOD_NS + 2 * gap);
    sessions.checksum
}

impl Sessions {
    fn new(gap: i64) -> Self {
        let width = (gap / BUCKETS).max(1);
        // The ends of open sessions are within a gap and the records' disorder of the present.
        let buckets = vec![Vec::new(); 4 * BUCKETS as usize];
        let checksum = Checksum::default();
        Self { gap, open: HashMap::new(), buckets, width, next: 0, checksum }
    }

    #[inline]
    fn add(&mut self, Delayed { reading, at }: Delayed) {
        let sessions = self.open.entry(reading.key).or_default();
        let value = u64::from(reading.value);
        let gap = self.gap;
        // The first session that does not end before this record; all earlier ones are apart.
        let first = sessions.iter().rposition(|s| s.last + gap < at).map_or(0, |n| n + 1);
        match sessions.get_mut(first) {
            Some(session) if at + gap >= session.start => {
                session.start = session.start.min(at);
                session.last = session.last.max(at);
                (session.count, session.sum) = (session.count + 1, session.sum + value);
                let joined = *session;
                if let Some(&after) = sessions.get(first + 1)
                    && joined.last + gap >= after.start
                {
                    sessions[first] = Session {
                        last: joined.last.max(after.last),
                        count: joined.count + after.count,
                        sum: joined.sum + after.sum,
                        ..joined
                    };
                    sessions.remove(first + 1);
                }
            }
            _ => {
                let bucket = (at + gap) / self.width;
                let alone = Session { start: at, last: at, count: 1, sum: value, bucket };
                sessions.insert(first, alone);
                let place = bucket as usize % self.buckets.len();
                self.buckets[place].push(reading.key);
            }
        }
    }

    /// Emits the sessions that nothing at or after `now` can touch, if a bucket is over.
    #[inline]
    fn close(&mut self, now: i64) {
        while (self.next + 1) * self.width < now {
            self.look_through(self.next);
            self.next += 1;
        }
    }

    fn look_through(&mut self, bucket: i64) {
        let place = bucket as usize % self.buckets.len();
        let mut keys = std::mem::take(&mut self.buckets[place]);
        let over = (bucket + 1) * self.width;
        for key in keys.drain(..) {
            let Some(sessions) = self.open.get_mut(&key) else { continue };
            sessions.retain_mut(|session| {
                let end = session.last + self.gap;
                if session.bucket != bucket {
                    return true;
                }
                if end < over {
                    let Session { start, count, sum, .. } = *session;
                    self.checksum.add_session(key, [start, end], count, sum);
                    return false;
                }
                // It has grown since.
                session.bucket = end / self.width;
                let place = session.bucket as usize % self.buckets.len();
                self.buckets[place].push(key);
                true
            });
        }
        self.buckets[place] = keys;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sorts all records of each key and cuts them where they are apart.
    fn naive(records: u64, keys: u64, gap: i64, delay: i64) -> Checksum {
        let mut all: Vec<Delayed> =
            (0..records).map(|n| delayed(n, n as i64 * PERIOD_NS, keys, delay)).collect();
        all.sort_by_key(|record| (record.reading.key, record.at));
        let mut checksum = Checksum::default();
        let apart = |a: &Delayed, b: &Delayed| a.reading.key == b.reading.key && b.at - a.at <= gap;
        for session in all.chunk_by(apart) {
            let (first, last) = (session[0], session[session.len() - 1]);
            let sum = session.iter().map(|record| u64::from(record.reading.value)).sum();
            let span = [first.at, last.at + gap];
            checksum.add_session(first.reading.key, span, session.len() as u64, sum);
        }
        checksum
    }

    #[test]
    fn it_finds_what_sorting_finds() {
        for (records, keys, gap, delay) in
            [(1, 1, 50, 5), (20_000, 100, 195_000, 19_500), (20_000, 10, 20_000, 19_999)]
        {
            let found = count_and_sum(records, keys, gap, delay);
            assert_eq!(found, naive(records, keys, gap, delay));
            assert!(found.results > 0 && (records == 1 || found.results > keys));
        }
    }
}
