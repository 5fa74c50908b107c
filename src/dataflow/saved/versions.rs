//! State whose type has changed since it was saved.

use serde::{Deserialize, Serialize};

use crate::dataflow::{Epoch, Known, Part, Saved};
use crate::memory::encoding::{decode, encode};
use crate::state::{Bulk, First, Spare, State, Table, Version, Versioned};

macro_rules! version {
    ($name:ident, $number:literal, $before:ty, $up:expr) => {
        #[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
        struct $name(u32, [u8; $number]);
        impl Version for $name {
            const NUMBER: u8 = $number;
            type Before = $before;
            fn upgrade(before: $before) -> Self {
                $up(before)
            }
        }
    };
}

version!(One, 1, First, |before: First| match before {});
version!(Two, 2, One, |One(n, _)| Two(n + 100, [2; 2]));
version!(Three, 3, Two, |Two(n, _)| Three(n + 1000, [3; 3]));

/// A snapshot of a table, frozen or not, as a build writes it where state is `Old`, and as one
/// reads it that calls `New` what the other called `Old`.
fn moved<Old: State, New: State>(frozen: bool, value: Old) -> Result<Table<u64, New>, String> {
    let mut table = Table::<u64, Old>::new(7);
    (0..2_000).for_each(|key| *table.entry(key) = value);
    let (mut saved, spare) = (Saved::new(), Spare::default());
    if frozen {
        saved.freeze(&mut table, Epoch(1), Known { epochs: &[], spare: &spare });
    }
    saved.put("test", &table);
    while !saved.is_copied() {
        saved.copy(&mut table, &mut 500, &spare);
    }
    let saved = saved.checked().map_err(|error| error.to_string())?;
    let called = |part: &Part| Part {
        type_name: part.type_name.replace("One", "Two").replace("Three", "Two"),
        ..part.clone()
    };
    let parts = saved.parts().iter().map(called).collect();
    let mut saved = Saved::of(saved.bytes().to_vec(), parts, saved.pieces().to_vec())
        .ok_or("parts that do not fit")?;
    let mut table = Table::new(0);
    saved.take("test", &mut table);
    saved.fill(&mut table);
    assert!(table.awaits().is_none() || saved.is_wrong());
    saved.finish().map_err(|error| error.to_string())?;
    Ok(table)
}

#[test]
fn state_of_an_earlier_version_is_upgraded_step_by_step() {
    for frozen in [false, true] {
        let one = Versioned(One(7, [1]));
        let two = moved::<_, Versioned<Two>>(frozen, one).unwrap();
        assert_eq!(two.get(9).copied(), Some(Versioned(Two(107, [2; 2]))));
        let same = moved::<_, Versioned<Two>>(frozen, Versioned(Two(5, [9; 2]))).unwrap();
        assert_eq!((same.len(), same.get(9).copied()), (2_000, Some(Versioned(Two(5, [9; 2])))));
    }
    let (mut bytes, one) = (Vec::new(), Versioned(One(7, [1])));
    encode(&one, &mut bytes).unwrap();
    let three: Versioned<Three> = decode(&mut &bytes[..]).unwrap();
    assert_eq!(three.0, Three(1107, [3; 3]));
}

#[test]
fn state_that_was_kept_without_a_version_is_of_the_first() {
    for frozen in [false, true] {
        let two = moved::<One, Versioned<Two>>(frozen, One(7, [1])).unwrap();
        assert_eq!(two.get(9).copied(), Some(Versioned(Two(107, [2; 2]))));
    }
}

#[test]
fn state_of_a_later_version_is_refused_by_its_number() {
    for frozen in [false, true] {
        let refused = moved::<_, Versioned<Two>>(frozen, Versioned(Three(7, [1; 3])));
        let golden = if frozen { "state by key" } else { "test" };
        assert_eq!(
            refused.err().unwrap(),
            format!("`{golden}` holds state of version 3, and this build knows it up to 2")
        );
    }
}
