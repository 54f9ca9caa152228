//! The view on a real Kafka: what it does when it is stopped, and when its topics are not what they were.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prunella_localkafka::{LocalKafka, LocalKafkaConfig};
use prunella_model::{RunId, RunOrigin, WorkflowVersion, WorkspaceName};
use prunella_runview::{RunFilter, RunView, RunViewConfig};
use prunella_stream::{KafkaSettings, OutRecord, Output};
use prunella_topology::Topics;
use prunella_wire::records::{RunState, RunStatus, TriggerOrigin};
use prunella_wire::{Codec, Headers};
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The metrics that tests look at are of the whole process.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

struct Env {
    kafka: KafkaSettings,
    topics: Topics,
    output: Output,
    codec: Arc<Codec>,
    directory: tempfile::TempDir,
    _broker: LocalKafka,
}

impl Env {
    async fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = LocalKafkaConfig::new(directory.path().join("kafka"));
        let broker = LocalKafka::start(config, &|progress| println!("{progress}")).expect("the local Kafka starts");
        let kafka = KafkaSettings { brokers: broker.bootstrap_servers(), ..KafkaSettings::default() };
        let topics = Topics::new("").expect("a prefix");
        let output = Output::new(&kafka, "test").expect("a producer");
        let env = Self { kafka, topics, output, codec: Arc::new(Codec::new(None, None)), directory, _broker: broker };
        env.create_topics().await;
        env
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.kafka.client_config().expect("settings").create().expect("a client")
    }

    async fn create_topics(&self) {
        let (state, log) = (self.topics.state_runs(), self.topics.log_runs());
        let new = |name| NewTopic::new(name, 2, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
        let created = self.admin().create_topics(&[new(&state), new(&log)], &options).await.expect("an answer");
        created.into_iter().for_each(|result| drop(result.expect("created")));
    }

    async fn start(&self) -> (Arc<RunView>, CancellationToken) {
        let stop = CancellationToken::new();
        let config = RunViewConfig::new(self.view());
        let view = RunView::start(config, self.kafka.clone(), &self.topics, self.codec.clone(), stop.clone()).await;
        (view.expect("a view"), stop)
    }

    fn view(&self) -> std::path::PathBuf {
        self.directory.path().join("view")
    }

    async fn write(&self, records: impl IntoIterator<Item = OutRecord>) {
        self.output.deliver(records.into_iter().collect()).await.expect("written");
    }

    fn record(&self, number: i64) -> OutRecord {
        let topic = self.topics.state_runs();
        let value = self.codec.encode(&topic, &state(number)).expect("encoded");
        OutRecord::new(topic, run_id(number).to_string(), value)
    }
}

async fn stopped(view: Arc<RunView>, stop: CancellationToken) {
    stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), view.closed()).await.expect("closes soon");
}

fn workspace() -> WorkspaceName {
    WorkspaceName::default_workspace()
}

fn run_id(number: i64) -> RunId {
    let workflow = "orders".parse().expect("valid");
    RunId::derive(&workspace(), &workflow, RunOrigin::IdempotencyKey(&number.to_string()))
}

fn state(number: i64) -> RunState {
    RunState {
        run: run_id(number),
        workspace: workspace(),
        workflow: "orders".parse().expect("valid"),
        version: WorkflowVersion(1),
        status: RunStatus::Running,
        origin: TriggerOrigin { topic: "t".to_owned(), partition: 0, offset: number, timestamp: 1 },
        idempotency_key: None,
        replay_of: None,
        created_at: number,
        deadline: number + 1000,
        ended_at: None,
        steps: 1,
        extracted: 0,
        valid: 0,
        dead_lettered: 0,
        error: None,
        traceparent: None,
        done_steps: Vec::new(),
    }
}

async fn numbers(view: &RunView) -> Vec<i64> {
    let page = view.runs(&workspace(), &RunFilter::default(), None, 100_000).await;
    page.map_or_else(|_| Vec::new(), |page| page.runs.iter().rev().map(|run| run.created_at).collect())
}

