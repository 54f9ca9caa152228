//! What a definition of either kind needs of Kafka and of the registry.

use serde_json::{Map, Value, json};

use prunella_catalog::{Compiled, Definition, WorkflowHistory};
use prunella_model::stream::{Stream, ValueFormat};
use prunella_model::{Code, WorkflowName, WorkspaceName};
use prunella_streams::{output_subject, output_topic};
use prunella_topology::{Cluster, DesiredTopic, Topics, Topology};
use prunella_wire::Registry;
use prunella_workflow::{Declared, Loaded};

use crate::config::Config;
use crate::failure::{Exit, Failure};

/// The topics that `apply` makes for what a file declares.
pub fn declared_topics(topology: &Topology, workspace: &WorkspaceName, declared: &Declared) -> Vec<DesiredTopic> {
    match declared {
        Declared::Workflow(workflow) => topology.workflow_topics(workspace, &workflow.workflow),
        Declared::Stream(stream) => stream_topics(topology, workspace, stream),
    }
}

/// The same for what the catalog has under one name. Nothing is known of what only a later release can execute.
pub fn known_topics(topology: &Topology, workspace: &WorkspaceName, known: &WorkflowHistory) -> Vec<DesiredTopic> {
    let definition = known.live_definition().or_else(|| known.latest());
    match definition.map(|definition| (definition, definition.compiled())) {
        Some((definition, Ok(Compiled::Workflow(_)))) => topology.workflow_topics(workspace, &definition.at.workflow),
        Some((_, Ok(Compiled::Stream(plan)))) => stream_topics(topology, workspace, plan.stream()),
        Some((_, Err(_))) | None => Vec::new(),
    }
}

fn stream_topics(topology: &Topology, workspace: &WorkspaceName, stream: &Stream) -> Vec<DesiredTopic> {
    topology.stream_topics(workspace, &stream.stream, stream.output.topic.is_none())
}

/// Names of the topics, as commands show them.
pub fn shown_topics(topics: &Topics, workspace: &WorkspaceName, declared: &Declared) -> Vec<(&'static str, String)> {
    let name = declared.name();
    let dead_letters = ("deadletter", topics.deadletter(workspace, name));
    match declared {
        Declared::Workflow(_) => {
            vec![("trigger", topics.trigger(workspace, name)), ("output", topics.output(workspace, name)), dead_letters]
        }
        Declared::Stream(stream) => vec![
            ("input", stream.input.topic.to_string()),
            ("output", output_topic(topics, workspace, stream)),
            dead_letters,
        ],
    }
}

/// What the text of a stored definition declares; `None` when this release cannot read it.
pub fn declared(definition: &Definition) -> Option<Declared> {
    match definition.compiled().ok()? {
        Compiled::Workflow(plan) => Some(Declared::Workflow(Box::new(plan.workflow().clone()))),
        Compiled::Stream(plan) => Some(Declared::Stream(Box::new(plan.stream().clone()))),
    }
}

pub fn as_json(shown: &[(&'static str, String)]) -> Map<String, Value> {
    shown.iter().map(|(kind, name)| ((*kind).to_owned(), json!(name))).collect()
}

/// Fails when a stream could never run here: its topics are missing or feed each other, its format needs a registry that
/// is not there or refuses the schema.
pub async fn check_stream(
    config: &Config,
    cluster: &Cluster,
    topics: &Topics,
    workspace: &WorkspaceName,
    stream: &Stream,
) -> Result<(), Failure> {
    let name = &stream.stream;
    let (input, output) = (stream.input.topic.to_string(), output_topic(topics, workspace, stream));
    if input == output || input == topics.deadletter(workspace, name) {
        let message = format!("stream {name} reads {input}, which it writes to itself: choose another input topic");
        return Err(Failure::new(Code::WorkflowValue, message).exit(Exit::Invalid));
    }
    let mut users = vec![input];
    users.extend(stream.output.topic.as_ref().map(ToString::to_string));
    let found = cluster.describe(&users).await?;
    if let Some(missing) = users.iter().find(|topic| !found.topics.contains_key(*topic)) {
        let message = format!("stream {name} names the topic {missing}, which does not exist: create it first");
        return Err(Failure::new(Code::TopicShape, message));
    }
    if stream.input.format == ValueFormat::Json && stream.output.format == ValueFormat::Json {
        return Ok(());
    }
    let Some(client) = config.schema_registry.client()? else {
        let message = format!("stream {name} reads or writes Avro, which needs a registry: set schema-registry.url");
        return Err(Failure::new(Code::Config, message));
    };
    if let Some((subject, schema)) = output_subject(stream, &output) {
        Registry::new(&client)?.register_value(&subject, &schema).await?;
    }
    Ok(())
}

/// Steps that name a language model whose provider this configuration does not have, in words.
pub fn models_missing(config: &Config, loaded: &[Loaded]) -> Vec<String> {
    let workflows = loaded.iter().filter_map(|one| one.declared.as_workflow());
    let steps = workflows.flat_map(|workflow| workflow.steps.iter().map(move |step| (&workflow.workflow, step)));
    let named = steps.filter_map(|(workflow, step)| {
        let model = step.healing.as_ref()?.model.as_deref()?;
        let provider = model.split_once('/').map_or(model, |(provider, _)| provider);
        let is_there = config.llm.providers.contains_key(provider);
        (!is_there).then(|| {
            format!(
                "{workflow}/{} names the model {model}, and llm.providers of this configuration has no {provider:?}",
                step.id
            )
        })
    });
    named.collect()
}

/// Fails when a step names a language model that nobody here can ask.
pub fn check_models(config: &Config, loaded: &[Loaded]) -> Result<(), Failure> {
    match models_missing(config, loaded).as_slice() {
        [] => Ok(()),
        missing => {
            let message = format!("{}: configure it, or leave `model` out; docs/llm.md", missing.join("; "));
            Err(Failure::new(Code::LlmNotConfigured, message).exit(Exit::Invalid))
        }
    }
}

/// The name of a workflow or stream that is not there.
pub fn missing(workspace: &WorkspaceName, name: &WorkflowName) -> Failure {
    let message = format!("there is no workflow or stream {name} in workspace {workspace}");
    Failure::new(Code::WorkflowUnknown, message).exit(Exit::NotFound)
}
