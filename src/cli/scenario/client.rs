//! The other end of the sockets that are measured: sends records of 64 bytes, and waits for those
//! that come back.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

use super::open_loop::Times;
use crate::cli::interrupt;
use crate::cli::workload::{Reading, mix};
use crate::io::{Arrival, Codec, Schedule, codec};
use crate::metrics::Latency;
use crate::net::{Count, Counts};
use crate::time::{Clock, SystemClock};

/// The bytes of a record. It begins with its key and its number, of eight bytes each.
pub const ROW: usize = 64;

/// Records are of so many keys.
pub const KEYS: u64 = 1_000;

/// How long anything may take to come back.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long an open loop that fell behind goes on at least.
const AND_NO_LONGER: Duration = Duration::from_secs(1);

/// What a flood is controlled by, where the host has it.
pub const CONGESTION: &str = "cubic";

/// What is written at once where it is a flood.
const CHUNK: usize = 64 << 10;

/// A record as bytes, and back: what the pipeline needs of it is picked out, and nothing else is
/// looked at.
pub fn readings() -> impl Codec<Value = Reading> {
    codec(
        16,
        |reading: &Reading, into: &mut Vec<u8>| {
            let words = [reading.key, reading.value.into()];
            into.extend(words.map(u64::to_le_bytes).as_flattened());
        },
        |bytes: &[u8]| match bytes.as_chunks() {
            ([key, number, ..], _) => {
                let value = u64::from_le_bytes(*number) as u32;
                Ok(Reading { key: u64::from_le_bytes(*key), value })
            }
            _ => Err(format!("{} bytes", bytes.len())),
        },
    )
}

/// Record number `n`.
fn row(n: u64) -> [u64; ROW / 8] {
    let key = mix(n) % KEYS;
    [key, n, key, n, key, n, key, n]
}

/// Connects once somebody listens, and waits until he has accepted.
///
/// # Errors
/// What the system said, or that nobody accepts.
pub fn connect(address: SocketAddr, counts: &Counts) -> io::Result<TcpStream> {
    let (stream, started) = (TcpStream::connect(address)?, Instant::now());
    while counts.get(Count::Accepted) == 0 {
        if started.elapsed() > PATIENCE {
            return Err(ErrorKind::TimedOut.into());
        }
        std::thread::yield_now();
    }
    Ok(stream)
}

/// Sends on one connection, and reads from the other, which may be the same.
pub struct Client {
    to: TcpStream,
    from: TcpStream,
    clock: SystemClock,
    /// Records sent, and those that came back: their numbers are the next ones.
    sent: u64,
    back: u64,
    out: Vec<u8>,
    buffer: Vec<u8>,
    filled: usize,
}

impl Client {
    /// # Errors
    /// What the system said.
    pub fn new(to: TcpStream, from: TcpStream) -> io::Result<Self> {
        to.set_nodelay(true)?;
        to.set_nonblocking(true)?;
        from.set_nonblocking(true)?;
        let (out, buffer) = (Vec::with_capacity(CHUNK), vec![0; CHUNK]);
        Ok(Self { to, from, clock: SystemClock::new(), sent: 0, back: 0, out, buffer, filled: 0 })
    }

    /// So many more records.
    fn send(&mut self, count: u64) -> io::Result<()> {
        for n in self.sent..self.sent + count {
            self.out.extend(row(n).map(u64::to_le_bytes).as_flattened());
        }
        self.sent += count;
        self.write()
    }

