//! All shards of a pipeline on one thread, one record at a time.

use crate::dataflow::{Ask, Context, Epoch, Gave, Given, Giver, Work};
use crate::error::Result;
use crate::shard::{Shard, Snapshot};
use crate::time::Timestamp;

/// A record that a source has given, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The shard that reads the source.
    pub shard: usize,
    /// The stage that begins at the source, counted as they are drawn.
    pub stage: usize,
    /// The step of the source, as the plan calls it.
    pub source: String,
    /// The record.
    pub given: Given,
}

/// All shards of a pipeline on one thread: a source gives one record, all shards step until there
/// is nothing to do, event time is told how far it has come, they step until there is nothing to
/// do, and the next source has its turn.
///
/// So it is known at any moment which record is being worked on, on whatever shard that is, and
/// whether what happens is its doing or that of event time, which may close windows full of others.
/// What comes of a record is the same as with batches and threads, and its order depends on nothing
/// but the input.
///
/// For finding out which record makes a pipeline fail, and for replays. What waits for the world
/// (a lookup under way, a timer of processing time) is not waited for.
pub struct Lockstep {
    shards: Vec<Shard>,
    /// The stages that begin at a source: shard and stage.
    givers: Vec<(usize, usize)>,
    /// The one that gave last, or was asked last.
    turn: usize,
    /// The shard that is at work, or was last.
    at_work: usize,
    /// Whether what is being done is the doing of the record that was given last.
    is_of_record: bool,
    /// How sources are asked for records.
    ask: Ask,
}

impl Lockstep {
    /// These shards, which have been built and perhaps restored, and not been stepped.
    pub fn new(shards: Vec<Shard>) -> Self {
        let mut givers = Vec::new();
        for (index, shard) in shards.iter().enumerate() {
            let sources = shard.stages.iter().filter(|stage| stage.is_source);
            givers.extend(sources.map(|stage| (index, stage.index)));
        }
        let turn = givers.len().saturating_sub(1);
        Self { shards, givers, turn, at_work: 0, is_of_record: false, ask: Ask::default() }
    }

    /// Says how sources are asked for records.
    pub fn asking(self, ask: Ask) -> Self {
        Self { ask, ..self }
    }

    /// Makes it a trial, of which no sink hears.
    pub fn muted(mut self, is_muted: bool) -> Self {
        self.shards.iter_mut().for_each(|shard| shard.cx.is_muted = is_muted);
        self
    }

    /// From now on, takes what sources give and hands nothing on, or does so no more.
    pub fn leave_out(&mut self, leaves_out: bool) {
        self.ask.leaves_out = leaves_out;
    }

    /// The shards.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The shard that is at work: whose failure it is, if one panics.
    pub fn at_work(&self) -> usize {
        self.at_work
    }

    /// The time of the last step of the shard that is at work.
    pub fn now(&self) -> Timestamp {
        self.shards.get(self.at_work).map_or(Timestamp::MIN, Shard::now)
    }

    /// Whether every input has ended and everything has left the shards.
    pub fn is_done(&self) -> bool {
        self.shards.iter().all(Shard::is_done)
    }

    /// Whether every source has given its last record.
    pub fn has_ended(&mut self) -> bool {
        let shards = &mut self.shards;
        let mut givers = self.givers.iter();
        givers.all(|&(shard, stage)| shards[shard].giver(stage).is_none_or(|it| it.has_ended()))
    }

    /// Lets every source say that it is there. Before anything else.
    ///
    /// # Errors
    /// What stopped a shard.
    pub fn begin(&mut self, now: Timestamp) -> Result<()> {
        for turn in 0..self.givers.len() {
            self.giver(turn, now, |giver, cx| giver.begin(cx))?;
        }
        Ok(())
    }

    /// Lets the next source that has one give a record, and begins to hand it on.
    ///
    /// # Errors
    /// What stopped a shard.
    pub fn give(&mut self, now: Timestamp) -> Result<Gave> {
        let (ask, mut all) = (self.ask, Gave::NoMore);
        for _ in 0..self.givers.len() {
            self.turn = (self.turn + 1) % self.givers.len();
            let partitions = self.giver(self.turn, now, |giver, _| giver.counts().len())?;
            // Each of them may be the one that has something.
            for _ in 0..partitions.max(1) {
                self.is_of_record = true;
                match self.giver(self.turn, now, |giver, cx| giver.give(ask, cx))? {
                    Gave::Something => return Ok(Gave::Something),
                    Gave::Nothing => all = Gave::Nothing,
                    Gave::NoMore => break,
                }
                self.tell(now)?;
            }
        }
        self.is_of_record = false;
        Ok(all)
    }

    /// Tells how far event time has come with the record that was given last, once all that it led
    /// to is done.
    ///
    /// # Errors
    /// What stopped a shard.
    pub fn tell(&mut self, now: Timestamp) -> Result<()> {
        self.is_of_record = false;
        self.giver(self.turn, now, |giver, cx| giver.tell(cx))
    }

    /// Steps every shard once. Returns what they did.
    ///
    /// # Errors
    /// What stopped a shard.
    pub fn round(&mut self, now: Timestamp) -> Result<Work> {
        let mut work = Work::NONE;
        for index in 0..self.shards.len() {
            self.at_work = index;
            work += self.shards[index].step_apart(now);
            self.shards[index].take_failure().map_or(Ok(()), Err)?;
        }
        Ok(work)
    }

