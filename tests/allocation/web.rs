//! Records by HTTP and to subscribers: a shard has no part in what the server's thread allocates.

use std::io::{Read, Write};
use std::net::TcpStream;

use millstream::io::json::Json;
use millstream::web::{Count, HttpSource, Intake, Publishing, Web, WebServer, WebSink, Writing};
use millstream::{Config, Shard, Timestamp};

use super::calls;

#[test]
fn records_to_and_from_the_server_do_not_allocate_after_warm_up() {
    const ROUND: u64 = 1_000;
    let server = WebServer::on("127.0.0.1:0".parse().unwrap(), Web::default()).unwrap();
    let counts = server.counts();
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let numbers = Json::<u64>::new(20);
        let source = HttpSource::new(p, &server, "numbers", numbers, Intake::default())?;
        let squares = Writing::json().keyed(|square: &(u64, u64)| square.0 % 8);
        let sink = WebSink::new(p, &server, "squares", squares, Publishing::default())?;
        p.source(source).map(|n: u64| (n, n * n)).sink(sink);
        Ok(())
    })
    .unwrap();
    let mut subscriber = TcpStream::connect(server.address()).unwrap();
    subscriber.write_all(b"GET /squares/events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    std::thread::spawn(move || {
        let mut into = [0; 4096];
        while subscriber.read(&mut into).is_ok_and(|bytes| bytes > 0) {}
    });
    let body: String = (0..ROUND).map(|n| format!("{n}\n")).collect();
    let head = "POST /numbers HTTP/1.1\r\nHost: localhost\r\nContent-Length";
    let request = format!("{head}: {}\r\n\r\n{body}", body.len());
    let mut peer = TcpStream::connect(server.address()).unwrap();
    let (mut now, mut warm) = (0, 0);
    shard.step(Timestamp(now));
    for round in 1..=20 {
        peer.write_all(request.as_bytes()).unwrap();
        let mut answer = [0; 4096];
        assert!(peer.read(&mut answer).unwrap() > 0);
        assert!(answer.starts_with(b"HTTP/1.1 200 OK"));
        let of_round = calls(|| {
            while counts.get(Count::Published) < round * ROUND {
                now += 1_000_000;
                shard.step(Timestamp(now));
            }
        });
        if round > 5 {
            warm += of_round;
        }
    }
    assert_eq!(warm, 0, "allocations in 15 rounds");
}
