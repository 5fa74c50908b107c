//! OpenRTB 2.6 over JSON: what a bidder decides by, and what it answers.
//!
//! ```
//! use millstream::io::openrtb::{Bid, List, Reader, Response, SeatBid};
//!
//! let request = br#"{"id": "r1", "tmax": 100, "ext": {"x": [1]}, "imp": [
//!     {"id": "i1", "bidfloor": 0.5, "banner": {"format": [{"w": 300, "h": 250}]}}]}"#;
//! let mut reader = Reader::new();
//! let request = reader.request(request)?;
//! let imp = request.imp.iter().next().unwrap();
//! assert_eq!((request.tmax, imp.bidfloor, imp.bidfloorcur == "USD"), (Some(100), 0.5, true));
//! let size = imp.banner.unwrap().format.iter().next().unwrap();
//!
//! let bids = [Bid { id: "b1".into(), impid: imp.id, price: 0.75, w: size.w, ..Bid::default() }];
//! let seats = [SeatBid { bid: List::of(&bids), ..SeatBid::default() }];
//! let seatbid = List::of(&seats);
//! let response = Response { id: request.id, seatbid, ..Response::default() };
//! let mut bytes = Vec::new();
//! response.encode(&mut bytes);
//! let bid = r#"{"id":"b1","impid":"i1","price":0.75,"w":300}"#;
//! let golden = format!(r#"{{"id":"r1","seatbid":[{{"bid":[{bid}]}}]}}"#);
//! assert_eq!(bytes, golden.as_bytes());
//!
//! let error = reader.request(br#"{"id": "r2", "imp": [{"bidfloor": 1}]}"#).unwrap_err();
//! assert_eq!(error.to_string(), "at byte 35: imp[0].id: is missing");
//! # Ok::<(), millstream::io::Malformed>(())
//! ```
//!
//! A request is gone through once and checked: what must be there is there, what is read has its
//! type, and no list is longer than [`Limits`] allow. Text is borrowed. A list is the place where
//! it stands in the request, and is read again by whoever looks at it, so that nothing is kept and
//! nothing allocated however many impressions there are.
//!
//! Fields that are not here are stepped over and counted, `ext` among them: the structs of this
//! room say which are. Where a field comes twice, the last one counts. A `null` is a field that is
//! absent.

mod object;
mod request;
mod response;
mod walk;

pub use object::{List, ListIter};
pub use request::{
    App, Banner, BidRequest, Deal, Device, Format, Geo, Imp, Pmp, Publisher, Regs, Site, User,
    Video,
};
pub use response::{Bid, Response, SeatBid};
pub use walk::Limits;

use crate::io::codec::Malformed;
use walk::Walk;

/// Reads requests and responses, within limits, and counts what it has stepped over.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    limits: Limits,
    skipped: u64,
}

impl Reader {
    /// With the limits that are the default.
    pub fn new() -> Self {
        Self::default()
    }

    /// With other limits.
    pub fn within(limits: Limits) -> Self {
        Self { limits, skipped: 0 }
    }

    /// The request that bytes are.
    ///
    /// # Errors
    /// What is no JSON, what is not of its type, what is missing, and too many of something: with
    /// the way to it, as `imp[2].banner.w`, and its byte.
    pub fn request<'a>(&mut self, bytes: &'a [u8]) -> Result<BidRequest<'a>, Malformed> {
        self.read(bytes)
    }

    /// The response that bytes are.
    ///
    /// # Errors
    /// As for [`request`](Self::request).
    pub fn response<'a>(&mut self, bytes: &'a [u8]) -> Result<Response<'a>, Malformed> {
        self.read(bytes)
    }

    /// How many fields were there that are not read, in all.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn read<'a, T: object::Part<'a>>(&mut self, bytes: &'a [u8]) -> Result<T, Malformed> {
        let mut walk = Walk::new(bytes, self.limits);
        let read = T::read(&mut walk).and_then(|read| walk.cursor.end().map(|()| read));
        self.skipped += walk.skipped;
        read.map_err(|_| walk.malformed())
    }
}

#[cfg(test)]
mod tests;
