//! A real PostgreSQL server: slow, dead, restarted, and with answers of other types.

use std::thread;

use millstream::error::LookupError;
use millstream::lookup::{Answer, Bridge, Cache, Postgres, PostgresError, PostgresRow, Retry};
use millstream::metrics::Counter;
use millstream::{ms, secs};
use tokio_postgres::NoTls;

use crate::eventually::eventually;
use crate::live::{Live, numbers};
use crate::servers::{self, Server};

fn settings(server: &Server) -> String {
    format!("host={} user=test dbname=postgres", server.folder.display())
}

/// Runs some statements; says whether the server did.
fn run(server: &Server, statements: &str) -> Result<(), PostgresError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let (client, connection) = tokio_postgres::connect(&settings(server), NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(statements).await
    })
}

/// Rows 0 to 299 but for every seventh, and two for number 8, of which the first counts.
fn filled() -> Option<Server> {
    let server = servers::postgres()?;
    eventually("it answers", || run(&server, "SELECT 1").is_ok());
    let table = "CREATE TABLE numbers (n bigint, triple bigint, word text);
        INSERT INTO numbers
            SELECT n, n * 3, 'w' || n FROM generate_series(0, 299) AS n WHERE n % 7 <> 0;
        INSERT INTO numbers VALUES (8, 99, 'again')";
    run(&server, table).expect("it takes them");
    Some(server)
}

fn postgres(server: &Server) -> Postgres {
    let server = Postgres::new(&settings(server)).expect("settings");
    server.connections(3).batch(32).patience(secs(20))
}

const QUERY: &str = "SELECT n, triple FROM numbers WHERE n = ANY($1) ORDER BY triple";

fn signed(n: &u64) -> i64 {
    *n as i64
}

fn pair(row: &PostgresRow) -> Result<(u64, u64), PostgresError> {
    Ok((row.try_get::<_, i64>(0)? as u64, row.try_get::<_, i64>(1)? as u64))
}

fn lookup(server: &Server) -> Bridge<u64, u64> {
    postgres(server).lookup(QUERY, signed, pair)
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
    let key = |n: &u64| n * 17 % 400;
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
        Ok(lookup.cache(Cache::of(1_000, secs(600))).inner().output())
    });
    cached.until(|_| false);
    let want = (0..3_000).filter_map(|n| Some((n, model(key(&n))?)));
    assert_eq!(cached.values, want.collect::<Vec<_>>());
    assert_eq!(cached.shard.counters().get(Counter::LookupCalls), 400, "one call a key");
}

/// Some rows take longer than their time; the others are right or late as well, and never wrong.
#[test]
fn a_slow_server_times_out_and_is_given_up() {
    let Some(server) = filled() else { return };
    let query = "SELECT n, triple, pg_sleep(CASE WHEN n % 10 = 9 THEN 10 ELSE 0 END)
        FROM numbers WHERE n = ANY($1)";
    let mut live = Live::asking(|p| {
        let (input, numbers) = p.input();
        let slow = postgres(&server).batch(1).patience(ms(150)).lookup(query, signed, pair);
        let lookup = numbers.lookup(slow, |n| *n).timeout(ms(100)).unordered();
        Ok((input, lookup.results().output()))
    });
    eventually("it is warm", || live.ask([1]) == rows([1]));
    let mut answered = 0;
    for round in 0..5 {
        let asked = round * 10 + 100..round * 10 + 110;
        for (n, answer) in live.ask(asked) {
            let is_slow = n % 10 == 9 && model(n).is_some();
            let timed_out = Err(LookupError::TimedOut(ms(100)));
            assert!(answer == timed_out || !is_slow && answer == Ok(model(n)), "{n}: {answer:?}");
            answered += usize::from(answer.is_ok());
        }
        eventually("it answers again", || live.ask([2]) == rows([2]));
    }
    assert!(answered > 0, "some came in time");
}

/// What the server or the types refuse is told at once, with the reason.
#[test]
fn wrong_answers_are_refused_and_not_tried_again() {
    let Some(server) = filled() else { return };
    let refused = |query: &str, wanted: &str| {
        let mut live = Live::asking(|p| {
            let (input, numbers) = p.input();
            let lookup = numbers.lookup(postgres(&server).lookup(query, signed, pair), |n| *n);
            let lookup = lookup.timeout(secs(20)).retry(Retry::fixed(5, ms(1)));
            Ok((input, lookup.results().output()))
        });
        for (n, answer) in live.ask([1, 2]) {
            let Err(LookupError::Refused(reason)) = &answer else { panic!("{n}: {answer:?}") };
            assert!(reason.contains(wanted), "{reason}");
        }
        assert_eq!(live.shard.counters().get(Counter::LookupRetries), 0);
    };
    let of = |what: &str| format!("SELECT {what} WHERE n = ANY($1)");
    refused(&of("n, word FROM numbers"), "error deserializing column 1");
    refused(&of("n FROM numbers"), "invalid column");
    refused(&of("n, triple FROM nowhere"), "relation \"nowhere\" does not exist");
    refused("SELECT n, triple FROM numbers WHERE word = ANY($1)", "error serializing parameter 0");
    refused("SELECT n, triple / 0 FROM numbers WHERE n = ANY($1)", "division by zero");
    refused("SELEKT", "syntax error");
}

/// Records ride out a server that is killed and comes back; nothing is lost and nothing is wrong.
#[test]
fn a_dead_server_is_waited_for_as_long_as_retries_last() {
    let Some(mut server) = filled() else { return };
    let mut live = Live::asking(|p| {
        let (input, numbers) = p.input();
        let retry = Retry::exponential(500, ms(1)).at_most(ms(50)).jitter(0.5);
        let lookup = numbers.lookup(lookup(&server), |n| *n).timeout(secs(5)).retry(retry);
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
fn settings_that_are_none_are_refused() {
    let error = Postgres::new("password=secret nonsense").map(drop).expect_err("none").to_string();
    assert!(error.starts_with("postgres = (settings): ") && !error.contains("secret"), "{error}");
}
