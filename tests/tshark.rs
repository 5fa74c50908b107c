//! `tshark` reads what is sent: dissectors that nobody here wrote say what is in it. Skipped where
//! there is none, or where it may not capture.
#![cfg(feature = "net")]

use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use millstream::io::fix::{Encoder, Frames};
use millstream::io::moldudp64::Writer;
use millstream::io::{Codec, MemorySource, codec};
use millstream::net::{Sending, TcpSink};
use millstream::{Config, Record, Shard, Timestamp};

const PATIENCE: Duration = Duration::from_secs(60);

/// A capture of what goes to and from a port of this host.
struct Capture {
    tshark: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    file: PathBuf,
    /// A datagram to one of them is the first that is awaited, and to the other the last.
    markers: [UdpSocket; 2],
    port: u16,
}

impl Capture {
    /// Begins one, if that can be.
    fn of(port: u16) -> Option<Self> {
        let markers = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [first, last] = [0, 1].map(|at: usize| markers[at].local_addr().unwrap().port());
        let filter = format!("port {port} or udp port {first} or udp port {last}");
        let name = format!("millstream-{}-{port}.pcapng", std::process::id());
        let file = std::env::temp_dir().join(name);
        let started = Command::new("tshark")
            .args(["-i", "lo", "-l", "-P", "-T", "fields", "-e", "udp.dstport"])
            .args(["-f", &filter, "-w"])
            .arg(&file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut tshark) = started else {
            eprintln!("skipped: there is no tshark");
            return None;
        };
        let mut says = BufReader::new(tshark.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("Capturing on") {
            line.clear();
            if says.read_line(&mut line).unwrap() == 0 {
                let _ = tshark.wait();
                eprintln!("skipped: tshark may not capture here");
                return None;
            }
        }
        std::thread::spawn(move || says.read_to_end(&mut Vec::new()));
        let lines = BufReader::new(tshark.stdout.take().unwrap()).lines();
        let mut it = Self { tshark, lines, file, markers, port };
        // It says so before it does.
        it.until_marked(0);
        Some(it)
    }

    /// Waits until everything that was sent has been seen, or that it sees anything.
    fn until_marked(&mut self, by: usize) {
        let to = self.markers[by].local_addr().unwrap();
        let wanted = to.port().to_string();
        let (marker, since) = (self.markers[by].try_clone().unwrap(), Instant::now());
        let (over, is_over) = std::sync::mpsc::channel::<()>();
        // Again and again, since the first ones may come before the capture does.
        let marking = std::thread::spawn(move || {
            while is_over.recv_timeout(Duration::from_millis(50)).is_err() {
                assert!(since.elapsed() < PATIENCE, "the capture sees nothing");
                marker.send_to(b"marker", to).unwrap();
            }
        });
        let seen = self.lines.by_ref().any(|line| line.unwrap() == wanted);
        assert!(seen, "tshark has ended");
        over.send(()).unwrap();
        marking.join().unwrap();
    }

    /// Ends it; what dissectors find in these fields, packet by packet, where there is anything.
    fn read(mut self, decode_as: &[&str], fields: &[&str]) -> Vec<Vec<String>> {
        self.until_marked(1);
        let id = self.tshark.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        self.tshark.wait().unwrap();
        let mut reading = Command::new("tshark");
        reading.arg("-r").arg(&self.file).args(["-T", "fields", "-E", "aggregator=|"]);
        for (what, by) in decode_as.iter().flat_map(|it| it.split_once('=')) {
            reading.args(["-d", &format!("{what}.port=={},{by}", self.port)]);
        }
        fields.iter().for_each(|field| _ = reading.args(["-e", field]));
        let read = reading.output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        let _ = std::fs::remove_file(&self.file);
        let text = String::from_utf8(read.stdout).unwrap();
        let rows = text.lines().map(|line| line.split('\t').map(str::to_owned).collect());
        rows.filter(|row: &Vec<_>| row.iter().any(|field: &String| !field.is_empty())).collect()
    }
}

/// What is in one field, over all packets.
fn column(rows: &[Vec<String>], at: usize) -> Vec<&str> {
    let found = rows.iter().flat_map(|row| row[at].split('|'));
    // Older ones say 1, newer ones True.
    let plain = |field| match field {
        "True" => "1",
        "False" => "0",
        other => other,
    };
    found.filter(|field| !field.is_empty()).map(plain).collect()
}

/// Steps a shard until it is done.
fn finish(shard: &mut Shard) {
    let since = Instant::now();
    while !shard.is_done() {
        assert!(since.elapsed() < PATIENCE, "it does not end");
        if shard.step(Timestamp(since.elapsed().as_nanos() as i64)).is_none() {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
    assert_eq!(shard.failure().map(ToString::to_string), None);
}

const ORDERS: u64 = 200;

fn fix_orders() -> impl Codec<Value = u64> {
    let encode = |n: &u64, into: &mut Vec<u8>| {
        let mut order = Encoder::begin(into, "FIX.4.4", "D");
        order.session(*n, "BUYER", "SELLER", "20261129-09:30:00.123456");
        order.text(11, &format!("order {n}")).text(55, "MSFT").number(54, 1);
        order.number(38, *n as i64 * 7).text(44, "410.50").text(58, &"x".repeat(*n as usize));
        order.finish().unwrap();
    };
    codec(512, encode, |_: &[u8]| Err("nobody is listened to".to_owned()))
}

#[test]
fn fix_by_tcp_has_sums_and_fields_that_wireshark_finds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let Some(capture) = Capture::of(address.port()) else { return };
    let peer = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap()
    });
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let sending = Sending::default();
        let sink = TcpSink::connect(p, address, Frames::new(512), fix_orders(), sending)?;
        let orders = (1..=ORDERS).map(|n| Record::new(Timestamp(n as i64), n));
        p.source(MemorySource::new(orders.collect::<Vec<_>>())).sink(sink);
        Ok(())
    })
    .unwrap();
    finish(&mut shard);
    drop(shard);
    assert!(peer.join().unwrap() > 0);
    let fields = ["fix.MsgSeqNum", "fix.MsgType", "fix.Symbol", "fix.OrderQty", "fix.Price"];
    let sums = ["fix.checksum_good", "fix.checksum_bad", "_ws.malformed"];
    let rows = capture.read(&["tcp=fix"], &[&fields[..], &sums[..]].concat());
    let numbers: Vec<u64> = column(&rows, 0).iter().map(|n| n.parse().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=ORDERS), "{numbers:?}");
    let all = |at, is: &str| {
        let found = column(&rows, at);
        assert!(found.len() as u64 == ORDERS && found.iter().all(|it| *it == is), "{found:?}");
    };
    all(1, "D");
    all(2, "MSFT");
    let quantities: Vec<u64> = column(&rows, 3).iter().map(|n| n.parse().unwrap()).collect();
    assert!(quantities.into_iter().eq((1..=ORDERS).map(|n| n * 7)));
    all(4, "410.50");
    all(5, "1");
    all(6, "0");
    assert_eq!(column(&rows, 7), [""; 0]);
}

