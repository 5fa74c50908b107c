//! Both sides of a join have the same type of key.

use millstream::join::{after, before};
use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};

fn main() {
    let _ = Simulation::new(1, 0).run(|p| {
        let numbers = || IterSource::new((0..9).map(|n| Record::new(Timestamp(n), n)));
        let orders = p.source(numbers()).key_by(|n| *n);
        let trades = p.source(numbers()).key_by(|n| *n as u32);
        orders
            .interval_join(trades)
            .between(before(ms(1)), after(ms(1)))
            .select(|order, trade| order - trade)
            .for_each(drop);
        Ok(())
    });
}
