//! One round: a cluster, processes, load; faults in the order of the plan; time to settle; the oracle.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prunella_testkit::harness::{Cluster, Installation};
use serde_json::{Value, json};

use crate::members::Members;
use crate::observed::Observed;
use crate::oracle::{Finding, Property, check};
use crate::plan::{Fault, Network, Plan, SLOTS};
use crate::timeline::Timeline;
use crate::workload::{CHAIN, Load, ORDERS, Sent, stream};

/// `PRUNELLA_BINARY` is another build, for whoever builds while rounds run.
pub(crate) fn binary() -> String {
    std::env::var("PRUNELLA_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_prunella").to_owned())
}
const WARM_UP: Duration = Duration::from_secs(2);
/// However much of it there is to see, progress has to lead to an end.
const LONGEST_SETTLING: Duration = Duration::from_secs(400);
/// What should not be there gets time to appear.
const AFTERMATH: Duration = Duration::from_secs(2);

fn config(plan: &Plan) -> Value {
    let services = ["orchestrator", "extractor", "transformer", "validator", "streams"];
    let guarantee = |service: &str| if service == "orchestrator" { "exactly-once" } else { plan.guarantee };
    let guarantee: Value =
        services.map(|service| (service.to_owned(), json!(guarantee(service)))).into_iter().collect();
    json!({
        "processing": { "placement": plan.placement, "guarantee": guarantee },
        // A killed member is noticed when its session ends.
        "kafka": { "librdkafka": { "session.timeout.ms": "3000", "heartbeat.interval.ms": "500" } },
        "runtime": { "drain-timeout": plan.drain_timeout },
        "extractor": { "batch-items": 5, "journal-batches": 2 },
        "telemetry": { "log-format": "json", "log-filter": "info,prunella_stream::events=trace" },
    })
}

struct Round<'c> {
    cluster: &'c Cluster,
    installation: Arc<Installation>,
    members: Members,
    timeline: Arc<Timeline>,
    findings: Vec<Finding>,
}

/// What was found. With findings, the timeline is printed and the files of the round are kept.
pub(crate) fn run(plan: &Plan, cluster: &Cluster) -> Vec<Finding> {
    let timeline = Arc::new(Timeline::new());
    let installation =
        Arc::new(Installation::at(cluster.bootstrap_servers(), cluster.client(), &binary(), &config(plan)));
    installation.cli(&["topics", "apply"]).exits_with(0);
    let input = installation.topic("shop.ticks");
    installation.kafka().create_topic(&input, 3);
    for workflow in [CHAIN, ORDERS, &stream(&input)] {
        installation.apply(workflow);
    }
    timeline.note(format!("{}, {}, sabotage: {:?}", plan.placement, plan.guarantee, plan.sabotage));
    let members = Members::new(installation.clone(), timeline.clone(), plan);
    let mut round = Round { cluster, installation, members, timeline, findings: Vec::new() };
    let mut load = Load::start(&round.installation, &input);
    for slot in 0..SLOTS - 1 {
        round.members.want(slot);
    }
    round.wait(WARM_UP);
    for fault in &plan.faults {
        round.timeline.note(format!("{fault:?}"));
        round.act(fault);
        round.wait(Duration::from_millis(700));
    }
    let sent = load.end();
    round.timeline.note(format!("the load ends: {sent:?}"));
    round.settle(&sent, plan.patience);
    round.leave();
    let seen = Observed::read(&round.installation);
    drop(load);
    round.findings.extend(check(&sent, &seen, plan.is_exactly_once()));
    round.report(plan, &sent)
}

