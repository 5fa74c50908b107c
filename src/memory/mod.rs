//! Where bytes live and how cores hand them to each other.
//!
//! May not know what the bytes mean.

pub(crate) mod affinity;
mod bell;
mod blocks;
mod bulk;
pub(crate) mod copying;
pub(crate) mod encoding;
pub(crate) mod helpers;
mod prefetch;
pub(crate) mod row;
mod spare;

pub use bell::Bell;
pub(crate) use blocks::Blocks;
pub use bulk::{Bulk, Copied, EachBulk, Pieces};
pub(crate) use prefetch::prefetch;
pub use spare::Spare;
