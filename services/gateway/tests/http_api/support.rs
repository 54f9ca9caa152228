use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use prunella_catalog::{Catalog, History, MappingView};
use prunella_gateway::{ACTOR, Gateway, GatewayConfig, GatewayDeps, GatewayError, LiveWorkflow, Workflows};
use prunella_localkafka::{LocalKafka, LocalKafkaConfig};
use prunella_mapping::Limits;
use prunella_model::{WorkflowName, WorkflowVersion, WorkspaceName};
use prunella_operate::mappings::MappingDesk;
use prunella_runview::RunView;
use prunella_stream::{KafkaSettings, OutRecord, Output};
use prunella_topology::{Cluster, Topics, TopicsConfig, Topology};
use prunella_wire::{Codec, ControlRecord};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const DEFINITION: &str = r#"{"workflow":"orders","steps":[]}"#;

/// A catalogue of one workflow, `default/orders`.
struct OnlyOrders;

impl Workflows for OnlyOrders {
    fn live<'a>(
        &'a self,
        workspace: &'a WorkspaceName,
        workflow: &'a WorkflowName,
    ) -> BoxFuture<'a, Option<LiveWorkflow>> {
        Box::pin(async move {
            let is_known = *workspace == WorkspaceName::default_workspace() && workflow.as_str() == "orders";
            is_known.then(|| LiveWorkflow {
                workflow: workflow.clone(),
                version: WorkflowVersion(3),
                digest: "d1g3st".to_owned(),
                description: Some("All orders".to_owned()),
                definition: DEFINITION.to_owned(),
                applied_at: 5,
                applied_by: "ada".to_owned(),
            })
        })
    }

    fn list<'a>(&'a self, workspace: &'a WorkspaceName) -> BoxFuture<'a, Vec<LiveWorkflow>> {
        Box::pin(async move { self.live(workspace, &orders()).await.into_iter().collect() })
    }
}

pub(crate) fn orders() -> WorkflowName {
    "orders".parse().expect("a valid name")
}

pub(crate) fn workspace() -> WorkspaceName {
    WorkspaceName::default_workspace()
}

/// A gateway on a port of its own.
pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    pub(crate) topics: Topics,
    pub(crate) kafka: KafkaSettings,
    pub(crate) output: Output,
    pub(crate) codec: Arc<Codec>,
    pub(crate) view: Arc<RunView>,
    pub(crate) stop: CancellationToken,
    serving: JoinHandle<Result<(), GatewayError>>,
    directory: TempDir,
}

impl Api {
    pub(crate) async fn start(kafka: KafkaSettings, topics: Topics, change: impl FnOnce(&mut GatewayConfig)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Self::try_start(kafka, topics, directory, change).await.expect("the gateway starts")
    }

    pub(crate) async fn try_start(
        kafka: KafkaSettings,
        topics: Topics,
        directory: TempDir,
        change: impl FnOnce(&mut GatewayConfig),
    ) -> Result<Self, GatewayError> {
        let mut config = GatewayConfig {
            listen: "127.0.0.1:0".to_owned(),
            view_directory: directory.path().join("view"),
            ..GatewayConfig::default()
        };
        change(&mut config);
        let stop = CancellationToken::new();
        let codec = Arc::new(Codec::new(None, None));
        let output = Output::new(&kafka, "test").expect("a producer");
        let view = RunView::start(config.view(), kafka.clone(), &topics, codec.clone(), stop.clone()).await;
        let view = view.expect("a view");
        let mappings = match kafka.brokers == no_kafka().brokers {
            true => Arc::new(MappingView::default()),
            false => MappingView::start(&kafka, &topics, codec.clone(), stop.clone()).await.expect("a view"),
        };
        let deps = GatewayDeps {
            output: output.clone(),
            codec: codec.clone(),
            topics: topics.clone(),
            workflows: Arc::new(OnlyOrders),
            runs: view.clone(),
            mappings: MappingDesk {
                topics: topics.clone(),
                codec: codec.clone(),
                output: output.clone(),
                catalog: Catalog::fixed(History::default()),
                view: mappings,
                limits: Limits::default(),
                actor: ACTOR.to_owned(),
            },
        };
        let bound = Gateway::bind(config, deps, stop.clone()).await;
        let gateway = bound.inspect_err(|_| stop.cancel())?;
        let base = format!("http://{}", gateway.local_address().expect("an address"));
        let serving = tokio::spawn(gateway.run());
        let client = reqwest::Client::new();
        Ok(Self { base, client, topics, kafka, output, codec, view, stop, serving, directory })
    }

