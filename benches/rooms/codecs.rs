//! Records read off the wire, out of memory: by a codec, and by what is written by hand for it.
//!
//! Whoever takes this in has the engine's `io` at its root, as the engine has: the first two are
//! those of the command's own comparison. That keeps it out of the other rooms' module.
#![allow(dead_code, reason = "each bench uses some of it")]

use millstream::io::fix::{Encoder, Frames, Message};
use millstream::io::openrtb::Reader;
use millstream::io::{Codec, Fixed, Framing, Plain, Split};
use serde::Deserialize;
use zerocopy::byteorder::little_endian::{F64, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes};

#[path = "../../src/cli/baseline/codecs.rs"]
pub mod baseline;

/// New orders, one message behind the other.
pub fn orders(count: usize) -> Vec<u8> {
    let (mut random, mut bytes) = (fastrand::Rng::with_seed(7), Vec::new());
    for at in 0..count as u64 {
        let mut order = Encoder::begin(&mut bytes, "FIX.4.4", "D");
        order.session(at, "BUYER", "SELLER", "20261129-09:30:00.123456789");
        order.number(11, random.i64(0..1 << 40)).text(21, "1").text(55, "MSFT").number(54, 1);
        order.text(60, "20261129-09:30:00.123456789").number(38, random.i64(1..10_000));
        order.text(40, "2").number(44, random.i64(1..999_999)).text(59, "0");
        order.finish().expect("there is nothing that cannot be in a message");
    }
    bytes
}

/// Four fields of each, by the codec.
pub fn orders_by_codec(bytes: &[u8]) -> Option<i64> {
    let (mut frames, mut rest, mut sum) = (Frames::new(4_096), bytes, 0i64);
    while let Ok(Split::Frame { end, total, .. }) = frames.split(rest, 0) {
        let message = Message::decode(&rest[..end]).ok()?;
        let mut order = [0; 4];
        for field in message.fields() {
            let field = field.ok()?;
            match field.tag {
                11 => order[0] = field.int().ok()?,
                54 => order[1] = field.int().ok()?,
                38 => order[2] = field.int().ok()?,
                44 => order[3] = field.int().ok()?,
                _ => {}
            }
        }
        sum = order.iter().fold(sum, |sum, value| sum.wrapping_mul(31).wrapping_add(*value));
        rest = &rest[total..];
    }
    Some(sum)
}

/// The same by a split at each end of a field.
pub fn orders_by_hand(bytes: &[u8]) -> Option<i64> {
    let (mut sum, mut order) = (0i64, [0; 4]);
    for field in bytes.split(|byte| *byte == 1).filter(|field| !field.is_empty()) {
        let equals = field.iter().position(|byte| *byte == b'=')?;
        let number = || field[equals + 1..].iter().fold(0, |n, b| n * 10 + i64::from(b - b'0'));
        match &field[..equals] {
            b"11" => order[0] = number(),
            b"54" => order[1] = number(),
            b"38" => order[2] = number(),
            b"44" => order[3] = number(),
            b"10" => {
                sum =
                    order.iter().fold(sum, |sum, value| sum.wrapping_mul(31).wrapping_add(*value));
            }
            _ => {}
        }
    }
    Some(sum)
}

/// Requests, a line each, with what a bidder does not read among it.
pub fn requests(count: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut request = |at: usize| {
        format!(
            "{{\"id\":\"80ce30c53c16e6ede735f123ef6e32361bfc{at}\",\"at\":1,\"tmax\":120,\
             \"cur\":[\"USD\"],\"imp\":[{{\"id\":\"1\",\"bidfloor\":{}.03,\"secure\":1,\
             \"banner\":{{\"pos\":0,\"format\":[{{\"w\":300,\"h\":{}}},{{\"w\":320,\"h\":50}}]}},\
             \"ext\":{{\"gpid\":\"/1234/home/top\",\"tid\":\"f5e1\"}}}},{{\"id\":\"2\",\
             \"bidfloor\":1.5,\"video\":{{\"mimes\":[\"video/mp4\"],\"minduration\":5,\
             \"maxduration\":30,\"protocols\":[2,3,5,6],\"w\":640,\"h\":360}},\"pmp\":\
             {{\"private_auction\":0,\"deals\":[{{\"id\":\"d-{at}\",\"bidfloor\":2.5}}]}}}}],\
             \"site\":{{\"id\":\"102855\",\"domain\":\"www.foobar.com\",\"cat\":[\"IAB3-1\"],\
             \"page\":\"https://www.foobar.com/1234.html\",\"publisher\":{{\"id\":\"8953\"}},\
             \"content\":{{\"language\":\"en\"}}}},\"device\":{{\"ua\":\"Mozilla/5.0 (Macintosh; \
             Intel Mac OS X 10_15_7) AppleWebKit/537.36\",\"ip\":\"123.145.167.10\",\"geo\":\
             {{\"lat\":40.7,\"lon\":-74.0,\"country\":\"USA\"}},\"devicetype\":2}},\"user\":\
             {{\"id\":\"55816b39711f9b5acf3b90e313ed29e51665623f\",\"data\":[{{\"id\":\"x\",\
             \"segment\":[{{\"id\":\"1\"}},{{\"id\":\"2\"}}]}}]}},\"bcat\":[\"IAB25\",\"IAB26\"],\
             \"badv\":[\"a.com\",\"b.com\"],\"regs\":{{\"coppa\":0}},\"source\":\
             {{\"tid\":\"y\"}}}}\n",
            random.u32(..9),
            random.u32(50..600)
        )
    };
    (0..count).map(|at| request(at).into_bytes()).collect::<Vec<_>>().concat()
}