#[test]
fn moldudp64_has_numbers_and_lengths_that_wireshark_finds() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = receiver.local_addr().unwrap();
    let Some(capture) = Capture::of(address.port()) else { return };
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    let (mut next, mut bytes) = (1, Vec::new());
    for count in [1, 3, 0, 7] {
        bytes.clear();
        let mut writer = Writer::begin(&mut bytes, *b"SESSION001", next);
        for n in next..next + count {
            writer.push(&vec![b'm'; n as usize]).unwrap();
        }
        next += count;
        sender.send_to(&bytes, address).unwrap();
    }
    let fields = ["moldudp64.session", "moldudp64.sequence", "moldudp64.count"];
    let blocks = ["moldudp64.msgseq", "moldudp64.msglen"];
    let wrong = ["moldudp64.msglen.invalid", "moldudp64.count.invalid", "_ws.malformed"];
    let all = [&fields[..], &blocks[..], &wrong[..]].concat();
    let rows = capture.read(&["udp=moldudp64"], &all);
    assert_eq!(column(&rows, 0), ["SESSION001"; 4]);
    assert_eq!(column(&rows, 1), ["1", "2", "5", "5"]);
    assert_eq!(column(&rows, 2), ["1", "3", "0", "7"]);
    let numbers: Vec<_> = (1..=11).map(|n: u64| n.to_string()).collect();
    assert_eq!(column(&rows, 3), numbers);
    assert_eq!(column(&rows, 4), numbers, "the n-th is n bytes long");
    (5..8).for_each(|at| assert_eq!(column(&rows, at), [""; 0]));
}

#[cfg(feature = "web")]
mod web {
    use std::io::Write;
    use std::net::TcpStream;

    use millstream::web::{Publishing, Slow, Web, WebServer, WebSink, Writing};

    use super::*;

