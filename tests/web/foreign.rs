//! Peers that nobody here wrote: `curl`, and Python's standard library.

use std::io::{BufRead, BufReader, Read};

use millstream::web::{Count, Publishing, Slow};

use super::world::{curl, here, lines, start, through, tick, until_count};

#[test]
fn lines_go_in_by_curl_and_come_out_at_curls() {
    const LINES: u64 = 3_000;
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    let publishing =
        Publishing { slow: Slow::DropOldest, queue_max: 10_000, ..Publishing::default() };
    let running = through(&server, publishing);
    let url = |path: &str| format!("http://{address}/{path}");
    let Some(mut all) = start("curl", &["-sSN", &url("out/events")]) else { return };
    let mut one = start("curl", &["-sSN", &url("out/events?keys=AAPL")]).unwrap();
    until_count(&counts, Count::Subscribed, 2);
    let ticks = |n: u64| tick(["MSFT", "AAPL"][n as usize % 2], n);
    let file = std::env::temp_dir().join(format!("millstream-web-{}.jsonl", std::process::id()));
    std::fs::write(&file, lines((0..LINES).map(ticks))).unwrap();
    let data = format!("@{}", file.display());
    assert_eq!(
        curl(&["--data-binary", &data, &url("in")]).unwrap(),
        format!("{{\"taken\":{LINES}}}\n")
    );
    std::fs::remove_file(&file).unwrap();
    server.stop();
    running.join();
    let heard = |curl: &mut super::world::Ended| {
        let mut said = String::new();
        curl.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(curl.0.wait().unwrap().success());
        said
    };
    let events = |only: Option<u64>| {
        let wanted = (0..LINES).filter(|n| only.is_none_or(|only| n % 2 == only));
        let mut text: String = wanted.map(|n| format!("data: {}\n\n", ticks(n).json())).collect();
        text.push_str("event: end\ndata: end of stream\n\n");
        text
    };
    assert!(heard(&mut all) == events(None));
    assert!(heard(&mut one) == events(Some(1)));
    let said = curl(&[&url("counts")]).unwrap();
    assert!(said.contains("\"taken\":3000") && said.contains("\"published\":3000"), "{said}");
}

/// Posts lines by one connection, as often as it takes, while it reads them back by events and by a
/// WebSocket.
const CLIENT: &str = r#"
import base64, hashlib, http.client, json, os, random, socket, struct, sys, threading, time
port = int(sys.argv[1])

def events(into):
    to = http.client.HTTPConnection("127.0.0.1", port)
    to.request("GET", "/out/events")
    answer = to.getresponse()
    assert answer.status == 200, answer.status
    assert answer.getheader("content-type") == "text/event-stream"
    subscribed.release()
    while True:
        line = answer.readline()
        assert line, "cut off"
        if line.startswith(b"event: end"):
            return
        if line.startswith(b"data: "):
            into.append(json.loads(line[6:])["n"])

def exactly(to, count):
    piece = b""
    while len(piece) < count:
        more = to.recv(count - len(piece))
        assert more, "cut off"
        piece += more
    return piece

def send(to, opcode, text):
    mask = os.urandom(4)
    body = bytes(byte ^ mask[n % 4] for n, byte in enumerate(text))
    assert len(body) < 126
    to.sendall(bytes([0x80 | opcode, 0x80 | len(body)]) + mask + body)

def socket_of(into):
    to = socket.create_connection(("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16))
    to.sendall(b"GET /out/ws?keys=nobody HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
               b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key
               + b"\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += exactly(to, 1)
    assert head.startswith(b"HTTP/1.1 101"), head
    want = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    assert base64.b64encode(want) in head, head
    send(to, 1, b"SUBSCRIBE A,B")
    time.sleep(0.2)
    subscribed.release()
    while True:
        first, length = exactly(to, 2)
        if length == 126:
            length, = struct.unpack(">H", exactly(to, 2))
        text = exactly(to, length)
        if first == 0x88:
            assert text == struct.pack(">H", 1000) + b"end of stream", text
            send(to, 8, text[:2])
            assert not to.recv(1)
            return
        assert first == 0x81, first
        into.append(json.loads(text)["n"])

subscribed, seen, heard = threading.Semaphore(0), [], []
threads = [threading.Thread(target=events, args=(seen,)),
           threading.Thread(target=socket_of, args=(heard,))]
for thread in threads:
    thread.start()
    subscribed.acquire()
to = http.client.HTTPConnection("127.0.0.1", port)
random.seed(7)
n = 0
while n < 20000:
    more = random.randint(1, 500)
    rows = [{"n": k, "extra": [1, {}], "symbol": "AB"[k % 2]} for k in range(n, n + more)]
    body = "\r\n".join(json.dumps(row) for row in rows).encode()
    pieces = iter([body[:7], body[7:]]) if n % 3 else body
    to.request("POST", "/in", body=pieces, encode_chunked=n % 3 > 0,
               headers={"Transfer-Encoding": "chunked"} if n % 3 else {})
    answer = to.getresponse()
    said = json.loads(answer.read())
    if answer.status == 200:
        assert said == {"taken": more}, said
        n += more
    else:
        assert answer.status == 503 and answer.getheader("retry-after") == "1", said
        assert said["taken"] == 0
print(n, flush=True)
sys.stdin.readline()
for thread in threads:
    thread.join()
assert seen == list(range(n)), len(seen)
assert heard == list(range(n)), len(heard)
print("all of it")
"#;

#[test]
fn a_client_in_python_posts_and_hears() {
    let server = here();
    let publishing =
        Publishing { slow: Slow::DropOldest, queue_max: 50_000, ..Publishing::default() };
    let running = through(&server, publishing);
    let port = server.address().port().to_string();
    let Some(mut client) = start("python3", &["-c", CLIENT, &port]) else { return };
    let mut said = BufReader::new(client.0.stdout.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let count: u64 = line.trim().parse().expect("how many it posted");
    server.stop();
    running.join();
    drop(client.0.stdin.take());
    line.clear();
    said.read_line(&mut line).unwrap();
    assert_eq!(line, "all of it\n");
    assert_eq!(server.counts().get(Count::Taken), count);
    assert_eq!(server.counts().get(Count::Dropped), 0);
}
