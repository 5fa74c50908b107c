//! Those who are not let in, each counted by its reason, and told it where he can hear.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use millstream::net::{Access, Count, Gating, Receiving};

use super::certificates::certificates;
use super::world::{Kept, PATIENCE, TOKEN, end, gate, guarded, known, s_client, said, wait_until};

/// A gate with what one of them may publish and the other subscribe to.
fn kept(gating: Gating) -> Kept {
    let kept = gate(gating);
    kept.gate.inlet("numbers", 1).unwrap();
    kept.gate.outlet("numbers", 1).unwrap();
    kept
}

/// Certificates are asked for, and nobody is let in without one.
fn required() -> Gating {
    let tls = certificates().server().requiring(certificates().pem("authority")).unwrap();
    Gating { tls: Some(tls), access: known(), ..Gating::default() }
}

/// What somebody hears first who says this.
fn answer(kept: &Kept, certificate: &str, hello: &str) -> String {
    let (pem, key) = (format!("{certificate}.pem"), format!("{certificate}.key"));
    let shown = ["-cert", &pem, "-key", &key];
    let mut peer = s_client(&kept.gate, if certificate.is_empty() { &[] } else { &shown });
    let (answers, mut says) = (said(&mut peer), peer.stdin.take().unwrap());
    let _ = says.write_all(hello.as_bytes());
    let answer = answers.next().map(|line| line + "\n").unwrap_or_default();
    end(peer);
    answer
}

/// It happened once, nothing else did, and the reason holds these words.
fn told(kept: &Kept, count: Count, words: &str) {
    // It is told of when it has been counted.
    wait_until(|| kept.counts.get(count) == 1 && !kept.problems.lock().unwrap().is_empty());
    let problems = std::mem::take(&mut *kept.problems.lock().unwrap());
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].count, count, "{problems:?}");
    assert!(problems[0].reason.contains(words), "{problems:?}");
    assert_eq!(kept.counts.get(Count::Accepted), 0);
}

#[test]
fn certificates_that_are_of_no_use() {
    let hello = "subscribe numbers\n";
    assert_eq!(answer(&kept(required()), "desk", hello), "ok\n");
    for (certificate, count, words) in [
        ("old", Count::Expired, "xpired"),
        ("young", Count::Expired, "not valid yet"),
        ("foreign", Count::ForeignCertificate, "UnknownIssuer"),
        ("", Count::NoCertificate, "no certificates"),
    ] {
        let kept = kept(required());
        assert_eq!(answer(&kept, certificate, hello), "", "{certificate}");
        told(&kept, count, words);
    }
}

#[test]
fn the_names_of_a_certificate_say_who_it_is() {
    for name in ["feed.example", "spiffe://here/feed", "x"] {
        let access = Access::nobody().certificate("feed", name).may_publish("feed", "numbers");
        let kept = kept(Gating { access, ..required() });
        assert_eq!(answer(&kept, "feed", "publish numbers\n"), "ok\n", "{name}");
    }
    let kept = kept(required());
    let heard = answer(&kept, "feed", "publish numbers\n");
    assert!(heard.starts_with("refused: nobody here is known as feed.example"), "{heard}");
    told(&kept, Count::NotPermitted, "spiffe://here/feed, x");
}

#[test]
fn tokens_that_are_of_no_use() {
    for (hello, count, heard) in [
        ("publish numbers 0f7e5c1b9a3d4827\n", Count::WrongToken, "refused: wrong token\n"),
        ("publish numbers 0f7e\n", Count::WrongToken, "refused: wrong token\n"),
        ("publish numbers\n", Count::NoToken, "refused: neither a token nor a certificate\n"),
        ("GET / HTTP/1.1\r\n", Count::NoHello, "refused: say `publish STREAM TOKEN` or"),
    ] {
        let kept = kept(guarded());
        let answer = answer(&kept, "", hello);
        assert!(answer.starts_with(heard), "{answer}");
        assert!(!answer.contains("0f7e"), "{answer}");
        told(&kept, count, heard[9..].trim_end());
    }
}

#[test]
fn what_somebody_may_not() {
    let publishes = format!("publish numbers {TOKEN}\n");
    assert_eq!(answer(&kept(guarded()), "", &publishes), "ok\n");
    for (certificate, hello, heard) in [
        ("", format!("subscribe numbers {TOKEN}\n"), "the feed may not subscribe numbers"),
        ("", format!("publish others {TOKEN}\n"), "the feed may not publish others"),
        ("desk", "publish numbers\n".to_owned(), "the desk may not publish numbers"),
    ] {
        let kept = kept(guarded());
        assert_eq!(answer(&kept, certificate, &hello), format!("refused: {heard}\n"));
        told(&kept, Count::NotPermitted, heard);
    }
    // Who may, of what there is not.
    let kept = gate(guarded());
    assert_eq!(answer(&kept, "", &publishes), "refused: there is no such stream here\n");
    told(&kept, Count::NotPermitted, "no such stream");
}

