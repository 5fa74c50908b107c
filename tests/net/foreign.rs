//! Peers that nobody here wrote: `nc`, and a client in Python.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use millstream::io::{LengthPrefixed, Lines, codec};
use millstream::net::{Count, Counts, Receiving, Sending, Slow, TcpSink, TcpSource};
use millstream::{Config, Shard};

use super::world::{RUNGS, here, pairs, step};

/// Starts a program, if it is there.
fn start(program: &str, words: &[&str]) -> Option<Child> {
    let started = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn();
    if started.is_err() {
        eprintln!("skipped: there is no {program}");
    }
    started.ok()
}

/// Starts OpenBSD's `nc`, if it is there; others have other flags.
fn start_nc(words: &[&str]) -> Option<Child> {
    let help = Command::new("nc").arg("-h").output();
    let is_ours = help.is_ok_and(|it| [it.stdout, it.stderr].concat().starts_with(b"OpenBSD"));
    if !is_ours {
        eprintln!("skipped: there is no nc of OpenBSD");
        return None;
    }
    start("nc", words)
}

#[test]
fn lines_come_from_one_nc_and_go_to_another() {
    const LINES: u64 = 50_000;
    for rung in RUNGS {
        let (inlet, outlet, counts) = (here(), here(), Counts::default());
        let numbers = || {
            codec(
                20,
                |number: &u64, into: &mut Vec<u8>| write!(into, "{number}").unwrap_or(()),
                |line: &[u8]| {
                    let number = std::str::from_utf8(line).ok().and_then(|it| it.parse().ok());
                    number.ok_or_else(|| "not a number".to_owned())
                },
            )
        };
        let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
            let receiving = Receiving { ends_after: Some(1), from: rung, ..Receiving::default() };
            let sending = Sending { slow: Slow::Block, from: rung, ..Sending::default() };
            let source = TcpSource::new(p, &inlet, Lines::new(20), numbers(), receiving)?;
            let sink = TcpSink::serve(p, &outlet, Lines::new(20), numbers(), sending)?;
            p.source(source).map(|n: u64| n * 2).sink(sink.counting_into(&counts));
            Ok(())
        })
        .unwrap();
        let since = std::time::Instant::now();
        let to = outlet.address().port().to_string();
        let Some(reader) = start_nc(&["-d", "127.0.0.1", &to]) else { return };
        while counts.get(Count::Accepted) == 0 {
            step(&mut shard, since);
        }
        let from = inlet.address().port().to_string();
        let mut writer = start_nc(&["-N", "127.0.0.1", &from]).unwrap();
        let mut stdin = writer.stdin.take().unwrap();
        let said = thread::spawn(move || {
            let lines: String = (0..LINES).map(|n| format!("{n}\n")).collect();
            stdin.write_all(lines.as_bytes()).unwrap();
        });
        while !shard.is_done() {
            step(&mut shard, since);
        }
        drop(shard);
        said.join().unwrap();
        let heard = reader.wait_with_output().unwrap();
        let want: String = (0..LINES).map(|n| format!("{}\n", n * 2)).collect();
        assert!(heard.stdout == want.as_bytes(), "{rung}");
        assert!(writer.wait().unwrap().success());
    }
}

/// The example, as it comes out of the build, between two `nc`s.
#[cfg(feature = "runtime")]
#[test]
fn the_tick_server_tells_last_prices_and_bars() {
    let deps = std::env::current_exe().unwrap();
    let program = deps.parent().and_then(|it| it.parent()).unwrap().join("examples/tick_server");
    let here = "127.0.0.1:0";
    let Some(server) = start(program.to_str().unwrap(), &[here, here]) else { return };
    let mut server = Ended(server);
    let mut said = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let ports: Vec<&str> =
        said.split([':', ',', '\n']).filter(|it| it.parse::<u16>().is_ok()).collect();
    let [inlet, outlet] = ports[..] else { panic!("{said}") };
    let Some(reader) = start_nc(&["-d", "127.0.0.1", outlet]) else { return };
    let mut reader = Ended(reader);
    let mut lines = BufReader::new(reader.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut writer = start_nc(&["127.0.0.1", inlet]).unwrap();
    let mut stdin = writer.stdin.take().unwrap();
    // Whoever subscribes later does not get what was before: say it until it is heard.
    thread::spawn(move || {
        while stdin.write_all(b"MSFT 410.5 100\nnonsense\nAAPL 190.25 7\n").is_ok() {
            thread::sleep(std::time::Duration::from_millis(100));
        }
    });
    let mut awaited = vec![
        "last MSFT 410.5",
        "last AAPL 190.25",
        "bar MSFT open 410.5 high 410.5 low 410.5 close 410.5 volume ",
        "bar AAPL open 190.25 high 190.25 low 190.25 close 190.25 volume ",
    ];
    while !awaited.is_empty() {
        let line = lines.next().expect("it ends too early");
        awaited.retain(|start| !line.starts_with(start));
    }
    drop(Ended(writer));
}

/// A program that does not outlive the test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends numbers behind their length in pieces of any size, hears them, and says what came.
const CLIENT: &str = r#"
import random, socket, struct, sys
to, back = (socket.create_connection(("127.0.0.1", int(port))) for port in sys.argv[1:3])
print("ready", flush=True)
sys.stdin.readline()
random.seed(7)
bytes_out = b"".join(struct.pack("<III", 8, n % 5, n) for n in range(20000))
at = 0
while at < len(bytes_out):
    at += to.send(bytes_out[at:at + random.randint(1, 5000)])
to.shutdown(socket.SHUT_WR)
heard = b""
while piece := back.recv(random.randint(1, 9000)):
    heard += piece
rows = list(struct.iter_unpack("<III", heard))
assert all(row[0] == 8 for row in rows)
assert [row[2] for row in rows] == list(range(1, 20001)), len(rows)
assert all(row[1] == (row[2] - 1) % 5 for row in rows)
print("all of it")
"#;

#[test]
fn a_client_in_python_sends_and_hears() {
    for rung in RUNGS {
        let (inlet, outlet, counts) = (here(), here(), Counts::default());
        let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
            let receiving = Receiving { ends_after: Some(1), from: rung, ..Receiving::default() };
            let sending = Sending { slow: Slow::Block, from: rung, ..Sending::default() };
            let source = TcpSource::new(p, &inlet, LengthPrefixed::new(8), pairs(), receiving)?;
            let sink = TcpSink::serve(p, &outlet, LengthPrefixed::new(8), pairs(), sending)?;
            p.source(source).map(|pair| (pair.0, pair.1 + 1)).sink(sink.counting_into(&counts));
            Ok(())
        })
        .unwrap();
        let since = std::time::Instant::now();
        let [to, back] = [&inlet, &outlet].map(|it| it.address().port().to_string());
        let Some(mut client) = start("python3", &["-c", CLIENT, &to, &back]) else { return };
        while counts.get(Count::Accepted) == 0 {
            step(&mut shard, since);
        }
        client.stdin.take().unwrap().write_all(b"go\n").unwrap();
        while !shard.is_done() {
            step(&mut shard, since);
        }
        drop(shard);
        let said = client.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&said.stdout), "ready\nall of it\n", "{rung}");
    }
}
