//! NEXMark 3 and 8: people and their auctions.

use std::collections::BTreeMap;

use super::Table;
use crate::digest::text;
use millstream::nexmark::{Auction, Person};

/// What query 3 wants to know of a person: id and three texts.
pub type About = [u64; 4];

/// Whether query 3 asks about a person, and what.
pub fn is_local(person: &Person) -> Option<About> {
    let is = ["OR", "ID", "CA"].contains(&person.state.as_str());
    let texts = [person.name.as_str(), person.city.as_str(), person.state.as_str()].map(text);
    is.then_some([person.id, texts[0], texts[1], texts[2]])
}

/// Whether query 3 asks about an auction: its seller and its id.
pub fn is_wanted(auction: &Auction) -> Option<(u64, u64)> {
    (auction.category == 10).then_some((auction.seller, auction.id))
}

/// Query 3: auctions and people, whichever comes first.
#[derive(Default)]
pub struct Local {
    people: Table<u64, About>,
    auctions: Table<u64, Vec<u64>>,
}

impl Local {
    /// A person; rows are of the auctions that came before.
    pub fn person(&mut self, about: About, mut emit: impl FnMut([u64; 4])) {
        let [id, name, city, state] = about;
        self.people.insert(id, about);
        for auction in self.auctions.get(&id).into_iter().flatten() {
            emit([*auction, name, city, state]);
        }
    }

    /// An auction; a row if its seller has come.
    pub fn auction(&mut self, (seller, id): (u64, u64), mut emit: impl FnMut([u64; 4])) {
        if let Some([_, name, city, state]) = self.people.get(&seller) {
            emit([id, *name, *city, *state]);
        }
        self.auctions.entry(seller).or_default().push(id);
    }
}

/// Query 8: who came and sold in the same ten seconds.
pub struct NewSellers {
    size: i64,
    /// By end of window: people with the word of their name, whether they are out already; and
    /// sellers who have not come.
    windows: BTreeMap<i64, Table<u64, Seen>>,
}

/// What is known of somebody in a window.
#[derive(Clone, Copy, Default)]
struct Seen {
    name: Option<u64>,
    sold: bool,
}

impl NewSellers {
    /// Windows of so many nanoseconds.
    pub fn new(size: i64) -> Self {
        Self { size, windows: BTreeMap::new() }
    }

    fn seen(&mut self, at: i64, id: u64) -> (i64, &mut Seen) {
        let start = at.div_euclid(self.size) * self.size;
        let window = self.windows.entry(start + self.size).or_default();
        (start, window.entry(id).or_default())
    }

    /// Somebody came. A row is id, name and start of the window.
    #[inline]
    pub fn person(&mut self, at: i64, id: u64, name: u64, mut emit: impl FnMut([u64; 3])) {
        let (start, seen) = self.seen(at, id);
        seen.name = Some(name);
        if seen.sold {
            emit([id, name, start as u64]);
        }
    }

    /// Somebody sold.
    #[inline]
    pub fn auction(&mut self, at: i64, seller: u64, mut emit: impl FnMut([u64; 3])) {
        let (start, seen) = self.seen(at, seller);
        if let (Some(name), false) = (seen.name, seen.sold) {
            emit([seller, name, start as u64]);
        }
        seen.sold = true;
    }

    /// Forgets windows that end by then.
    pub fn advance(&mut self, to: i64) {
        while self.windows.first_entry().is_some_and(|window| *window.key() <= to) {
            self.windows.pop_first();
        }
    }
}
