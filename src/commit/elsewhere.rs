//! Commits made on a thread of their own, so that a shard never waits for a disk or a server.

use std::io;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

use crate::dataflow::{Epoch, Record};
use crate::error::IoError;
use crate::io::Commit;

/// Makes the commits of another on a thread of its own.
///
/// The thread ends with this: what it has been given is committed by then, or has failed.
///
/// ```
/// use millstream::commit::Elsewhere;
/// use millstream::dataflow::Epoch;
/// use millstream::io::{Commit, MemoryCommits};
/// use millstream::{Record, Timestamp};
///
/// let shown = MemoryCommits::new();
/// let slow = shown.clone();
/// let mut commits = Elsewhere::new(move || Ok(slow));
/// commits.commit(Epoch(1), vec![Record::new(Timestamp(7), 7)])?;
/// while commits.poll()? {}
/// assert_eq!(shown.records().len(), 1);
/// # Ok::<(), millstream::error::IoError>(())
/// ```
pub struct Elsewhere<T> {
    /// `None` once the thread has been told to end.
    epochs: Option<Sender<Given<T>>>,
    results: Receiver<Result<(), IoError>>,
    under_way: usize,
    thread: Option<JoinHandle<()>>,
}

/// The records of an epoch, and the shard that there was and whose they are, if it is another.
type Given<T> = (Option<usize>, Epoch, Vec<Record<T>>);

impl<T: Send + 'static> Elsewhere<T> {
    /// Starts the thread, which makes the committer there. What goes wrong with that is the result
    /// of the first commit.
    pub fn new<C: Commit<T>>(make: impl FnOnce() -> Result<C, IoError> + Send + 'static) -> Self {
        let (sender, epochs) = channel();
        let (answers, results) = channel();
        let body = move || commit_all(make, &epochs, &answers);
        // Without a thread both channels are closed, which `commit` tells of.
        let thread = std::thread::Builder::new().name("commit".to_owned()).spawn(body).ok();
        Self { epochs: Some(sender), results, under_way: 0, thread }
    }
}

fn commit_all<T, C: Commit<T>>(
    make: impl FnOnce() -> Result<C, IoError>,
    epochs: &Receiver<Given<T>>,
    answers: &Sender<Result<(), IoError>>,
) {
    let mut committer = match make() {
        Ok(committer) => committer,
        // Nobody listens any more if the shard has failed meanwhile.
        Err(error) => {
            let _ = answers.send(Err(error));
            return;
        }
    };
    while let Ok((other, epoch, records)) = epochs.recv() {
        let result = match other {
            Some(shard) => committer.commit_of(shard, epoch, records),
            None => committer.commit(epoch, records),
        };
        let failed = result.is_err();
        if answers.send(result).is_err() || failed {
            break;
        }
    }
}

fn gone() -> IoError {
    let reason = io::Error::other("its thread has ended");
    IoError::new("commit", "an epoch", reason)
}

impl<T: Send + 'static> Elsewhere<T> {
    fn give(&mut self, given: Given<T>) -> Result<(), IoError> {
        let sent = self.epochs.as_ref().is_some_and(|epochs| epochs.send(given).is_ok());
        if sent {
            self.under_way += 1;
            return Ok(());
        }
        // It may have said why.
        self.poll()?;
        Err(gone())
    }
}

impl<T: Send + 'static> Commit<T> for Elsewhere<T> {
    fn commit(&mut self, epoch: Epoch, records: Vec<Record<T>>) -> Result<(), IoError> {
        self.give((None, epoch, records))
    }

    fn commit_of(
        &mut self,
        shard: usize,
        epoch: Epoch,
        records: Vec<Record<T>>,
    ) -> Result<(), IoError> {
        self.give((Some(shard), epoch, records))
    }

    fn poll(&mut self) -> Result<bool, IoError> {
        loop {
            match self.results.try_recv() {
                Ok(result) => {
                    result?;
                    self.under_way -= 1;
                }
                Err(TryRecvError::Empty) => return Ok(self.under_way > 0),
                Err(TryRecvError::Disconnected) if self.under_way == 0 => return Ok(false),
                Err(TryRecvError::Disconnected) => return Err(gone()),
            }
        }
    }
}

impl<T> Drop for Elsewhere<T> {
    /// Waits for the thread: whoever goes on from the same checkpoint commits the same epochs, and
    /// must not meet it there.
    fn drop(&mut self) {
        self.epochs = None;
        if let Some(thread) = self.thread.take() {
            // A panic in it has closed the channel, and that was told.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemoryCommits;

    fn wait(commits: &mut Elsewhere<u8>) -> Result<(), IoError> {
        while commits.poll()? {
            std::thread::yield_now();
        }
        Ok(())
    }

    struct Fails;

    impl Commit<u8> for Fails {
        fn commit(&mut self, Epoch(epoch): Epoch, _: Vec<Record<u8>>) -> Result<(), IoError> {
            match epoch {
                1 => Ok(()),
                2 => Err(IoError::new("commit", "there", io::Error::other("full"))),
                _ => panic!("planted"),
            }
        }
    }

    #[test]
    fn what_goes_wrong_there_is_told_here() {
        let mut commits = Elsewhere::new(|| Ok(Fails));
        commits.commit(Epoch(1), vec![]).unwrap();
        wait(&mut commits).unwrap();
        commits.commit(Epoch(2), vec![]).unwrap();
        assert!(wait(&mut commits).unwrap_err().to_string().contains("full"));
        let mut commits = Elsewhere::new(|| Ok(Fails));
        commits.commit(Epoch(3), vec![]).unwrap();
        assert!(wait(&mut commits).unwrap_err().to_string().contains("its thread has ended"));
        let mut commits = Elsewhere::<u8>::new(|| -> Result<Fails, _> { Err(gone()) });
        let told = commits.commit(Epoch(1), vec![]).and_then(|()| wait(&mut commits));
        assert!(told.is_err());
    }

    #[test]
    fn what_was_given_is_committed_when_it_ends() {
        let shown = MemoryCommits::new();
        let there = shown.clone();
        let mut commits = Elsewhere::new(move || Ok(there));
        let records = (0..100).map(|n| Record::new(crate::Timestamp(0), n));
        records.enumerate().for_each(|(epoch, record)| {
            commits.commit(Epoch(epoch as u64), vec![record]).unwrap();
        });
        drop(commits);
        assert_eq!(shown.records().len(), 100);
    }
}
