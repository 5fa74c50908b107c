//! NEXMark: the queries 0 to 22 of an auction house, each in a file of its own, as a user would
//! write them.
//!
//! People come, auctions are opened, bids are made: one stream of [`Event`]s, of which queries ask
//! what streams are asked for. The queries are those of the public benchmark
//! (`nexmark/nexmark`, which has them in SQL), the events those of its generator.
//!
//! | query | what it asks for, and what it takes |
//! |---|---|
//! | [`q00`](q00()) | bids as they are |
//! | [`q01`](q01()) | prices in euros |
//! | [`q02`](q02()) | bids for every 123rd auction |
//! | [`q03`](q03()) | sellers nearby: two streams, joined for ever |
//! | [`q04`](q04()) | average price by category: winning bids, a running value |
//! | [`q05`](q05()) | hot items: sliding windows and their maximum |
//! | [`q06`](q06()) | average of the last ten prices by seller: a list as state |
//! | [`q07`](q07()) | the highest bids of ten seconds |
//! | [`q08`](q08()) | who came and sold at once: a join in windows |
//! | [`q09`](q09()) | winning bids: state, timers, records in the order of time |
//! | [`q10`](q10()) | a log by day and minute |
//! | [`q11`](q11()) | bids by session |
//! | [`q12`](q12()) | bids by ten seconds of arrival |
//! | [`q13`](q13()) | a table that does not change: a lookup |
//! | [`q14`](q14()) | a calculation on text and time |
//! | [`q15`](q15()) | distinct bidders and auctions by day |
//! | [`q16`](q16()) | the same by channel |
//! | [`q17`](q17()) | prices by auction and day: aggregates side by side |
//! | [`q18`](q18()) | the last bid: a table by event time |
//! | [`q19`](q19()) | the ten highest bids: places that change |
//! | [`q20`](q20()) | bids with their auctions: a join by interval |
//! | [`q21`](q21()) | the identity of a channel: text that is looked into |
//! | [`q22`](q22()) | folders of an address: text that is cut |
//!
//! Start with `q01.rs`, `q05.rs`, `q08.rs` and `winning.rs`: a map, windows, a join, and a function
//! with state and timers. `query.rs` runs them all by name, `millstream bench nexmark` measures
//! them. Only the public API is used, so each file can be copied into another crate. May not know
//! drivers.
//!
//! # What is kept
//!
//! Each query says what it keeps. Windows drop what is over, joins what is out of reach, auctions
//! end. For ever are kept, as the SQL has it, what is asked for in query 3, at most
//! [`records_max`](crate::Config::records_max) on a shard, the rows of query 18, and ten prices by
//! seller in query 6, at most [`keys_max`](crate::Config::keys_max): more is an error and no slow
//! death.
//!
//! # Results
//!
//! Queries 4, 18 and 19 give changes of a table: what they come to is the result. All others
//! give rows, each once, and none is taken back. At the end of the input every window fires and
//! every auction is over. So the result of a query depends on its events only, not on the order in
//! which they come, nor on how many shards there are; but for query 12, which asks about that
//! order. `tests/nexmark.rs` holds it against what a database makes of the same events.
//!
//! # Deviations
//!
//! - **Time** is in nanoseconds, and two events of the generator never share one; in milliseconds
//!   several do, and then the SQL does not say which bid is the last one.
//! - **Text** that is long (extra, descriptions, addresses, channels) is one of a fixed supply, and
//!   a record has its number (`words.rs`): 40 bytes a bid instead of 100. Queries that look into
//!   text (14, 21, 22) do so. Descriptions are letters without spaces.
//! - **Averages** are whole cents, cut off, as `avg` of integers is there. Prices in euros are
//!   exact, in thousandths of a cent.
//! - **Query 4** counts an auction when it is over, and not before.
//! - **Query 6** takes ten prices, as its words say and not its SQL, in the order in which auctions
//!   were over. Flink does not run the SQL.
//! - **Query 7** counts a bid in its own window only.
//! - **Query 10** tells each bid which part of the log it belongs to, and leaves files to a sink.
//! - **Query 12** has windows of the time at which its source took a bid in. A generator says which
//!   that is, so it is the same every time.
//! - **Query 13** has its table in memory on each shard; **query 14** has its function in Rust.
//! - **Queries 15, 16 and 17** give their results when the day is over, not with every bid.
//! - **Query 20** is told how far apart an auction and a bid for it can be, and **query 19** for
//!   how long after its last bid an auction is remembered.
//! - The generator adds a thousand to the id of a bidder once, as Beam's does; that of
//!   `nexmark/nexmark` does so twice.

mod generator;
mod leading;
mod model;
mod q00;
mod q01;
mod q02;
mod q03;
mod q04;
mod q05;
mod q06;
mod q07;
mod q08;
mod q09;
mod q10;
mod q11;
mod q12;
mod q13;
mod q14;
mod q15;
mod q16;
mod q17;
mod q18;
mod q19;
mod q20;
mod q21;
mod q22;
mod query;
mod statistics;
mod streams;
mod winning;
mod words;

pub use generator::Nexmark;
pub use leading::leading;
pub use model::{Auction, Bid, Event, Person};
pub use q00::{Passed, q00};
pub use q01::{Converted, q01};
pub use q02::q02;
pub use q03::{Seller, q03};
pub use q04::q04;
pub use q05::{HotItem, q05};
pub use q06::q06;
pub use q07::{Highest, q07};
pub use q08::q08;
pub use q09::q09;
pub use q10::{Logged, q10};
pub use q11::{Activity, q11};
pub use q12::q12;
pub use q13::{Enriched, q13};
pub use q14::{Calculated, q14};
pub use q15::{Day, q15};
pub use q16::{ChannelDay, q16};
pub use q17::{AuctionDay, q17};
pub use q18::q18;
pub use q19::{Ranked, q19};
pub use q20::{Expanded, q20};
pub use q21::{Identified, q21};
pub use q22::{Folders, q22};
pub use query::{Query, Results, Row};
pub use statistics::{Ranks, Statistics, statistics};
pub use streams::{auctions_and_bids, bids, by_event_time, people_and_auctions};
pub use winning::{Won, winning};
pub use words::{Channel, Phrase, Url};
