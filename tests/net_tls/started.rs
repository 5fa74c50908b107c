//! What is refused at start, with what to do.

use std::net::SocketAddr;

use millstream::io::Lines;
use millstream::net::{
    Access, Call, ClientTls, Gate, Gating, Hello, Receiving, Sending, ServerTls, TcpSink, TcpSource,
};
use millstream::{Config, Error, ErrorKind, Result, Shard};

use super::certificates::certificates;
use super::world::{gate, guarded, known, numbers, open};

fn refused<T>(result: Result<T>, words: &[&str]) {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Caller, "{error}");
    assert!(matches!(error, Error::Config(_)), "{error:?}");
    let text = error.to_string();
    assert!(words.iter().all(|word| text.contains(word)), "{text}");
}

#[test]
fn who_can_be_reached_must_ask_who_it_is() {
    let beyond: SocketAddr = "0.0.0.0:0".parse().unwrap();
    let opened = |gating| Gate::open(beyond, gating);
    refused(opened(Gating { tls: None, ..guarded() }), &["0.0.0.0:0", "needs `tls`"]);
    refused(opened(open()), &["beyond this host", "`token`", "`certificate`"]);
    assert!(opened(guarded()).is_ok());
    let nobody = || Gating { access: Access::nobody(), ..guarded() };
    refused(opened(nobody()), &["lets nobody in"]);
    // Known by a certificate only, of which nobody asks; by a token only, which nobody can say.
    let access = Access::nobody().certificate("desk", "desk 7");
    refused(opened(Gating { access, ..open() }), &["lets nobody in", "asks for it"]);
    let access = Access::nobody().token("feed", "0f7e5c1b9a3d4826");
    refused(opened(Gating { access, hello: false, ..open() }), &["lets nobody in", "`hello`"]);
    let access = known().may_publish("the fed", "numbers");
    refused(opened(Gating { access, ..guarded() }), &["the fed", "nobody is known"]);
    refused(opened(Gating { visits_max: 0, ..guarded() }), &["visits_max"]);
    refused(Call::plain("192.0.2.7:1".parse().unwrap()), &["192.0.2.7", "ClientTls"]);
}

#[test]
fn files_that_are_not_what_they_should_be() {
    let its = certificates();
    let (pem, key) = (its.pem("server"), its.key("server"));
    let nothing = its.other("nothing.pem", "no certificate");
    let broken =
        its.other("broken.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    refused(ServerTls::of(its.pem("absent"), &key), &["absent.pem", "No such file"]);
    refused(ServerTls::of(&pem, its.key("absent")), &["absent.key", "No such file"]);
    refused(ServerTls::of(&nothing, &key), &["nothing.pem", "no certificate"]);
    refused(ServerTls::of(&pem, &nothing), &["nothing.pem", "no private key"]);
    refused(ServerTls::of(&pem, its.key("desk")), &["server.pem", "desk.key"]);
    refused(its.server().requiring(&nothing), &["nothing.pem", "no certificate"]);
    refused(its.server().requiring(&broken), &["broken.pem", "cannot be used"]);
    refused(ClientTls::to("localhost", &nothing), &["nothing.pem"]);
    refused(ClientTls::to("not a name", its.pem("authority")), &["not a name", "DNS"]);
    refused(its.client().showing(&pem, its.key("desk")), &["server.pem", "desk.key"]);
}

#[test]
fn streams_that_cannot_be() {
    let kept = gate(guarded());
    let (inlet, outlet) =
        (kept.gate.inlet("numbers", 1).unwrap(), kept.gate.outlet("numbers", 1).unwrap());
    refused(kept.gate.inlet("numbers", 1), &["numbers", "already"]);
    refused(kept.gate.inlet("two words", 1), &["two words", "no space"]);
    let read = Shard::embed(Config::embedded(), |p| {
        TcpSource::new(p, &outlet, Lines::new(20), numbers(), Receiving::default()).map(drop)
    });
    refused(read, &["numbers", "`inlet` is for sources"]);
    let served = Shard::embed(Config::embedded(), |p| {
        TcpSink::serve(p, &inlet, Lines::new(20), numbers(), Sending::default()).map(drop)
    });
    refused(served, &["numbers", "`outlet` for sinks"]);
    let call = Call::plain(kept.gate.address()).unwrap();
    refused(call.saying(Hello::publish("two words")), &["two words", "no space"]);
    let access = Access::anybody();
    let one = gate(Gating { access, hello: false, ..open() });
    one.gate.inlet("numbers", 1).unwrap();
    refused(one.gate.inlet("others", 1), &["others", "second"]);
}
