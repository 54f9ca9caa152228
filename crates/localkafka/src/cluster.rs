//! Several brokers that hold copies of each other's records: for what one broker cannot show.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use prunella_model::ByteSize;

use crate::broker::LocalKafka;
use crate::config::{LocalKafkaConfig, Seat};
use crate::error::LocalKafkaError;
use crate::ports;
use crate::progress::Progress;
use crate::random;

#[derive(Debug, Clone)]
pub struct LocalClusterConfig {
    /// Holds a directory per node.
    pub directory: PathBuf,
    /// Each is a broker and a controller. Three have a majority without one of them.
    pub nodes: usize,
    /// Of each node.
    pub heap: ByteSize,
    /// For one attempt to start a node.
    pub start_timeout: Duration,
    /// Broker settings of every node by name, over ours.
    pub extra_properties: BTreeMap<String, String>,
}

impl LocalClusterConfig {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            nodes: 3,
            heap: ByteSize::from_mib(192),
            start_timeout: Duration::from_secs(60),
            extra_properties: BTreeMap::new(),
        }
    }
}

/// Brokers that run as long as this value lives. Nodes are counted from 0 and may be away for a while, one by one.
///
/// Each listens twice: at the address it advertises to clients, and at one that the others use.
pub struct LocalCluster {
    nodes: Vec<Node>,
}

struct Node {
    config: LocalKafkaConfig,
    running: Option<LocalKafka>,
}

impl LocalCluster {
    /// Starts all nodes and returns when they are one cluster.
    ///
    /// `advertise` is told the port that a node listens on, and says at which one clients find it: the same, or that of
    /// something between them.
    pub fn start(
        config: &LocalClusterConfig,
        mut advertise: impl FnMut(usize, u16) -> u16,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Self, LocalKafkaError> {
        let cluster_id = random::cluster_id()?;
        let ports = ports::several(&config.directory, 3 * config.nodes)?;
        let (plain, others) = ports.split_at(config.nodes);
        let (internal, controllers) = others.split_at(config.nodes);
        let node = |(index, (port, internal_port)): (usize, (&u16, &u16))| {
            let mut node = LocalKafkaConfig::new(config.directory.join(format!("node-{index}")));
            node.port = Some(*port);
            node.heap = config.heap;
            node.start_timeout = config.start_timeout;
            node.extra_properties = config.extra_properties.clone();
            node.seat = Some(Seat {
                node_id: u32::try_from(index + 1).unwrap_or(u32::MAX),
                cluster_id: cluster_id.clone(),
                controller_ports: controllers.to_vec(),
                internal_port: *internal_port,
                advertised_port: advertise(index, *port),
            });
            Node { config: node, running: None }
        };
        let mut nodes: Vec<Node> = plain.iter().zip(internal).enumerate().map(node).collect();
        // None is ready before there is a majority.
        thread::scope(|scope| {
            let starting: Vec<_> = nodes.iter_mut().map(|node| scope.spawn(|| node.start(progress))).collect();
            let join = |node: thread::ScopedJoinHandle<'_, _>| node.join().unwrap_or_else(|panic| resume_unwind(panic));
            starting.into_iter().try_for_each(join)
        })?;
        Ok(Self { nodes })
    }

    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// What nodes advertise to clients.
    pub fn bootstrap_servers(&self) -> String {
        self.addresses(|seat| seat.advertised_port)
    }

    /// The same brokers without anything between. They answer to whoever asks with addresses of the same kind.
    pub fn internal_servers(&self) -> String {
        self.addresses(|seat| seat.internal_port)
    }

    fn addresses(&self, port: impl Fn(&Seat) -> u16) -> String {
        let seats = self.nodes.iter().filter_map(|node| node.config.seat.as_ref());
        seats.map(|seat| format!("127.0.0.1:{}", port(seat))).collect::<Vec<_>>().join(",")
    }

    /// The process of a node, while it runs.
    pub fn pid(&self, node: usize) -> Option<u32> {
        self.nodes[node].running.as_ref().map(LocalKafka::pid)
    }

    /// `kill -9`.
    pub fn kill(&mut self, node: usize) -> Result<(), LocalKafkaError> {
        self.nodes[node].running.take().map_or(Ok(()), LocalKafka::kill)
    }

    /// An orderly end, as in a rolling restart.
    pub fn stop(&mut self, node: usize) -> Result<(), LocalKafkaError> {
        self.nodes[node].running.take().map_or(Ok(()), LocalKafka::stop)
    }

    /// Starts a node that is away, on its old data and ports. Returns when it takes requests.
    pub fn restart(&mut self, node: usize, progress: &dyn Fn(Progress)) -> Result<(), LocalKafkaError> {
        self.nodes[node].start(progress)
    }
}

impl Node {
    fn start(&mut self, progress: &dyn Fn(Progress)) -> Result<(), LocalKafkaError> {
        if self.running.is_none() {
            self.running = Some(LocalKafka::start(self.config.clone(), progress)?);
        }
        Ok(())
    }
}

/// Without a majority no node can end in an orderly way, so none is asked to.
impl Drop for LocalCluster {
    fn drop(&mut self) {
        for node in 0..self.nodes.len() {
            if let Err(error) = self.kill(node) {
                tracing::warn!(node, %error, "a broker could not be killed");
            }
        }
    }
}