    /// Writes what there is room for.
    fn write(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        match (&self.to).write(&self.out) {
            Ok(written) => _ = self.out.drain(..written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes in what has come; returns how many records came back. Those that came before do not
    /// count.
    fn read(&mut self) -> io::Result<u64> {
        match (&self.from).read(&mut self.buffer[self.filled..]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(bytes) => self.filled += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(0),
            Err(error) => return Err(error),
        }
        let before = self.back;
        let (rows, _) = self.buffer[..self.filled].as_chunks::<ROW>();
        for row in rows {
            let number = u64::from_le_bytes(std::array::from_fn(|at| row[8 + at]));
            self.back += u64::from(number == self.back);
        }
        let whole = rows.len() * ROW;
        self.buffer.copy_within(whole..self.filled, 0);
        self.filled -= whole;
        Ok(self.back - before)
    }

    /// There and back with one record in flight.
    ///
    /// # Errors
    /// What the system said, or that a record does not come back.
    pub fn one_at_a_time(&mut self, times: Times) -> io::Result<Latency> {
        let (begun, mut latency) = (self.clock.now(), Latency::new());
        loop {
            let start = self.clock.now();
            let passed = Duration::from_nanos(start.since(begun));
            // On a starved host a single one may take longer than that.
            let is_over = passed >= times.warm_up + times.measured && latency.samples() > 0;
            if is_over || interrupt::is_seen() {
                return Ok(latency);
            }
            self.send(1)?;
            while self.read()? == 0 {
                if self.clock.now().since(start) > PATIENCE.as_nanos() as u64 {
                    return Err(ErrorKind::TimedOut.into());
                }
            }
            let now = self.clock.now();
            if passed >= times.warm_up {
                latency.record(now, now.since(start), 1);
            }
        }
    }

    /// So many records a second, whatever comes back; the latency of each counts from when it was
    /// due. What falls behind skips nothing, but ends when it has taken half as long again as it
    /// was to take, or a second more.
    ///
    /// # Errors
    /// What the system said, or that a record does not come back.
    pub fn open_loop(&mut self, per_s: f64, arrival: Arrival, times: Times) -> io::Result<Paced> {
        let (begun, first) = (self.clock.now(), self.sent);
        let whole = times.warm_up + times.measured;
        let (from, end) = (begun + times.warm_up, begun + whole);
        let cut = end + (whole / 2).max(AND_NO_LONGER);
        let schedule = Schedule::new(per_s, arrival, begun).map_err(io::Error::other)?;
        let (mut sending, mut hearing) = (schedule.clone(), schedule);
        let (mut heard, mut latency) = (begun, Latency::new());
        loop {
            let now = self.clock.now();
            let is_sent = sending.due() >= end || now >= cut || interrupt::is_seen();
            if is_sent && self.back == self.sent && self.out.is_empty() {
                break;
            }
            // What is far behind is sent in pieces, and what the socket refuses is still owed.
            let room = (CHUNK / ROW).saturating_sub(self.out.len() / ROW) as u64;
            let mut more = 0;
            while !is_sent && more < room && sending.due() <= now && sending.due() < end {
                sending.advance();
                more += 1;
            }
            if more > 0 {
                self.send(more)?
            } else {
                self.write()?
            }
            let back = self.read()?;
            let now = self.clock.now();
            for due in hearing.by_ref().take(back as usize).filter(|due| *due >= from) {
                latency.record(now, now.since(due), 1);
            }
            if back > 0 {
                heard = now;
            } else if now.since(heard) > PATIENCE.as_nanos() as u64 {
                return Err(ErrorKind::TimedOut.into());
            }
        }
        let passed = heard.since(begun).max(1) as f64 / 1e9;
        let per_s = (self.back - first) as f64 / passed;
        let late = whole / 100 + Duration::from_millis(1);
        let kept_up = sending.due() >= end && heard <= end + late;
        Ok(Paced { latency, per_s, kept_up })
    }
}

/// What became of an open loop.
pub struct Paced {
    /// From when each record was due to when it was back.
    pub latency: Latency,
    /// Records a second that came back.
    pub per_s: f64,
    /// Whether the last one was back in time.
    pub kept_up: bool,
}

/// Sends as fast as it goes, until the other end has taken everything and closes; returns how many
/// records a second that was, and how many in all.
///
/// # Errors
/// What the system said.
pub fn flood(mut to: TcpStream, times: Times) -> io::Result<(f64, u64)> {
    to.set_nodelay(true)?;
    let _ = setsockopt(&to, sockopt::TcpCongestion, &CONGESTION.into());
    to.set_read_timeout(Some(PATIENCE))?;
    let bytes: Vec<u8> =
        (0..CHUNK as u64).flat_map(|n| row(n).map(u64::to_le_bytes)).flatten().collect();
    let (mut chunks, started) = (bytes.chunks_exact(CHUNK).cycle(), Instant::now());
    let (mut all, mut unmeasured, mut since) = (0, 0, None);
    while started.elapsed() < times.warm_up + times.measured && !interrupt::is_seen() {
        if since.is_none() && started.elapsed() >= times.warm_up {
            (since, unmeasured) = (Some(Instant::now()), all);
        }
        let Some(chunk) = chunks.next() else { break };
        to.write_all(chunk)?;
        all += (chunk.len() / ROW) as u64;
    }
    to.shutdown(Shutdown::Write)?;
    to.read_to_end(&mut Vec::new())?;
    let seconds = since.unwrap_or(started).elapsed().as_secs_f64();
    Ok(((all - unmeasured) as f64 / seconds, all))
}