/// Time, floors and sizes added up, by the codec.
pub fn requests_by_codec(bytes: &[u8]) -> f64 {
    let (mut reader, mut sum) = (Reader::new(), 0.0);
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(request) = reader.request(line) else { continue };
        sum += f64::from(request.tmax.unwrap_or(0)) + request.badv.len() as f64;
        for imp in request.imp.iter() {
            sum += imp.bidfloor;
            for format in imp.banner.iter().flat_map(|banner| banner.format.iter()) {
                sum += f64::from(format.h.unwrap_or(0));
            }
            for deal in imp.pmp.iter().flat_map(|pmp| pmp.deals.iter()) {
                sum += deal.bidfloor;
            }
        }
    }
    sum
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Request<'a> {
    id: &'a str,
    tmax: Option<u32>,
    #[serde(borrow)]
    imp: Vec<Imp<'a>>,
    #[serde(borrow)]
    site: Option<Site<'a>>,
    #[serde(borrow)]
    device: Option<Device<'a>>,
    #[serde(borrow, default)]
    bcat: Vec<&'a str>,
    #[serde(borrow, default)]
    badv: Vec<&'a str>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Imp<'a> {
    id: &'a str,
    #[serde(default)]
    bidfloor: f64,
    banner: Option<Banner>,
    #[serde(borrow)]
    pmp: Option<Pmp<'a>>,
}

#[derive(Deserialize)]
struct Banner {
    #[serde(default)]
    format: Vec<Format>,
}

#[derive(Deserialize)]
struct Format {
    h: Option<u32>,
}

#[derive(Deserialize)]
struct Pmp<'a> {
    #[serde(borrow, default)]
    deals: Vec<Deal<'a>>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Deal<'a> {
    id: &'a str,
    #[serde(default)]
    bidfloor: f64,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Site<'a> {
    id: Option<&'a str>,
    domain: Option<&'a str>,
    page: Option<&'a str>,
}

#[derive(Deserialize)]
#[allow(dead_code)]
struct Device<'a> {
    ua: Option<&'a str>,
    ip: Option<&'a str>,
}

/// The same by structs that own lists.
pub fn requests_by_structs(bytes: &[u8]) -> f64 {
    let mut sum = 0.0;
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let Ok(request) = sonic_rs::from_slice::<Request>(line) else { continue };
        sum += f64::from(request.tmax.unwrap_or(0)) + request.badv.len() as f64;
        for imp in &request.imp {
            sum += imp.bidfloor;
            for format in imp.banner.iter().flat_map(|banner| &banner.format) {
                sum += f64::from(format.h.unwrap_or(0));
            }
            for deal in imp.pmp.iter().flat_map(|pmp| &pmp.deals) {
                sum += deal.bidfloor;
            }
        }
    }
    sum
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
struct Quote {
    at: U64,
    stock: U32,
    bid: F64,
    ask: F64,
}

/// Quotes, one record behind the other.
pub fn quotes(count: usize) -> Vec<u8> {
    let (mut random, mut bytes) = (fastrand::Rng::with_seed(7), Vec::new());
    for at in 0..count as u64 {
        let (bid, ask) = (random.f64().into(), random.f64().into());
        let quote = Quote { at: at.into(), stock: random.u32(..).into(), bid, ask };
        Plain::<Quote>::new().encode(&quote, &mut bytes);
    }
    bytes
}

/// Whole numbers and fractions added up, by the codec.
pub fn quotes_by_codec(bytes: &[u8]) -> (u64, f64) {
    let (mut framing, mut codec) = (Fixed::new(size_of::<Quote>()), Plain::<Quote>::new());
    let (mut whole, mut sum, mut rest) = (0u64, 0.0, bytes);
    while let Ok(Split::Frame { end, total, .. }) = framing.split(rest, 0) {
        if let Ok(Some(quote)) = codec.decode(&rest[..end]) {
            whole = whole.wrapping_add(quote.at.get()).wrapping_add(quote.stock.get().into());
            sum += quote.ask.get() - quote.bid.get();
        }
        rest = &rest[total..];
    }
    (whole, sum)
}

/// The same by fields at their places.
pub fn quotes_by_hand(bytes: &[u8]) -> (u64, f64) {
    let (mut whole, mut sum) = (0u64, 0.0);
    let eight = |quote: &[u8], at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&quote[at..at + 8]);
        word
    };
    for quote in bytes.chunks_exact(28) {
        let stock = u32::from_le_bytes([quote[8], quote[9], quote[10], quote[11]]);
        whole = whole.wrapping_add(u64::from_le_bytes(eight(quote, 0))).wrapping_add(stock.into());
        sum += f64::from_le_bytes(eight(quote, 20)) - f64::from_le_bytes(eight(quote, 12));
    }
    (whole, sum)
}
