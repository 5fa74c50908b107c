//! Formats of the wire, over the wire: what is wanted comes, what is left out is counted, and what
//! is wrong is told with its place.

use std::cell::RefCell;
use std::io::Write;
use std::net::{Ipv4Addr, TcpStream, UdpSocket};
use std::rc::Rc;
use std::time::Instant;

use millstream::io::itch::{AddOrder, Alpha, Header, Message, OrderDelete};
use millstream::io::moldudp64::{Packets, Writer};
use millstream::io::{Framing, LengthPrefixed, itch, selective};
use millstream::net::{
    Count, Counts, Datagram, Datagrams, Problem, Receiving, TcpSource, UdpSource,
};
use millstream::{Config, Pipeline, Result, Shard};

use super::world::{RUNGS, here, step};

/// What came of a source.
struct Heard<T> {
    shard: Shard,
    records: Rc<RefCell<Vec<T>>>,
    problems: Rc<RefCell<Vec<Problem>>>,
    counts: Counts,
}

fn hear<T: 'static>(
    build: impl FnOnce(
        Pipeline<'_>,
        &Counts,
        Rc<RefCell<Vec<T>>>,
        Rc<RefCell<Vec<Problem>>>,
    ) -> Result<()>,
) -> Heard<T> {
    let (records, problems): (Rc<RefCell<Vec<_>>>, Rc<RefCell<Vec<_>>>) = Default::default();
    let counts = Counts::default();
    let (kept, told) = (records.clone(), problems.clone());
    let built = Shard::embed(Config::embedded(), |p| build(p, &counts, kept, told));
    let (shard, ()) = built.unwrap();
    Heard { shard, records, problems, counts }
}

fn order(number: u64) -> Vec<u8> {
    let (header, stock) = (Header::new(1, 0, 2), Alpha::new("MSFT"));
    let (order, side) = (number.into(), b'B');
    let add = AddOrder { header, order, side, shares: 3.into(), stock, price: 4.into() };
    let mut bytes = Vec::new();
    Message::AddOrder(&add).encode(&mut bytes);
    bytes
}

#[test]
fn messages_that_are_left_out_are_counted_and_wrong_ones_told() {
    for from in RUNGS {
        let listener = here();
        let mut heard = hear(|p, counts, kept, told| {
            let orders = selective(
                0,
                |_: &u64, _: &mut Vec<u8>| {},
                |bytes: &[u8]| match itch::Message::decode(bytes)? {
                    Message::AddOrder(order) => Ok(Some(order.order.get())),
                    _ => Ok(None),
                },
            );
            let framing = LengthPrefixed::big_endian_u16(itch::BYTES_MAX);
            let receiving = Receiving { from, ..Receiving::default() };
            let source = TcpSource::new(p, &listener, framing, orders, receiving)?
                .counting_into(counts)
                .on_problem(move |problem| told.borrow_mut().push(problem.clone()));
            p.source(source).for_each(move |record| kept.borrow_mut().push(record.value));
            Ok(())
        });
        let delete = OrderDelete { header: Header::new(1, 0, 2), order: 7.into() };
        let (mut bytes, mut framing) = (Vec::new(), LengthPrefixed::big_endian_u16(50));
        let mut deleted = Vec::new();
        Message::OrderDelete(&delete).encode(&mut deleted);
        for message in [&order(7)[..], &deleted, b"zoo", &order(8)[..30], &order(9)] {
            let start = bytes.len();
            framing.begin(&mut bytes);
            bytes.extend(message);
            framing.end(&mut bytes, start);
        }
        let mut peer = TcpStream::connect(listener.address()).unwrap();
        peer.write_all(&bytes).unwrap();
        let since = Instant::now();
        while heard.records.borrow().len() < 2 {
            step(&mut heard.shard, since);
        }
        assert_eq!(*heard.records.borrow(), [7, 9]);
        assert_eq!(heard.counts.get(Count::Skipped), 2, "a delete, and a type that is not known");
        assert_eq!(heard.counts.get(Count::Malformed), 1);
        let problems = heard.problems.borrow();
        assert_eq!(problems[0].reason, "at byte 30: `A` has 36 bytes, and there are less");
        assert_eq!(problems[0].offset, 38 + 21 + 5);
    }
}

#[test]
fn messages_of_packets_have_their_numbers_and_gaps_show() {
    for from in RUNGS {
        let datagrams = Datagrams::at((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let mut heard = hear(|p, counts, kept, told| {
            let framing = Packets::new(itch::BYTES_MAX);
            let place = framing.place();
            let numbered = selective(
                0,
                |_: &(u64, u64), _: &mut Vec<u8>| {},
                move |bytes: &[u8]| {
                    if !place.get().is_message {
                        return Ok(Some((place.get().sequence, 0)));
                    }
                    match itch::Message::decode(bytes)? {
                        Message::AddOrder(it) => Ok(Some((place.get().sequence, it.order.get()))),
                        _ => Ok(None),
                    }
                },
            );
            let limits = Datagram { from, ..Datagram::default() };
            let source = UdpSource::new(p, &datagrams, framing, numbered, limits)?
                .counting_into(counts)
                .on_problem(move |problem| told.borrow_mut().push(problem.clone()));
            p.source(source).for_each(move |record| kept.borrow_mut().push(record.value));
            Ok(())
        });
        let packet = |sequence, orders: &[u64]| {
            let mut bytes = Vec::new();
            let mut writer = Writer::begin(&mut bytes, [b'x'; 10], sequence);
            orders.iter().for_each(|number| writer.push(&order(*number)).unwrap());
            bytes
        };
        let peer = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let cut = &packet(3, &[103, 104])[..60];
        let all = [&packet(1, &[101, 102])[..], cut, &packet(9, &[109]), &packet(12, &[])];
        for datagram in all {
            peer.send_to(datagram, datagrams.address()).unwrap();
        }
        let since = Instant::now();
        while heard.records.borrow().len() < 5 {
            step(&mut heard.shard, since);
        }
        let wanted = [(1, 101), (2, 102), (3, 103), (9, 109), (12, 0)];
        assert_eq!(*heard.records.borrow(), wanted);
        assert_eq!(heard.counts.get(Count::CutShort), 1);
        assert_eq!(heard.problems.borrow().len(), 1);
    }
}
