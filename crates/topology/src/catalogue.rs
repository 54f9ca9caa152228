use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Serialize;

use crate::{TopicDeclaration, TopologyError};

macro_rules! topic_kinds {
    ($($(#[$doc:meta])* $kind:ident = $id:literal,)*) => {
        /// A topic, or a family of topics with one member per workflow. One file each in `topics/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum TopicKind { $($(#[$doc])* $kind,)* }

        impl TopicKind {
            pub const ALL: &'static [Self] = &[$(Self::$kind,)*];

            /// Name of the file in `topics/` and of the topic without prefix, workspace and workflow.
            pub const fn id(self) -> &'static str {
                match self { $(Self::$kind => $id,)* }
            }

            const fn yaml(self) -> &'static str {
                match self {
                    $(Self::$kind => include_str!(concat!("../../../topics/", $id, ".yaml")),)*
                }
            }
        }
    };
}

topic_kinds! {
    /// Records that start runs, per workflow.
    Trigger = "trigger",
    /// Validated records, per workflow.
    Output = "output",
    /// What could not be processed, per workflow.
    DeadLetter = "deadletter",
    /// What belongs to no known workflow.
    DeadLetterSystem = "deadletter._system",
    StageExtract = "stage.extract",
    StageTransform = "stage.transform",
    StageValidate = "stage.validate",
    StageProgress = "stage.progress",
    StageControl = "stage.control",
    StageHeal = "stage.heal",
    StateRuns = "state.runs",
    StateExtractions = "state.extractions",
    StateWorkflows = "state.workflows",
    StateSchemas = "state.schemas",
    StateOperations = "state.operations",
    StateParked = "state.parked",
    StateMappings = "state.mappings",
    StateSamples = "state.samples",
    LogRuns = "log.runs",
    LogAudit = "log.audit",
    LogLlm = "log.llm",
}

impl TopicKind {
    /// Whether each workflow has its own topic of this kind.
    pub const fn is_per_workflow(self) -> bool {
        matches!(self, Self::Trigger | Self::Output | Self::DeadLetter)
    }

    /// The kind with this [`id`](Self::id).
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.id() == id)
    }

    /// The name that its file must declare.
    fn template(self) -> String {
        if self.is_per_workflow() {
            return format!("{}.{{workspace}}.{{workflow}}", self.id());
        }
        self.id().to_owned()
    }
}

impl fmt::Display for TopicKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Serialize for TopicKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.id())
    }
}

/// Every declaration in `topics/`, as it was when this binary was built.
#[derive(Debug)]
pub struct Catalogue {
    declarations: BTreeMap<TopicKind, TopicDeclaration>,
}

impl Catalogue {
    /// The declarations built into this binary. Parsed once; an unusable file is an error each time.
    pub fn embedded() -> Result<&'static Self, TopologyError> {
        static EMBEDDED: LazyLock<Result<Catalogue, String>> = LazyLock::new(Catalogue::parse);
        EMBEDDED.as_ref().map_err(|reason| TopologyError::Declaration { reason: reason.clone() })
    }

    fn parse() -> Result<Self, String> {
        let mut declarations = BTreeMap::new();
        for kind in TopicKind::ALL.iter().copied() {
            let declaration = TopicDeclaration::parse(kind.yaml())
                .and_then(|declaration| {
                    let template = kind.template();
                    if declaration.name == template {
                        return Ok(declaration);
                    }
                    Err(format!("its name is {:?}: expected {template:?}", declaration.name))
                })
                .map_err(|reason| format!("topics/{kind}.yaml: {reason}"))?;
            declarations.insert(kind, declaration);
        }
        Ok(Self { declarations })
    }

    pub fn get(&self, kind: TopicKind) -> &TopicDeclaration {
        // `parse` fails unless every kind has its declaration.
        &self.declarations[&kind]
    }

    pub fn iter(&self) -> impl Iterator<Item = (TopicKind, &TopicDeclaration)> {
        self.declarations.iter().map(|(kind, declaration)| (*kind, declaration))
    }
}
