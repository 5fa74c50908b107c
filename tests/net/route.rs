//! From socket to pipeline to socket.

use std::io::Write;
use std::thread;
use std::time::Instant;

use millstream::aggregates::count;
use millstream::io::LengthPrefixed;
use millstream::net::{Count, Counts, Listener, Receiving, Sending, Slow, TcpSink, TcpSource};
use millstream::{Config, Engine, Shard, Shards, Timestamp, Tumbling, Watermarks, ns};

use super::world::{
    Pair, RUNGS, all_pairs, connected, framed, hear, here, pairs, send_in_pieces, step,
};

#[test]
fn what_comes_in_goes_out_by_every_rung() {
    for rung in RUNGS {
        let (inlet, outlet) = (here(), here());
        let receiving = Receiving { ends_after: Some(1), from: rung, ..Receiving::default() };
        let sending = Sending { from: rung, slow: Slow::Block, ..Sending::default() };
        let counts = Counts::default();
        let (mut shard, rungs) = Shard::embed(Config::embedded(), |p| {
            let source = TcpSource::new(p, &inlet, LengthPrefixed::new(8), pairs(), receiving)?;
            let sink = TcpSink::serve(p, &outlet, LengthPrefixed::new(8), pairs(), sending)?;
            let sink = sink.counting_into(&counts);
            let rungs = (source.rung(), sink.rung());
            p.source(source).map(|pair: Pair| (pair.0, pair.1 + 1)).sink(sink);
            Ok(rungs)
        })
        .unwrap();
        assert_eq!(rungs, (rung, rung), "this host has every rung");
        let since = Instant::now();
        let readers: Vec<_> = (0..3)
            .map(|_| connected(outlet.address()))
            .map(|stream| thread::spawn(|| all_pairs(stream)))
            .collect();
        while counts.get(Count::Accepted) < 3 {
            step(&mut shard, since);
        }
        let mut peer = connected(inlet.address());
        let sender = thread::spawn(move || {
            send_in_pieces(&mut peer, &framed((0..100_000).map(|n| (7, n))), 5);
        });
        while !shard.is_done() {
            step(&mut shard, since);
        }
        drop(shard);
        sender.join().unwrap();
        let want: Vec<Pair> = (1..=100_000).map(|n| (7, n)).collect();
        for reader in readers {
            assert!(reader.join().unwrap() == want, "{rung}");
        }
    }
}

#[test]
fn many_connections_keep_their_order_and_lose_nothing() {
    const PEERS: u32 = 200;
    const EACH: u32 = 2_000;
    for rung in RUNGS {
        let listener = here();
        let receiving = Receiving {
            ends_after: Some(PEERS.into()),
            buffers: 16,
            buffer_bytes: 1 << 10,
            from: rung,
            ..Receiving::default()
        };
        let mut heard = hear(&listener, LengthPrefixed::new(8), receiving);
        let address = listener.address();
        let senders: Vec<_> = (0..8)
            .map(|thread| {
                thread::spawn(move || {
                    let mine: Vec<u32> = (0..PEERS).filter(|who| who % 8 == thread).collect();
                    let mut streams: Vec<_> =
                        mine.iter().map(|who| (*who, connected(address))).collect();
                    for round in 0..10 {
                        for (who, stream) in &mut streams {
                            let numbers = round * EACH / 10..(round + 1) * EACH / 10;
                            let bytes = framed(numbers.map(|n| (*who, n)));
                            send_in_pieces(stream, &bytes, u64::from(*who));
                        }
                    }
                })
            })
            .collect();
        heard.until(|heard| heard.shard.is_done());
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let mut next = vec![0; PEERS as usize];
        for (who, which) in heard.records.borrow().iter() {
            assert_eq!(next[*who as usize], *which, "of {who}, {rung}");
            next[*who as usize] += 1;
        }
        assert!(next.iter().all(|next| *next == EACH), "{rung}");
        assert_eq!(heard.counts.get(Count::Accepted), u64::from(PEERS));
        assert_eq!(heard.counts.get(Count::Closed), u64::from(PEERS));
        assert_eq!(heard.counts.get(Count::BytesIn), u64::from(PEERS * EACH * 12));
    }
}

#[test]
fn connections_are_spread_over_the_shards_of_an_engine() {
    // So many that each shard gets some: the chance of none is one in eight million.
    const PEERS: u32 = 24;
    let address = "127.0.0.1:0".parse().unwrap();
    let (inlet, outlet) = (Listener::on(address, 2).unwrap(), Listener::on(address, 2).unwrap());
    let (came, subscribed): ([Counts; 2], [Counts; 2]) = Default::default();
    let config = Config { shards: Shards::Count(2), oversubscribe: true, ..Config::default() };
    let (to, from) = (inlet.address(), outlet.address());
    let accepted = |counts: &[Counts; 2]| counts.clone().map(|its| its.get(Count::Accepted));
    let its = subscribed.clone();
    let world = thread::spawn(move || {
        let readers: Vec<_> = (0..PEERS).map(|_| connected(from)).collect();
        while accepted(&its).iter().sum::<u64>() < u64::from(PEERS) {
            thread::yield_now();
        }
        for who in 0..PEERS {
            connected(to).write_all(&framed((0..100).map(|n| (who, n)))).unwrap();
        }
        readers.into_iter().map(all_pairs).collect::<Vec<_>>()
    });
    let (into, out) = (came.clone(), subscribed.clone());
    let build = move |p: millstream::Pipeline<'_>| {
        let receiving = Receiving { ends_after: Some(PEERS.into()), ..Receiving::default() };
        let sending = Sending { slow: Slow::Block, ..Sending::default() };
        let source = TcpSource::new(p, &inlet, LengthPrefixed::new(8), pairs(), receiving)?;
        let sink = TcpSink::serve(p, &outlet, LengthPrefixed::new(8), pairs(), sending)?;
        p.source(source.counting_into(&into[p.shard()]))
            .event_time(
                |pair: &Pair| Timestamp(pair.1.into()),
                Watermarks::bounded_disorder(ns(100)),
            )
            .key_by(|pair| pair.0)
            .window(Tumbling::of(ns(1000)))
            .aggregate(count())
            .map(|window| (window.key, window.value as u32))
            .sink(sink.counting_into(&out[p.shard()]));
        Ok(())
    };
    Engine::new(config).unwrap().run(build).unwrap();
    let mut got = world.join().unwrap();
    got.iter_mut().for_each(|pairs| pairs.sort_unstable());
    got.sort();
    // A subscriber gets what the shard has that it is connected to, so there are two kinds.
    let shares: Vec<_> = got.chunk_by(|one, other| one == other).collect();
    assert_eq!(shares.len(), 2, "{shares:?}");
    let mut readers = [shares[0].len() as u64, shares[1].len() as u64];
    let mut all = [&shares[0][0][..], &shares[1][0]].concat();
    all.sort_unstable();
    assert_eq!(all, (0..PEERS).map(|who| (who, 100)).collect::<Vec<_>>());
    let (came, mut subscribed) = (accepted(&came), accepted(&subscribed));
    readers.sort_unstable();
    subscribed.sort_unstable();
    assert_eq!(subscribed, readers, "each was accepted where its records came from");
    assert_eq!(came.iter().sum::<u64>(), u64::from(PEERS));
    assert!(came.iter().all(|some| *some > 0), "{came:?}");
}
