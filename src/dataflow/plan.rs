//! A pipeline as a drawing: which steps there are and what flows where.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

/// A step's place in the [`Plan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(pub(crate) usize);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    label: String,
    inputs: Vec<NodeId>,
}

/// The steps of a pipeline in the order in which a record meets them.
///
/// Printed by `{}` as text, one step a line under the step that feeds it, and by [`dot`](Plan::dot)
/// for Graphviz.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    nodes: Vec<Node>,
    /// Bytes that the bounded queues of one shard take.
    pub(crate) queue_bytes: usize,
    #[serde(skip)]
    pub(crate) warnings: Vec<String>,
}

impl Plan {
    pub(crate) fn add(&mut self, label: String, inputs: &[NodeId]) -> NodeId {
        self.nodes.push(Node { label, inputs: inputs.to_vec() });
        NodeId(self.nodes.len() - 1)
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no step at all.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The first step in which the plan of a snapshot differs from this one.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let steps = 0..self.len().max(other.len());
        let differs = |step: &usize| self.nodes.get(*step) != other.nodes.get(*step);
        let step = steps.into_iter().find(differs)?;
        let name = |plan: &Self| match plan.nodes.get(step) {
            Some(node) => format!("`{}`", node.label),
            None => "missing".to_owned(),
        };
        let (there, here) = (name(other), name(self));
        Some(match there == here {
            true => format!("step {step} is fed by others there"),
            false => format!("step {step} is {there} there and {here} here"),
        })
    }

    /// The same, where the other was built as one of another number of shards: how many partitions
    /// of a source fall to one does not matter then.
    pub(crate) fn difference_of_steps(&self, other: &Self) -> Option<String> {
        let plain = |plan: &Self| {
            let mut plan = plan.clone();
            for Node { label, .. } in &mut plan.nodes {
                if label.starts_with(SOURCE) {
                    SOURCE.clone_into(label);
                }
            }
            plan
        };
        plain(self).difference(&plain(other))
    }

    /// Bytes that the bounded queues of one shard take.
    pub fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// What can be run and is probably not what was meant.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The steps that nothing follows and that are no sink: records would be lost there.
    pub(crate) fn dangling(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().enumerate().filter_map(|(id, node)| {
            let feeds = self.nodes.iter().any(|other| other.inputs.contains(&NodeId(id)));
            (!feeds && !node.label.starts_with(SINK)).then_some(node.label.as_str())
        })
    }

    /// The steps of the stage that begins at `head`, up to the next of `heads`.
    pub(crate) fn stage_name(&self, head: NodeId, heads: &[NodeId]) -> String {
        let mut name = self.nodes[head.0].label.clone();
        let mut last = head;
        let follows =
            |id: usize, last| !heads.contains(&NodeId(id)) && self.nodes[id].inputs.contains(&last);
        while let Some(id) = (last.0 + 1..self.nodes.len()).find(|&id| follows(id, last)) {
            name += " > ";
            name += &self.nodes[id].label;
            last = NodeId(id);
        }
        name
    }

    /// The plan in Graphviz' language: `millstream ... | dot -Tsvg` draws it.
    pub fn dot(&self) -> String {
        let mut out = String::from("digraph pipeline {\n  rankdir=LR;\n  node [shape=box];\n");
        for (id, node) in self.nodes.iter().enumerate() {
            let label = node.label.replace('\\', "\\\\").replace('"', "\\\"");
            let _ = writeln!(out, "  n{id} [label=\"{label}\"];");
            for input in &node.inputs {
                let _ = writeln!(out, "  n{} -> n{id};", input.0);
            }
        }
        out.push_str("}\n");
        out
    }
}

/// How the label of a source begins, before how many partitions are read here.
pub(crate) const SOURCE: &str = "source (";

/// How the labels of sinks and outputs begin.
pub(crate) const SINK: &str = "sink";

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (id, node) in self.nodes.iter().enumerate() {
            write!(f, "{id:>3}  {}", node.label)?;
            match &node.inputs[..] {
                [] => writeln!(f)?,
                inputs => {
                    let from: Vec<String> =
                        inputs.iter().map(|input| input.0.to_string()).collect();
                    writeln!(f, "  <- {}", from.join(", "))?;
                }
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        writeln!(f, "queues of one shard: {} bytes", self.queue_bytes)
    }
}
