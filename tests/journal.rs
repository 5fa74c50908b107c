//! The journal: nothing that was durable is lost, nothing comes twice, nothing is invented, and
//! every kind of damage is told from the others.
//!
//! `MILLSTREAM_SEEDS=100000 cargo test --release --test journal seeds` looks harder, and
//! `MILLSTREAM_SEED=17` replays the one seed that a failure names.

#[path = "journal/crashes.rs"]
mod crashes;
#[path = "journal/damage.rs"]
mod damage;
#[path = "journal/full.rs"]
mod full;
#[path = "journal/pipeline.rs"]
mod pipeline;
#[path = "journal/policies.rs"]
mod policies;
#[path = "journal/reading.rs"]
mod reading;
#[path = "journal/real.rs"]
mod real;
#[path = "journal/real_full.rs"]
mod real_full;
#[path = "journal/real_source.rs"]
mod real_source;
#[path = "support/seeds.rs"]
mod seeds;
#[path = "journal/sources.rs"]
mod sources;
#[path = "journal/world.rs"]
mod world;
