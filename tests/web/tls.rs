//! HTTPS and secure WebSockets, by peers that nobody here wrote, and who may what.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use millstream::web::{Access, Count, Publishing, Slow, Web, WebServer};

use super::certificates::certificates;
use super::world::{Ended, connected, curl, lines, say, serving, start, through, tick};
use super::world::{until, until_count};

pub const TOKEN: &str = "0f7e5c1b9a3d4826";

/// A feed that is known by its token, and a desk that is known by its certificate.
fn known() -> Access {
    Access::nobody()
        .token("the feed", TOKEN)
        .may_publish("the feed", "in")
        .certificate("the desk", "desk 7")
        .may_subscribe("the desk", "out")
}

/// They may do what they may; certificates are asked for.
fn guarded() -> Web {
    let tls = certificates().server().welcoming(certificates().pem("authority")).unwrap();
    Web { tls: Some(tls), access: known(), ..Web::default() }
}

fn url(server: &WebServer, path: &str) -> String {
    format!("https://localhost:{}/{path}", server.address().port())
}

/// What curl hears who trusts who has signed the server's certificate, and the status.
fn curled(server: &WebServer, path: &str, words: &[&str]) -> Option<(String, u16)> {
    let roots = certificates().pem("authority");
    let roots = ["--cacert", roots.to_str().unwrap(), "-w", "%{http_code}"];
    let url = url(server, path);
    let url: &[&str] = &[&url];
    let said = curl(&[&roots[..], words, url].concat())?;
    let (text, status) = said.split_at(said.len() - 3);
    Some((text.to_owned(), status.parse().unwrap()))
}

/// The words by which curl shows a certificate.
fn shown(name: &str) -> [String; 4] {
    let (pem, key) = (certificates().pem(name), certificates().key(name));
    let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    ["--cert".to_owned(), path(pem), "--key".to_owned(), path(key)]
}

fn words(all: &[String]) -> Vec<&str> {
    all.iter().map(String::as_str).collect()
}

const BEARER: &str = "Authorization: Bearer 0f7e5c1b9a3d4826";

#[test]
fn each_may_what_he_may_by_curl() {
    let server = serving(guarded());
    let counts = server.counts();
    let running = through(&server, Publishing::default());
    let roots = certificates().pem("authority");
    let desk = shown("desk");
    let mut events = words(&desk);
    let (roots, at) = (roots.to_str().unwrap(), url(&server, "out/events"));
    events.extend(["-sSN", "--cacert", roots, &at]);
    let Some(mut subscriber) = start("curl", &events) else { return };
    until_count(&counts, Count::Subscribed, 1);

    let body = lines([tick("MSFT", 1), tick("AAPL", 2)]);
    let post = |words: &[&str]| {
        curled(&server, "in", &[&["--data-binary", &body], words].concat()).unwrap()
    };
    let refused = |words: &[&str], status: u16, why: &str| {
        let (said, got) = post(words);
        assert!(got == status && said.contains(why), "{got} {said}");
    };
    refused(&[], 401, "neither a token nor a certificate");
    refused(&["-H", "Authorization: Bearer 0f7e5c1b9a3d4827"], 401, "wrong token");
    refused(&["-H", "Authorization: Basic 0f7e5c1b9a3d4826"], 401, "wrong token");
    refused(&words(&desk), 403, "the desk may not publish in");
    refused(&words(&shown("feed")), 403, "nobody here is known as feed.example");
    assert_eq!(counts.get(Count::Taken), 0);
    assert_eq!((counts.get(Count::Forbidden), counts.get(Count::NotPermitted)), (4, 1));
    let (said, status) = curled(&server, "out/events", &["-H", BEARER]).unwrap();
    assert!(status == 403 && said.contains("the feed may not subscribe out"), "{said}");
    let (said, status) = curled(&server, "other", &["-H", BEARER, "-d", "1"]).unwrap();
    assert!(status == 403, "what there is not is not told apart: {said}");

    assert_eq!(post(&["-H", BEARER]), ("{\"taken\":2}\n".to_owned(), 200));
    let (said, status) = curled(&server, "counts", &words(&desk)).unwrap();
    assert!(status == 200 && said.contains("\"certificate_reloads\":0"), "{said}");
    server.stop();
    running.join();
    let mut heard = String::new();
    subscriber.0.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
    let sent = [tick("MSFT", 1), tick("AAPL", 2)].map(|tick| format!("data: {}\n\n", tick.json()));
    assert_eq!(heard, sent.concat() + "event: end\ndata: end of stream\n\n");
}

/// Subscribes by a secure WebSocket with a certificate, and prints what comes.
const SOCKET: &str = r#"
import base64, os, socket, ssl, struct, sys
port, roots, chain, key = int(sys.argv[1]), *sys.argv[2:]
trust = ssl.create_default_context(cafile=roots)
trust.load_cert_chain(chain, key)
plain = socket.create_connection(("127.0.0.1", port))
to = trust.wrap_socket(plain, server_hostname="localhost")
nonce = base64.b64encode(os.urandom(16))
to.sendall(b"GET /out/ws?keys=A HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
           b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + nonce
           + b"\r\n\r\n")
