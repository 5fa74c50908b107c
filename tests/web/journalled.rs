//! Posted records in a journal: what was acknowledged is there after a kill.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use millstream::io::journal::{Journalled, Settings};
use millstream::io::json::Json;
use millstream::io::{Directory, Source};
use millstream::web::{Count, Intake, WebServer};
use millstream::{Config, Pipeline, Result, Shard, Timestamp, disk};

use super::world::{Ended, Running, Tick};
use super::world::{curl, here, lines, post, posted, run, status, tick, ticks_in};

/// Tells the process that is killed where its journal is.
const FOLDER: &str = "MILLSTREAM_WEB_JOURNAL";

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("millstream-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    folder
}

fn settings() -> Settings {
    Settings { segment_bytes: 1 << 20, slots: 4, slot_bytes: 16 << 10, ..Settings::default() }
}

/// What is posted, from the first record that was ever journalled.
fn journalled(
    p: Pipeline<'_>,
    server: &WebServer,
    place: &Path,
    intake: Intake,
) -> Result<impl Source<Out = Tick> + use<>> {
    let (journal, _) = disk::open(place, settings(), Timestamp(0))?;
    let live = ticks_in(p, server, intake)?.acknowledging(journal.watch());
    let files = Directory::open(place).expect("it has just been opened");
    Journalled::new(live, Json::<Tick>::new(100), journal, files)
}

fn kept(server: &WebServer, place: &Path, intake: Intake) -> Running {
    let (server, place) = (server.clone(), place.to_owned());
    run(move |p| {
        p.source(journalled(p, &server, &place, intake)?).for_each(|_| ());
        Ok(())
    })
}

/// All that is in a journal.
fn again(place: &Path) -> Vec<Tick> {
    let server = here();
    server.stop();
    let seen = Arc::<Mutex<Vec<_>>>::default();
    let sees = seen.clone();
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        p.source(journalled(p, &server, place, Intake::default())?)
            .for_each(move |record| sees.lock().unwrap().push(record.value));
        Ok(())
    })
    .unwrap();
    for now in 0.. {
        shard.step(Timestamp(now));
        assert!(shard.failure().is_none());
        if shard.is_done() {
            break;
        }
    }
    std::mem::take(&mut *seen.lock().unwrap())
}

#[test]
fn what_curl_posts_is_in_the_journal_when_it_is_answered() {
    let (server, place) = (here(), folder("posted"));
    let running = kept(&server, &place, Intake::default());
    let ticks = || (0..500).map(|n| tick("MSFT", n));
    let url = format!("http://{}/in", server.address());
    let body = lines(ticks());
    let Some(said) = curl(&["--data-binary", &body, &url]) else { return };
    assert_eq!(said, "{\"taken\":500}\n");
    // It is not told of an end, nor does it get to close anything.
    running.kill();
    assert!(again(&place).into_iter().eq(ticks()));
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn an_answer_waits_for_the_journal_and_says_so_when_it_does_not_know() {
    let (server, place) = (here(), folder("unsure"));
    let intake = Intake { patience: Duration::from_secs(3), ..Intake::default() };
    let running = kept(&server, &place, intake);
    let address = server.address();
    posted(address, "in", &lines([tick("A", 1)]));
    running.pause(true);
    let (status, said) = post(address, "in", &lines([tick("A", 2), tick("A", 3)]));
    assert_eq!(status, 504, "{said}");
    assert!(said.contains("\"taken\":2") && said.contains("not known to be durable"), "{said}");
    assert_eq!(server.counts().get(Count::Unsure), 1);
    running.pause(false);
    posted(address, "in", &lines([tick("A", 4)]));
    running.kill();
    let kept = again(&place);
    assert!(kept.iter().map(|tick| tick.n).eq(1..=4), "{kept:?}");
    std::fs::remove_dir_all(place).unwrap();
}

/// The process that is killed. By itself it does nothing.
#[test]
fn child() {
    let Some(place) = std::env::var_os(FOLDER) else { return };
    let server = here();
    let running = kept(&server, Path::new(&place), Intake::default());
    println!("serves at {}", server.address());
    running.join();
}

fn start(place: &Path) -> (Ended, SocketAddr) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "journalled::child", "--nocapture"])
        .env(FOLDER, place)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Ended(child);
    let mut said = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let at = said.find_map(|line| line.unwrap().split_once("serves at ")?.1.parse().ok());
    (child, at.expect("it serves"))
}

/// Posts a body; says nothing where nobody is.
fn try_post(address: SocketAddr, body: &str) -> (u16, String) {
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        let length = body.len();
        let head = "POST /in HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
        write!(stream, "{head}Content-Length: {length}\r\n\r\n{body}")?;
        let mut heard = String::new();
        stream.read_to_string(&mut heard)?;
        Ok(heard)
    });
    let heard = asked.unwrap_or_default();
    (status(&heard), heard)
}

/// Posts until nobody answers; returns what was acknowledged, and what may or may not be there.
fn post_on(address: SocketAddr, from: u64) -> (Vec<u64>, Vec<u64>) {
    const STEP: u64 = 3;
    let mut acknowledged = Vec::new();
    for n in (from..).step_by(STEP as usize) {
        let (status, said) = try_post(address, &lines((n..n + STEP).map(|n| tick("A", n))));
        match status {
            200 => acknowledged.extend(n..n + STEP),
            503 => {}
            _ if status == 504 || said.is_empty() => {
                return (acknowledged, (n..n + STEP).collect());
            }
            _ => panic!("{status} {said}"),
        }
    }
    unreachable!("it goes on for ever")
}

#[test]
fn nothing_acknowledged_is_lost_to_a_kill() {
    const ROUNDS: u64 = 6;
    const PEERS: u64 = 4;
    let place = folder("killed");
    let (mut must, mut may, mut rng) = (HashSet::new(), HashSet::new(), Rng::with_seed(31));
    for round in 0..ROUNDS {
        let (mut child, address) = start(&place);
        let peers: Vec<_> = (0..PEERS)
            .map(|peer| {
                let from = (round * PEERS + peer) << 32;
                std::thread::spawn(move || post_on(address, from))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(rng.u64(20..200)));
        child.0.kill().unwrap();
        for peer in peers {
            let (acknowledged, unsure) = peer.join().unwrap();
            must.extend(acknowledged);
            may.extend(unsure);
        }
    }
    assert!(!must.is_empty(), "nothing came");
    let there: Vec<_> = again(&place).into_iter().map(|tick| tick.n).collect();
    let once: HashSet<_> = there.iter().copied().collect();
    assert_eq!(once.len(), there.len(), "nothing is there twice");
    let lost = must.difference(&once).count();
    assert_eq!(lost, 0, "of {} that were acknowledged", must.len());
    assert!(once.iter().all(|n| must.contains(n) || may.contains(n)), "nobody sent that");
    std::fs::remove_dir_all(place).unwrap();
}
