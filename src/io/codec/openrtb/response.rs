//! What is answered.

use crate::io::codec::json::Str;
use crate::io::codec::openrtb::object::{List, Part, object};

object! {
    /// A bidder's answer.
    Response<'a> {
        /// The name of the request.
        id: Str<'a>,
        /// Bids by seat; none for no bid.
        seatbid: List<'a, SeatBid<'a>>,
        /// The bidder's name for its answer.
        bidid: Option<Str<'a>>,
        /// The currency of prices.
        cur: Str<'a> = "USD".into(),
        /// Why there is no bid.
        nbr: Option<u32>,
    }
}

object! {
    /// The bids of one buyer.
    SeatBid<'a> limit formats {
        /// The bids, at least one.
        bid: List<'a, Bid<'a>> where some,
        /// The buyer.
        seat: Option<Str<'a>>,
        /// 1 if all of them are to be won, or none.
        group: u32 = 0,
    }
}

object! {
    /// A bid.
    Bid<'a> limit imps {
        /// The bidder's name for it.
        id: Str<'a>,
        /// The impression.
        impid: Str<'a>,
        /// The price of a thousand.
        price: f64,
        /// Called when it has won.
        nurl: Option<Str<'a>>,
        /// Called when it is to be paid.
        burl: Option<Str<'a>>,
        /// Called when it has lost.
        lurl: Option<Str<'a>>,
        /// What is to be shown.
        adm: Option<Str<'a>>,
        /// The name of that if it was loaded before.
        adid: Option<Str<'a>>,
        /// Domains of the advertiser.
        adomain: List<'a, Str<'a>>,
        /// What is advertised, in the store.
        bundle: Option<Str<'a>>,
        /// A picture of it for checks.
        iurl: Option<Str<'a>>,
        /// The campaign.
        cid: Option<Str<'a>>,
        /// The creative.
        crid: Option<Str<'a>>,
        /// Categories of the creative.
        cat: List<'a, Str<'a>>,
        /// Its attributes.
        attr: List<'a, u32>,
        /// The deal.
        dealid: Option<Str<'a>>,
        /// Its width.
        w: Option<u32>,
        /// Its height.
        h: Option<u32>,
        /// Seconds that the bidder waits until it is shown.
        exp: Option<u32>,
        /// 1 a banner, 2 a video, 3 sound, 4 native.
        mtype: Option<u32>,
    }
}

impl Response<'_> {
    /// Appends it as JSON. What is as it would be if it were absent is left out.
    pub fn encode(&self, into: &mut Vec<u8>) {
        self.write(into);
    }
}
