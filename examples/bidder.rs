//! A small bidder: OpenRTB 2.6 bid requests come in by HTTP, and each is answered before its `tmax`
//! is over, or not at all.
//!
//! Of each request it bids for the first impression whose floor it can pay, but
//!
//! - not for a user who has seen three advertisements in the last minute (the frequency cap),
//! - and not while it has spent more in the last second than it may (the pace of the budget).
//!
//! Both are windows over what the exchange says that it has won. Start it in one terminal:
//!
//! ```sh
//! cargo run --example bidder --features web
//! ```
//!
//! and be the exchange in another:
//!
//! ```sh
//! curl -i -d '{"id": "r1", "tmax": 100, "user": {"id": "ada"}, "imp": [
//!     {"id": "i1", "bidfloor": 0.4, "banner": {"w": 300, "h": 250}}]}' localhost:7003/bid
//! curl -d '{"user": "ada", "price": 0.45}' localhost:7003/wins
//! ```
//!
//! The first answers with a bid; 204 is no bid, or none in time. Send the second three times, and
//! it is 204 for a minute. A price of 5 is more than may be spent in a second. `curl
//! localhost:7003/counts` says what happened. Another address of this host comes as an argument.
//! Ctrl-C ends it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use millstream::aggregates::{count, sum};
use millstream::io::json::{Json, Str};
use millstream::io::openrtb::{Bid, List, Reader, SeatBid};
use millstream::io::{Malformed, openrtb};
use millstream::web::{Answering, Asked, HttpService, HttpSource, Intake, Request, Web, WebServer};
use millstream::{Config, Engine, Pipeline, Result, Rolling, Shards, Text, ms, secs};

/// Advertisements that a user is shown within [`CAP_TIME`].
const CAP: u64 = 3;
const CAP_TIME: Duration = secs(60);

/// What may be spent within [`PACE_TIME`], in thousandths of the currency.
const PACE: f64 = 2.0;
const PACE_TIME: Duration = secs(1);

/// What it pays more than the floor.
const MARGIN: f64 = 1.1;
/// And what it never does.
const PRICE_MAX: f64 = 10.0;

/// What is decided by: of all impressions, the first that it can pay.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Offer {
    id: Text<64>,
    imp: Text<32>,
    user: Text<64>,
    floor: f64,
    size: (Option<u32>, Option<u32>),
}

/// What the exchange says when an advertisement was shown.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Win {
    user: Text<64>,
    price: f64,
}

type Bidder = HttpService<Offer, (Offer, f64)>;

fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7003".to_owned());
    let address = address.parse().unwrap_or_else(|error| panic!("{address}: {error}"));
    let server = WebServer::on(address, Web::default())?;
    let answering = Answering {
        within: ms(100),
        margin: ms(5),
        late_status: 204, // No bid.
        ..Answering::default()
    };
    let bidder = HttpService::new(&server, "bid", read, write, answering)?;
    println!("bid requests in at http://{}/bid, wins at /wins", server.address());
    let config = Config { shards: Shards::Count(1), ..Config::default() };
    Engine::new(config)?.run(move |p| bid(p, &server, &bidder))?;
    Ok(())
}

fn bid(p: Pipeline<'_>, server: &WebServer, bidder: &Bidder) -> Result<()> {
    let responses = bidder.responses(p)?;
    let wins = HttpSource::new(p, server, "wins", Json::<Win>::new(200), Intake::default())?;
    let (of_users, of_all) = p.source(wins).tee();
    let shown = of_users
        .key_by(|win| win.user)
        .rolling(Rolling::of(CAP_TIME))
        .aggregate(count())
        .key_by(|shown| shown.key);
    let spent = of_all
        .key_by(|_| ())
        .rolling(Rolling::of(PACE_TIME))
        .aggregate(sum(|win: &Win| win.price))
        .key_by(|_| ());
    p.source(bidder.requests(p)?)
        .key_by(|request| request.value.user)
        .asof_join(shown)
        .tolerance(CAP_TIME)
        .select_left(|request, shown| (*request, shown.is_some_and(|it| it.value >= CAP)))
        .key_by(|_| ())
        .asof_join(spent)
        .tolerance(PACE_TIME)
        .select_left(|(request, is_capped), spent| {
            decide(request, *is_capped || spent.is_some_and(|it| it.value > PACE))
        })
        .sink(responses);
    Ok(())
}

fn decide(request: &Request<Offer>, is_held: bool) -> millstream::web::Response<(Offer, f64)> {
    let offer = request.value;
    let price = offer.floor.max(0.1) * MARGIN;
    request.answer((!is_held && price <= PRICE_MAX).then_some((offer, price)))
}

fn read(body: &[u8]) -> Result<Asked<Offer>, Malformed> {
    let request = Reader::new().request(body)?;
    let tmax = request.tmax.map(|tmax| Duration::from_millis(tmax.into()));
    let user = request.user.and_then(|user| user.id.or(user.buyeruid));
    let affordable = |imp: &openrtb::Imp<'_>| imp.bidfloorcur == "USD" && imp.bidfloor < PRICE_MAX;
    let imp = request.imp.iter().find(affordable);
    let imp = imp.or(request.imp.iter().next()).ok_or(Malformed::at(0, "no impression"))?;
    let banner = imp.banner.map_or((None, None), |banner| (banner.w, banner.h));
    let offer = Offer {
        id: text(request.id, "id: longer than 64 bytes")?,
        imp: text(imp.id, "imp.id: longer than 32 bytes")?,
        user: user.map_or(Ok(Text::default()), |user| text(user, "user: longer than 64 bytes"))?,
        floor: imp.bidfloor,
        size: banner,
    };
    Ok(Asked::new(offer).within(tmax))
}

fn text<const N: usize>(said: Str<'_>, why: &'static str) -> Result<Text<N>, Malformed> {
    let mut meant = String::new();
    said.append_to(&mut meant);
    meant.as_str().try_into().map_err(|_| Malformed { offset: None, reason: why.into() })
}

fn write((offer, price): &(Offer, f64), into: &mut Vec<u8>) {
    let (w, h) = offer.size;
    let bids = [Bid {
        id: "1".into(),
        impid: offer.imp.as_str().into(),
        price: *price,
        adm: Some("<a href=\"https://example.com\">Millstream</a>".into()),
        w,
        h,
        mtype: Some(1),
        ..Bid::default()
    }];
    let seats = [SeatBid { bid: List::of(&bids), ..SeatBid::default() }];
    let seatbid = List::of(&seats);
    openrtb::Response { id: offer.id.as_str().into(), seatbid, ..Default::default() }.encode(into);
}
