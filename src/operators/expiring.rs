//! Keyed state that expires.

use crate::dataflow::{Keyed, Pipeline};
use crate::state::{Key, Term, Ttl};

/// A keyed stream whose operator keeps the state of a key for a time only.
#[must_use = "a keyed stream does nothing until an operator and a sink follow"]
pub struct Expiring<'p, K, T> {
    pub(super) keyed: Keyed<'p, K, T>,
    pub(super) ttl: Ttl,
}

impl<'p, K: Key, T: 'static> Keyed<'p, K, T> {
    /// Gives the state of the operator that follows a time to live. See [`Ttl`] for from when, by
    /// which clock, and how it costs no pause.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, state::Ttl, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let at = [0, 5, 14, 24].map(|n| Record::new(Timestamp::from_millis(n), 1));
    ///     p.source(IterSource::new(at.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .ttl(Ttl::of(ms(10)))
    ///         .reduce(|sum, n| *sum += n)
    ///         .for_each(|record| match record.at.as_nanos() / 1_000_000 {
    ///             14 => assert_eq!(record.value.1, 3, "9 ms after the last"),
    ///             24 => assert_eq!(record.value.1, 1, "10 ms after the last: begun anew"),
    ///             _ => (),
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ttl(self, ttl: Ttl) -> Expiring<'p, K, T> {
        Expiring { keyed: self, ttl }
    }
}

/// The term of a time to live, which is refused if nothing can live that long.
pub(super) fn term_of(ttl: Option<Ttl>, pipeline: Pipeline<'_>) -> Term {
    if let Some(Err(error)) = ttl.map(Ttl::check) {
        pipeline.reject(error);
    }
    Term::of(ttl)
}
