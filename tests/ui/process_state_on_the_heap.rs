//! State is copied as bytes: what a process function keeps cannot point to the heap.

use millstream::{KeyContext, Process};

/// Remembers the names of a key.
struct Names;

impl Process for Names {
    type Key = u64;
    type In = u64;
    type State = Vec<String>;
    type Out = usize;

    fn on_record(&mut self, name: u64, ctx: &mut KeyContext<'_, Self>) {
        ctx.state().push(name.to_string());
    }
}

fn main() {}
