//! What the tests share: ticks as records, shards on threads of their own, peers that speak HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use millstream::io::json::Json;
use millstream::web::{Count, Counts, HttpSource, Intake, Publishing};
use millstream::web::{Web, WebServer, WebSink, Writing};
use millstream::{Config, Pipeline, Result, Shard, Text, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    pub symbol: Text<8>,
    pub n: u64,
}

impl Tick {
    pub fn json(self) -> String {
        format!("{{\"symbol\":\"{}\",\"n\":{}}}", self.symbol, self.n)
    }
}

pub fn tick(symbol: &str, n: u64) -> Tick {
    Tick { symbol: symbol.try_into().unwrap(), n }
}

/// Ticks as lines.
pub fn lines(ticks: impl IntoIterator<Item = Tick>) -> String {
    ticks.into_iter().map(|tick| tick.json() + "\n").collect()
}

pub fn serving(settings: Web) -> WebServer {
    WebServer::on("127.0.0.1:0".parse().unwrap(), settings).unwrap()
}

pub fn here() -> WebServer {
    serving(Web::default())
}

/// The source of the tests: ticks that are posted to `in`.
pub fn ticks_in(p: Pipeline<'_>, server: &WebServer, intake: Intake) -> Result<HttpSource<Tick>> {
    HttpSource::new(p, server, "in", Json::<Tick>::new(100), intake)
}

/// The sink of the tests: ticks by their symbol, to those who subscribe to `out`.
pub fn ticks_out(
    p: Pipeline<'_>,
    server: &WebServer,
    publishing: Publishing,
) -> Result<WebSink<Tick>> {
    let writing = Writing::json().keyed(|tick: &Tick| tick.symbol);
    WebSink::new(p, server, "out", writing, publishing)
}

/// From `in` to `out`.
pub fn through(server: &WebServer, publishing: Publishing) -> Running {
    let server = server.clone();
    run(move |p| {
        let out = ticks_out(p, &server, publishing)?;
        p.source(ticks_in(p, &server, Intake::default())?).sink(out);
        Ok(())
    })
}

/// A shard on a thread of its own.
pub struct Running {
    paused: Arc<AtomicBool>,
    killed: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Builds a pipeline and steps it until it is done; returns when it takes what comes.
pub fn run(build: impl for<'p> FnOnce(Pipeline<'p>) -> Result<()> + Send + 'static) -> Running {
    begin(build, 1)
}

/// Returns when it has made so many steps.
pub fn begin(
    build: impl for<'p> FnOnce(Pipeline<'p>) -> Result<()> + Send + 'static,
    steps: usize,
) -> Running {
    let (paused, killed) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
    let (is_paused, is_killed) = (paused.clone(), killed.clone());
    let (built, is_built) = channel();
    let thread = std::thread::spawn(move || {
        let (mut shard, ()) = Shard::embed(Config::embedded(), build).unwrap();
        let since = Instant::now();
        (0..steps).for_each(|_| _ = shard.step(Timestamp(0)));
        built.send(()).unwrap();
        while !shard.is_done() && !is_killed.load(Ordering::Relaxed) {
            let now = Timestamp(since.elapsed().as_nanos() as i64);
            if is_paused.load(Ordering::Relaxed) || shard.step(now).is_none() {
                std::thread::sleep(Duration::from_micros(50));
            }
            assert!(shard.failure().is_none());
        }
    });
    is_built.recv().unwrap();
    Running { paused, killed, thread }
}

impl Running {
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Drops the shard wherever it is.
    pub fn kill(self) {
        self.killed.store(true, Ordering::Relaxed);
        self.join();
    }

    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    pub fn join(self) {
        self.thread.join().unwrap();
    }
}

/// Waits until something is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub fn until_count(counts: &Counts, count: Count, at_least: u64) {
    until(count.name(), || counts.get(count) >= at_least);
}

pub fn connected(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Says this and hears what is answered until the connection is over.
pub fn say(address: SocketAddr, said: impl AsRef<[u8]>) -> String {
    let mut stream = connected(address);
    let _ = stream.write_all(said.as_ref());
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    String::from_utf8_lossy(&heard).into_owned()
}

/// Posts a body; returns the status and the answer.
pub fn post(address: SocketAddr, name: &str, body: &str) -> (u16, String) {
    let heard = say(
        address,
        format!(
            "POST /{name} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \
             {}\r\n\r\n{body}",
            body.len()
        ),
    );
    (status(&heard), heard.split_once("\r\n\r\n").unwrap_or_default().1.to_owned())
}

/// Posts records until they are taken: it is to come again that there is no room, or no pipeline.
pub fn posted(address: SocketAddr, name: &str, body: &str) {
    until("records are taken", || match post(address, name, body) {
        (503, _) => false,
        (status, said) => {
            assert_eq!(status, 200, "{said}");
            true
        }
    });
}

/// The status of an answer; 0 if there was none.
pub fn status(heard: &str) -> u16 {
    heard.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// Server-sent events, as they come.
pub struct Events(BufReader<TcpStream>);

impl Events {
    /// Subscribes; the answer must be that it is so.
    pub fn of(address: SocketAddr, path: &str) -> Self {
        let mut stream = connected(address);
        // In the older version an answer comes without chunks.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut events = Self(BufReader::new(stream));
        let mut line = String::new();
        events.0.read_line(&mut line).unwrap();
        assert_eq!(status(&line), 200, "{line}");
        while line != "\r\n" {
            line.clear();
            events.0.read_line(&mut line).unwrap();
        }
        events
    }

    pub fn stream(&self) -> &TcpStream {
        self.0.get_ref()
    }

    /// Its name and what it says; `None` when the connection is over.
    pub fn next(&mut self) -> Option<(String, String)> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line).unwrap_or(0) == 0 {
                return None;
            }
            match line.trim_end_matches('\n').split_once(": ") {
                Some(("event", said)) => said.clone_into(&mut name),
                Some(("data", said)) => data.push_str(said),
                _ if line == "\n" && !data.is_empty() => return Some((name, data)),
                _ => {}
            }
        }
    }

    /// The next one, which must be a record.
    pub fn next_tick(&mut self) -> Tick {
        let (name, data) = self.next().expect("another record");
        assert_eq!(name, "", "{data}");
        serde_json::from_str(&data).unwrap()
    }

    /// All that come until the end, and whether that was said.
    pub fn rest(mut self) -> (Vec<Tick>, Option<String>) {
        let mut ticks = Vec::new();
        while let Some((name, data)) = self.next() {
            if name == "end" {
                assert!(self.next().is_none(), "the connection is over with the stream");
                return (ticks, Some(data));
            }
            ticks.push(serde_json::from_str(&data).unwrap());
        }
        (ticks, None)
    }
}

/// A program that does not outlive the test.
pub struct Ended(pub Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program, if it is there.
pub fn start(program: &str, words: &[&str]) -> Option<Ended> {
    let started = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    if started.is_err() {
        eprintln!("skipped: there is no {program}");
    }
    started.ok().map(Ended)
}

/// What curl says to this, if it is there.
pub fn curl(words: &[&str]) -> Option<String> {
    let child = start("curl", &[&["-sS", "--max-time", "60"], words].concat())?;
    let mut said = String::new();
    let mut child = child;
    child.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    Some(said)
}
