//! What reading records off the wire costs, each format beside what is written by hand for it, from
//! memory.
//!
//! | group | `codec` | `baseline` |
//! |---|---|---|
//! | `itch` | messages behind their lengths | a match on type and length, fields by index |
//! | `json` | 5 of 20 fields of a line | sonic-rs to the same struct, in a loop |
//! | `fix` | frames, checked, four fields by tag | a split at each end, nothing checked |
//! | `openrtb` | a request, checked, its sizes and floors | sonic-rs to structs that own lists |
//! | `plain` | records by their type | fields by index |
//!
//! Both sides find the same, which is checked before anything is timed. Run it with
//! `cargo bench --bench codecs`; `cargo bench --bench codecs -- --test` runs each once.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use millstream::io;

#[path = "rooms/codecs.rs"]
mod codecs;

use codecs::{
    baseline, orders, orders_by_codec, orders_by_hand, quotes, quotes_by_codec, quotes_by_hand,
    requests, requests_by_codec, requests_by_structs,
};

const MESSAGES: usize = 2_000;
const LINES: usize = 200;

type Read<T> = fn(&[u8]) -> T;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let messages = baseline::messages(MESSAGES);
    let readers = [baseline::messages_by_codec, baseline::messages_by_hand];
    group(&mut criterion, "itch", MESSAGES, &messages, readers);
    let lines = baseline::lines(LINES);
    let readers = [baseline::lines_by_codec, baseline::lines_by_struct];
    group(&mut criterion, "json", LINES, &lines, readers);
    let readers = [orders_by_codec, orders_by_hand];
    group(&mut criterion, "fix", MESSAGES, &orders(MESSAGES), readers);
    let readers = [requests_by_codec, requests_by_structs];
    group(&mut criterion, "openrtb", LINES, &requests(LINES), readers);
    let readers = [quotes_by_codec, quotes_by_hand];
    group(&mut criterion, "plain", MESSAGES, &quotes(MESSAGES), readers);
    criterion.final_summary();
}

fn group<T: PartialEq + std::fmt::Debug>(
    criterion: &mut Criterion,
    name: &str,
    records: usize,
    bytes: &[u8],
    [codec, baseline]: [Read<T>; 2],
) {
    assert_eq!(codec(bytes), baseline(bytes), "{name}");
    let mut group = criterion.benchmark_group(format!("codecs {name}"));
    group.sample_size(20).throughput(Throughput::Elements(records as u64));
    group.bench_function("codec", |bencher| bencher.iter(|| codec(black_box(bytes))));
    group.bench_function("baseline", |bencher| bencher.iter(|| baseline(black_box(bytes))));
    group.finish();
}