def exactly(count):
    piece = b""
    while len(piece) < count:
        more = to.recv(count - len(piece))
        assert more, "cut off"
        piece += more
    return piece
head = b""
while not head.endswith(b"\r\n\r\n"):
    head += exactly(1)
assert head.startswith(b"HTTP/1.1 101"), head
print(to.version(), flush=True)
while True:
    first, length = exactly(2)
    if length == 126:
        length, = struct.unpack(">H", exactly(2))
    text = exactly(length)
    if first == 0x88:
        print(struct.unpack(">H", text[:2])[0], text[2:].decode(), flush=True)
        break
    print(text.decode(), flush=True)
"#;

#[test]
fn a_secure_socket_of_python_hears_what_comes() {
    let server = serving(guarded());
    // All that comes, also where two of a key come at once.
    let all = Publishing { slow: Slow::DropOldest, ..Publishing::default() };
    let running = through(&server, all);
    let path = |path: std::path::PathBuf| path.to_str().unwrap().to_owned();
    let files = ["authority", "desk"].map(|name| path(certificates().pem(name)));
    let (port, key) = (server.address().port().to_string(), path(certificates().key("desk")));
    let Some(mut python) = start("python3", &["-c", SOCKET, &port, &files[0], &files[1], &key])
    else {
        return;
    };
    until_count(&server.counts(), Count::Subscribed, 1);
    let body = lines([tick("A", 1), tick("B", 2), tick("A", 3)]);
    let (said, status) =
        curled(&server, "in", &["-H", BEARER, "--data-binary", &body]).expect("curl");
    assert_eq!(status, 200, "{said}");
    server.stop();
    running.join();
    let mut heard = String::new();
    python.0.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
    let ticks = lines([tick("A", 1), tick("A", 3)]);
    assert_eq!(heard, format!("TLSv1.3\n{ticks}1000 end of stream\n"));
}

