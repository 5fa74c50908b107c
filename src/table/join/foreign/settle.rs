//! What a row and the answer to its question make.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Change, Saved};
use crate::operators::{Either, KeyContext, Process};
use crate::state::{Key, State};
use crate::table::join::foreign::answer::Answer;
use crate::table::join::foreign::ask::{Names, Told, greatest};

/// Keeps the joined row of each key, and the two that it is to be made of.
pub(super) struct Settling<K, L, R, V, J> {
    pub select: J,
    /// The number of the last question of this shard that there was news of. An answer to a later
    /// one has overtaken that news.
    pub heard: u64,
    pub types: PhantomData<fn(K, L, R) -> V>,
}

/// What is known of a key.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Known<L, R, V> {
    left: Option<L>,
    right: Option<R>,
    /// The question that the left row asks; 0 if it asks none.
    question: u64,
    /// The question that the right row answers. Of no row, for nobody who asks, is no question.
    answered: u64,
    /// The answer that has overtaken the news of its question, to the latest such; 0 if none has.
    /// Another that was on a longer way to an earlier question must not take its place.
    ahead: (u64, Option<R>),
    /// What those downstream know.
    shown: Option<V>,
}

impl<L, R, V> Default for Known<L, R, V> {
    fn default() -> Self {
        let ahead = (0, None);
        Self { left: None, right: None, question: 0, answered: 0, ahead, shown: None }
    }
}

impl<L: State, R: State, V: State + PartialEq> Known<L, R, V> {
    /// Takes down what has become of the left row. What answered an earlier question is forgotten.
    fn on_told<K>(&mut self, told: Told<K, L>, heard: u64) {
        self.left = told.row;
        self.question = match told.names {
            Names::Same => self.question,
            Names::Nothing => 0,
            Names::Other(question) => question,
        };
        if self.answered != self.question {
            (self.right, self.answered) = (None, 0);
        }
        if self.ahead.0 == self.question {
            (self.answered, self.right) = self.ahead;
        }
        if self.ahead.0 <= heard {
            self.ahead = (0, None);
        }
    }

    /// Takes down an answer, if it is to the question that is asked, or to a later one.
    fn on_answer(&mut self, question: u64, row: Option<R>, heard: u64) {
        if question == self.question {
            (self.answered, self.right) = (question, row);
        } else if question > heard && question >= self.ahead.0 {
            self.ahead = (question, row);
        }
    }

    /// What the joined row is now; `Err` while the answer is on its way.
    fn joined(&self, select: &impl Fn(&L, Option<&R>) -> Option<V>) -> Result<Option<V>, ()> {
        match &self.left {
            None => Ok(None),
            Some(_) if self.answered != self.question => Err(()),
            Some(left) => Ok(select(left, self.right.as_ref())),
        }
    }
}

impl<K, L, R, V, J> Process for Settling<K, L, R, V, J>
where
    K: Key,
    L: State,
    R: State,
    V: State + PartialEq,
    J: Fn(&L, Option<&R>) -> Option<V> + 'static,
{
    type Key = K;
    type In = Either<Told<K, L>, Answer<K, R>>;
    type State = Known<L, R, V>;
    type Out = (K, Change<V>);

    const NAME: &'static str = "foreign_join";

    fn on_record(&mut self, record: Self::In, ctx: &mut KeyContext<'_, Self>) {
        let mut known = ctx.get().copied().unwrap_or_default();
        match record {
            Either::Left(told) => {
                if let Names::Other(question) = told.names {
                    self.heard = question;
                }
                known.on_told(told, self.heard);
            }
            Either::Right(Answer { question, row, .. }) => {
                known.on_answer(question, row, self.heard);
            }
        }
        if let Ok(after) = known.joined(&self.select) {
            let before = std::mem::replace(&mut known.shown, after);
            if let Some(change) = Change::between(before, after).filter(Change::is_visible) {
                ctx.emit((ctx.key(), change));
            }
        }
        match known.left.is_some() || known.ahead.0 > 0 {
            true => *ctx.state() = known,
            false => ctx.clear(),
        }
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<J>(Self::NAME);
        out.put(Self::NAME, &self.heard);
    }

    fn load(&mut self, from: &mut Saved) {
        from.rescale_by(Self::NAME, &mut self.heard, greatest);
    }
}
