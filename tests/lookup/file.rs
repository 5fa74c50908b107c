//! A table in a file that changes.

use std::fs;
use std::path::PathBuf;

use millstream::io::csv::{Columns, Row};
use millstream::lookup::TableFile;
use millstream::testing::TestDriver;
use millstream::{Result, Timestamp, ms};

use crate::eventually::eventually;

/// A file of its own for each test, gone with it.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let name = format!("millstream-{name}-{}.csv", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    /// Puts a new version in the place of the one before, as one should.
    fn replace(&self, text: &str) {
        let other = self.0.with_extension("new");
        fs::write(&other, text).expect("it can be written");
        fs::rename(&other, &self.0).expect("it can be renamed");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn decode(row: &Row<'_>) -> std::result::Result<(u64, f64), String> {
    Ok((row.u64(0)?, row.finite(1)?))
}

fn open(place: &Place) -> Result<TableFile<u64, f64>> {
    let file = TableFile::open(&place.0, Columns::of(["symbol", "tick"]), decode)?;
    Ok(file.check_every(ms(5)))
}

#[test]
fn a_new_version_counts_whole_and_a_broken_one_not_at_all() -> Result<()> {
    let place = Place::new("versions");
    place.replace("symbol,tick\n1,0.5\n2,0.25\n");
    let file = open(&place)?;
    let (mut driver, (symbols, out)) = TestDriver::new(|p| {
        let (input, symbols) = p.test_input::<u64>();
        Ok((input, symbols.lookup(file.lookup(), |symbol| *symbol).left().test_output()))
    })?;
    let mut look_up = || {
        (1..=3).for_each(|symbol| symbols.push(Timestamp(0), symbol));
        driver.settle().expect("it runs");
        out.take_values().into_iter().map(|(_, tick)| tick.unwrap_or(0.0)).collect::<Vec<_>>()
    };
    assert_eq!(look_up(), [0.5, 0.25, 0.0]);

    place.replace("symbol,tick\n1,0.75\n3,1\n3,2\n");
    eventually("the new version counts", || look_up() == [0.75, 0.0, 2.0]);
    assert_eq!((file.loaded(), file.refused(), file.last_error()), (2, 0, None));

    place.replace("symbol,tick\n1,0.875\n2,much\n3,1\n");
    eventually("the broken version is refused", || file.refused() == 1);
    let error = file.last_error().expect("it says why");
    let want = format!("{}:3: `tick`: \"much\" is not a number", place.0.display());
    assert_eq!(error, want);
    assert_eq!(look_up(), [0.75, 0.0, 2.0]);

    fs::remove_file(&place.0).expect("it is there");
    eventually("that there is no file is refused too", || file.refused() == 2);
    assert_eq!(look_up(), [0.75, 0.0, 2.0]);

    place.replace("symbol,tick\n2,8\n");
    eventually("a good version counts again", || look_up() == [0.0, 8.0, 0.0]);
    assert_eq!((file.loaded(), file.last_error()), (3, None));
    Ok(())
}

#[test]
fn every_shard_has_each_version() -> Result<()> {
    let place = Place::new("shards");
    place.replace("symbol,tick\n1,1\n");
    let file = open(&place)?;
    let mut lookups: Vec<_> = (0..3).map(|_| file.lookup()).collect();
    for version in [2.0, 3.0] {
        place.replace(&format!("symbol,tick\n1,{version:.1}\n4,9\n"));
        eventually("all have it", || {
            use millstream::lookup::Lookup;
            lookups.iter_mut().all(|lookup| lookup.known(&1) == Some(Ok(Some(version))))
        });
    }
    Ok(())
}

#[test]
fn too_many_rows_and_a_first_version_that_is_broken() -> Result<()> {
    let place = Place::new("limits");
    place.replace("symbol,tick\n1,x\n");
    let error = open(&place).map(drop).expect_err("it is broken").to_string();
    assert!(error.ends_with(":2: `tick`: \"x\" is not a number"), "{error}");
    place.replace("symbol,tick\n1,1\n");
    let file = open(&place)?.rows_max(2);
    let _lookup = file.lookup();
    place.replace("symbol,tick\n1,1\n2,2\n3,3\n");
    eventually("it is refused", || file.refused() == 1);
    let error = file.last_error().expect("it says why");
    assert!(error.ends_with("2 rows are the limit; raise `rows_max`"), "{error}");
    Ok(())
}
