//! Building edges: between stages of one shard, and between shards.

use std::cell::RefCell;
use std::rc::Rc;

use crate::dataflow::{Edge, Link, NodeId, Pipeline, Placement, Stage, Stream};
use crate::error::ConfigError;
use crate::exchange::inlet::{Inlet, Lane};
use crate::exchange::outbox::Outbox;
use crate::exchange::partition::{Route, To};
use crate::exchange::port::{Handover, Port};
use crate::exchange::ports::{Exchange, Ports};
use crate::exchange::ring::{ring, ring_bytes};

/// A handover between two stages of one shard: where one puts, and where the other takes.
pub fn handover<T>(pipeline: Pipeline<'_>) -> (Port<T>, Lane<T>) {
    let batch_max = pipeline.config().batch_max;
    pipeline.reserve_bytes(2 * Outbox::<T>::bytes(batch_max));
    let shared: Handover<T> = Rc::new(RefCell::new(Outbox::new(batch_max)));
    (Port::here(shared.clone(), batch_max), Lane::Here(shared))
}

/// The stream that begins behind an edge with these lanes, at `node` of the plan.
pub fn behind<'p, T: 'static>(
    pipeline: Pipeline<'p>,
    lanes: Vec<Lane<T>>,
    node: NodeId,
) -> Stream<'p, Edge<T>> {
    placed(pipeline, lanes, node, Placement::Chosen)
}

/// The same, where it is known what decides on which shard things are kept.
pub fn placed<'p, T: 'static>(
    pipeline: Pipeline<'p>,
    lanes: Vec<Lane<T>>,
    node: NodeId,
    placement: Placement,
) -> Stream<'p, Edge<T>> {
    let batch_max = pipeline.config().batch_max;
    let edge =
        Edge::new(move |operator| Box::new(Inlet::new(lanes, placement, operator, batch_max)));
    Stream::begin(pipeline, edge, node)
}

/// Ends a stage in an edge to a stage of the same shard.
pub fn local<'p, S: Stage>(stream: Stream<'p, S>, label: &str) -> Stream<'p, Edge<S::Out>> {
    local_of(stream, label, Placement::Chosen)
}

/// The same, where it is known what decides on which shard things are kept.
pub fn local_of<'p, S: Stage>(
    stream: Stream<'p, S>,
    label: &str,
    placement: Placement,
) -> Stream<'p, Edge<S::Out>> {
    let pipeline = stream.pipeline;
    let node = pipeline.node(label, &[stream.node]);
    let (port, lane) = handover(pipeline);
    stream.end(Exchange::<_, To>::local(port));
    placed(pipeline, vec![lane], node, placement)
}

/// Ends a stage in an edge over which `route` sends each record to one of the shards, or to
/// several.
pub fn exchange<'p, S: Stage<Out: Send>>(
    stream: Stream<'p, S>,
    label: &str,
    route: impl Route<S::Out>,
) -> Stream<'p, Edge<S::Out>> {
    let pipeline = stream.pipeline;
    let node = pipeline.node(label, &[stream.node]);
    let (mut ports, mut lanes, placement) = (Vec::new(), Vec::new(), route.placement());
    match connect(pipeline, &mut ports, &mut lanes) {
        Ok(()) => {
            let ports = Ports::new(ports, pipeline.shard());
            stream.end(Exchange::new(ports, route));
        }
        Err(error) => pipeline.reject(error),
    }
    placed(pipeline, lanes, node, placement)
}

/// One port to and one lane from every shard; this shard's own is a handover.
fn connect<T: Send + 'static>(
    pipeline: Pipeline<'_>,
    ports: &mut Vec<Port<T>>,
    lanes: &mut Vec<Lane<T>>,
) -> Result<(), ConfigError> {
    let (config, fabric) = (pipeline.config(), pipeline.fabric());
    let (here, edge) = (pipeline.shard(), pipeline.next_edge());
    let others = fabric.shards() - 1;
    pipeline.reserve_bytes(
        others * (ring_bytes::<T>(config.ring_capacity) + Outbox::<T>::bytes(config.batch_max))
            + Inlet::<T>::bytes(others, config.batch_max),
    );
    for shard in 0..fabric.shards() {
        if shard == here {
            let (port, lane) = handover(pipeline);
            ports.push(port);
            lanes.push(lane);
            continue;
        }
        let to = Link { edge, from: here, to: shard };
        let sender = fabric.sender(to, || ring(config.ring_capacity, fabric.bell(shard)))?;
        ports.push(Port::there(sender, config.batch_max));
        let from = Link { edge, from: shard, to: here };
        let receiver = fabric.receiver(from, || ring(config.ring_capacity, fabric.bell(here)))?;
        lanes.push(Lane::There(receiver));
    }
    Ok(())
}
