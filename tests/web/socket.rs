//! WebSockets whose other end does not behave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use millstream::web::{Count, Publishing, Slow, Web};

use super::world::{
    begin, connected, here, lines, posted, serving, status, through, tick, ticks_out, until_count,
};

/// A WebSocket, frame by frame.
struct Socket(TcpStream);

impl Socket {
    fn to(address: SocketAddr, path: &str) -> Self {
        let mut stream = connected(address);
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: \
             websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
             dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert_eq!(status(&head), 101, "{head}");
        assert!(head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
        Self(stream)
    }

    fn send(&mut self, opcode: u8, said: &[u8]) {
        let mut frame = vec![0x80 | opcode, 0x80 | 126];
        frame.extend((said.len() as u16).to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(said);
        self.0.write_all(&frame).unwrap();
    }

    /// The opcode of the next frame and what is in it; `None` when the connection is over.
    fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).ok()?;
        let mut length = usize::from(head[1]);
        assert!(length < 127);
        if length == 126 {
            let mut long = [0; 2];
            self.0.read_exact(&mut long).ok()?;
            length = u16::from_be_bytes(long).into();
        }
        let mut said = vec![0; length];
        self.0.read_exact(&mut said).ok()?;
        Some((head[0] & 15, said))
    }

    /// The text of the next frame.
    fn next_text(&mut self) -> String {
        let (opcode, said) = self.next().expect("another frame");
        assert_eq!(opcode, 1);
        String::from_utf8(said).unwrap()
    }

    /// Why it was closed, after whatever else came.
    fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            let (opcode, said) = self.next()?;
            if opcode == 8 {
                let Some((code, reason)) = said.split_first_chunk() else {
                    return Some((1005, String::new()));
                };
                return Some((u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into()));
            }
        }
    }
}

#[test]
fn what_is_said_changes_the_keys_or_closes_the_socket() {
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    let running = through(&server, Publishing { slow: Slow::DropOldest, ..Publishing::default() });
    posted(address, "in", &lines([tick("A", 1), tick("B", 2), tick("C", 3)]));
    until_count(&counts, Count::Published, 3);
    let mut socket = Socket::to(address, "/out/ws?keys=B");
    assert_eq!(socket.next_text(), tick("B", 2).json());
    socket.send(1, b"SUBSCRIBE C, A\n");
    assert_eq!(socket.next_text(), tick("A", 1).json());
    assert_eq!(socket.next_text(), tick("C", 3).json());
    socket.send(9, b"there?");
    assert_eq!(socket.next(), Some((10, b"there?".to_vec())), "a ping is answered");
    socket.send(1, b"SUBSCRIBE");
    let all: Vec<_> = (0..3).map(|_| socket.next_text()).collect();
    assert_eq!(all, [tick("A", 1).json(), tick("B", 2).json(), tick("C", 3).json()]);
    socket.send(8, &1000u16.to_be_bytes());
    assert_eq!(socket.closed().map(|(code, _)| code), Some(1000));

    for (opcode, said, code) in [
        (1, b"UNSUBSCRIBE A".to_vec(), Some(1008)),
        (1, b"SUBSCRIBED".to_vec(), Some(1008)),
        (1, vec![0xff; 9], None),
        (1, vec![b'x'; 17 << 10], None),
        (3, b"no such opcode".to_vec(), None),
    ] {
        let mut socket = Socket::to(address, "/out/ws?keys=none");
        socket.send(opcode, &said);
        let closed = socket.closed();
        assert!(code.is_none() || closed.map(|(code, _)| code) == code, "{opcode}");
        assert_eq!(socket.next(), None, "it is over");
    }
    let mut gone = Socket::to(address, "/out/ws");
    gone.0.write_all(&[0x81, 0xfe, 0x10]).unwrap();
    drop(gone);
    until_count(&counts, Count::Unsubscribed, 7);

    let mut last = Socket::to(address, "/out/ws?keys=none");
    server.stop();
    running.join();
    assert_eq!(last.closed(), Some((1000, "end of stream".to_owned())));
}

#[test]
fn one_who_does_not_read_is_cut_off_and_told_why_if_he_still_listens() {
    let server = serving(Web { send_buffer_bytes: 4 << 10, ..Web::default() });
    let (address, counts) = (server.address(), server.counts());
    let publishing =
        Publishing { slow: Slow::Disconnect, queue_max: 1_000, ..Publishing::default() };
    let running = through(&server, publishing);
    let mut slow = Socket::to(address, "/out/ws");
    for from in (0..200_000).step_by(1_000) {
        let body = lines((from..from + 1_000).map(|n| tick("MSFT", n)));
        posted(address, "in", &body);
    }
    until_count(&counts, Count::Unsubscribed, 1);
    assert_eq!(counts.get(Count::TooSlow), 1);
    // It was in the middle of a frame perhaps, and then it was over.
    assert!(slow.closed().is_none_or(|(code, reason)| code == 1008 && reason == "too slow"));
    server.stop();
    running.join();
}

#[test]
fn a_socket_that_says_nothing_does_not_hold_up_the_end() {
    let server = serving(Web { send_buffer_bytes: 4 << 10, ..Web::default() });
    let (address, at) = (server.address(), server.clone());
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let running = begin(
        move |p| {
            let mut sent = 0;
            let ticks = std::iter::from_fn(move || {
                if sent == 0 {
                    gone.recv().ok()?;
                }
                sent += 1;
                let tick = tick("MSFT", sent as u64);
                (sent <= 10).then(|| millstream::Record::new(millstream::Timestamp(sent), tick))
            });
            let sink = ticks_out(p, &at, Publishing::default())?;
            p.source(millstream::io::IterSource::new(ticks)).sink(sink);
            Ok(())
        },
        0,
    );
    // It never answers the close frame.
    let silent = Socket::to(address, "/out/ws");
    let since = Instant::now();
    go.send(()).unwrap();
    running.join();
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    drop(silent);
}
