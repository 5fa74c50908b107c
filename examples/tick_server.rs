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
//! Whoever says `SUBSCRIBE MSFT,AAPL` first is told of these, and at once of the latest of each.
//! There may be many of either. A subscriber who does not read loses the oldest lines, and nobody
//! else notices. Other addresses of this host come as arguments: where trades come in, where lines
//! go out, and where the page is. Ctrl-C ends it.
//!
//! With `--features web` a browser at `http://localhost:7004/` shows it all, live, and `curl -N
//! 'localhost:7004/ticks/events?keys=bar%20MSFT'` the bars of one symbol, the latest one first.
//!
//! With `--features tls` the first two may be addresses that other hosts can reach: behind the
//! addresses come the files of a certificate and of its key, and a secret that everybody has to say
//! first.
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
use millstream::{Config, Engine, Pipeline, Result, Shards, Stage, Stream, Text, Tumbling, secs};

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

/// The address of this number among the arguments, which begin with them.
fn address(n: usize, default: &str) -> SocketAddr {
    let all = std::env::args().skip(1).map_while(|said| said.parse().ok());
    all.into_iter().nth(n).unwrap_or_else(|| default.parse().expect("an address"))
}

fn main() -> Result<()> {
    let (inlet, outlet) = (address(0, "127.0.0.1:7001"), address(1, "127.0.0.1:7002"));
    let rest = rest();
    #[cfg(feature = "tls")]
    if let [chain, key, secret] = &rest[..] {
        let gate = |at| guarded(at, [chain, key], secret);
        let (inlet, outlet) = (gate(inlet)?, gate(outlet)?);
        println!("trades in at {}, lines out at {}", inlet.address(), outlet.address());
        return run(inlet.inlet("trades", 1)?, outlet.outlet("lines", 1)?);
    }
    assert!(rest.is_empty(), "neither addresses, nor a certificate, a key and a secret: {rest:?}");
    let (inlet, outlet) = (Listener::on(inlet, 1)?, Listener::on(outlet, 1)?);
    println!("trades in at {}, lines out at {}", inlet.address(), outlet.address());
    run(inlet, outlet)
}

/// The arguments behind the addresses.
fn rest() -> Vec<String> {
    let is_address = |said: &String| said.parse::<SocketAddr>().is_ok();
    std::env::args().skip(1).skip_while(is_address).collect()
}

/// An address at which whoever says the secret may everything.
#[cfg(feature = "tls")]
fn guarded(address: SocketAddr, [chain, key]: [&String; 2], secret: &str) -> Result<Gate> {
    let access = Access::nobody()
        .token("whoever knows it", secret)
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
    let page = page::Page::new()?;
    print!("{page}");
    let config = Config { shards: Shards::Count(1), ..Config::default() };
    Engine::new(config)?.run(move |p| serve(p, &inlet, &outlet, &page))?;
    Ok(())
}

fn serve(
    p: Pipeline<'_>,
    inlet: &impl Listens,
    outlet: &impl Listens,
    page: &page::Page,
) -> Result<()> {
    let source = TcpSource::new(p, inlet, Lines::new(80), trades(), Receiving::default())?
        .on_problem(|problem| eprintln!("{problem}"));
    let sending = Sending { slow: Slow::DropOldest, ..Sending::default() };
    let sink = TcpSink::serve(p, outlet, Lines::new(200), lines(), sending)?;
    let sink = sink.keyed(10_000, |line: &Line| match line {
        Line::Last(Trade { symbol, .. }) | Line::Bar(symbol, ..) => *symbol,
    });
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
    let lines = last.union(bars.map(|bar| Line::Bar(bar.key, bar.value)));
    page.show(p, lines)?.sink(sink);
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

/// The same for a browser.
#[cfg(feature = "web")]
mod page {
    use super::*;
    use millstream::web::{Publishing, Web, WebServer, WebSink, Writing};

    /// Where the page is.
    pub struct Page(WebServer);

    impl Page {
        pub fn new() -> Result<Self> {
            let server = WebServer::on(address(2, "127.0.0.1:7004"), Web::default())?;
            server.show("/", "text/html; charset=utf-8", include_str!("tick_server.html"));
            Ok(Self(server))
        }

        /// Lets lines pass, and sends each to those who look at the page.
        pub fn show<'p, S: Stage<Out = Line>>(
            &self,
            p: Pipeline<'p>,
            lines: Stream<'p, S>,
        ) -> Result<Stream<'p, impl Stage<Out = Line> + use<'p, S>>> {
            let writing = Writing::by(json).keyed(|line: &Line| match line {
                Line::Last(trade) => format!("last {}", trade.symbol),
                Line::Bar(symbol, ..) => format!("bar {symbol}"),
            });
            let (lines, shown) = lines.tee();
            shown.sink(WebSink::new(p, &self.0, "ticks", writing, Publishing::default())?);
            Ok(lines)
        }
    }

    impl std::fmt::Display for Page {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            writeln!(f, "a page at http://{}/", self.0.address())
        }
    }

    fn json(line: &Line, into: &mut Vec<u8>) {
        let value = match line {
            Line::Last(Trade { symbol, price, .. }) => {
                serde_json::json!({ "symbol": symbol, "last": price })
            }
            Line::Bar(symbol, (Ohlc { open, high, low, close }, volume, trades)) => {
                serde_json::json!({ "symbol": symbol, "bar": {
                    "open": open, "high": high, "low": low, "close": close,
                    "volume": volume, "trades": trades,
                } })
            }
        };
        let _ = write!(into, "{value}");
    }
}

/// There is none.
#[cfg(not(feature = "web"))]
mod page {
    use super::*;

    pub struct Page;

    impl Page {
        pub fn new() -> Result<Self> {
            Ok(Self)
        }

        pub fn show<'p, S: Stage<Out = Line>>(
            &self,
            _p: Pipeline<'p>,
            lines: Stream<'p, S>,
        ) -> Result<Stream<'p, S>> {
            Ok(lines)
        }
    }

    impl std::fmt::Display for Page {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Ok(())
        }
    }
}
