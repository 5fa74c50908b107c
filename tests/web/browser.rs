//! A browser: Chromium without a screen, if it is there.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use millstream::io::json::Json;
use millstream::web::{Count, HttpSource, Intake, Publishing, Slow, WebServer};
use millstream::{Record, Timestamp};

use super::world::{Ended, PATIENCE, begin, here, run, tick, ticks_out, until_count};

/// Subscribes in both ways, and posts what it has heard when it has heard what was there, and when
/// both are over.
const PAGE: &str = r#"<!doctype html><title>ticks</title><script>
const heard = {events: [], socket: [], closed: 0};
let open = 2;
const say = () => fetch("/seen", {method: "POST", body: JSON.stringify(heard)});
const done = () => { if (--open == 0) say(); };
const events = new EventSource("/out/events");
events.onmessage = event => heard.events.push(JSON.parse(event.data).n);
events.addEventListener("end", () => { events.close(); done(); });
const socket = new WebSocket(`${location.origin.replace("http", "ws")}/out/ws?keys=nobody`);
socket.onopen = () => socket.send("SUBSCRIBE B");
socket.onmessage = event => {
  if (heard.socket.push(JSON.parse(event.data).n) == 1) say();
};
socket.onclose = event => { heard.closed = event.code; done(); };
</script>"#;

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Heard {
    events: Vec<u64>,
    socket: Vec<u64>,
    closed: u16,
}

/// A browser at a page; `more` is what else it is told.
fn chromium(url: &str, more: &[String]) -> Option<Ended> {
    let port = url.rsplit(':').next().unwrap().trim_matches('/');
    let folder = format!("millstream-browser-{}-{port}", std::process::id());
    let started = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", std::env::temp_dir().join(folder).display()))
        .args(more)
        .args(["--remote-debugging-port=0", url])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    if started.is_err() {
        eprintln!("skipped: there is no chromium");
    }
    let mut started = started.ok()?;
    // What it complains about must not stop it.
    let stderr = BufReader::new(started.stderr.take()?);
    std::thread::spawn(move || stderr.lines().for_each(drop));
    Some(Ended(started))
}

/// Shows the page to a browser, and looks at what it says it heard.
fn play(server: WebServer, scheme: &str, more: &[String]) {
    let (address, counts) = (server.address(), server.counts());
    server.show("/", "text/html", PAGE);
    let url = format!("{scheme}://{address}/");
    let Some(browser) = chromium(&url, more) else { return };
    let (heard, hears) = channel();
    let seen = {
        let at = server.clone();
        run(move |p| {
            let codec = Json::<Heard>::new(1 << 20);
            let intake = Intake { line_bytes_max: 1 << 20, ..Intake::default() };
            p.source(HttpSource::new(p, &at, "seen", codec, intake)?)
                .for_each(move |record| heard.send(record.value).unwrap());
            Ok(())
        })
    };
    let at = server.clone();
    let (go, gone) = channel::<()>();
    let out = begin(
        move |p| {
            let mut next = 0;
            let ticks = std::iter::from_fn(move || {
                // What came before does not wait for it.
                if next == 1 && gone.recv_timeout(Duration::from_micros(50)).is_err() {
                    return Some(Record::new(Timestamp(0), None));
                }
                let (n, symbol) = (next as u64, ["B", "A"][next as usize % 2]);
                next += 1;
                (n <= 1_000).then(|| Record::new(Timestamp(n as i64), Some(tick(symbol, n))))
            });
            let publishing = Publishing { slow: Slow::DropOldest, ..Publishing::default() };
            p.source(millstream::io::IterSource::new(ticks))
                .filter_map(|tick| tick)
                .sink(ticks_out(p, &at, publishing)?);
            Ok(())
        },
        0,
    );
    until_count(&counts, Count::Subscribed, 2);
    let first = hears.recv_timeout(PATIENCE).expect("the page has heard what was there");
    assert_eq!(first.socket, [0]);
    go.send(()).unwrap();
    out.join();
    let heard = hears.recv_timeout(PATIENCE).expect("the page says what it heard");
    assert_eq!(heard.events, (0..=1_000).collect::<Vec<_>>());
    assert_eq!(heard.socket, (0..=1_000).step_by(2).collect::<Vec<_>>());
    assert_eq!(heard.closed, 1000);
    drop(browser);
    server.stop();
    seen.join();
}

#[test]
fn a_page_hears_by_events_and_by_a_socket_and_posts_what_it_heard() {
    play(here(), "http", &[]);
}

/// The browser takes the server's key and no other.
#[cfg(feature = "tls")]
#[test]
fn a_page_does_the_same_by_tls() {
    use super::certificates::certificates;
    use super::world::serving;
    use millstream::web::Web;

    let pem = certificates().pem("server");
    let digest = "openssl x509 -in \"$0\" -pubkey -noout | openssl pkey -pubin -outform der | \
                  openssl dgst -sha256 -binary | openssl base64";
    let said = Command::new("sh").arg("-c").arg(digest).arg(pem).output().unwrap().stdout;
    let key = String::from_utf8(said).unwrap();
    let server = serving(Web { tls: Some(certificates().server()), ..Web::default() });
    play(server, "https", &[format!("--ignore-certificate-errors-spki-list={}", key.trim())]);
}
