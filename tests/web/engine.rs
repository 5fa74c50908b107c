//! An engine with two shards: what comes is spread, what goes comes together, and it ends.

use std::collections::HashMap;

use millstream::web::{Count, Intake, Publishing, Slow};
use millstream::{Config, Engine, Idle, Shards};

use super::world::{Events, here, lines, post, posted, tick, ticks_in, ticks_out, until_count};

#[test]
fn two_shards_take_in_and_send_out_and_end_together() {
    const PEERS: u64 = 40;
    const EACH: u64 = 250;
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    let at = server.clone();
    let config = Config {
        shards: Shards::Count(2),
        idle: Idle::Park,
        oversubscribe: true,
        ..Config::default()
    };
    let engine = Engine::new(config).unwrap();
    let running = std::thread::spawn(move || {
        engine.run(move |p| {
            let publishing =
                Publishing { slow: Slow::DropOldest, queue_max: 100_000, ..Publishing::default() };
            let out = ticks_out(p, &at, publishing)?;
            p.source(ticks_in(p, &at, Intake::default())?)
                .key_by(|tick| tick.symbol)
                .reduce(|sum, tick| *sum = tick)
                .map(|(_, tick)| tick)
                .sink(out);
            Ok(())
        })
    });
    while post(address, "in", "").0 != 200 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let subscribers = [Events::of(address, "/out/events"), Events::of(address, "/out/events")];
    let symbol = |peer: u64| format!("S{peer}");
    let posts: Vec<_> = (0..PEERS)
        .map(|peer| {
            std::thread::spawn(move || {
                for from in (0..EACH).step_by(50) {
                    let body = lines((from..from + 50).map(|n| tick(&symbol(peer), n)));
                    posted(address, "in", &body);
                }
            })
        })
        .collect();
    posts.into_iter().for_each(|thread| thread.join().unwrap());
    server.stop();
    let summary = running.join().unwrap().unwrap();
    drop(summary);
    until_count(&counts, Count::Unsubscribed, 2);
    assert_eq!(counts.get(Count::Published), PEERS * EACH);
    for subscriber in subscribers {
        let (got, said) = subscriber.rest();
        assert_eq!(said.as_deref(), Some("end of stream"));
        assert_eq!(got.len() as u64, PEERS * EACH);
        let mut of_key: HashMap<_, u64> = HashMap::new();
        got.iter().for_each(|tick| *of_key.entry(tick.symbol).or_default() += 1);
        assert!(of_key.len() as u64 == PEERS && of_key.values().all(|count| *count == EACH));
    }
}
