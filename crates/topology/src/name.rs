use std::fmt;
use std::str::FromStr;

use prunella_model::{WorkflowName, WorkspaceName};

use crate::{TopicKind, TopologyError};

/// A topic by what it is, apart from the prefix of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TopicName {
    Trigger(WorkspaceName, WorkflowName),
    Output(WorkspaceName, WorkflowName),
    DeadLetter(WorkspaceName, WorkflowName),
    /// A topic that all workflows share: any kind that is not per workflow.
    Shared(TopicKind),
}

impl TopicName {
    pub fn kind(&self) -> TopicKind {
        match self {
            Self::Trigger(..) => TopicKind::Trigger,
            Self::Output(..) => TopicKind::Output,
            Self::DeadLetter(..) => TopicKind::DeadLetter,
            Self::Shared(kind) => *kind,
        }
    }

    /// Workspace and workflow of a topic that belongs to one workflow.
    pub fn workflow(&self) -> Option<(&WorkspaceName, &WorkflowName)> {
        match self {
            Self::Trigger(workspace, workflow)
            | Self::Output(workspace, workflow)
            | Self::DeadLetter(workspace, workflow) => Some((workspace, workflow)),
            Self::Shared(_) => None,
        }
    }
}

/// The name without prefix: `trigger.default.orders`, `stage.progress`.
impl fmt::Display for TopicName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.workflow() {
            Some((workspace, workflow)) => write!(f, "{}.{workspace}.{workflow}", self.kind()),
            None => self.kind().fmt(f),
        }
    }
}

/// Builds and reads every topic name of an installation. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    prefix: std::sync::Arc<str>,
}

macro_rules! shared_topics {
    ($($method:ident => $kind:ident,)*) => {
        $(pub fn $method(&self) -> String {
            self.full_name(&TopicName::Shared(TopicKind::$kind))
        })*
    };
}

impl Topics {
    /// The longest name, `deadletter.<63>.<63>`, and this prefix stay under Kafka's 249 characters.
    const MAX_PREFIX: usize = 100;

    /// `prefix` stands before every name as it is, with its separator: `prunella.`.
    pub fn new(prefix: &str) -> Result<Self, TopologyError> {
        let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        if prefix.len() > Self::MAX_PREFIX || !prefix.bytes().all(is_legal) {
            return Err(TopologyError::Config {
                key: "topics.prefix".to_owned(),
                reason: format!(
                    "{prefix:?} cannot start a topic name: expected up to {} of a-z, A-Z, 0-9, '.', '_' and '-'",
                    Self::MAX_PREFIX
                ),
            });
        }
        Ok(Self { prefix: prefix.into() })
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    pub fn full_name(&self, topic: &TopicName) -> String {
        format!("{}{topic}", self.prefix)
    }

    pub fn trigger(&self, workspace: &WorkspaceName, workflow: &WorkflowName) -> String {
        self.full_name(&TopicName::Trigger(workspace.clone(), workflow.clone()))
    }

    pub fn output(&self, workspace: &WorkspaceName, workflow: &WorkflowName) -> String {
        self.full_name(&TopicName::Output(workspace.clone(), workflow.clone()))
    }

    pub fn deadletter(&self, workspace: &WorkspaceName, workflow: &WorkflowName) -> String {
        self.full_name(&TopicName::DeadLetter(workspace.clone(), workflow.clone()))
    }

    shared_topics! {
        deadletter_system => DeadLetterSystem,
        stage_extract => StageExtract,
        stage_transform => StageTransform,
        stage_validate => StageValidate,
        stage_progress => StageProgress,
        stage_control => StageControl,
        stage_heal => StageHeal,
        state_runs => StateRuns,
        state_extractions => StateExtractions,
        state_workflows => StateWorkflows,
        state_schemas => StateSchemas,
        state_operations => StateOperations,
        state_parked => StateParked,
        state_mappings => StateMappings,
        state_samples => StateSamples,
        log_runs => LogRuns,
        log_audit => LogAudit,
        log_llm => LogLlm,
    }

    /// What a full topic name of this installation stands for; `None` for every other topic.
    pub fn parse(&self, full_name: &str) -> Option<TopicName> {
        let name = full_name.strip_prefix(self.prefix.as_ref())?;
        if let Some(kind) = TopicKind::from_id(name).filter(|kind| !kind.is_per_workflow()) {
            return Some(TopicName::Shared(kind));
        }
        // Neither name can hold a dot, so the split is the only one.
        let mut parts = name.splitn(3, '.');
        let kind = TopicKind::from_id(parts.next()?)?;
        let workspace = WorkspaceName::from_str(parts.next()?).ok()?;
        let workflow = WorkflowName::from_str(parts.next()?).ok()?;
        match kind {
            TopicKind::Trigger => Some(TopicName::Trigger(workspace, workflow)),
            TopicKind::Output => Some(TopicName::Output(workspace, workflow)),
            TopicKind::DeadLetter => Some(TopicName::DeadLetter(workspace, workflow)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_topic() -> impl Strategy<Value = TopicName> {
        let names = ("[a-z0-9-]{1,63}", "[a-z0-9-]{1,63}").prop_map(|(workspace, workflow)| {
            (
                workspace.parse::<WorkspaceName>().expect("matches the pattern"),
                workflow.parse::<WorkflowName>().expect("matches the pattern"),
            )
        });
        let kinds: Vec<_> = TopicKind::ALL.iter().copied().filter(|kind| !kind.is_per_workflow()).collect();
        prop_oneof![
            names.clone().prop_map(|(workspace, workflow)| TopicName::Trigger(workspace, workflow)),
            names.clone().prop_map(|(workspace, workflow)| TopicName::Output(workspace, workflow)),
            names.prop_map(|(workspace, workflow)| TopicName::DeadLetter(workspace, workflow)),
            prop::sample::select(kinds).prop_map(TopicName::Shared),
        ]
    }

    proptest! {
        #[test]
        fn every_name_is_read_back_as_what_it_was_built_from(
            prefix in "[a-zA-Z0-9._-]{0,100}",
            topic in any_topic(),
        ) {
            let topics = Topics::new(&prefix).expect("legal prefix");
            let full_name = topics.full_name(&topic);
            prop_assert!(full_name.len() <= 249, "Kafka's limit");
            prop_assert_eq!(topics.parse(&full_name), Some(topic));
        }

        #[test]
        fn what_is_read_is_built_again_as_the_same_name(name in "(trigger|output|state|stage|x)\\.[a-z.]{0,12}") {
            let topics = Topics::new("").expect("legal prefix");
            if let Some(topic) = topics.parse(&name) {
                prop_assert_eq!(topics.full_name(&topic), name);
            }
        }
    }

    #[test]
    fn names_of_others_are_nobodys() {
        let topics = Topics::new("prunella.").expect("legal prefix");
        for name in [
            "orders",
            "prunella.trigger",
            "prunella.trigger.default",
            "prunella.trigger.default.orders.eu",
            "prunella.trigger.Default.orders",
            "prunella.stage.default.orders",
            "other.stage.progress",
            "prunella.",
        ] {
            assert_eq!(topics.parse(name), None, "{name}");
        }
        assert_eq!(topics.stage_progress(), "prunella.stage.progress");
        assert_eq!(topics.deadletter_system(), "prunella.deadletter._system");
    }

    #[test]
    fn an_illegal_prefix_is_refused() {
        for prefix in ["a b", "ä", &"x".repeat(101)] {
            let error = Topics::new(prefix).expect_err(prefix);
            assert!(error.to_string().contains("topics.prefix"), "{error}");
        }
    }
}