    /// Publishes two texts to whoever subscribes to `out`, which is there by then, and ends.
    fn publish<R>(server: &WebServer, subscribe: impl FnOnce() -> R, texts: [String; 2]) -> R {
        let (mut shard, input) = Shard::embed(Config::embedded(), |p| {
            let text = |text: &String, into: &mut Vec<u8>| into.extend(text.bytes());
            let (input, stream) = p.input::<String>();
            let all = Publishing { slow: Slow::DropOldest, ..Publishing::default() };
            let sink = WebSink::new(p, server, "out", Writing::by(text), all)?;
            stream.sink(sink);
            Ok(input)
        })
        .unwrap();
        let (mut input, subscriber) = (input, subscribe());
        let since = Instant::now();
        while server.counts().get(millstream::web::Count::Subscribed) == 0 {
            assert!(since.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(1));
        }
        for text in texts {
            assert!(input.push(Timestamp(0), text).is_ok());
        }
        input.close();
        finish(&mut shard);
        subscriber
    }

    const ASKS: &str = "GET /out/ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: \
                        websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: \
                        dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    #[test]
    fn websocket_frames_are_as_wireshark_has_them() {
        let server = WebServer::on("127.0.0.1:0".parse().unwrap(), Web::default()).unwrap();
        let Some(capture) = Capture::of(server.address().port()) else { return };
        let subscribe = || {
            let mut peer = TcpStream::connect(server.address()).unwrap();
            peer.write_all(ASKS.as_bytes()).unwrap();
            std::thread::spawn(move || peer.read_to_end(&mut Vec::new()).unwrap())
        };
        let long = "y".repeat(300);
        let reads = publish(&server, subscribe, ["short".to_owned(), long.clone()]);
        reads.join().unwrap();
        let frame = ["websocket.opcode", "websocket.mask", "websocket.payload.text"];
        let close = ["websocket.payload.close.status_code", "websocket.payload.close.reason"];
        let rest = ["websocket.payload_length_ext_16", "http.response.code", "_ws.malformed"];
        let rows = capture.read(&["tcp=http"], &[&frame[..], &close[..], &rest[..]].concat());
        assert_eq!(column(&rows, 0), ["1", "1", "8"]);
        assert_eq!(column(&rows, 1), ["0", "0", "0"], "what a server sends has no mask");
        assert_eq!(column(&rows, 2), ["short", &long]);
        assert_eq!((column(&rows, 3), column(&rows, 4)), (vec!["1000"], vec!["end of stream"]));
        assert_eq!((column(&rows, 5), column(&rows, 6)), (vec!["300"], vec!["101"]));
        assert_eq!(column(&rows, 7), [""; 0]);
    }

    #[cfg(feature = "tls")]
    #[test]
    fn of_a_secure_connection_only_the_handshake_is_seen() {
        use crate::certificates::certificates;

        let tls = Some(certificates().server());
        let web = Web { tls, ..Web::default() };
        let server = WebServer::on("127.0.0.1:0".parse().unwrap(), web).unwrap();
        let address = server.address();
        let Some(capture) = Capture::of(address.port()) else { return };
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-alpn", "http/1.1", "-servername", "localhost"])
            .args(["-connect", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("`openssl` is needed for this test");
        let asks = "GET /counts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        client.stdin.take().unwrap().write_all(asks.as_bytes()).unwrap();
        let mut heard = String::new();
        client.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
        client.wait().unwrap();
        assert!(heard.starts_with("HTTP/1.1 200"), "{heard}");
        let hello = ["tls.handshake.extensions_server_name", "tls.handshake.extensions_alpn_str"];
        let chosen = ["tls.handshake.type", "tls.handshake.extensions.supported_version"];
        let rest = ["tls.app_data", "http", "tls.alert_message.desc", "_ws.malformed"];
        let rows = capture.read(&["tcp=tls"], &[&hello[..], &chosen[..], &rest[..]].concat());
        assert_eq!((column(&rows, 0), column(&rows, 1)), (vec!["localhost"], vec!["http/1.1"]));
        assert_eq!(column(&rows, 2), ["1", "2"], "the rest of it is sealed");
        assert_eq!(column(&rows, 3).last(), Some(&"0x0304"), "TLS 1.3 is chosen");
        assert!(!column(&rows, 4).is_empty());
        (5..8).for_each(|at| assert_eq!(column(&rows, at), [""; 0]));
    }
}

#[cfg(all(feature = "tls", feature = "web"))]
#[allow(dead_code)] // What clients show.
#[path = "net_tls/certificates.rs"]
mod certificates;
