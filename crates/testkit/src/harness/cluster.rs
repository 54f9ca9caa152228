use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prunella_localkafka::{LocalCluster, LocalClusterConfig};
use rustix::process::{Pid, Signal, kill_process};

use super::proxy::Proxy;
use super::reaper;
use super::records::Kafka;

/// Three brokers, each behind a proxy, with three copies of everything. Ends with this process.
pub struct Cluster {
    brokers: Mutex<LocalCluster>,
    proxies: Vec<Proxy>,
    bootstrap_servers: String,
    internal_servers: String,
}

impl Cluster {
    /// # Panics
    /// When it cannot be started.
    pub fn start() -> Self {
        let data = tempfile::Builder::new().prefix("prunella-test-cluster-").tempdir().expect("a directory").keep();
        reaper::directory(&data);
        let mut config = LocalClusterConfig::new(data);
        // So that a killed member can be noticed within a second or two.
        config.extra_properties.insert("group.min.session.timeout.ms".to_owned(), "1000".to_owned());
        // The machine may have other things to do.
        config.start_timeout = Duration::from_secs(240);
        let proxies: Vec<Proxy> = (0..config.nodes).map(|_| Proxy::start()).collect();
        let advertise = |node: usize, port: u16| {
            proxies[node].lead_to(port);
            proxies[node].port()
        };
        let brokers = LocalCluster::start(&config, advertise, &|_| {}).expect("the cluster starts");
        let (bootstrap_servers, internal_servers) = (brokers.bootstrap_servers(), brokers.internal_servers());
        Self { brokers: Mutex::new(brokers), proxies, bootstrap_servers, internal_servers }
    }

    fn brokers(&self) -> MutexGuard<'_, LocalCluster> {
        self.brokers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn nodes(&self) -> usize {
        self.proxies.len()
    }

    /// The way through the proxies.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// A plain client past the proxies.
    pub fn client(&self) -> Kafka {
        Kafka::new(self.internal_servers.clone())
    }

    pub fn proxy(&self, node: usize) -> &Proxy {
        &self.proxies[node]
    }

    /// `kill -9` of a broker.
    ///
    /// # Panics
    /// When it survives that.
    pub fn kill(&self, node: usize) {
        self.brokers().kill(node).expect("killed");
    }

    /// An orderly end of a broker.
    ///
    /// # Panics
    /// When it had ended by itself.
    pub fn stop(&self, node: usize) {
        self.brokers().stop(node).expect("stopped");
    }

    /// Starts a broker that is away; one that is there is left alone.
    ///
    /// # Panics
    /// When it does not come back.
    pub fn restart(&self, node: usize) {
        self.brokers().restart(node, &|_| {}).expect("the broker starts");
    }

    pub fn freeze(&self, node: usize) {
        self.signal(node, Signal::STOP);
    }

    pub fn thaw(&self, node: usize) {
        self.signal(node, Signal::CONT);
    }

    fn signal(&self, node: usize, signal: Signal) {
        let pid = self.brokers().pid(node).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            kill_process(pid, signal).expect("a child of ours");
        }
    }
}
