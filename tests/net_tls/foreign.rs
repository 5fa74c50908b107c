//! Peers that nobody here wrote.

use std::io::Write;
use std::process::{Command, Stdio};

use millstream::net::{Count, Gating, Receiving, TlsRung};

use super::certificates::certificates;
use super::world::{
    PATIENCE, RUNGS, TOKEN, counted, end, gate, guarded, hear, lines, open, s_client, said, send,
    tls_rungs,
};

#[test]
fn openssl_publishes() {
    for (from, by) in
        RUNGS.into_iter().flat_map(|from| tls_rungs().into_iter().map(move |by| (from, by)))
    {
        let kept = gate(Gating { from: by, ..open() });
        let door = kept.gate.inlet("numbers", 1).unwrap();
        let mut heard =
            hear(&door, Receiving { ends_after: Some(1), from, ..Receiving::default() });
        // Its end of input is the end of the connection.
        let mut peer = s_client(&kept.gate, &["-no_ign_eof"]);
        let (answers, mut says) = (said(&mut peer), peer.stdin.take().unwrap());
        says.write_all(b"publish numbers\n").unwrap();
        assert_eq!(answers.next().as_deref(), Some("ok"));
        let sender = std::thread::spawn(move || {
            says.write_all(lines(0..50_000).as_bytes()).unwrap();
        });
        heard.until(|it| it.shard.is_done());
        sender.join().unwrap();
        assert!(peer.wait().unwrap().success());
        assert!(heard.records.borrow().iter().copied().eq(0..50_000), "{from}, {by}");
        assert_eq!(heard.counts.get(Count::Broken) + heard.counts.get(Count::CutShort), 0);
        assert_eq!(kept.counts.get(counted(by)), 1, "{by}");
        assert!(kept.problems.lock().unwrap().is_empty(), "it said goodbye");
    }
}

#[test]
fn openssl_subscribes() {
    for (from, by) in
        RUNGS.into_iter().flat_map(|from| tls_rungs().into_iter().map(move |by| (from, by)))
    {
        let kept = gate(Gating { from: by, ..open() });
        let door = kept.gate.outlet("numbers", 1).unwrap();
        let mut sends = send(&door, from);
        let mut peer = s_client(&kept.gate, &[]);
        let (answers, mut says) = (said(&mut peer), peer.stdin.take().unwrap());
        says.write_all(b"subscribe numbers\n").unwrap();
        assert_eq!(answers.next().as_deref(), Some("ok"));
        let reader = std::thread::spawn(move || {
            answers.rest().iter().map(|line| line.parse().unwrap()).collect::<Vec<u64>>()
        });
        sends.until(|it| it.counts.get(Count::Accepted) == 1);
        sends.push_all(0..50_000);
        sends.end();
        assert!(reader.join().unwrap().into_iter().eq(0..50_000), "{from}, {by}");
        assert!(peer.wait().unwrap().success(), "it heard a goodbye, {from}, {by}");
        assert_eq!(kept.counts.get(counted(by)), 1, "{by}");
    }
}

/// Every version and cipher that is offered, of which the kernel may not know some.
#[test]
fn openssl_has_the_choice_of_versions_and_ciphers() {
    let offers: [&[&str]; 6] = [
        &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
        &["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"],
        &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
    ];
    for by in tls_rungs() {
        let kept = gate(Gating { from: by, ..open() });
        let (inlet, outlet) =
            (kept.gate.inlet("in", 1).unwrap(), kept.gate.outlet("out", 1).unwrap());
        let mut heard = hear(&inlet, Receiving::default());
        let mut sends = send(&outlet, RUNGS[0]);
        for (n, offer) in (1..).zip(offers) {
            let mut publisher = s_client(&kept.gate, offer);
            let (answers, mut says) = (said(&mut publisher), publisher.stdin.take().unwrap());
            says.write_all(b"publish in\n").unwrap();
            assert_eq!(answers.next().as_deref(), Some("ok"), "{offer:?}");
            says.write_all(lines([n]).as_bytes()).unwrap();
            heard.until(|it| it.records.borrow().last() == Some(&n));
            let mut subscriber = s_client(&kept.gate, offer);
            let (answers, mut says) = (said(&mut subscriber), subscriber.stdin.take().unwrap());
            says.write_all(b"subscribe out\n").unwrap();
            assert_eq!(answers.next().as_deref(), Some("ok"), "{offer:?}");
            sends.until(|it| it.counts.get(Count::Accepted) == n);
            sends.push_all([n]);
            sends.until(|_| answers.count() == 2);
            assert_eq!(answers.next(), Some(n.to_string()), "{offer:?}, {by}");
            end(publisher);
            end(subscriber);
        }
        // The kernel is given 1.3 only.
        let most = if by == TlsRung::Kernel { 6 } else { 12 };
        assert_eq!(kept.counts.get(counted(by)), most, "{by}");
    }
}

/// With a context that trusts the server, and a certificate if one is named.
const PYTHON: &str = r#"
import socket, ssl, sys
port, certificate, hello = sys.argv[1:]
context = ssl.create_default_context(cafile="authority.pem")
if certificate:
    context.load_cert_chain(certificate + ".pem", certificate + ".key")
plain = socket.create_connection(("127.0.0.1", int(port)))
peer = context.wrap_socket(plain, server_hostname="localhost")
peer.sendall(hello.encode() + b"\n")
lines = peer.makefile("r")
assert lines.readline() == "ok\n"
if hello.startswith("publish"):
    for start in range(0, 20000, 1000):
        peer.sendall("".join(f"{n}\n" for n in range(start, start + 1000)).encode())
    peer.unwrap()
else:
    print("ready", flush=True)
    assert [int(line) for line in lines] == list(range(20000))
"#;

#[test]
fn python_publishes_by_a_token_and_subscribes_by_a_certificate() {
    for by in tls_rungs() {
        let kept = gate(Gating { from: by, ..guarded() });
        let (inlet, outlet) =
            (kept.gate.inlet("numbers", 1).unwrap(), kept.gate.outlet("numbers", 1).unwrap());
        let receiving = Receiving { ends_after: Some(1), ..Receiving::default() };
        let mut heard = hear(&inlet, receiving);
        let mut sends = send(&outlet, RUNGS[0]);
        let port = kept.gate.address().port().to_string();
        let python = |certificate: &str, hello: &str| {
            Command::new("python3")
                .args(["-c", PYTHON, &port, certificate, hello])
                .current_dir(certificates().folder())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap()
        };
        let mut publisher = python("", &format!("publish numbers {TOKEN}"));
        heard.until(|it| it.shard.is_done());
        assert!(publisher.wait().unwrap().success());
        assert!(heard.records.borrow().iter().copied().eq(0..20_000), "{by}");
        assert_eq!(heard.counts.get(Count::Closed) - heard.counts.get(Count::Broken), 1);
        let mut subscriber = python("desk", "subscribe numbers");
        assert_eq!(said(&mut subscriber).next().as_deref(), Some("ready"));
        sends.until(|it| it.counts.get(Count::Accepted) == 1);
        sends.push_all(0..20_000);
        sends.end();
        assert!(subscriber.wait().unwrap().success(), "{by}");
        assert_eq!(kept.counts.get(Count::Accepted), 2, "{PATIENCE:?}");
    }
}
