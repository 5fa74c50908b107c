//! Sinks that connect out by TLS.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use millstream::io::{Lines, MemorySource};
use millstream::net::{
    Call, ClientTls, Count, Counts, Gating, Hello, Problem, Receiving, Sending, TcpSink,
};
use millstream::{Config, Record, Shard, Timestamp};

use super::certificates::certificates;
use super::world::{PATIENCE, TOKEN, gate, guarded, hear, lines, numbers, open, step, tls_rungs};

/// A shard that sends numbers there, what it counts, and what the call tells.
struct Calls {
    shard: Shard,
    counts: Counts,
    problems: Arc<Mutex<Vec<Problem>>>,
    since: Instant,
}

fn call(call: Call, count: u64) -> Calls {
    let (counts, problems): (Counts, Arc<Mutex<Vec<_>>>) = Default::default();
    let told = problems.clone();
    let call = call.telling(&counts, move |it| told.lock().unwrap().push(it.clone()));
    let (shard, ()) = Shard::embed(Config::embedded(), |p| {
        let sending = Sending { linger: PATIENCE, ..Sending::default() };
        let sink = TcpSink::connect_secured(p, &call, Lines::new(20), numbers(), sending)?;
        let records = (0..count).map(|n| Record::new(Timestamp(n as i64), n)).collect::<Vec<_>>();
        p.source(MemorySource::new(records)).sink(sink.counting_into(&counts));
        Ok(())
    })
    .unwrap();
    Calls { shard, counts, problems, since: Instant::now() }
}

impl Calls {
    fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            step(&mut self.shard, self.since);
        }
    }
}

/// `openssl s_server` at a free port of this host, and that port.
fn s_server(arguments: &[&str]) -> (std::process::Child, u16) {
    let mut server = Command::new("openssl")
        .args(["s_server", "-naccept", "1", "-accept", "127.0.0.1:0"])
        .args(["-cert", "server.pem", "-key", "server.key"])
        .args(arguments)
        .current_dir(certificates().folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut says = BufReader::new(server.stdout.take().unwrap());
    while !line.starts_with("ACCEPT") {
        line.clear();
        assert_ne!(says.read_line(&mut line).unwrap(), 0, "it does not listen");
    }
    server.stdout = Some(says.into_inner());
    let port = line.trim_end().rsplit(':').next().unwrap().parse().unwrap();
    (server, port)
}

#[test]
fn openssl_is_connected_to_and_asks_for_a_certificate() {
    for by in tls_rungs() {
        let (mut server, port) =
            s_server(&["-Verify", "1", "-CAfile", "authority.pem", "-verify_return_error"]);
        let its = certificates();
        let tls = its.client().showing(its.pem("desk"), its.key("desk")).unwrap();
        let mut calls = call(Call::to(([127, 0, 0, 1], port).into(), tls).by(by), 20_000);
        let says = BufReader::new(server.stdout.take().unwrap());
        let reader = std::thread::spawn(move || {
            let lines = says.lines().map(Result::unwrap);
            lines.filter_map(|line| line.parse().ok()).collect::<Vec<u64>>()
        });
        calls.until(|it| it.shard.is_done());
        drop(calls.shard);
        let read = reader.join().unwrap();
        assert_eq!((read.len(), read.last()), (20_000, Some(&19_999)), "{by}");
        assert!(read.is_sorted(), "{by}");
        assert!(server.wait().unwrap().success(), "{by}");
    }
}

#[test]
fn one_engine_publishes_to_another() {
    for by in tls_rungs() {
        let kept = gate(Gating { from: by, ..guarded() });
        let door = kept.gate.inlet("numbers", 1).unwrap();
        // On a thread of its own: the end of the sink waits until the other end is done.
        let heard = std::thread::spawn(move || {
            let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
            let mut heard = hear(&door, receiving);
            heard.until(|it| it.shard.is_done());
            heard.records.take()
        });
        let hello = Hello::publish("numbers").token(TOKEN);
        let to = Call::to(kept.gate.address(), certificates().client()).by(by);
        let mut calls = call(to.saying(hello).unwrap(), 50_000);
        calls.until(|it| it.shard.is_done());
        drop(calls.shard);
        assert!(heard.join().unwrap().into_iter().eq(0..50_000), "{by}");
        assert!(calls.problems.lock().unwrap().is_empty());
        assert!(kept.problems.lock().unwrap().is_empty());
    }
}

/// What goes wrong first, which is tried again and again, and of which nothing is sent.
fn told(to: Call, count: Count, words: &str) {
    let mut calls = call(to, 10);
    calls.until(|it| it.counts.get(Count::NotConnected) >= 2);
    let problems = calls.problems.lock().unwrap();
    assert_eq!(problems[0].count, count, "{problems:?}");
    assert!(problems[0].reason.contains(words), "{problems:?}");
    assert_eq!(calls.counts.get(Count::BytesOut), 0);
    assert_eq!(calls.counts.get(Count::Accepted), 0);
}

#[test]
fn servers_that_are_not_who_they_should_be() {
    let its = certificates();
    let kept = gate(open());
    let address = kept.gate.address();
    let other = ClientTls::to("other.example", its.pem("authority")).unwrap();
    told(Call::to(address, other), Count::ForeignCertificate, "not valid for name");
    let stranger = ClientTls::to("localhost", its.pem("stranger")).unwrap();
    told(Call::to(address, stranger), Count::ForeignCertificate, "UnknownIssuer");
    for (name, count) in [("old", Count::Expired), ("young", Count::Expired)] {
        let tls = millstream::net::ServerTls::of(its.pem(name), its.key(name)).unwrap();
        let kept = gate(Gating { tls: Some(tls), ..open() });
        told(Call::to(kept.gate.address(), its.client()), count, "certificate");
    }
    // Nobody there; somebody who is none of TLS; somebody who says nothing.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    let quick = std::time::Duration::from_millis(100);
    told(Call::to(address, its.client()).within(quick), Count::Unready, "too long");
    drop(nobody);
    told(Call::to(address, its.client()), Count::NotConnected, "refused");
}

#[test]
fn a_gate_that_refuses_says_why_and_nothing_is_lost() {
    let kept = gate(guarded());
    let door = kept.gate.inlet("numbers", 1).unwrap();
    let to = || Call::to(kept.gate.address(), certificates().client());
    let wrong = Hello::publish("numbers").token("0f7e5c1b9a3d4827");
    told(to().saying(wrong).unwrap(), Count::Declined, "wrong token");
    let other = Hello::publish("others").token(TOKEN);
    told(to().saying(other).unwrap(), Count::Declined, "may not publish others");
    let mut heard = hear(&door, Receiving::default());
    let right = Hello::publish("numbers").token(TOKEN);
    let mut calls = call(to().saying(right).unwrap(), 10);
    calls.until(|it| it.shard.is_done());
    heard.until(|it| it.records.borrow().len() == 10);
    assert_eq!(lines(heard.records.borrow().iter().copied()), lines(0..10));
    // Goes first: the end of the sink waits until the other end is done.
    drop(heard);
}
