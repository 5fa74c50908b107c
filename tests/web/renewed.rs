//! A certificate is replaced while connections are up.

use std::fs::{copy, write};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::time::Duration;

use millstream::net::{Gate, Gating};
use millstream::web::{Count, Publishing, ServerTls, Web};

use super::certificates::certificates;
use super::tls::s_client;
use super::world::{PATIENCE, curl, lines, serving, start, through, tick, until, until_count};

/// Two files that are replaced.
struct Files {
    chain: PathBuf,
    key: PathBuf,
}

impl Files {
    fn of(test: &str) -> Self {
        let folder = certificates().folder();
        let it = Self {
            chain: folder.join(format!("{test}.chain")),
            key: folder.join(format!("{test}.own-key")),
        };
        it.hold("server");
        it
    }

    fn hold(&self, name: &str) {
        copy(certificates().key(name), &self.key).unwrap();
        copy(certificates().pem(name), &self.chain).unwrap();
    }

    fn tls(&self) -> ServerTls {
        ServerTls::of(&self.chain, &self.key).unwrap()
    }
}

/// The certificate that a new connection is shown, as it is in the file.
fn shown(address: SocketAddr) -> String {
    let (heard, about) = s_client(address, &["-verify_return_error"], "");
    let from = heard.find("-----BEGIN").unwrap_or_else(|| panic!("{heard}{about}"));
    let to = heard.find("-----END CERTIFICATE-----").unwrap();
    heard[from..to].to_owned()
}

fn of_file(name: &str) -> String {
    let text = std::fs::read_to_string(certificates().pem(name)).unwrap();
    let to = text.find("-----END CERTIFICATE-----").unwrap();
    text[..to].to_owned()
}

#[test]
fn new_connections_see_the_new_certificate_and_old_ones_go_on() {
    let files = Files::of("rotated");
    let tls = files.tls();
    let server = serving(Web { tls: Some(tls.clone()), ..Web::default() });
    let access = millstream::net::Access::anybody();
    let gating = Gating { tls: Some(tls.clone()), access, ..Gating::default() };
    let gate = Gate::open("127.0.0.1:0".parse().unwrap(), gating).unwrap();
    let running = through(&server, Publishing::default());
    let roots = certificates().pem("authority");
    let roots = roots.to_str().unwrap();
    let url = |path: &str| format!("https://localhost:{}/{path}", server.address().port());
    let Some(mut before) = start("curl", &["-sSN", "--cacert", roots, &url("out/events")]) else {
        return;
    };
    until_count(&server.counts(), Count::Subscribed, 1);
    let sees = |name: &str| {
        assert_eq!(shown(server.address()), of_file(name), "the web's certificate");
        assert_eq!(shown(gate.address()), of_file(name), "the gate's certificate");
    };
    sees("server");

    files.hold("renewed");
    sees("server");
    tls.reload().unwrap();
    sees("renewed");

    // A key that is of another certificate, half a file, none at all: nothing changes but a count.
    let spoil: [&dyn Fn(); 3] = [
        &|| _ = copy(certificates().key("server"), &files.key).unwrap(),
        &|| write(&files.chain, &of_file("server")[..200]).unwrap(),
        &|| std::fs::remove_file(&files.chain).unwrap(),
    ];
    for (spoil, failed) in spoil.iter().zip(1..) {
        spoil();
        let error = tls.reload().unwrap_err().to_string();
        assert!(error.contains("rotated.chain"), "{error}");
        assert_eq!((tls.reloads(), tls.failed_reloads()), (1, failed));
        sees("renewed");
    }
    let said = curl(&["--cacert", roots, &url("counts")]).unwrap();
    assert!(said.contains("\"certificate_reloads\":1"), "{said}");
    assert!(said.contains("\"failed_certificate_reloads\":3"), "{said}");

    let body = lines([tick("A", 7)]);
    let took = curl(&["--cacert", roots, "--data-binary", &body, &url("in")]).unwrap();
    assert_eq!(took, "{\"taken\":1}\n");
    let mut heard = BufReader::new(before.0.stdout.take().unwrap());
    let mut line = String::new();
    heard.read_line(&mut line).unwrap();
    assert_eq!(line, format!("data: {}\n", tick("A", 7).json()), "by the old connection");
    server.stop();
    running.join();
}

#[test]
fn files_that_change_are_read_again_by_themselves() {
    const EVERY: Duration = Duration::from_millis(20);
    let files = Files::of("watched");
    let tls = files.tls();
    let server = serving(Web { tls: Some(tls.clone()), ..Web::default() });
    let (tell, told) = channel();
    let tell = move |came: &millstream::Result<()>| {
        tell.send(came.as_ref().map_err(ToString::to_string).copied()).unwrap();
    };
    let watch = tls.watch(EVERY, tell).unwrap();
    let next = || told.recv_timeout(PATIENCE).expect("it is told");
    files.hold("renewed");
    // It may have been seen between one file and the other.
    while next().is_err() {}
    assert_eq!(shown(server.address()), of_file("renewed"));
    assert_eq!(tls.reloads(), 1);

    let failed = tls.failed_reloads();
    write(&files.chain, "no certificate").unwrap();
    let error = next().unwrap_err();
    assert!(error.contains("watched.chain") && error.contains("no certificate"), "{error}");
    std::thread::sleep(10 * EVERY);
    assert!(told.try_recv().is_err(), "it is told once");
    assert_eq!(tls.failed_reloads(), failed + 1);
    assert_eq!(shown(server.address()), of_file("renewed"));

    // By a link that leads elsewhere, as those do who replace both at once.
    std::fs::remove_file(&files.chain).unwrap();
    std::os::unix::fs::symlink(certificates().pem("server"), &files.chain).unwrap();
    copy(certificates().key("server"), &files.key).unwrap();
    while next().is_err() {}
    assert_eq!(shown(server.address()), of_file("server"));
    drop(watch);
    files.hold_plain("renewed");
    std::thread::sleep(10 * EVERY);
    assert!(told.try_recv().is_err(), "nobody watches any more");
    until("the old one is shown", || shown(server.address()) == of_file("server"));
    assert!(tls.watch(Duration::ZERO, |_| ()).is_err());
}

impl Files {
    /// In the place of a link.
    fn hold_plain(&self, name: &str) {
        std::fs::remove_file(&self.chain).unwrap();
        self.hold(name);
    }
}
