//! A small market data server: trades come in as lines of text, last prices and one-second bars go
//! out as lines to whoever subscribes.
//!
//! Start it in one terminal, subscribe in a second one, and say in a third what was traded:
//!
//! ```sh
//! cargo run --example tick_server
//! nc 127.0.0.1 7002
//! nc 127.0.0.1 7001
//! MSFT 410.5 100
//! MSFT 410.75 200
//! ```
//!
//! The second one then shows, the bar when its second is over:
//!
//! ```text
//! last MSFT 410.5
//! last MSFT 410.75
//! bar MSFT open 410.5 high 410.75 low 410.5 close 410.75 volume 300 trades 2
//! ```
//!
//! There may be many of either. A subscriber who does not read loses the oldest lines, and nobody
//! else notices. Other addresses of this host come as arguments: where trades come in, and where
//! lines go out. Ctrl-C ends it.
//!
//! With the feature `tls` they may be addresses that other hosts can reach: behind them come the
//! files of a certificate and of its key, and a secret that everybody has to say first.
//!
//! ```sh
//! cargo run --features tls --example tick_server \
//!     0.0.0.0:7001 0.0.0.0:7002 server.pem server.key SECRET
//! openssl s_client -quiet -connect localhost:7002
//! subscribe lines SECRET
//! openssl s_client -quiet -connect localhost:7001
//! publish trades SECRET
//! MSFT 410.5 100
//! ```

use std::io::Write;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use millstream::aggregates::{Ohlc, count, ohlc, sum};
use millstream::io::{Codec, Lines, codec};
#[cfg(feature = "tls")]
use millstream::net::{Access, Gate, Gating, ServerTls};
use millstream::net::{Listener, Listens, Receiving, Sending, Slow, TcpSink, TcpSource};
use millstream::window::triggers;
use millstream::{Config, Engine, Pipeline, Result, Shards, Text, Tumbling, secs};

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Trade {
    symbol: Text<12>,
    price: f64,
    qty: f64,
}

/// What subscribers are told.
#[derive(Clone, Copy)]
enum Line {
    Last(Trade),
    Bar(Text<12>, (Ohlc, f64, u64)),
}

fn main() -> Result<()> {
    let address = |n, default: &str| {
        let said = std::env::args().nth(n).unwrap_or_else(|| default.to_owned());
        said.parse::<SocketAddr>().unwrap_or_else(|error| panic!("{said}: {error}"))
    };
    let (inlet, outlet) = (address(1, "127.0.0.1:7001"), address(2, "127.0.0.1:7002"));
    #[cfg(feature = "tls")]
    if std::env::args().len() > 3 {
        let (inlet, outlet) = (guarded(inlet)?, guarded(outlet)?);
        println!("trades in at {}, lines out at {}", inlet.address(), outlet.address());
        return run(inlet.inlet("trades", 1)?, outlet.outlet("lines", 1)?);
    }
    let (inlet, outlet) = (Listener::on(inlet, 1)?, Listener::on(outlet, 1)?);
    println!("trades in at {}, lines out at {}", inlet.address(), outlet.address());
    run(inlet, outlet)
}

/// An address at which whoever says the secret may everything.
#[cfg(feature = "tls")]
fn guarded(address: SocketAddr) -> Result<Gate> {
    let said = |n| std::env::args().nth(n).unwrap_or_default();
    let (chain, key, secret) = (said(3), said(4), said(5));
    let access = Access::nobody()
        .token("whoever knows it", &secret)
        .may_publish("whoever knows it", "trades")
        .may_subscribe("whoever knows it", "lines");
    let gating = Gating {
        tls: Some(ServerTls::of(chain, key)?),
        access,
        on_problem: Some(Box::new(|problem| eprintln!("{problem}"))),
        ..Gating::default()
    };
    Gate::open(address, gating)
}

fn run(inlet: impl Listens, outlet: impl Listens) -> Result<()> {
    let config = Config { shards: Shards::Count(1), ..Config::default() };
    Engine::new(config)?.run(move |p| serve(p, &inlet, &outlet))?;
    Ok(())
}

fn serve(p: Pipeline<'_>, inlet: &impl Listens, outlet: &impl Listens) -> Result<()> {
    let source = TcpSource::new(p, inlet, Lines::new(80), trades(), Receiving::default())?
        .on_problem(|problem| eprintln!("{problem}"));
    let sending = Sending { slow: Slow::DropOldest, ..Sending::default() };
    let sink = TcpSink::serve(p, outlet, Lines::new(200), lines(), sending)?;
    // Each trade goes both ways: it is the last one, and it is part of a bar.
    let (first, second) =
        p.source(source).flat_map(|trade| [(trade, true), (trade, false)]).split(|pair| pair.1);
    let last = first.map(|(trade, _)| Line::Last(trade));
    let bars = second
        .map(|(trade, _)| trade)
        .key_by(|trade| trade.symbol)
        .window(Tumbling::of(secs(1)))
        // By the clock, so that a bar does not wait for the next trade.
        .trigger(triggers::purging(triggers::processing_time()))
        .aggregate((ohlc(|trade: &Trade| trade.price), sum(|trade: &Trade| trade.qty), count()));
    last.union(bars.map(|bar| Line::Bar(bar.key, bar.value))).sink(sink);
    Ok(())
}

/// `SYMBOL PRICE QUANTITY`
fn trades() -> impl Codec<Value = Trade> {
    let decode = |line: &[u8]| {
        let text = std::str::from_utf8(line).map_err(|_| "not text")?;
        let mut words = text.split_ascii_whitespace();
        let mut word = |what| words.next().ok_or_else(|| format!("no {what}"));
        let symbol = word("symbol")?.try_into().map_err(|_| "symbol: longer than 12 bytes")?;
        let price = word("price")?.parse().map_err(|_| "price: not a number")?;
        let qty = word("quantity")?.parse().map_err(|_| "quantity: not a number")?;
        Ok(Trade { symbol, price, qty })
    };
    codec(80, |_: &Trade, _: &mut Vec<u8>| {}, decode)
}

fn lines() -> impl Codec<Value = Line> {
    let encode = |line: &Line, into: &mut Vec<u8>| {
        let _ = match line {
            Line::Last(trade) => write!(into, "last {} {}", trade.symbol, trade.price),
            Line::Bar(symbol, (Ohlc { open, high, low, close }, volume, trades)) => write!(
                into,
                "bar {symbol} open {open} high {high} low {low} close {close} volume {volume} \
                 trades {trades}"
            ),
        };
    };
    codec(190, encode, |_: &[u8]| Err("nobody is listened to".to_owned()))
}
