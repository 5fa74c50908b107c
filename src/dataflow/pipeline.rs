//! The handle that a pipeline is built with.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::config::Config;
use crate::dataflow::{Fabric, NodeId, Plan, Runnable};
use crate::error::{ConfigError, Result};

/// The handle that a pipeline is built with, on one shard: copy it freely.
///
/// The build closure runs once on every shard and must do the same on each; `shard()` tells them
/// apart where sources divide their work. The lifetime keeps the streams of two pipelines apart.
#[derive(Clone, Copy)]
pub struct Pipeline<'p> {
    builder: &'p RefCell<Builder>,
    /// Neither lengthens nor shortens `'p`: otherwise the compiler would shorten the lifetimes of
    /// two pipelines until they are one.
    brand: PhantomData<fn(&'p ()) -> &'p ()>,
}

/// What building a pipeline gathers on one shard.
struct Builder {
    shard: usize,
    config: Arc<Config>,
    fabric: Arc<Fabric>,
    plan: Plan,
    stages: Vec<(NodeId, Box<dyn Runnable>)>,
    edges: usize,
    error: Option<ConfigError>,
}

/// A built pipeline of one shard: its stages in the order in which a record meets them, and the
/// plan.
pub struct Built {
    /// The stages, upstream first, each with its name: its steps from the first to the last.
    pub stages: Vec<(String, Box<dyn Runnable>)>,
    /// The drawing.
    pub plan: Plan,
    /// The [`Config::fire_max`].
    pub fire_max: usize,
    /// The [`Config::breakdown`].
    pub breakdown: bool,
}

impl<'p> Pipeline<'p> {
    /// The shard that this pipeline is built on, from 0.
    pub fn shard(self) -> usize {
        self.builder.borrow().shard
    }

    /// How many shards there are.
    pub fn shards(self) -> usize {
        self.builder.borrow().fabric.shards()
    }

    /// What the engine was configured with.
    pub fn config(self) -> Arc<Config> {
        self.builder.borrow().config.clone()
    }

    pub(crate) fn fabric(self) -> Arc<Fabric> {
        self.builder.borrow().fabric.clone()
    }

    /// Adds a step to the plan.
    pub(crate) fn node(self, label: impl Into<String>, inputs: &[NodeId]) -> NodeId {
        self.builder.borrow_mut().plan.add(label.into(), inputs)
    }

    /// Takes a closed stage whose first step is `head`.
    pub(crate) fn add_stage(self, head: NodeId, stage: Box<dyn Runnable>) {
        self.builder.borrow_mut().stages.push((head, stage));
    }

    /// The number of the next edge between shards.
    pub(crate) fn next_edge(self) -> usize {
        let mut builder = self.builder.borrow_mut();
        builder.edges += 1;
        builder.edges - 1
    }

    /// Counts what a bounded queue takes.
    pub(crate) fn reserve_bytes(self, bytes: usize) {
        let mut builder = self.builder.borrow_mut();
        builder.plan.queue_bytes = builder.plan.queue_bytes.saturating_add(bytes);
    }

    /// Notes what can be run and is probably not what was meant.
    pub(crate) fn warn(self, warning: impl Into<String>) {
        self.builder.borrow_mut().plan.warnings.push(warning.into());
    }

    /// Notes an error that building found; the first is what the user sees.
    pub(crate) fn reject(self, error: ConfigError) {
        self.builder.borrow_mut().error.get_or_insert(error);
    }
}

/// Runs a build closure for one shard and checks what it made.
///
/// # Errors
/// What the closure returned, a pipeline without a sink or with a loose end, or queues beyond the
/// memory limit.
pub fn build<H>(
    shard: usize,
    config: &Arc<Config>,
    fabric: &Arc<Fabric>,
    build: impl for<'p> FnOnce(Pipeline<'p>) -> Result<H>,
) -> Result<(Built, H)> {
    let builder = begin(shard, config, fabric);
    let handles = build(Pipeline { builder: &builder, brand: PhantomData })?;
    Ok((finish(builder.into_inner())?, handles))
}

/// Nothing is built yet. What comes before and behind a closure is no part of it: there are as many
/// of those as pipelines.
fn begin(shard: usize, config: &Arc<Config>, fabric: &Arc<Fabric>) -> RefCell<Builder> {
    RefCell::new(Builder {
        shard,
        config: config.clone(),
        fabric: fabric.clone(),
        plan: Plan::default(),
        stages: Vec::new(),
        edges: 0,
        error: None,
    })
}

fn finish(builder: Builder) -> Result<Built> {
    let Builder { config, fabric, plan, mut stages, error, .. } = builder;
    if let Some(error) = error {
        return Err(error.into());
    }
    check(&plan, &config, fabric.shards())?;
    stages.sort_by_key(|(head, _)| *head);
    let heads: Vec<NodeId> = stages.iter().map(|(head, _)| *head).collect();
    let named = |(head, stage): (NodeId, _)| (plan.stage_name(head, &heads), stage);
    let stages = stages.into_iter().map(named).collect();
    Ok(Built { stages, plan, fire_max: config.fire_max, breakdown: config.breakdown })
}

fn check(plan: &Plan, config: &Config, shards: usize) -> Result<(), ConfigError> {
    if plan.is_empty() {
        return Err(ConfigError::Pipeline("nothing was built: it has no source".to_owned()));
    }
    if let Some(step) = plan.dangling().next() {
        return Err(ConfigError::Pipeline(format!(
            "`{step}` leads nowhere: end it in a sink, an output or `for_each`"
        )));
    }
    let bytes = plan.queue_bytes.saturating_mul(shards);
    if bytes > config.memory_bytes_max {
        return Err(ConfigError::Memory { bytes, limit: config.memory_bytes_max });
    }
    Ok(())
}