impl Round<'_> {
    /// Lets time pass; whoever has ended is started again.
    fn wait(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.members.tend(true);
            std::thread::sleep(Duration::from_millis(25));
        }
    }

    fn act(&mut self, fault: &Fault) {
        match fault {
            Fault::Wait(time) => self.wait(*time),
            Fault::Kill { slot } => self.members.kill(*slot),
            Fault::Freeze { slot, time } => {
                self.members.with(*slot, |process| process.freeze());
                self.wait(*time);
                self.members.with(*slot, |process| process.thaw());
            }
            Fault::Join { slot } => self.members.want(*slot),
            Fault::Leave { slot } => self.ask_to_leave(*slot),
            Fault::RollProcesses => {
                for slot in 0..SLOTS - 1 {
                    self.ask_to_leave(slot);
                    self.members.want(slot);
                    self.wait(Duration::from_millis(1500));
                }
            }
            Fault::Network { node, how, time } => self.network(*node, *how, *time),
            Fault::KillBroker { node, away } => {
                self.cluster.kill(*node);
                self.wait(*away);
                self.cluster.restart(*node);
                self.wait(Duration::from_secs(2));
            }
            Fault::FreezeBroker { node, time } => {
                self.cluster.freeze(*node);
                self.wait(*time);
                self.cluster.thaw(*node);
                self.wait(Duration::from_secs(2));
            }
            Fault::RollBrokers => {
                for node in 0..self.cluster.nodes() {
                    self.cluster.stop(node);
                    self.cluster.restart(node);
                    self.wait(Duration::from_secs(2));
                }
            }
            Fault::Clock { seconds } => {
                let file = Members::clock_file(&self.installation);
                std::fs::write(file, (seconds * 1000).to_string()).expect("the clock set");
            }
        }
    }

    fn ask_to_leave(&mut self, slot: usize) {
        if let Some(what) = self.members.leave(slot) {
            self.findings.push(Finding { property: Property::Leaves, what });
        }
    }

    fn network(&mut self, node: usize, how: Network, time: Duration) {
        let proxy = self.cluster.proxy(node);
        match how {
            Network::Delay(delay) => proxy.delay(delay),
            Network::Limit(bytes) => proxy.limit(bytes),
            Network::Silence | Network::SilenceThenCut => proxy.silence(),
            Network::Close => proxy.close(),
            Network::Cut => return proxy.cut(),
        }
        self.wait(time);
        let proxy = self.cluster.proxy(node);
        proxy.clear();
        if matches!(how, Network::SilenceThenCut) {
            proxy.cut();
        }
    }

    /// No more faults: all that was asked for has to come to its end by itself.
    fn settle(&mut self, sent: &Sent, patience: Duration) {
        let began = Instant::now();
        let (mut progress, mut last_progress) = (0, Instant::now());
        loop {
            self.members.tend(false);
            let seen = Observed::read(&self.installation);
            let ticks = seen.outputs["ticks"].len() + seen.letters["ticks"].len();
            let done = seen.ended("chain") >= sent.chain && seen.ended("orders") >= sent.orders;
            if done && ticks as u64 >= sent.ticks {
                self.timeline.note(format!("settled after {} s", began.elapsed().as_secs()));
                break;
            }
            let now = seen.ended("chain") + seen.ended("orders") + (ticks + seen.outputs["orders"].len()) as u64;
            if now > progress {
                (progress, last_progress) = (now, Instant::now());
            }
            if last_progress.elapsed() > patience || began.elapsed() > LONGEST_SETTLING {
                self.timeline.note(format!(
                    "not settled: {} and {} runs ended, {ticks} ticks",
                    seen.ended("chain"),
                    seen.ended("orders")
                ));
                break;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        std::thread::sleep(AFTERMATH);
    }

    fn leave(&mut self) {
        for slot in 0..SLOTS {
            self.ask_to_leave(slot);
        }
    }

    fn keep_logs(&self, seed: u64) {
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("chaos-{seed}"));
        std::fs::create_dir_all(&kept).expect("a directory");
        for entry in std::fs::read_dir(self.installation.directory()).expect("its files").flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                std::fs::copy(entry.path(), kept.join(entry.file_name())).expect("copied");
            }
        }
        eprintln!("  logs of the processes, in the order they were started: {}", kept.display());
    }

    fn report(self, plan: &Plan, sent: &Sent) -> Vec<Finding> {
        let Plan { seed, placement, guarantee, sabotage, .. } = plan;
        let (starts, seconds) = (self.members.starts, self.timeline.seconds());
        let verdict = if self.findings.is_empty() { "green" } else { "RED" };
        eprintln!(
            "SEED={seed} {verdict}: {placement}, {guarantee}, sabotage {sabotage:?}, {} faults, {starts} starts, {} and {} runs, {} records, {seconds} s",
            plan.faults.len(),
            sent.chain,
            sent.orders,
            sent.ticks
        );
        if !self.findings.is_empty() {
            self.timeline.print();
            for finding in &self.findings {
                eprintln!("  {finding}");
            }
            self.keep_logs(*seed);
        }
        self.findings
    }
}
