//! Peers that nobody here wrote.

use std::io::{BufRead, Write};

use millstream::net::{Count, Receiving};

use super::world::{RUNGS, gate, hear, lines, next_line, open, s_client, said, send};

#[test]
fn openssl_publishes() {
    for from in RUNGS {
        let kept = gate(open());
        let door = kept.gate.inlet("numbers", 1).unwrap();
        let mut heard =
            hear(&door, Receiving { ends_after: Some(1), from, ..Receiving::default() });
        // Its end of input is the end of the connection.
        let mut peer = s_client(&kept.gate, &["-no_ign_eof"]);
        let (mut answers, mut says) = (said(&mut peer), peer.stdin.take().unwrap());
        says.write_all(b"publish numbers\n").unwrap();
        assert_eq!(next_line(&mut answers), "ok\n");
        let sender = std::thread::spawn(move || {
            says.write_all(lines(0..50_000).as_bytes()).unwrap();
        });
        heard.until(|it| it.shard.is_done());
        sender.join().unwrap();
        assert!(peer.wait().unwrap().success());
        assert!(heard.records.borrow().iter().copied().eq(0..50_000), "{from}");
        assert_eq!(heard.counts.get(Count::Broken) + heard.counts.get(Count::CutShort), 0);
    }
}

#[test]
fn openssl_subscribes() {
    for from in RUNGS {
        let kept = gate(open());
        let door = kept.gate.outlet("numbers", 1).unwrap();
        let mut sends = send(&door, from);
        let mut peer = s_client(&kept.gate, &[]);
        let (mut answers, mut says) = (said(&mut peer), peer.stdin.take().unwrap());
        says.write_all(b"subscribe numbers\n").unwrap();
        assert_eq!(next_line(&mut answers), "ok\n");
        let reader = std::thread::spawn(move || {
            answers.lines().map(|line| line.unwrap().parse().unwrap()).collect::<Vec<u64>>()
        });
        sends.until(|it| it.counts.get(Count::Accepted) == 1);
        sends.push_all(0..50_000);
        sends.end();
        assert!(reader.join().unwrap().into_iter().eq(0..50_000), "{from}");
        assert!(peer.wait().unwrap().success());
    }
}