/// `openssl s_client` with these words, which says this; what it heard, and what it said about it.
pub fn s_client(address: SocketAddr, words: &[&str], says: &str) -> (String, String) {
    let child = Command::new("openssl")
        .args(["s_client", "-CAfile", "authority.pem", "-connect", &address.to_string()])
        .args(words)
        .current_dir(certificates().folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("`openssl` is needed for this test");
    let mut child = Ended(child);
    child.0.stdin.take().unwrap().write_all(says.as_bytes()).unwrap();
    let (mut heard, mut about) = (Vec::new(), Vec::new());
    child.0.stdout.take().unwrap().read_to_end(&mut heard).unwrap();
    child.0.stderr.take().unwrap().read_to_end(&mut about).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (text(heard), text(about))
}

fn counts_request() -> String {
    format!("GET /counts HTTP/1.1\r\nHost: localhost\r\n{BEARER}\r\nConnection: close\r\n\r\n")
}

#[test]
fn openssl_speaks_both_versions_and_is_told_the_protocol() {
    let server = serving(guarded());
    for version in ["-tls1_2", "-tls1_3"] {
        let words = ["-quiet", "-verify_return_error", "-verify_hostname", "localhost", version];
        let (heard, about) = s_client(server.address(), &words, &counts_request());
        assert!(heard.starts_with("HTTP/1.1 200 OK"), "{version}: {heard}{about}");
    }
    let (heard, _) = s_client(server.address(), &["-alpn", "h2,http/1.1"], "");
    assert!(heard.contains("ALPN protocol: http/1.1"), "{heard}");
    let (_, about) = s_client(server.address(), &["-alpn", "h2"], "");
    assert!(about.contains("alert number 120"), "{about}");
    let (_, about) = s_client(server.address(), &["-tls1_1", "-cipher", "ALL@SECLEVEL=0"], "");
    assert!(about.contains("alert") || about.contains("protocol"), "{about}");
}

#[test]
fn what_is_shown_and_said_wrong_is_refused_by_its_reason() {
    let server = serving(guarded());
    let (address, counts) = (server.address(), server.counts());
    let shows = |name: &str| {
        let files = [format!("{name}.pem"), format!("{name}.key")];
        let words = ["-quiet", "-cert", &files[0], "-key", &files[1]];
        let (heard, about) = s_client(address, &words, &counts_request());
        assert!(!heard.contains("HTTP"), "{name}: {heard}{about}");
    };
    shows("old");
    until_count(&counts, Count::Expired, 1);
    shows("young");
    until_count(&counts, Count::Expired, 2);
    shows("foreign");
    until_count(&counts, Count::ForeignCertificate, 1);
    let heard = say(address, "GET /counts HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!heard.contains("HTTP"), "{heard}");
    until_count(&counts, Count::NotTls, 1);
    if let Some(said) = curl(&["-w", "%{http_code}", &url(&server, "counts")]) {
        assert_eq!(said, "000", "a curl that does not trust who has signed it");
        until_count(&counts, Count::NotTrusted, 1);
    }
    drop(connected(address));
    until_count(&counts, Count::Broken, 1);
    assert_eq!(counts.get(Count::Accepted), 0);

    let tls = certificates().server().requiring(certificates().pem("authority")).unwrap();
    let strict = serving(Web { tls: Some(tls), access: known(), ..Web::default() });
    let (heard, _) = s_client(strict.address(), &["-quiet"], &counts_request());
    assert!(!heard.contains("HTTP"), "{heard}");
    until_count(&strict.counts(), Count::NoCertificate, 1);
}

#[test]
fn those_who_say_nothing_keep_nobody_out() {
    const SILENT: usize = 50;
    let patient = Web { handshake_max: Duration::from_secs(3600), handshakes_max: 8, ..guarded() };
    let server = serving(Web { connections_max: 4, ..patient });
    let (address, counts) = (server.address(), server.counts());
    let silent: Vec<_> = (0..SILENT).map(|_| connected(address)).collect();
    until_count(&counts, Count::Crowded, (SILENT - 8) as u64);
    for _ in 0..10 {
        let (heard, about) = s_client(address, &["-quiet"], &counts_request());
        assert!(heard.starts_with("HTTP/1.1 200 OK"), "{heard}{about}");
    }
    assert_eq!(counts.get(Count::Unready), 0);
    drop(silent);
    let hasty = Web { handshake_max: Duration::from_millis(100), ..guarded() };
    let server = serving(hasty);
    let mut silent = connected(server.address());
    silent.write_all(&[0x16, 0x03, 0x01, 0x02]).unwrap();
    let ended = silent.read(&mut [0; 16]);
    assert!(ended.is_err() || ended.is_ok_and(|heard| heard == 0));
    until_count(&server.counts(), Count::Unready, 1);
}

#[test]
fn one_more_than_there_may_be_is_told_so_by_tls() {
    let server = serving(Web { connections_max: 1, ..guarded() });
    let (address, counts) = (server.address(), server.counts());
    let mut first = Ended(
        Command::new("openssl")
            .args(["s_client", "-quiet", "-connect", &address.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    until_count(&counts, Count::Accepted, 1);
    let (heard, _) = s_client(address, &["-quiet"], &counts_request());
    assert!(heard.starts_with("HTTP/1.1 503"), "{heard}");
    drop(first.0.stdin.take());
    first.0.kill().unwrap();
    until_count(&counts, Count::Closed, 1);
    until("there is a place again", || {
        s_client(address, &["-quiet"], &counts_request()).0.starts_with("HTTP/1.1 200")
    });
}

#[test]
fn a_server_for_others_must_ask_who_they_are() {
    let refused = |address: &str, web: Web| {
        let server = WebServer::on(address.parse().unwrap(), web);
        server.err().map_or("accepted".to_owned(), |error| error.to_string())
    };
    let everywhere = |web: Web| refused("0.0.0.0:0", web);
    let tls = || Some(certificates().server());
    let token = || Access::nobody().token("the feed", TOKEN);
    let plain = everywhere(Web { access: token(), ..Web::default() });
    assert!(plain.contains("reaches beyond this host, and so needs `tls`"), "{plain}");
    let open = everywhere(Web { tls: tls(), ..Web::default() });
    assert!(open.contains("anybody may not come in"), "{open}");
    assert!(refused("[::]:0", Web { tls: tls(), ..Web::default() }).contains("may not come in"));
    let nobody = everywhere(Web { tls: tls(), access: Access::nobody(), ..Web::default() });
    assert!(nobody.contains("lets nobody in"), "{nobody}");
    let by_name = Access::nobody().certificate("the desk", "desk 7");
    let unasked = everywhere(Web { tls: tls(), access: by_name.clone(), ..Web::default() });
    assert!(unasked.contains("lets nobody in"), "{unasked}");
    let here = refused("127.0.0.1:0", Web { access: Access::nobody(), ..Web::default() });
    assert!(here.contains("lets nobody in"), "{here}");
    let short = everywhere(Web { tls: tls(), access: token().token("x", "y"), ..Web::default() });
    assert!(short.contains("16 to 256"), "{short}");
    let none = refused("127.0.0.1:0", Web { handshakes_max: 0, ..Web::default() });
    assert!(none.contains("handshakes_max"), "{none}");
    assert_eq!(everywhere(Web { tls: tls(), access: token(), ..Web::default() }), "accepted");
    let asking = certificates().server().requiring(certificates().pem("authority")).unwrap();
    let web = Web { tls: Some(asking), access: by_name, ..Web::default() };
    assert_eq!(everywhere(web), "accepted");
}
