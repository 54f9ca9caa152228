//! The product as a black box: its binary, its topics, its processes.

use prunella_testkit::harness::{Broker, Installation, Prunella};
use serde_json::json;

use crate::client::SESSION_TIMEOUT;
use crate::variant::Variant;

/// What carries a run from its trigger to its end. The gateway is left out: it reads, it does not take part.
const SERVICES: [&str; 4] = ["orchestrator", "extractor", "transformer", "validator"];

pub(crate) struct Product {
    installation: Installation,
}

impl Product {
    /// With topics of its own, `partitions` each.
    pub(crate) fn install(broker: &Broker, binary: &str, variant: Variant, partitions: i32) -> Self {
        let changes = json!({
            "topics": { "partitions": partitions, "home-partitions": partitions },
            "kafka": { "librdkafka": { "session.timeout.ms": SESSION_TIMEOUT } },
            "telemetry": { "log-filter": "warn,prunella=info" },
        });
        let mut installation = Installation::on(broker, binary, &changes);
        for (name, value) in variant.environment() {
            installation = installation.with_environment(name, value);
        }
        installation.cli(&["topics", "apply"]).exits_with(0);
        Self { installation }
    }

    /// Makes a workflow or stream live.
    pub(crate) fn apply(&self, text: &str) {
        self.installation.apply(text);
    }

    /// Why the binary refuses a file, if it does.
    pub(crate) fn refuses(&self, text: &str) -> Option<String> {
        let path = self.installation.write("probe.yaml", text);
        let answer = self.installation.cli(&["validate", &path.display().to_string()]);
        let message = |answer: &serde_json::Value| Some(answer["problems"][0]["message"].as_str()?.to_owned());
        let first = || serde_json::from_str(&answer.stdout).ok().and_then(|answer| message(&answer));
        (answer.status != Some(0)).then(|| first().unwrap_or_else(|| answer.stderr.trim().to_owned()))
    }

    /// One process with everything that runs need, the `slot`-th of those that run at the same time.
    pub(crate) fn serve(&self, slot: usize) -> Prunella {
        self.installation.serve_with(&SERVICES, &[("PRUNELLA__PROCESSING__TRANSACTIONS__SLOT", slot.to_string())])
    }

    /// One process with every service there is, under whatever name.
    pub(crate) fn up(&self) -> Prunella {
        self.installation.up()
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        self.installation.topic(name)
    }
}
