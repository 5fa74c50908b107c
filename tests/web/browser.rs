//! A browser: Chromium without a screen, if it is there.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;

use millstream::io::json::Json;
use millstream::web::{HttpSource, Intake, Publishing};
use millstream::{Record, Timestamp};

use super::world::{Ended, PATIENCE, begin, here, run, tick, ticks_out, until_count};

/// Subscribes in both ways, and posts what it has heard when both are over.
const PAGE: &str = r#"<!doctype html><title>ticks</title><script>
const heard = {events: [], socket: [], closed: 0};
let open = 2;
const done = () => {
  if (--open == 0) fetch("/seen", {method: "POST", body: JSON.stringify(heard)});
};
const events = new EventSource("/out/events");
events.onmessage = event => heard.events.push(JSON.parse(event.data).n);
events.addEventListener("end", () => { events.close(); done(); });
const socket = new WebSocket(`ws://${location.host}/out/ws?keys=nobody`);
socket.onopen = () => socket.send("SUBSCRIBE B");
socket.onmessage = event => heard.socket.push(JSON.parse(event.data).n);
socket.onclose = event => { heard.closed = event.code; done(); };
</script>"#;

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Heard {
    events: Vec<u64>,
    socket: Vec<u64>,
    closed: u16,
}

fn chromium(url: &str) -> Option<Ended> {
    let folder = std::env::temp_dir().join(format!("millstream-browser-{}", std::process::id()));
    let started = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", folder.display()))
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

#[test]
fn a_page_hears_by_events_and_by_a_socket_and_posts_what_it_heard() {
    let server = here();
    let (address, counts) = (server.address(), server.counts());
    server.show("/", "text/html", PAGE);
    let Some(browser) = chromium(&format!("http://{address}/")) else { return };
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
            let mut sent = 0;
            let ticks = std::iter::from_fn(move || {
                if sent == 0 {
                    gone.recv().ok()?;
                }
                sent += 1;
                let symbol = ["A", "B"][sent as usize % 2];
                (sent <= 1_000).then(|| Record::new(Timestamp(sent), tick(symbol, sent as u64)))
            });
            let publishing =
                Publishing { slow: millstream::web::Slow::DropOldest, ..Publishing::default() };
            p.source(millstream::io::IterSource::new(ticks)).sink(ticks_out(p, &at, publishing)?);
            Ok(())
        },
        0,
    );
    until_count(&counts, millstream::web::Count::Subscribed, 2);
    // `SUBSCRIBE` is on its way.
    std::thread::sleep(std::time::Duration::from_millis(500));
    go.send(()).unwrap();
    out.join();
    let heard = hears.recv_timeout(PATIENCE).expect("the page says what it heard");
    assert_eq!(heard.events, (1..=1_000).collect::<Vec<_>>());
    assert_eq!(heard.socket, (1..=1_000).filter(|n| n % 2 == 1).collect::<Vec<_>>());
    assert_eq!(heard.closed, 1000);
    drop(browser);
    server.stop();
    seen.join();
}
