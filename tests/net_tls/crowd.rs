//! Many at the gate, and those who are in do not notice.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use millstream::net::{Count, Gating, Receiving, Rung, Sending, Slow};

use super::world::{
    PATIENCE, TOKEN, end, gate, guarded, hear, lines, open, s_client, said, send_by, tls_rungs,
};

/// The beginning of a handshake of TLS, and no more.
const HALF: &[u8] = b"\x16\x03\x01\x00\xf4\x01\x00\x00\xf0\x03\x03";

#[test]
fn two_hundred_half_way_through_the_handshake_keep_nobody_out() {
    for by in tls_rungs() {
        let kept = gate(Gating { from: by, visits_max: 100, ..guarded() });
        let door = kept.gate.inlet("numbers", 1).unwrap();
        let mut heard = hear(&door, Receiving::default());
        let mut peer = s_client(&kept.gate, &[]);
        let (answers, mut says) = (said(&mut peer), peer.stdin.take().unwrap());
        says.write_all(format!("publish numbers {TOKEN}\n").as_bytes()).unwrap();
        assert_eq!(answers.next().as_deref(), Some("ok"));
        let mut half: Vec<_> = (0..200)
            .map(|n| {
                let mut stream = TcpStream::connect(kept.gate.address()).unwrap();
                stream.write_all(HALF).unwrap();
                says.write_all(lines([n]).as_bytes()).unwrap();
                stream
            })
            .collect();
        heard.until(|it| it.records.borrow().len() == 200);
        assert!(heard.records.borrow().iter().copied().eq(0..200), "{by}");
        // Half of them had to go, those who had taken longest.
        super::world::wait_until(|| kept.counts.get(Count::Crowded) == 100);
        half[0].set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(half[0].read(&mut [0]).unwrap_or(0), 0);
        half[199].set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        assert!(half[199].read(&mut [0]).is_err(), "the last is still there");
        // The gate is full, and one more is let in.
        let mut another = s_client(&kept.gate, &[]);
        let (answers, mut says) = (said(&mut another), another.stdin.take().unwrap());
        says.write_all(format!("publish numbers {TOKEN}\n").as_bytes()).unwrap();
        assert_eq!(answers.next().as_deref(), Some("ok"));
        says.write_all(b"777\n").unwrap();
        heard.until(|it| it.records.borrow().last() == Some(&777));
        let told = kept.problems.lock().unwrap().len();
        assert!((1..100).contains(&told), "told at a bounded rate: {told}");
        end(peer);
        end(another);
    }
}

#[test]
fn who_does_not_read_is_disconnected_and_another_does_not_notice() {
    for by in tls_rungs() {
        let kept = gate(Gating { from: by, ..open() });
        let door = kept.gate.outlet("numbers", 1).unwrap();
        let sending = Sending {
            from: Rung::Ring,
            slow: Slow::Disconnect,
            buffer_bytes: 64 << 10,
            ..Sending::default()
        };
        let mut sends = send_by(&door, sending);
        let subscribe = || {
            let mut peer = s_client(&kept.gate, &[]);
            peer.stdin.as_mut().unwrap().write_all(b"subscribe numbers\n").unwrap();
            peer
        };
        let (deaf, mut peer) = (subscribe(), subscribe());
        let answers = said(&mut peer);
        assert_eq!(answers.next().as_deref(), Some("ok"));
        sends.until(|it| it.counts.get(Count::Accepted) == 2);
        let (read, mut sent) = (Arc::new(AtomicU64::new(0)), 0);
        let shown = read.clone();
        let reader = std::thread::spawn(move || {
            while let Some(line) = answers.next() {
                let number = shown.load(Ordering::Relaxed);
                assert_eq!(line.parse(), Ok(number));
                shown.store(number + 1, Ordering::Release);
            }
        });
        while sends.counts.get(Count::TooSlow) == 0 {
            // No faster than the other reads.
            sends.until(|_| read.load(Ordering::Acquire) + 500 > sent);
            sends.push_all([sent]);
            sent += 1;
            assert!(sent < 5_000_000, "nobody was too slow, {by}");
        }
        sends.end();
        reader.join().unwrap();
        assert_eq!(read.load(Ordering::Acquire), sent, "{by}");
        assert!(peer.wait().unwrap().success());
        end(deaf);
    }
}
