use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::answer::Answer;
use super::broker::{Broker, broker};
use super::process::Prunella;
use super::records::{Kafka, ReadRecord};
use super::wait::wait_until;

/// Prunella with topics, files and data of its own, on a broker that others use too.
pub struct Installation {
    binary: PathBuf,
    directory: TempDir,
    prefix: String,
    kafka: Kafka,
    environment: Vec<(String, String)>,
    starts: AtomicU32,
}

impl Installation {
    /// On the shared broker. `changes` are put over the configuration, field by field.
    pub fn new(binary: &str, changes: &Value) -> Self {
        Self::on(broker(), binary, changes)
    }

    /// # Panics
    /// When its files cannot be written.
    pub fn on(broker: &Broker, binary: &str, changes: &Value) -> Self {
        Self::at(&broker.bootstrap_servers(), broker.client(), binary, changes)
    }

    /// On whatever Kafka there is; tests look at it with `client`.
    ///
    /// # Panics
    /// When its files cannot be written.
    pub fn at(bootstrap_servers: &str, client: Kafka, binary: &str, changes: &Value) -> Self {
        let directory = tempfile::Builder::new().prefix("prunella-test-").tempdir().expect("a directory");
        let prefix = format!("t{}.", &uuid::Uuid::new_v4().simple().to_string()[..10]);
        let mut config = json!({
            "kafka": { "brokers": bootstrap_servers },
            "topics": { "prefix": prefix, "home-partitions": 4, "partitions": 3 },
            "gateway": { "listen": "127.0.0.1:0" },
            "telemetry": { "listen": "127.0.0.1:0" },
        });
        merge(&mut config, changes);
        let installation = Self {
            binary: binary.into(),
            directory,
            prefix,
            kafka: client,
            environment: Vec::new(),
            starts: AtomicU32::new(0),
        };
        // Every JSON document is a YAML document.
        fs::write(installation.config_file(), format!("{config:#}\n")).expect("the configuration written");
        installation
    }

    /// With a variable in the environment of every command.
    #[must_use]
    pub fn with_environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn config_file(&self) -> PathBuf {
        self.directory.path().join("prunella.yaml")
    }

    /// The full name of a topic, such as `stage.progress`.
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn kafka(&self) -> &Kafka {
        &self.kafka
    }

    /// Every record of a topic, by its name without prefix.
    pub fn read(&self, topic: &str) -> Vec<ReadRecord> {
        self.kafka.read(&self.topic(topic))
    }

    /// Records that were ever written to a topic, by its name without prefix.
    pub fn count(&self, topic: &str) -> i64 {
        self.kafka.count(&self.topic(topic))
    }

