//! The events of NEXMark, as `millstream bench nexmark` has them, and what queries take of them.

use std::hash::{Hash, Hasher};
use std::io::{self, Write};

use millstream::nexmark::{Event, Nexmark, Phrase};

/// So many events, in the order in which they happen.
pub fn events(records: u64) -> Vec<Event> {
    let nexmark = Nexmark::default();
    (0..records).map(|number| nexmark.event(number)).collect()
}

/// A phrase as a word of a row: where it is cut out of the supply.
#[inline(always)]
pub fn phrase(phrase: &Phrase) -> u64 {
    let mut words = Words(0);
    phrase.hash(&mut words);
    words.0
}

/// Two numbers of 16 bits as one.
struct Words(u64);

impl Hasher for Words {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    #[inline(always)]
    fn write_u16(&mut self, word: u16) {
        self.0 = self.0 << 16 | u64::from(word);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Writes events for contestants in other languages, numbers with their highest byte first: a byte
/// that says what it is (0 person, 1 auction, 2 bid), five numbers, and of people three texts, each
/// behind its length in two bytes.
///
/// # Errors
/// Those of the writer.
pub fn write(records: u64, to: &mut impl Write) -> io::Result<()> {
    let nexmark = Nexmark::default();
    for number in 0..records {
        let event = nexmark.event(number);
        let at = event.at().as_nanos();
        let (kind, numbers): (u8, [i64; 5]) = match &event {
            Event::Person(person) => (0, [person.id as i64, at, 0, 0, 0]),
            Event::Auction(auction) => {
                let [id, seller, category] = [auction.id, auction.seller, auction.category];
                let expires = auction.expires.as_nanos();
                (1, [id as i64, at, seller as i64, category as i64, expires])
            }
            Event::Bid(bid) => {
                let extra = phrase(&bid.extra) as i64;
                (2, [bid.auction as i64, at, bid.bidder as i64, bid.price as i64, extra])
            }
        };
        to.write_all(&[kind])?;
        for number in numbers {
            to.write_all(&number.to_be_bytes())?;
        }
        if let Event::Person(person) = &event {
            for text in [person.name.as_str(), person.city.as_str(), person.state.as_str()] {
                to.write_all(&(text.len() as u16).to_be_bytes())?;
                to.write_all(text.as_bytes())?;
            }
        }
    }
    Ok(())
}