async fn shows(view: &RunView, expected: &[i64]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let found = numbers(view).await;
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{} runs, expected {}: {found:.100?}", found.len(), expected.len());
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

async fn caught_up(view: &RunView) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !view.health().caught_up {
        assert!(Instant::now() < deadline, "it does not catch up");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn damage(directory: &Path) {
    std::fs::write(directory.join("runs.redb"), b"no database").expect("written");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_view_follows_its_topics_through_everything() {
    let _alone = ALONE.lock().await;
    let env = Env::new().await;

    // Many records, one that nobody can read and one with a foreign key: the others are all there.
    env.write((0..5_000).map(|number| env.record(number))).await;
    let key = run_id(70_000).to_string();
    env.write([
        OutRecord::new(env.topics.state_runs(), key, "not a control record"),
        OutRecord::new(env.topics.state_runs(), "foreign", "x"),
        OutRecord::tombstone(env.topics.state_runs(), run_id(4_999).to_string()),
    ])
    .await;
    let all: Vec<i64> = (0..4_999).collect();
    let skipped = prunella_telemetry::metrics::BAD_STATE.get();
    let (view, stop) = env.start().await;
    caught_up(&view).await;
    assert_eq!(numbers(&view).await, all, "caught up means that everything is there");
    assert_eq!(prunella_telemetry::metrics::BAD_STATE.get() - skipped, 2);
    assert!(view.health().since_contact.is_some());

    // A restart goes on where the view is: nothing is read twice.
    stopped(view, stop).await;
    env.write([env.record(5_000)]).await;
    let before = prunella_telemetry::metrics::RUNVIEW_RECORDS.get();
    let (view, stop) = env.start().await;
    let all: Vec<i64> = all.into_iter().chain([5_000]).collect();
    caught_up(&view).await;
    shows(&view, &all).await;
    assert_eq!(prunella_telemetry::metrics::RUNVIEW_RECORDS.get() - before, 1);

    // A damaged file is read anew from the topics.
    stopped(view, stop).await;
    damage(&env.view());
    let (view, stop) = env.start().await;
    shows(&view, &all).await;
    stopped(view, stop).await;

    // Topics that were made anew while nobody looked: the old runs are gone.
    recreate(&env).await;
    env.write([env.record(1)]).await;
    let (view, stop) = env.start().await;
    shows(&view, &[1]).await;

    // The same under the eyes of the view.
    env.write((2..10).map(|number| env.record(number))).await;
    shows(&view, &(1..10).collect::<Vec<_>>()).await;
    recreate(&env).await;
    let fresh = Output::new(&env.kafka, "test").expect("a producer that knows nothing of the old topics");
    fresh.deliver(vec![env.record(77)]).await.expect("written");
    shows(&view, &[77]).await;
    stopped(view, stop).await;
}

async fn recreate(env: &Env) {
    let (state, log) = (env.topics.state_runs(), env.topics.log_runs());
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let deleted = env.admin().delete_topics(&[&state, &log], &options).await.expect("an answer");
    deleted.into_iter().for_each(|result| drop(result.expect("deleted")));
    // Deleting goes on after the answer.
    tokio::time::sleep(Duration::from_secs(2)).await;
    env.create_topics().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_may_wait_pass_through_all_the_same() {
    let _alone = ALONE.lock().await;
    let env = Env::new().await;
    let payload = vec![b'x'; 900_000];
    let big = |number: i64| {
        let key = format!("{}/fetch/1/{number}", run_id(number));
        let headers = Headers::new().with("pad", vec![b'y'; 1000]);
        OutRecord::new(env.topics.state_runs(), key, payload.clone()).with_headers(headers)
    };
    env.write((0..40).map(big)).await;
    env.write([env.record(1)]).await;
    let (view, stop) = env.start().await;
    caught_up(&view).await;
    assert_eq!(numbers(&view).await, [1]);
    stopped(view, stop).await;
}
