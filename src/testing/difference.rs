//! The first difference between what was wanted and what came, so that a person can read it.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use crate::time::Timestamp;

/// How many results before the difference are shown.
const BEFORE: usize = 2;

/// Results by lane, each lane in its own order.
pub fn by_lane<T: Clone>(
    all: &[(i64, T)],
    lane: impl Fn(&T) -> u64,
) -> BTreeMap<u64, Vec<(i64, T)>> {
    let mut lanes: BTreeMap<u64, Vec<(i64, T)>> = BTreeMap::new();
    for result in all {
        lanes.entry(lane(&result.1)).or_default().push(result.clone());
    }
    lanes
}

/// Describes the first difference of the first lane that has one.
pub fn first_difference<T: Clone + Debug + PartialEq>(
    got: &[(i64, T)],
    want: &[(i64, T)],
    lane: impl Fn(&T) -> u64,
) -> Option<String> {
    let (got, want) = (by_lane(got, &lane), by_lane(want, &lane));
    let numbers = want.keys().chain(got.keys().filter(|number| !want.contains_key(number)));
    let lanes = want.len().max(got.len());
    numbers.into_iter().find_map(|number| {
        let none = Vec::new();
        let got = got.get(number).unwrap_or(&none);
        let want = want.get(number).unwrap_or(&none);
        let at = (0..got.len().max(want.len())).find(|&at| got.get(at) != want.get(at))?;
        let lane = if lanes > 1 { format!(" of lane {number}") } else { String::new() };
        let mut text = format!("result {} of {}{lane} differs", at + 1, want.len());
        for before in &want[at.saturating_sub(BEFORE)..at] {
            let _ = write!(text, "\n  both  {}", shown(before));
        }
        let show = |all: &[(i64, T)]| all.get(at).map_or("nothing more".to_owned(), shown);
        let _ = write!(text, "\n  want  {}\n  got   {}", show(want), show(got));
        Some(text)
    })
}

fn shown<T: Debug>((at, value): &(i64, T)) -> String {
    format!("{:?} {value:?}", Timestamp(*at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_results_have_no_difference() {
        let all = [(1, 'a'), (2, 'b')];
        assert_eq!(first_difference(&all, &all, |_| 0), None);
        let swapped = [(2, 'b'), (1, 'a')];
        assert_eq!(first_difference(&swapped, &all, |letter| u64::from(*letter)), None);
    }

    #[test]
    fn the_first_difference_is_shown_with_what_was_before_it() {
        let want = [(1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')];
        let got = [(1, 'a'), (2, 'b'), (3, 'c'), (4, 'x'), (5, 'y')];
        let text = first_difference(&got, &want, |_| 0).unwrap();
        let golden = "result 4 of 4 differs\n  both  2ns 'b'\n  both  3ns 'c'\n  want  4ns 'd'\n  \
                      got   4ns 'x'";
        assert_eq!(text, golden);
    }

    #[test]
    fn too_few_and_too_many_are_told_apart() {
        let (one, two) = ([(1, 7_u64)], [(1, 7), (2, 8)]);
        let few = first_difference(&one, &two, |n| *n).unwrap();
        assert_eq!(few, "result 1 of 1 of lane 8 differs\n  want  2ns 8\n  got   nothing more");
        let many = first_difference(&two, &one, |_| 0).unwrap();
        let golden = "result 2 of 1 differs\n  both  1ns 7\n  want  nothing more\n  got   2ns 8";
        assert_eq!(many, golden);
    }
}
