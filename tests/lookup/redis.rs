//! A real Redis server: slow, frozen, dead, restarted, and with values that are none.

use std::thread;

use millstream::error::LookupError;
use millstream::lookup::{Answer, Bridge, Cache, Redis, Retry};
use millstream::metrics::Counter;
use millstream::{ms, secs};

use crate::eventually::eventually;
use crate::live::{Live, numbers};
use crate::servers::{self, Server};

fn url(server: &Server) -> String {
    format!("redis+unix://{}", server.folder.join("socket").display())
}

/// Keys 0 to 299 but for every seventh; key 8 is no number, and key 9 is a list.
fn fill(server: &Server) {
    let client = redis::Client::open(url(server)).expect("a url");
    let mut connection = None;
    eventually("it answers", || {
        connection = client.get_connection().ok();
        connection.is_some()
    });
    let mut connection = connection.expect("it answers");
    let mut commands = redis::pipe();
    for n in (0..300u64).filter(|n| n % 7 != 0 && *n != 9) {
        let text = if n == 8 { "eight".to_owned() } else { (n * 3).to_string() };
        commands.cmd("SET").arg(format!("n:{n}")).arg(text).ignore();
    }
    commands.cmd("RPUSH").arg("n:9").arg("nine").ignore();
    // So that it has them again when it comes back.
    commands.cmd("SAVE").ignore();
    commands.query::<()>(&mut connection).expect("it takes them");
}

fn filled() -> Option<Server> {
    let server = servers::redis()?;
    fill(&server);
    Some(server)
}

fn lookup(server: &Server) -> Bridge<u64, u64> {
    let server = Redis::new(&url(server)).expect("a url").connections(2).batch(32);
    lookup_by(server.patience(ms(100)))
}

fn lookup_by(server: Redis) -> Bridge<u64, u64> {
    let value = |bytes: &[u8]| str::from_utf8(bytes).ok()?.parse().ok();
    server.lookup(|n: &u64| format!("n:{n}"), value)
}

/// What is found.
fn model(n: u64) -> Option<u64> {
    (n < 300 && !n.is_multiple_of(7)).then_some(n * 3)
}

fn rows(numbers: impl IntoIterator<Item = u64>) -> Vec<(u64, Answer<u64>)> {
    numbers.into_iter().map(|n| (n, Ok(model(n)))).collect()
}

#[test]
fn answers_are_the_models() {
    let Some(server) = filled() else { return };
    let key = |n: &u64| n % 400 / 10 * 10;
    for ordered in [true, false] {
        let live = Live::new(|p| {
            let lookup = p.source(numbers(0..3_000)).lookup(lookup(&server), key).timeout(secs(20));
            let lookup = if ordered { lookup.ordered() } else { lookup.unordered() };
            Ok(lookup.left().output())
        });
        let mut got = live.finish();
        if !ordered {
            got.sort_unstable();
        }
        assert_eq!(got, (0..3_000).map(|n| (n, model(key(&n)))).collect::<Vec<_>>());
    }
    let mut cached = Live::new(|p| {
        let lookup = p.source(numbers(0..3_000)).lookup(lookup(&server), key).timeout(secs(20));
        Ok(lookup.cache(Cache::of(100, secs(600))).inner().output())
    });
    cached.until(|_| false);
    let want = (0..3_000).filter_map(|n| Some((n, model(key(&n))?)));
    assert_eq!(cached.values, want.collect::<Vec<_>>());
    assert_eq!(cached.shard.counters().get(Counter::LookupCalls), 40);
}

#[test]
fn values_of_other_types_are_refused_and_the_others_are_not() {
    let Some(server) = filled() else { return };
    let mut live = Live::asking(|p| {
        let (input, numbers) = p.input();
        let lookup = numbers.lookup(lookup(&server), |n| *n).retry(Retry::fixed(5, ms(1)));
        Ok((input, lookup.timeout(secs(20)).results().output()))
    });
    let got = live.ask([1, 8, 9, 2]);
    assert_eq!((got[0].clone(), got[3].clone()), ((1, Ok(Some(3))), (2, Ok(Some(6)))));
    let refused = LookupError::Refused("\"eight\" does not decode".to_owned());
    assert_eq!(got[1], (8, Err(refused)));
    let (9, Err(LookupError::Refused(reason))) = &got[2] else { panic!("{:?}", got[2]) };
    assert!(reason.contains("WRONGTYPE"), "{reason}");
    assert_eq!(live.shard.counters().get(Counter::LookupRetries), 0, "it would change nothing");
}

/// While the server stands still records time out; what comes late is no answer to others.
#[test]
fn a_frozen_server_times_out_and_is_asked_again_when_it_goes_on() {
    let Some(server) = filled() else { return };
    let mut live = Live::asking(|p| {
        let (input, numbers) = p.input();
        let lookup = numbers.lookup(lookup(&server), |n| *n).timeout(ms(30));
        Ok((input, lookup.results().output()))
    });
    eventually("it is warm", || live.ask([1]) == rows([1]));
    server.signal("STOP");
    let timed_out = |n| (n, Err(LookupError::TimedOut(ms(30))));
    assert_eq!(live.ask(10..20), (10..20).map(timed_out).collect::<Vec<_>>());
    // The connections are given up meanwhile, and others are made.
    thread::sleep(ms(150));
    server.signal("CONT");
    eventually("it answers again", || live.ask([2]).iter().all(|(_, answer)| answer.is_ok()));
    for round in 0..20 {
        let asked = [20 + round, 40 + round, 60 + round];
        let got = live.ask(asked);
        for ((n, answer), want) in got.into_iter().zip(rows(asked)) {
            // A busy machine may be slow, but never wrong.
            assert!(answer == want.1 || answer.is_err(), "{n}: {answer:?}");
        }
    }
}

/// Records ride out a server that is killed and comes back; nothing is lost and nothing is wrong.
#[test]
fn a_dead_server_is_waited_for_as_long_as_retries_last() {
    let Some(mut server) = filled() else { return };
    let mut live = Live::asking(|p| {
        let (input, numbers) = p.input();
        let retry = Retry::exponential(500, ms(1)).at_most(ms(20)).jitter(0.5);
        let lookup = numbers.lookup(lookup(&server), |n| *n).timeout(ms(500)).retry(retry);
        Ok((input, lookup.results().output()))
    });
    assert_eq!(live.ask(30..60), rows(30..60));
    server.kill();
    let restarts = thread::spawn(move || {
        thread::sleep(ms(100));
        server.start();
        server
    });
    assert_eq!(live.ask(60..200), rows(60..200));
    assert!(live.shard.counters().get(Counter::LookupRetries) > 0);
    restarts.join().expect("it restarts");
}

#[test]
fn a_dead_server_is_an_error_when_retries_are_over() {
    let Some(mut server) = filled() else { return };
    let mut live = Live::asking(|p| {
        let (input, numbers) = p.input();
        let lookup = numbers.lookup(lookup(&server), |n| *n).timeout(secs(5));
        Ok((input, lookup.retry(Retry::fixed(2, ms(5))).results().output()))
    });
    assert_eq!(live.ask([1]), rows([1]));
    server.kill();
    for (_, answer) in live.ask(30..40) {
        assert!(matches!(answer, Err(LookupError::Unavailable(_))), "{answer:?}");
    }
    assert!(live.shard.counters().get(Counter::LookupRetries) >= 20);
}

#[test]
fn a_url_that_is_none_is_refused() {
    let error = Redis::new("http://user:secret@host").map(drop).expect_err("not a url").to_string();
    assert!(error.starts_with("redis = (url): ") && !error.contains("secret"), "{error}");
}
