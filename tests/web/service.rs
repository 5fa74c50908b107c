//! Questions that are answered, late, twice, or not at all.

use std::time::{Duration, Instant};

use millstream::io::Malformed;
use millstream::web::{Answering, Asked, Count, HttpService, WebServer};
use millstream::{Config, Shard};

use super::world::{Running, here, post, run, until_count};

/// `NUMBER` or `NUMBER MILLISECONDS`: the second is how long there is.
fn read(body: &[u8]) -> Result<Asked<u64>, Malformed> {
    let text = std::str::from_utf8(body).map_err(|_| Malformed::at(0, "not text"))?;
    let mut words = text.split(' ');
    let number = words.next().and_then(|word| word.parse().ok());
    let number = number.ok_or(Malformed::at(0, "not a number"))?;
    let within = words.next().and_then(|word| word.parse().ok()).map(Duration::from_millis);
    Ok(Asked::new(number).within(within))
}

fn write(answer: &u64, text: &mut Vec<u8>) {
    assert!(*answer != 666, "cannot be written");
    text.extend(answer.to_string().bytes());
}

/// Even numbers get their half, twice; odd ones nothing; those below ten no answer at all.
fn halves(server: &WebServer, answering: Answering) -> Running {
    let halves = HttpService::new(server, "half", read, write, answering).unwrap();
    run(move |p| {
        let responses = halves.responses(p)?;
        p.source(halves.requests(p)?)
            .filter(|asked| asked.value >= 10)
            .flat_map(|asked| {
                let half = (asked.value % 2 == 0).then_some(asked.value / 2);
                [asked.answer(half), asked.answer(half)]
            })
            .sink(responses);
        Ok(())
    })
}

#[test]
fn each_question_gets_its_own_answer_and_what_is_said_twice_is_counted() {
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    let running = halves(&server, Answering::default());
    let asking: Vec<_> = (0..64u64)
        .map(|thread| {
            std::thread::spawn(move || {
                for n in (10..).step_by(64).take(10).map(|n| n + thread) {
                    let want = match n % 2 {
                        0 => (200, (n / 2).to_string()),
                        _ => (204, String::new()),
                    };
                    assert_eq!(post(address, "half", &n.to_string()), want);
                }
            })
        })
        .collect();
    asking.into_iter().for_each(|thread| thread.join().unwrap());
    until_count(&counts, Count::Unasked, 640);
    let all = [Count::Asked, Count::Answered, Count::Declined, Count::TimedOut, Count::Unasked];
    assert_eq!(all.map(|count| counts.get(count)), [640, 320, 320, 0, 640]);
    assert_eq!(post(address, "half", "ten").0, 400);
    assert_eq!(post(address, "half", "1332").0, 500, "the answer cannot be written");
    server.stop();
    running.join();
    assert_eq!(post(address, "half", "10").0, 503);
}

#[test]
fn what_is_not_answered_in_time_is_answered_by_the_clock() {
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    let answering = Answering {
        within: Duration::from_millis(300),
        within_max: Duration::from_millis(700),
        margin: Duration::from_millis(50),
        late_status: 204,
        ..Answering::default()
    };
    let running = halves(&server, answering);
    for (question, least, most) in [("1", 250, 600), ("2 100", 50, 249), ("3 99999", 650, 1_500)] {
        let since = Instant::now();
        assert_eq!(post(address, "half", question), (204, String::new()));
        let took = since.elapsed().as_millis();
        assert!((least..most).contains(&took), "{question}: {took} ms");
    }
    assert_eq!(post(address, "half", "12 20").0, 204, "there is no time at all");
    // The shard is away for longer than the question waits: its answer finds nobody.
    running.pause(true);
    assert_eq!(post(address, "half", "14 100").0, 204);
    assert_eq!(counts.get(Count::TimedOut), 5);
    let before = counts.get(Count::Unasked);
    running.pause(false);
    until_count(&counts, Count::Unasked, before + 2);
    assert_eq!(post(address, "half", "16").1, "8");
    server.stop();
    running.join();
}

#[test]
fn too_many_questions_are_refused_and_a_pipeline_that_ends_answers_nobody() {
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    let answering = Answering {
        ring_capacity: 2,
        waiting_max: 3,
        within: Duration::from_secs(30),
        within_max: Duration::from_secs(30),
        ..Answering::default()
    };
    let running = halves(&server, answering);
    running.pause(true);
    std::thread::sleep(Duration::from_millis(20));
    let ask = |question: &'static str| std::thread::spawn(move || post(address, "half", question));
    let waiting = [ask("1"), ask("2")];
    until_count(&counts, Count::Asked, 2);
    let (status, said) = post(address, "half", "10");
    assert!(status == 503 && said.contains("no room for the question"), "{said}");
    running.pause(false);
    std::thread::sleep(Duration::from_millis(50));
    let third = ask("3");
    until_count(&counts, Count::Asked, 3);
    let (status, said) = post(address, "half", "10");
    assert!(status == 503 && said.contains("too many are waiting"), "{said}");
    server.stop();
    running.join();
    for asked in waiting.into_iter().chain([third]) {
        assert_eq!(asked.join().unwrap().0, 504, "nobody will answer: they need not wait");
    }
}

#[test]
fn a_service_is_made_once_and_its_settings_are_checked() {
    let server = here();
    let make = |answering| HttpService::new(&server, "half", read, write, answering);
    let error = make(Answering { late_status: 99, ..Answering::default() }).err().unwrap();
    assert!(error.to_string().starts_with("late_status = 99"), "{error}");
    let service = make(Answering::default()).unwrap();
    let error = make(Answering::default()).err().unwrap().to_string();
    assert!(error.contains("there is a service `half` already"), "{error}");
    assert_eq!(post(server.address(), "half", "10").0, 503, "no pipeline is there");
    // A pipeline with questions can be saved: there is nothing to go on from.
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let responses = service.responses(p)?;
        p.source(service.requests(p)?).map(|asked| asked.answer(None)).sink(responses);
        Ok(())
    })
    .unwrap();
    shard.step(millstream::Timestamp(1));
    assert!(shard.snapshot().is_ok());
}