fn connected(kept: &Kept) -> TcpStream {
    let stream = TcpStream::connect(kept.gate.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that is said to somebody, who hears it to the end.
fn heard(mut stream: TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    all
}

#[test]
fn silence_and_garbage() {
    let patience = Duration::from_millis(300);
    let garbage: [&[u8]; 4] =
        [b"GET / HTTP/1.1\r\n\r\n", &[0; 600], &[0xff; 20_000], b"SSH-2.0-x\n"];
    for bytes in garbage {
        let kept = kept(guarded());
        let mut peer = connected(&kept);
        let _ = peer.write_all(bytes);
        let _ = peer.read_to_end(&mut Vec::new());
        told(&kept, Count::NotTls, "");
    }
    // Nothing, half a record, and half a handshake.
    let silences: [&[u8]; 3] = [b"", b"\x16\x03\x01\x02", b"\x16\x03\x01\x00\x05\x01\x00\x00"];
    for bytes in silences {
        let kept = kept(Gating { patience, ..guarded() });
        let mut peer = connected(&kept);
        peer.write_all(bytes).unwrap();
        heard(peer);
        told(&kept, Count::Unready, "the handshake takes too long");
    }
    let cut = kept(guarded());
    let mut peer = connected(&cut);
    peer.write_all(b"\x16\x03\x01\x02").unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    heard(peer);
    told(&cut, Count::CutShort, "within the handshake");
}

#[test]
fn no_first_line_or_one_without_an_end() {
    let patience = Duration::from_millis(300);
    for hello in ["", "publish numb"] {
        let kept = kept(Gating { patience, ..guarded() });
        let mut peer = s_client(&kept.gate, &[]);
        let (answers, mut says) = (said(&mut peer), peer.stdin.take().unwrap());
        says.write_all(hello.as_bytes()).unwrap();
        assert_eq!(answers.rest(), ["refused: the first line does not come"]);
        end(peer);
        told(&kept, Count::Unready, "first line");
    }
    let kept = kept(guarded());
    assert_eq!(answer(&kept, "", &"x".repeat(5_000)), "refused: its first line has no end\n");
    told(&kept, Count::NoHello, "no end");
}

#[test]
fn on_loopback_a_token_does_without_tls() {
    let plain = || Gating { tls: None, ..guarded() };
    let kept = kept(plain());
    let mut peer = connected(&kept);
    peer.write_all(b"publish numbers 0f7e5c1b9a3d4827\n").unwrap();
    assert_eq!(heard(peer), b"refused: wrong token\n");
    told(&kept, Count::WrongToken, "wrong");
    let kept = gate(plain());
    let door = kept.gate.inlet("numbers", 1).unwrap();
    let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
    let mut source = super::world::hear(&door, receiving);
    let mut peer = connected(&kept);
    // All at once: what is behind the line is not lost.
    peer.write_all(format!("publish numbers {TOKEN}\n1\n2\n3\n").as_bytes()).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    source.until(|it| it.shard.is_done());
    assert_eq!(*source.records.borrow(), [1, 2, 3]);
    assert_eq!(heard(peer), b"ok\n");
    assert_eq!(kept.counts.get(Count::ByKernel) + kept.counts.get(Count::ByThread), 0);
}

#[test]
fn who_does_not_wait_for_the_answer_loses_nothing() {
    for by in super::world::tls_rungs() {
        let kept = gate(Gating { from: by, ..guarded() });
        let door = kept.gate.inlet("numbers", 1).unwrap();
        let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
        let mut source = super::world::hear(&door, receiving);
        let mut peer = s_client(&kept.gate, &["-no_ign_eof"]);
        let mut says = peer.stdin.take().unwrap();
        says.write_all(format!("publish numbers {TOKEN}\n1\n2\n3\n").as_bytes()).unwrap();
        let answers = said(&mut peer);
        source.until(|it| it.records.borrow().len() == 3);
        drop(says);
        source.until(|it| it.shard.is_done());
        assert_eq!(*source.records.borrow(), [1, 2, 3]);
        assert_eq!(answers.rest(), ["ok"]);
        end(peer);
        assert_eq!(kept.counts.get(Count::ByThread), 1, "it had been read already");
    }
}