    /// Whether what is being done is the doing of the record that was given last, and not of how
    /// far event time has come.
    pub fn is_of_record(&self) -> bool {
        self.is_of_record
    }

    /// The record that was given last, if the last turn of a source gave one.
    pub fn record(&mut self) -> Option<Place> {
        let (shard, stage) = *self.givers.get(self.turn)?;
        let given = self.shards[shard].giver(stage)?.given()?.clone();
        let source = self.shards[shard].source_name(stage).to_owned();
        Some(Place { shard, stage, source, given })
    }

    /// Whether every source has given as many records as are said here, or ended.
    pub fn is_past(&mut self, counts: &[Vec<Vec<u64>>]) -> bool {
        self.givers.iter().all(|&(shard, stage)| {
            let wanted = counts.get(shard).and_then(|stages| stages.get(stage));
            let Some(giver) = self.shards[shard].giver(stage) else { return true };
            let given = giver.counts().iter();
            giver.has_ended()
                || wanted.is_none_or(|wanted| given.zip(wanted).all(|(given, want)| given >= want))
        })
    }

    /// Drives all sources after a failure: see [`Shard::put_to_rest`].
    pub fn put_to_rest(&mut self, now: Timestamp) -> bool {
        let mut is_at_rest = true;
        self.shards.iter_mut().for_each(|shard| is_at_rest &= shard.put_to_rest(now));
        is_at_rest
    }

    /// Begins a checkpoint on all shards. Step until [`take_checkpoint`](Self::take_checkpoint) has
    /// it.
    pub fn begin_checkpoint(&mut self, epoch: Epoch) {
        self.shards.iter_mut().for_each(|shard| shard.begin_checkpoint(epoch));
    }

    /// Puts what a shard has brought to what the shards have brought so far. Returns whether that
    /// is all of them.
    ///
    /// # Errors
    /// Something of which there can be no snapshot.
    pub fn take_checkpoint(&mut self, brought: &mut Vec<Option<Snapshot>>) -> Result<bool> {
        brought.resize_with(self.shards.len(), || None);
        for (shard, place) in self.shards.iter_mut().zip(brought.iter_mut()) {
            if let Some((_, snapshot)) = shard.take_checkpoint() {
                *place = Some(snapshot?);
            }
        }
        Ok(brought.iter().all(Option::is_some))
    }

    fn giver<T: Default>(
        &mut self,
        turn: usize,
        now: Timestamp,
        ask: impl FnOnce(&mut dyn Giver, &mut Context) -> T,
    ) -> Result<T> {
        let (shard, stage) = self.givers[turn];
        self.at_work = shard;
        let shard = &mut self.shards[shard];
        (shard.cx.now, shard.cx.ingress) = (now, now);
        let Shard { stages, cx, .. } = shard;
        let done = stages[stage].runnable.giver().map(|giver| ask(giver, cx)).unwrap_or_default();
        shard.take_failure().map_or(Ok(done), Err)
    }
}

impl Shard {
    /// The source of a stage, if it begins at one.
    pub fn giver(&mut self, stage: usize) -> Option<&mut dyn Giver> {
        self.stages.get_mut(stage)?.runnable.giver()
    }

    /// Drives its sources after a failure: what they have taken from the world and given may not be
    /// durable yet, and would be lost with them. Returns whether they need no more of that.
    pub fn put_to_rest(&mut self, now: Timestamp) -> bool {
        let mut is_at_rest = true;
        let givers = self.stages.iter_mut().filter_map(|stage| stage.runnable.giver());
        givers.for_each(|giver| is_at_rest &= giver.put_to_rest(now));
        is_at_rest
    }

    /// The first step of a stage, as the plan calls it.
    fn source_name(&self, stage: usize) -> &str {
        let name = self.stages.get(stage).map_or("", |stage| stage.name.as_str());
        name.split(" > ").next().unwrap_or(name)
    }

    /// Leaves out those of these records that it reads, of whatever index it is.
    pub fn pass_over(&mut self, index: usize, places: &[Place]) {
        for Place { stage, given, .. } in places.iter().filter(|place| place.shard == index) {
            if let Some(giver) = self.giver(*stage) {
                giver.pass_over(given.partition, given.number);
            }
        }
    }

    /// How many records the partitions of each stage's source have given, upstream first.
    pub fn counts(&mut self) -> Vec<Vec<u64>> {
        let counts = |giver: &mut dyn Giver| giver.counts().to_vec();
        let stages = self.stages.iter_mut();
        stages.map(|stage| stage.runnable.giver().map_or(Vec::new(), counts)).collect()
    }

    /// A turn in which sources are driven and not asked for anything.
    fn step_apart(&mut self, now: Timestamp) -> Work {
        (self.cx.now, self.cx.ingress) = (now, now);
        let mut work = Work::NONE;
        for stage in self.stages.iter_mut().rev() {
            work += stage.runnable.drain(&mut self.cx);
        }
        self.cx.left_over = false;
        for stage in &mut self.stages {
            if let Some(taking) = &mut self.taking {
                taking.holds_back(stage, &mut self.cx);
            }
            if !stage.is_source {
                work += stage.runnable.poll(&mut self.cx);
            }
        }
        work += self.copy_slice();
        self.count_step(work);
        work
    }
}
