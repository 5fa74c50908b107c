//! The sessions of a key: the newest beside the key, older ones in a chain.

use serde::{Deserialize, Serialize};

use crate::state::State;

/// Sessions that are allocated together.
const BLOCK: usize = 256;

/// One session of a key.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Session<A> {
    /// Its first record.
    pub start: i64,
    /// Its last record, and the gap behind that.
    pub end: i64,
    /// What its records came to.
    pub acc: A,
    /// Results because of late records, since the watermark passed its end.
    pub late: u32,
    /// The watermark has passed its end and its result is out.
    pub fired: bool,
}

/// The place of a session in the pool, counted from 1; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Link(u32);

/// The sessions of one key: they do not touch each other, but for those that are closed and only
/// wait to be fired or dropped.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Sessions<A> {
    /// The one that begins last; most records belong to it.
    pub newest: Session<A>,
    /// The others, from the newer to the older.
    older: Link,
    /// How many there are. 0 only while a new key has got none yet.
    pub count: u32,
    /// When somebody looks at this key again. Never later than there is something to do, often
    /// earlier: a session that goes on does not move it.
    pub armed: i64,
}

/// Where the chains live: blocks that grow, a free list, nothing given back.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pool<A> {
    blocks: Vec<Box<[Node<A>]>>,
    free: Link,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Node<A> {
    session: Session<A>,
    older: Link,
}

/// What a record is to a chain: from where to where it reaches, and which sessions are closed.
#[derive(Clone, Copy)]
pub struct Reach {
    /// The time of the record.
    pub at: i64,
    /// That and the gap behind it.
    pub end: i64,
    /// Sessions that end before this are closed: no record joins them any more.
    pub closed_before: i64,
}

impl Reach {
    fn touches<A>(&self, session: &Session<A>) -> bool {
        self.is_open(session) && session.start <= self.end && self.at <= session.end
    }

    fn is_open<A>(&self, session: &Session<A>) -> bool {
        session.end >= self.closed_before
    }
}

impl<A: State> Pool<A> {
    /// No chain yet.
    pub const fn new() -> Self {
        Self { blocks: Vec::new(), free: Link(0) }
    }

    /// The sessions of a key, from the newer to the older.
    pub fn iter<'a>(&'a self, of: &'a Sessions<A>) -> impl Iterator<Item = &'a Session<A>> {
        let mut link = of.older;
        let older = std::iter::from_fn(move || {
            let node = self.node(link)?;
            link = node.older;
            Some(&node.session)
        });
        let newest = (of.count > 0).then_some(&of.newest);
        newest.into_iter().chain(older)
    }

    /// Takes the sessions of a key over from another pool.
    pub fn take_over(&mut self, other: &Self, of: &Sessions<A>) -> Sessions<A> {
        let mut taken = Sessions { armed: of.armed, ..Sessions::default() };
        let mut all: Vec<&Session<A>> = other.iter(of).collect();
        // Of those that begin at the same time the newer stay in front.
        all.reverse();
        for session in all {
            self.insert(&mut taken, *session);
        }
        taken
    }

    /// Whether a record belongs to a session that there is.
    pub fn touches(&self, of: &Sessions<A>, reach: Reach) -> bool {
        self.iter(of).any(|session| reach.touches(session))
    }

