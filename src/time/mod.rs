//! What time is: points and spans, clocks, watermarks, timers.
//!
//! May not know what a record is. Start with `timestamp.rs`.

mod clock;
mod deadlines;
mod timer_wheel;
mod timestamp;
mod watermark;

pub use clock::{Clock, ManualClock, SystemClock};
pub(crate) use deadlines::{Deadlines, Popped};
pub use timer_wheel::{TimerId, TimerWheel};
pub use timestamp::{Timestamp, ms, nanos, ns, secs, us};
pub use watermark::{
    BoundedDisorder, Jumps, Merged, Punctuated, Watermark, WatermarkStrategy, Watermarks,
};