    /// Without a Kafka: nobody listens at the address of the broker.
    pub(crate) async fn without_kafka(change: impl FnOnce(&mut GatewayConfig)) -> Self {
        Self::start(no_kafka(), Topics::new("test.").expect("a prefix"), change).await
    }

    /// With topics of its own on the shared broker, its view read to the end.
    pub(crate) async fn with_kafka(kafka: &Kafka) -> Self {
        let topics = kafka.topics().await;
        let api = Self::start(kafka.settings(), topics, |_| ()).await;
        api.is_ready().await;
        api
    }

    /// The same gateway again: same topics, same directory of the view.
    pub(crate) async fn restarted(self) -> Self {
        let (kafka, topics, directory) = (self.kafka.clone(), self.topics.clone(), self.stopped().await);
        let api = Self::try_start(kafka, topics, directory, |_| ()).await.expect("the gateway starts");
        api.is_ready().await;
        api
    }

    /// Ends the gateway, and fails when that takes longer than it may.
    pub(crate) async fn stopped(self) -> TempDir {
        self.stop.cancel();
        let ended = async {
            self.serving.await.expect("no panic").expect("served");
            self.view.closed().await;
        };
        tokio::time::timeout(Duration::from_secs(8), ended).await.expect("stops within seconds");
        self.directory
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.expect("an answer")
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Response {
        self.request(Method::POST, path).body(body).send().await.expect("an answer")
    }

    pub(crate) async fn get_json(&self, path: &str) -> Value {
        json(self.get(path).await).await.1
    }

    pub(crate) async fn is_ready(&self) {
        eventually("the gateway is ready", async || self.get("/readyz").await.status() == 200).await;
    }

    /// Writes control records as the orchestrator would: to the home of their run.
    pub(crate) async fn write<T: ControlRecord>(&self, topic: &str, key: &str, record: &T) {
        let value = self.codec.encode(topic, record).expect("encoded");
        self.output.deliver(vec![OutRecord::new(topic, key.to_owned(), value)]).await.expect("written");
    }
}

pub(crate) async fn json(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// The status and the code of a problem, after a look at its form.
pub(crate) async fn problem(response: Response) -> (u16, String) {
    let content_type = response.headers()["content-type"].to_str().expect("text").to_owned();
    let request_id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
    let path = response.url().path().to_owned();
    let (status, problem) = json(response).await;
    assert_eq!(content_type, "application/problem+json", "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    assert_eq!(problem["request_id"], *request_id, "{problem}");
    assert_eq!(problem["instance"], *path, "{problem}");
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    (status, problem["code"].as_str().expect("a code").to_owned())
}

pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
}

pub(crate) fn no_kafka() -> KafkaSettings {
    KafkaSettings { brokers: "127.0.0.1:1".to_owned(), ..KafkaSettings::default() }
}

/// One broker for all tests that run at the same time; it ends with the last of them.
pub(crate) struct Kafka {
    broker: LocalKafka,
    _data: TempDir,
}

pub(crate) fn kafka() -> Arc<Kafka> {
    static RUNNING: Mutex<Weak<Kafka>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kafka) = running.upgrade() {
        return kafka;
    }
    let data = tempfile::tempdir().expect("a temporary directory");
    let broker = LocalKafka::start(LocalKafkaConfig::new(data.path()), &|progress| println!("{progress}"));
    let kafka = Arc::new(Kafka { broker: broker.expect("the local Kafka starts"), _data: data });
    *running = Arc::downgrade(&kafka);
    kafka
}

impl Kafka {
    pub(crate) fn settings(&self) -> KafkaSettings {
        KafkaSettings { brokers: self.broker.bootstrap_servers(), ..KafkaSettings::default() }
    }

    /// Topics of their own for every test, few partitions to be quick.
    pub(crate) async fn topics(&self) -> Topics {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("test{}.", NEXT.fetch_add(1, Ordering::Relaxed));
        let config = TopicsConfig { prefix, partitions: Some(2), ..TopicsConfig::default() };
        let topology = Topology::new(config).expect("a valid configuration");
        let mut desired = topology.shared_topics();
        desired.extend(topology.workflow_topics(&workspace(), &orders()));
        let settings = self.settings().client_config().expect("settings");
        let cluster = Cluster::connect(&settings, Duration::from_secs(10)).await.expect("the broker answers");
        let plan = cluster.plan(&desired).await.expect("a plan");
        cluster.apply(&plan, false).await.expect("applied");
        topology.topics().clone()
    }
}
