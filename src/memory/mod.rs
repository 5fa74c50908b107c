//! Where bytes live and how cores hand them to each other.
//!
//! May not know what the bytes mean.

mod bell;
mod prefetch;

pub use bell::Bell;
pub(crate) use prefetch::prefetch;
