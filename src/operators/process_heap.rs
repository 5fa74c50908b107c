//! The process function of the slower tier: state of any type.

use std::ops::{Deref, DerefMut};

use crate::dataflow::{Keyed, Others, Saved, Stage, Stream};
use crate::operators::process::{AtEnd, KeyContext, Moved, Order, Process, Timer};
use crate::state::{Key, Slab, Stored};

/// A [`Process`] whose state may own memory: a `Vec`, a map, a `String`.
///
/// It is slower: the state of a key is one cache miss further away, what it owns is more of them,
/// and where it grows a step allocates. Such state does not expire, for it would have to be
/// dropped: [`clear`](HeapContext::clear) it. All else is as for a [`Process`].
///
/// ```
/// use millstream::{io::IterSource, operators::{HeapContext, ProcessHeap}};
/// use millstream::{Record, Simulation, Timer, Timestamp};
///
/// /// The words of each length, once there are no more.
/// struct ByLength;
///
/// impl ProcessHeap for ByLength {
///     type Key = usize;
///     type In = String;
///     type State = Vec<String>;
///     type Out = String;
///
///     fn on_record(&mut self, word: String, ctx: &mut HeapContext<'_, '_, Self>) {
///         ctx.set_timer(Timestamp::MAX);
///         ctx.state().push(word);
///     }
///
///     fn on_timer(&mut self, _: Timer, ctx: &mut HeapContext<'_, '_, Self>) {
///         let words = ctx.clear().unwrap_or_default();
///         ctx.emit(words.join(" "));
///     }
/// }
///
/// # fn main() -> millstream::Result<()> {
/// Simulation::new(1, 0).run(|p| {
///     let words = "not to be or to do".split(' ');
///     let words = words.map(|word| Record::new(Timestamp(0), word.to_owned()));
///     p.source(IterSource::new(words))
///         .key_by(|word| word.len())
///         .process_heap(ByLength)
///         .for_each(|line| assert!(["not", "to be or to do"].contains(&line.value.as_str())));
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a process function with state on the heap",
    label = "this does not implement `ProcessHeap`",
    note = "a function that implements `Process` goes with `.process(..)`"
)]
pub trait ProcessHeap: Sized + 'static {
    /// What the stream is keyed by.
    type Key: Key;
    /// What comes in.
    type In: Clone + Stored;
    /// What is kept for a key; a snapshot holds a copy of it.
    type State: Clone + Default + Stored;
    /// What goes out.
    type Out: 'static;

    /// See [`Process::AT_END`].
    const AT_END: AtEnd = AtEnd::Drop;

    /// See [`Process::ORDER`].
    const ORDER: Order = Order::Arrival;

    /// A record of a key.
    fn on_record(&mut self, record: Self::In, ctx: &mut HeapContext<'_, '_, Self>);

    /// A timer of a key that is due; it is no longer set. Ignored unless overridden.
    fn on_timer(&mut self, timer: Timer, ctx: &mut HeapContext<'_, '_, Self>) {
        let _ = (timer, ctx);
    }

    /// See [`Process::save`].
    fn save(&self, out: &mut Saved) {
        out.unseen::<Self>("process");
    }

    /// See [`Process::load`].
    fn load(&mut self, _from: &mut Saved) {}
}

impl<'p, K: Key, T: 'static> Keyed<'p, K, T> {
    /// Like [`process`](Self::process), for state that owns memory. See [`ProcessHeap`].
    pub fn process_heap<P: ProcessHeap<Key = K, In = T>>(
        self,
        process: P,
    ) -> Stream<'p, impl Stage<Out = P::Out>> {
        self.process(OnHeap { process, heap: Slab::new(), others: Others::default() })
    }
}

/// A function with state on the heap, as one whose state is where in a slab that is.
pub struct OnHeap<P: ProcessHeap> {
    process: P,
    /// `None` in slots that nobody has.
    heap: Slab<Option<P::State>>,
    /// Those of other shards, while their keys move.
    others: Others<Slab<Option<P::State>>>,
}

#[diagnostic::do_not_recommend]
impl<P: ProcessHeap> Process for OnHeap<P> {
    type Key = P::Key;
    type In = P::In;
    type State = Option<u32>;
    type Out = P::Out;

    const AT_END: AtEnd = P::AT_END;
    const ORDER: Order = P::ORDER;

    fn on_record(&mut self, record: P::In, ctx: &mut KeyContext<'_, Self>) {
        self.process.on_record(record, &mut HeapContext { ctx, heap: &mut self.heap });
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyContext<'_, Self>) {
        self.process.on_timer(timer, &mut HeapContext { ctx, heap: &mut self.heap });
    }

    fn save(&self, out: &mut Saved) {
        self.process.save(out);
        out.put("process_heap", &self.heap);
    }

    fn load(&mut self, from: &mut Saved) {
        self.process.load(from);
        self.others = from.take_pool("process_heap", &mut self.heap);
    }

    fn on_moved(&mut self, keys: &mut Moved<'_, Self>) {
        let others = std::mem::take(&mut self.others);
        keys.each(|shard, _, slot| {
            let there = others.of(shard).zip(*slot);
            *slot = there.map(|(heap, place)| self.heap.take(heap[place].clone()));
        });
    }
}

/// What a [`ProcessHeap`] sees and can do while it is called for one key: all of a
/// [`KeyContext`], but for the state.
pub struct HeapContext<'a, 'k, P: ProcessHeap> {
    ctx: &'a mut KeyContext<'k, OnHeap<P>>,
    heap: &'a mut Slab<Option<P::State>>,
}

impl<P: ProcessHeap> HeapContext<'_, '_, P> {
    /// The state of the key, if it has any.
    pub fn get(&mut self) -> Option<&mut P::State> {
        let slot = self.ctx.get().copied().flatten()?;
        self.heap[slot].as_mut()
    }

    /// The state of the key; it begins as the default.
    pub fn state(&mut self) -> &mut P::State {
        let Self { ctx, heap } = self;
        let slot = *ctx.state().get_or_insert_with(|| heap.take(None));
        heap[slot].get_or_insert_default()
    }

    /// Takes the state of the key away and returns it. Its timers stay.
    pub fn clear(&mut self) -> Option<P::State> {
        let slot = self.ctx.get().copied().flatten();
        self.ctx.clear();
        let slot = slot?;
        self.heap.give(slot);
        self.heap[slot].take()
    }
}

impl<'k, P: ProcessHeap> Deref for HeapContext<'_, 'k, P> {
    type Target = KeyContext<'k, OnHeap<P>>;

    fn deref(&self) -> &Self::Target {
        self.ctx
    }
}

impl<P: ProcessHeap> DerefMut for HeapContext<'_, '_, P> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.ctx
    }
}
