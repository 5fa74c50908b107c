//! All orders in which two sides can see each other's writes, and sides that lie.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Common, Reader, Wild, Word, Writer};

const CAPACITY: u64 = 2;

/// Words of a kind.
struct Words<W> {
    tail: W,
    head: W,
    over: W,
    slots: [[W; 2]; CAPACITY as usize],
}

impl<W> Words<W> {
    fn of(zero: impl Fn() -> W) -> Arc<Self> {
        let slots = std::array::from_fn(|_| std::array::from_fn(|_| zero()));
        Arc::new(Self { tail: zero(), head: zero(), over: zero(), slots })
    }
}

impl<W: Word> Common for Arc<Words<W>> {
    type Word = W;

    fn capacity(&self) -> u64 {
        CAPACITY
    }

    fn tail(&self) -> &W {
        &self.tail
    }

    fn head(&self) -> &W {
        &self.head
    }

    fn over(&self) -> &W {
        &self.over
    }

    fn slot(&self, number: u64) -> &[W] {
        &self.slots[(number % CAPACITY) as usize]
    }
}

impl Word for loom::sync::atomic::AtomicU64 {
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }
}

fn write<C: Common>(writer: &mut Writer<C>, value: u64) {
    writer.put(|slot| slot.iter().for_each(|word| word.store(value, Ordering::Relaxed)));
}

fn read<C: Common>(reader: &mut Reader<C>) -> u64 {
    reader.take(|slot| {
        let [one, other] = [0, 1].map(|at| slot[at].load(Ordering::Relaxed));
        assert_eq!(one, other, "a record that is torn");
        one
    })
}

/// Four records through room for two, the last two published together, read as they come.
#[test]
fn records_come_whole_in_order_and_once_in_every_order_of_events() {
    loom::model(|| {
        let words = Words::of(|| loom::sync::atomic::AtomicU64::new(0));
        let mut writer = Writer::new(words.clone());
        let writing = loom::thread::spawn(move || {
            for batch in [&[1, 2][..], &[3]] {
                for value in batch {
                    while writer.room(1).unwrap() == 0 {
                        loom::thread::yield_now();
                    }
                    write(&mut writer, *value);
                }
                writer.publish();
            }
            writer.end();
        });
        let (mut reader, mut seen) = (Reader::new(words), Vec::new());
        loop {
            let waiting = reader.waiting(CAPACITY).unwrap();
            (0..waiting).for_each(|_| seen.push(read(&mut reader)));
            reader.release();
            if waiting == 0 && reader.is_over() && reader.waiting(1).unwrap() == 0 {
                break;
            }
            if waiting == 0 {
                loom::thread::yield_now();
            }
        }
        assert_eq!(seen, [1, 2, 3]);
        writing.join().unwrap();
    });
}

type Plain = std::sync::atomic::AtomicU64;

#[test]
fn a_side_that_lies_is_an_error_and_nothing_else() {
    let words = Words::of(|| Plain::new(0));
    let (mut writer, mut reader) = (Writer::new(words.clone()), Reader::new(words.clone()));
    write(&mut writer, 7);
    assert_eq!((writer.publish(), writer.publish()), (1, 0));
    assert_eq!((reader.waiting(1), read(&mut reader)), (Ok(1), 7));
    reader.release();
    for lie in [0, 4, 1 << 40, u64::MAX] {
        words.tail.store(lie, Ordering::Relaxed);
        assert_eq!(reader.waiting(1), Err(Wild { ours: 1, theirs: lie }));
    }
    for lie in [2, 1 << 40, u64::MAX] {
        words.head.store(lie, Ordering::Relaxed);
        assert_eq!(writer.room(2), Err(Wild { ours: 1, theirs: lie }));
    }
    words.head.store(1, Ordering::Relaxed);
    assert_eq!(writer.room(2), Ok(2));
    words.head.store(0, Ordering::Relaxed);
    write(&mut writer, 8);
    write(&mut writer, 9);
    writer.publish();
    assert_eq!(writer.room(1), Err(Wild { ours: 3, theirs: 0 }));
}

#[test]
fn a_reader_goes_on_where_the_one_before_has_stopped() {
    let words = Words::of(|| Plain::new(0));
    let mut writer = Writer::new(words.clone());
    (1..=2).for_each(|value| write(&mut writer, value));
    writer.publish();
    let mut first = Reader::new(words.clone());
    assert_eq!((first.waiting(2), read(&mut first)), (Ok(2), 1));
    first.release();
    let mut second = Reader::new(words);
    assert_eq!((second.waiting(2), read(&mut second)), (Ok(1), 2));
    assert_eq!(second.taken(), 2);
}
