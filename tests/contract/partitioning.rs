//! Ways of spreading records over shards, through the tester.

use crate::support::tester::Tester;
use crate::{case, numbers, records};

/// As many copies as there are shards, of which one is kept.
#[test]
fn broadcast() {
    let steps = case!(u64 => u64, |s| s.broadcast().key_by(|n| *n).deduplicate());
    Tester::new(steps, numbers(), records(&numbers())).by(|n| *n).check();
}
