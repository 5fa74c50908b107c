//! Unix sockets: in, out, shared by shards, left behind by others.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use millstream::io::LengthPrefixed;
use millstream::net::{
    Count, Counts, LocalListener, Receiving, Remote, Sending, Slow, TcpSink, TcpSource,
};
use millstream::{Config, Engine, Shard, Shards};

use super::world::{Pair, RUNGS, framed, pairs, step, unframed};

/// A path where nothing is.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("millstream-{name}-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    path
}

#[test]
fn what_comes_in_by_a_path_goes_out_by_others() {
    const ALL: u32 = 50_000;
    for rung in RUNGS {
        let (inlet, outlet) = (path("in"), path("out"));
        let (came, served) =
            (LocalListener::at(&inlet).unwrap(), LocalListener::at(&outlet).unwrap());
        let called = path("called");
        let there = UnixListener::bind(&called).unwrap();
        let counts = Counts::default();
        let mut problems = Arc::new(Mutex::new(Vec::new()));
        let told = problems.clone();
        let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
            let receiving = Receiving { ends_after: Some(1), from: rung, ..Receiving::default() };
            let sending = Sending { slow: Slow::Block, from: rung, ..Sending::default() };
            let framing = LengthPrefixed::new(8);
            let source = TcpSource::new(p, &came, framing, pairs(), receiving)?
                .on_problem(move |problem| told.lock().unwrap().push(problem.clone()));
            let serves = TcpSink::serve(p, &served, framing, pairs(), sending)?;
            let calls = TcpSink::connect_local(p, &called, framing, pairs(), sending)?;
            let both = p.source(source).flat_map(|pair: Pair| [(pair, true), (pair, false)]);
            let (one, other) = both.split(|pair| pair.1);
            one.map(|(pair, _)| pair).sink(serves.counting_into(&counts));
            other.map(|(pair, _)| pair).sink(calls.counting_into(&counts));
            Ok(())
        })
        .unwrap();
        let since = Instant::now();
        let subscriber = UnixStream::connect(&outlet).unwrap();
        while counts.get(Count::Accepted) < 2 {
            step(&mut shard, since);
        }
        let readers = [subscriber, there.accept().unwrap().0].map(|mut stream| {
            thread::spawn(move || {
                let mut bytes = Vec::new();
                stream.read_to_end(&mut bytes).unwrap();
                unframed(&bytes)
            })
        });
        let mut peer = UnixStream::connect(&inlet).unwrap();
        let sender = thread::spawn(move || {
            peer.write_all(&framed((0..ALL).map(|n| (3, n)))).unwrap();
            peer.write_all(b"\x02\0\0\0xx").unwrap();
        });
        while !shard.is_done() {
            step(&mut shard, since);
        }
        drop(shard);
        sender.join().unwrap();
        let want: Vec<Pair> = (0..ALL).map(|n| (3, n)).collect();
        assert!(readers.into_iter().all(|reader| reader.join().unwrap() == want), "{rung}");
        let problem = Arc::get_mut(&mut problems).unwrap().get_mut().unwrap().remove(0);
        assert_eq!(problem.peer, Remote::Process(std::process::id() as i32));
        assert!(problem.to_string().ends_with("at byte 600000: 2 bytes"), "{problem}");
        std::fs::remove_file(called).unwrap();
    }
}

#[test]
fn a_path_is_for_its_user_and_goes_with_its_listener() {
    let path = path("rights");
    let listener = LocalListener::at(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let refused = LocalListener::at(&path).unwrap_err().to_string();
    assert!(refused.contains("in use"), "{refused}");
    drop(listener);
    assert!(!path.exists());
    // A program that was killed leaves its file behind.
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    drop(LocalListener::at(&path).unwrap());
    // What is no socket is not touched.
    std::fs::write(&path, "mine").unwrap();
    assert!(LocalListener::at(&path).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn shards_share_a_path() {
    const PEERS: u32 = 60;
    let path = path("shared");
    let listener = LocalListener::at(&path).unwrap();
    let config = Config { shards: Shards::Count(2), oversubscribe: true, ..Config::default() };
    let world = thread::spawn(move || {
        for who in 0..PEERS {
            let mut stream = UnixStream::connect(&path).unwrap();
            stream.write_all(&framed((0..50).map(|n| (who, n)))).unwrap();
        }
    });
    let got = Arc::new(Mutex::new(Vec::new()));
    let into = got.clone();
    let build = move |p: millstream::Pipeline<'_>| {
        let receiving = Receiving { ends_after: Some(PEERS.into()), ..Receiving::default() };
        let source = TcpSource::new(p, &listener, LengthPrefixed::new(8), pairs(), receiving)?;
        let into = into.clone();
        p.source(source).for_each(move |record| into.lock().unwrap().push(record.value));
        Ok(())
    };
    Engine::new(config).unwrap().run(build).unwrap();
    world.join().unwrap();
    let mut got = std::mem::take(&mut *got.lock().unwrap());
    got.sort_unstable();
    let want: Vec<Pair> = (0..PEERS).flat_map(|who| (0..50).map(move |n| (who, n))).collect();
    assert!(got == want, "{} of {}", got.len(), want.len());
}