    /// Joins a record with the sessions that it touches, or opens one, and returns that session.
    ///
    /// `add` adds the record to the accumulator of the earliest session it touches, or to an empty
    /// one. `combine` adds to an accumulator what is all later. So what is put together stays in
    /// the order of event time. O(sessions of the key).
    pub fn join<'a>(
        &'a mut self,
        of: &'a mut Sessions<A>,
        reach: Reach,
        add: impl FnOnce(&mut A),
        combine: impl Fn(&mut A, &A),
    ) -> &'a mut Session<A> {
        let Some((place, mut joined)) = self.join_touched(of, reach, &combine) else {
            let mut session = Session { start: reach.at, end: reach.end, ..Session::default() };
            add(&mut session.acc);
            return self.insert(of, session);
        };
        joined.earliest.start = joined.earliest.start.min(reach.at);
        joined.earliest.end = joined.end.max(reach.end);
        joined.earliest.late = joined.late;
        add(&mut joined.earliest.acc);
        if let Some(later) = joined.later {
            combine(&mut joined.earliest.acc, &later);
        }
        let session = match self.node_mut(place) {
            Some(node) => &mut node.session,
            None => &mut of.newest,
        };
        *session = joined.earliest;
        session
    }

    /// Takes all the sessions that a record touches out of a chain but for the newest of them,
    /// whose place it returns with what they come to.
    fn join_touched(
        &mut self,
        of: &mut Sessions<A>,
        reach: Reach,
        combine: &impl Fn(&mut A, &A),
    ) -> Option<(Link, Joined<A>)> {
        let mut found: Option<(Link, Joined<A>)> = None;
        let (mut before, mut link, mut session) = (Link(0), Link(0), of.newest);
        for _ in 0..of.count {
            let older = self.node(link).map_or(of.older, |node| node.older);
            if reach.touches(&session) {
                match &mut found {
                    None => found = Some((link, Joined::of(session))),
                    Some((_, joined)) => {
                        joined.add_earlier(session, combine);
                        self.remove(of, before, link);
                        link = before;
                    }
                }
            } else if reach.is_open(&session) && session.end < reach.at {
                break;
            }
            (before, link) = (link, older);
            let Some(node) = self.node(link) else { break };
            session = node.session;
        }
        found
    }

    /// Puts a session that touches none into its place in a chain.
    fn insert<'a>(
        &'a mut self,
        of: &'a mut Sessions<A>,
        session: Session<A>,
    ) -> &'a mut Session<A> {
        of.count += 1;
        if of.count == 1 {
            of.newest = session;
            return &mut of.newest;
        }
        if of.newest.start < session.start {
            let newest = std::mem::replace(&mut of.newest, session);
            of.older = self.take(newest, of.older);
            return &mut of.newest;
        }
        let (mut before, mut older) = (Link(0), of.older);
        while let Some(node) = self.node(older)
            && node.session.start >= session.start
        {
            (before, older) = (older, node.older);
        }
        let link = self.take(session, older);
        match self.node_mut(before) {
            Some(node) => node.older = link,
            None => of.older = link,
        }
        let Some(node) = self.node_mut(link) else { return &mut of.newest };
        &mut node.session
    }

    /// Works on the session of which `time` is the least, and which of those is the oldest; removes
    /// it if `work` says so. Returns the least `time` of those that are left, if some are.
    pub fn visit_first(
        &mut self,
        of: &mut Sessions<A>,
        time: impl Fn(&Session<A>) -> i64,
        work: impl FnOnce(&mut Session<A>) -> bool,
    ) -> Option<i64> {
        let (mut place, mut before) = (Link(0), Link(0));
        let (mut least, mut second) = (time(&of.newest), i64::MAX);
        let (mut newer, mut link) = (Link(0), of.older);
        while let Some(node) = self.node(link) {
            let due = time(&node.session);
            if due <= least {
                (least, second) = (due, least);
                (place, before) = (link, newer);
            } else {
                second = second.min(due);
            }
            (newer, link) = (link, node.older);
        }
        let session = match self.node_mut(place) {
            Some(node) => &mut node.session,
            None => &mut of.newest,
        };
        if work(session) {
            self.remove(of, before, place);
            return (of.count > 0).then_some(second);
        }
        Some(time(session).min(second))
    }

    /// Removes the session at a place, which is behind `before`.
    fn remove(&mut self, of: &mut Sessions<A>, before: Link, place: Link) {
        of.count -= 1;
        let (gone, older) = match self.node(place) {
            Some(node) => (place, node.older),
            None => {
                // The newest: the next one takes its place beside the key.
                let Some(node) = self.node(of.older) else { return };
                let (link, session, older) = (of.older, node.session, node.older);
                of.newest = session;
                (link, older)
            }
        };
        match self.node_mut(before) {
            Some(node) => node.older = older,
            None => of.older = older,
        }
        let free = self.free;
        if let Some(node) = self.node_mut(gone) {
            node.older = free;
            self.free = gone;
        }
    }

    /// A place for a session, with what is behind it.
    fn take(&mut self, session: Session<A>, older: Link) -> Link {
        if self.free == Link(0) {
            self.add_block();
        }
        let link = self.free;
        if let Some(node) = self.node_mut(link) {
            let free = node.older;
            *node = Node { session, older };
            self.free = free;
        }
        link
    }

    #[cold]
    fn add_block(&mut self) {
        let first = self.blocks.len() * BLOCK + 1;
        let node = |index| {
            let older = if index + 1 == BLOCK { 0 } else { first + index + 1 };
            Node { session: Session::default(), older: Link(older as u32) }
        };
        self.blocks.push((0..BLOCK).map(node).collect());
        self.free = Link(first as u32);
    }

    #[inline(always)]
    fn node(&self, link: Link) -> Option<&Node<A>> {
        let index = (link.0 as usize).checked_sub(1)?;
        self.blocks.get(index / BLOCK)?.get(index % BLOCK)
    }

    #[inline(always)]
    fn node_mut(&mut self, link: Link) -> Option<&mut Node<A>> {
        let index = (link.0 as usize).checked_sub(1)?;
        self.blocks.get_mut(index / BLOCK)?.get_mut(index % BLOCK)
    }
}

/// Sessions that become one.
struct Joined<A> {
    /// The earliest of them so far; its accumulator has nothing of the others yet.
    earliest: Session<A>,
    /// The accumulators of all the others.
    later: Option<A>,
    end: i64,
    /// The most results that one of them had because of late records.
    late: u32,
}

impl<A: State> Joined<A> {
    const fn of(session: Session<A>) -> Self {
        Self { earliest: session, later: None, end: session.end, late: session.late }
    }

    /// Adds one that is all earlier than those so far.
    fn add_earlier(&mut self, session: Session<A>, combine: &impl Fn(&mut A, &A)) {
        let Session { mut acc, .. } = std::mem::replace(&mut self.earliest, session);
        if let Some(later) = &self.later {
            combine(&mut acc, later);
        }
        self.later = Some(acc);
        self.late = self.late.max(session.late);
    }
}
