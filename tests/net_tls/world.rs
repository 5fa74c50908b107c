//! What the tests share: numbers in lines, a gate, and shards that are stepped.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use millstream::io::{Codec, Lines, codec};
use millstream::net::{
    Access, Count, Counts, Door, Gate, Gating, Problem, Receiving, Rung, Sending, Slow, TcpSink,
    TcpSource, TlsRung,
};
use millstream::{Config, Input, Shard, Timestamp};

use super::certificates::certificates;

pub const RUNGS: [Rung; 2] = [Rung::Ring, Rung::Epoll];

/// How long a test waits for what must come.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub const TOKEN: &str = "0f7e5c1b9a3d4826";

pub fn numbers() -> impl Codec<Value = u64> {
    codec(
        20,
        |number: &u64, into: &mut Vec<u8>| _ = write!(into, "{number}"),
        |line: &[u8]| match std::str::from_utf8(line).map(str::parse) {
            Ok(Ok(number)) => Ok(number),
            _ => Err(format!("{line:?} is no number")),
        },
    )
}

pub fn lines(numbers: impl IntoIterator<Item = u64>) -> String {
    numbers.into_iter().map(|number| format!("{number}\n")).collect()
}

/// A gate of this host, and what it said.
pub struct Kept {
    pub gate: Gate,
    pub counts: Counts,
    pub problems: Arc<Mutex<Vec<Problem>>>,
}

pub fn gate(gating: Gating) -> Kept {
    let (counts, problems) = (Counts::default(), Arc::new(Mutex::new(Vec::new())));
    let told = problems.clone();
    let gating = Gating {
        counts: counts.clone(),
        on_problem: Some(Box::new(move |problem| told.lock().unwrap().push(problem.clone()))),
        ..gating
    };
    let gate = Gate::open("127.0.0.1:0".parse().unwrap(), gating).unwrap();
    Kept { gate, counts, problems }
}

/// A feed that is known by its token, and a desk that is known by its certificate.
pub fn known() -> Access {
    Access::nobody()
        .token("the feed", TOKEN)
        .may_publish("the feed", "numbers")
        .certificate("the desk", "desk 7")
        .may_subscribe("the desk", "numbers")
}

/// They may do what they may; certificates are asked for.
pub fn guarded() -> Gating {
    let tls = certificates().server().welcoming(certificates().pem("authority")).unwrap();
    Gating { tls: Some(tls), access: known(), ..Gating::default() }
}

/// Everybody may everything, by TLS.
pub fn open() -> Gating {
    Gating { tls: Some(certificates().server()), access: Access::anybody(), ..Gating::default() }
}

/// A shard that keeps what is published.
pub struct Heard {
    pub shard: Shard,
    pub records: Rc<RefCell<Vec<u64>>>,
    pub counts: Counts,
    since: Instant,
}

pub fn hear(door: &Door, receiving: Receiving) -> Heard {
    let (records, counts): (Rc<RefCell<Vec<u64>>>, _) = (Rc::default(), Counts::default());
    let kept = records.clone();
    let (shard, ()) = Shard::embed(Config::embedded(), |p| {
        let source = TcpSource::new(p, door, Lines::new(20), numbers(), receiving)?;
        assert_eq!(source.rung(), receiving.from);
        p.source(source.counting_into(&counts))
            .for_each(move |record| kept.borrow_mut().push(record.value));
        Ok(())
    })
    .unwrap();
    Heard { shard, records, counts, since: Instant::now() }
}

impl Heard {
    pub fn step(&mut self) {
        step(&mut self.shard, self.since);
    }

    pub fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.step();
        }
    }
}

/// A shard that sends what is pushed into it to all who subscribe.
pub struct Sends {
    pub shard: Shard,
    pub input: Input<u64>,
    pub counts: Counts,
    since: Instant,
}

pub fn send(door: &Door, from: Rung) -> Sends {
    send_by(door, Sending { from, slow: Slow::Block, ..Sending::default() })
}

pub fn send_by(door: &Door, sending: Sending) -> Sends {
    let counts = Counts::default();
    let (shard, input) = Shard::embed(Config::embedded(), |p| {
        let sink = TcpSink::serve(p, door, Lines::new(20), numbers(), sending)?;
        let (input, stream) = p.input();
        stream.sink(sink.counting_into(&counts));
        Ok(input)
    })
    .unwrap();
    Sends { shard, input, counts, since: Instant::now() }
}

impl Sends {
    pub fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            step(&mut self.shard, self.since);
        }
    }

    pub fn push_all(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            while self.input.push(Timestamp(0), number).is_err() {
                step(&mut self.shard, self.since);
            }
        }
    }

    /// Ends the stream, and steps until it is over.
    pub fn end(self) {
        let Self { mut shard, input, since, .. } = self;
        input.close();
        while !shard.is_done() {
            step(&mut shard, since);
        }
    }
}

/// One step; the test fails where it takes too long, or on an error.
pub fn step(shard: &mut Shard, since: Instant) {
    let now = since.elapsed();
    assert!(now < PATIENCE, "it does not come");
    if shard.step(Timestamp(now.as_nanos() as i64)).is_none() {
        std::thread::sleep(Duration::from_micros(50));
    }
    assert_eq!(shard.failure().map(ToString::to_string), None);
}

/// `openssl s_client`, which trusts who has signed the server's certificate.
pub fn s_client(gate: &Gate, arguments: &[&str]) -> Child {
    let (address, folder) = (gate.address().to_string(), certificates().folder());
    Command::new("openssl")
        .args(["s_client", "-quiet", "-verify_return_error", "-verify_hostname", "localhost"])
        .args(["-CAfile", "authority.pem", "-connect", &address])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`openssl` is needed for this test")
}

/// What a program says, line by line, without their ends.
pub struct Said {
    lines: Receiver<String>,
    count: Arc<AtomicUsize>,
}

pub fn said(child: &mut Child) -> Said {
    let ((said, lines), count) = (channel(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    let says = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        says.lines().map(Result::unwrap).try_for_each(|line| {
            counted.fetch_add(1, Ordering::Relaxed);
            said.send(line)
        })
    });
    Said { lines, count }
}

impl Said {
    /// The next line; none at the end.
    pub fn next(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("nothing is said"),
        }
    }

    /// How many there were so far.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// All that is still to come.
    pub fn rest(self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }
}

/// The ways to do TLS that this host has.
pub fn tls_rungs() -> Vec<TlsRung> {
    match std::path::Path::new("/proc/net/tls_stat").exists() {
        true => vec![TlsRung::Kernel, TlsRung::Thread],
        false => vec![TlsRung::Thread],
    }
}

/// What those are counted as who are served so.
pub fn counted(rung: TlsRung) -> Count {
    match rung {
        TlsRung::Kernel => Count::ByKernel,
        TlsRung::Thread => Count::ByThread,
    }
}

/// Waits until something is so that other threads bring about.
pub fn wait_until(mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends a program that would go on.
pub fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}