    /// A command of this installation, for whoever wants to run it in another way.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.env_remove("PRUNELLA_CONFIG").env_remove("PRUNELLA_BROKERS").env_remove("PRUNELLA_LOG");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--json").arg("--config").arg(self.config_file());
        command.arg("--data-dir").arg(self.directory.path().join("data")).args(arguments);
        command
    }

    /// Runs a command to its end.
    pub fn cli(&self, arguments: &[&str]) -> Answer {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("prunella starts");
        Answer::new(arguments.join(" "), &output)
    }

    /// Everything in one process.
    pub fn up(&self) -> Prunella {
        self.up_with(&[])
    }

    /// As [`Installation::up`], with variables in the environment of this process alone.
    pub fn up_with(&self, environment: &[(&str, String)]) -> Prunella {
        let mut command = self.command(&["up"]);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Prunella::start(command, self.next_log()).once_ready("{\"ready\":")
    }

    /// Some services; their topics have to exist.
    pub fn serve(&self, services: &[&str]) -> Prunella {
        self.serve_with(services, &[])
    }

    /// As [`Installation::serve`], with variables in the environment of this process alone.
    pub fn serve_with(&self, services: &[&str], environment: &[(&str, String)]) -> Prunella {
        self.launch(services, environment).once_ready("serving")
    }

    /// As [`Installation::serve_with`], without waiting: for whoever expects it to end at any moment.
    pub fn launch(&self, services: &[&str], environment: &[(&str, String)]) -> Prunella {
        let mut command = self.command(&[&["serve"], services].concat());
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        Prunella::start(command, self.next_log())
    }

    fn next_log(&self) -> PathBuf {
        let number = self.starts.fetch_add(1, Ordering::Relaxed);
        self.directory.path().join(format!("prunella-{number}.log"))
    }

    /// Writes a workflow file and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join("workflows").join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, text).expect("written");
        path
    }

    /// Makes the workflow of this text live.
    ///
    /// # Panics
    /// When it is refused.
    pub fn apply(&self, text: &str) -> Value {
        let path = self.write("workflow.yaml", text);
        self.cli(&["apply", &path.display().to_string()]).exits_with(0).json()
    }

    /// Starts a run by writing to its trigger topic; gives its id.
    pub fn start_run(&self, workflow: &str, payload: &Value) -> String {
        let answer = self.run(&[workflow], payload).exits_with(0).json();
        answer["run"].as_str().expect("a run id").to_owned()
    }

    /// Runs a workflow to its end; gives its report, whatever its end.
    pub fn run_to_end(&self, workflow: &str, payload: &Value) -> Value {
        let answer = self.run(&[workflow, "--wait", "--timeout", "90s"], payload);
        assert!(matches!(answer.status, Some(0 | 4)), "{}{}", answer.stdout, answer.stderr);
        answer.json()
    }

    fn run(&self, arguments: &[&str], payload: &Value) -> Answer {
        let mut command = self.command(&[&["run", "--input", "-"], arguments].concat());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("prunella starts");
        let mut input = child.stdin.take().expect("its input was piped");
        input.write_all(payload.to_string().as_bytes()).expect("input written");
        drop(input);
        let output = child.wait_with_output();
        Answer::new(arguments.join(" "), &output.expect("it ends"))
    }

    /// Starts one run for each payload by a record on the trigger topic; gives their ids in that order, once all are
    /// known.
    ///
    /// # Panics
    /// When they do not become known.
    pub fn start_runs(&self, workflow: &str, payloads: &[Value]) -> Vec<String> {
        let topic = self.topic(&format!("trigger.default.{workflow}"));
        let keys: Vec<String> = payloads.iter().map(|_| uuid::Uuid::new_v4().to_string()).collect();
        for (payload, key) in payloads.iter().zip(&keys) {
            let payload = payload.to_string();
            self.kafka.produce(&topic, None, Some(payload.as_bytes()), &[("idempotency-key", key.as_bytes())]);
        }
        wait_until(Duration::from_secs(60), "the runs have started", || {
            let known = self.runs_by("idempotency_key");
            keys.iter().map(|key| Some(known.get(key)?["run"].as_str()?.to_owned())).collect()
        })
    }

    /// What `runs list` says of these runs, in their order, when all have ended.
    ///
    /// # Panics
    /// When one has not ended after `patience`.
    pub fn wait_for_ends(&self, runs: &[String], patience: Duration) -> Vec<Value> {
        wait_until(patience, &format!("{} runs have ended", runs.len()), || {
            let mut known = self.runs_by("run");
            runs.iter().map(|run| known.remove(run).filter(|report| report["ended_at"].is_i64())).collect()
        })
    }

    fn runs_by(&self, field: &str) -> HashMap<String, Value> {
        let listed = self.cli(&["runs", "list", "--limit", "1000"]).exits_with(0).json();
        let runs = listed["runs"].as_array().cloned().unwrap_or_default();
        runs.into_iter().map(|run| (run[field].as_str().unwrap_or_default().to_owned(), run)).collect()
    }

    /// What `runs show` says, once the run is known.
    pub fn show(&self, run: &str) -> Value {
        wait_until(Duration::from_secs(30), "the run is known", || {
            let answer = self.cli(&["runs", "show", run]);
            (answer.status == Some(0)).then(|| answer.json())
        })
    }

    /// What `runs show` says when the run has ended.
    pub fn wait_for_end(&self, run: &str, patience: Duration) -> Value {
        wait_until(patience, &format!("run {run} has ended"), || {
            let report = self.show(run);
            report["ended_at"].is_i64().then_some(report)
        })
    }
}

fn merge(base: &mut Value, changes: &Value) {
    match (base, changes) {
        (Value::Object(base), Value::Object(changes)) => {
            for (name, value) in changes {
                merge(base.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (base, changes) => *base = changes.clone(),
    }
}
