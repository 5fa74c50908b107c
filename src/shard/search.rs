//! Finding out which records make a pipeline fail.

use crate::error::Result;
use crate::shard::{Ended, Failure, Place, Trial};

/// After so many failures at ever different records none of them is taken to be to blame.
const STRAYS_MAX: u32 = 3;

/// So many records may make the pipeline fail together, or one behind the other, when event time
/// passes on. Where more would have to go it is not the records that are wrong.
const TOGETHER_MAX: usize = 16;

/// A failure has not come again when so many turns of sources have passed without it.
const BEYOND: u64 = 1_000;

/// What the search makes of a failure.
pub enum Verdict {
    /// These records are to blame, each of them.
    Guilty(Vec<Place>),
    /// A record is suspected: run again.
    Unsure,
    /// No record is to blame, as far as can be told.
    Nobody,
}

/// What the search knows from one run with care to the next.
#[derive(Default)]
pub struct Search {
    /// The record that made the last run fail.
    suspect: Option<Place>,
    /// How often that was another one than in the run before.
    strays: u32,
    /// Where it failed when event time passed on, and no record was found to blame.
    hopeless: Option<Place>,
}

impl Search {
    /// Another search begins: who was suspected in the last one is so no more.
    pub fn begin(&mut self) {
        (self.suspect, self.strays) = (None, 0);
    }

    /// A run with care, without the records in `passes_over`, has failed. `run` runs it again.
    pub fn judge(
        &mut self,
        failure: &Failure,
        passes_over: &[Place],
        run: impl FnMut(&[Place], Trial) -> Result<Ended>,
    ) -> Result<Verdict> {
        match &failure.place {
            Some(place) if failure.error.may_be_of_a_record() => match failure.is_of_record {
                true => Ok(self.twice(place)),
                false => self.held_back(place, failure.turn, passes_over, run),
            },
            _ => Ok(Verdict::Nobody),
        }
    }

    /// A record has made a run fail: it is to blame if it does so twice in a row.
    fn twice(&mut self, place: &Place) -> Verdict {
        if self.suspect.as_ref() == Some(place) {
            self.begin();
            return Verdict::Guilty(vec![place.clone()]);
        }
        self.suspect = Some(place.clone());
        self.strays += 1;
        if self.strays <= STRAYS_MAX { Verdict::Unsure } else { Verdict::Nobody }
    }

    /// A run has failed when event time passed on with this record. What a step held back until
    /// then is to blame, if it came since the checkpoint: it is looked for by leaving records out.
    fn held_back(
        &mut self,
        place: &Place,
        mut turn: u64,
        known: &[Place],
        mut run: impl FnMut(&[Place], Trial) -> Result<Ended>,
    ) -> Result<Verdict> {
        if self.hopeless.as_ref() == Some(place) {
            return Ok(Verdict::Nobody);
        }
        let mut found: Vec<Place> = Vec::new();
        while found.len() < TOGETHER_MAX {
            let without = [known, &found].concat();
            match run(&without, Trial::until(turn + BEYOND))? {
                Ended::Failed(again) if again.is_by_time() => turn = again.turn,
                // It does not fail where nobody hears of the results: the sinks are to blame.
                _ if found.is_empty() => break,
                // What else may be wrong is looked for by itself.
                _ => return Ok(Verdict::Guilty(found)),
            }
            let last = last_needed(turn, |trial| run(&without, trial))?;
            match run(&without, Trial::until(last))?.into_place() {
                Some(place) if !found.contains(&place) => found.push(place),
                _ => break,
            }
        }
        self.hopeless = Some(place.clone());
        Ok(Verdict::Nobody)
    }
}

/// The last turn without which the run does not fail at `turn`, found by halves: it fails if that
/// turn and all before it are there. The turn itself moves event time, so it always is.
fn last_needed(turn: u64, mut run: impl FnMut(Trial) -> Result<Ended>) -> Result<u64> {
    let mut fails = |kept: u64| {
        let trial = Trial { left_out: kept + 1..turn, ..Trial::until(turn) };
        let ended = run(trial)?;
        Ok::<_, crate::error::Error>(
            matches!(ended, Ended::Failed(again) if again.is_by_time() && again.turn == turn),
        )
    };
    if fails(0)? {
        return Ok(turn);
    }
    let (mut too_few, mut enough) = (0, turn.saturating_sub(1));
    while too_few + 1 < enough {
        let half = too_few + (enough - too_few) / 2;
        match fails(half)? {
            true => enough = half,
            false => too_few = half,
        }
    }
    Ok(enough)
}
