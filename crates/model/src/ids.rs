//! Names and ids. Each is parsed once, at the edge, and cannot hold anything else afterwards.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::seed_of;

/// Why a text is not the name or id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {noun}: expected {expected}")]
pub struct IdError {
    noun: &'static str,
    text: String,
    expected: &'static str,
}

/// Reads what is parsed from a text.
struct Parsed<T>(PhantomData<T>);

impl<T: FromStr<Err = IdError>> Visitor<'_> for Parsed<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $noun:literal, $pattern:literal, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(IdError { noun: $noun, text: text.to_owned(), expected: $expected })
                }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.as_ref().to_owned()
            }
        }

        // Every record of state is made of names: none is a string of its own on the way.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str(Parsed(PhantomData))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

fn is_topic_part(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_kafka_topic(text: &str) -> bool {
    (1..=249).contains(&text.len())
        && !matches!(text, "." | "..")
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_step_id(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= 63
        && bytes.next().is_some_and(|b| b.is_ascii_lowercase())
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

fn is_text_hash(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn is_run_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

name_type!(
    /// A tenant. Part of every user-facing topic name, so ACLs by prefix separate tenants.
    WorkspaceName, "workspace name", "^[a-z0-9-]{1,63}$",
    "1 to 63 of a-z, 0-9 and -", is_topic_part
);
name_type!(
    /// The name of a workflow or stream inside its workspace. Part of topic names.
    WorkflowName, "name of a workflow or stream", "^[a-z0-9-]{1,63}$",
    "1 to 63 of a-z, 0-9 and -", is_topic_part
);
name_type!(
    /// A topic by its full name, whoever owns it.
    KafkaTopic, "topic name", "^[a-zA-Z0-9._-]{1,249}$",
    "1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-'", is_kafka_topic
);
name_type!(
    /// A step inside a workflow. `output` is taken by the step that `output.transform` makes.
    StepId, "step id", "^[a-z][a-z0-9_-]{0,62}$",
    "a letter a-z, then up to 62 of a-z, 0-9, _ and -", is_step_id
);
name_type!(
    /// What a text is recognised by: the first 64 bits of its SHA-256 in lower-case hex.
    TextHash, "hash of a text", "^[0-9a-f]{16}$",
    "16 hexadecimal digits in lower case", is_text_hash
);
name_type!(
    /// One run of a workflow: 128 bits in lower-case hex. See [`RunOrigin`] for where it comes from.
    RunId, "run id", "^[0-9a-f]{32}$",
    "32 hexadecimal digits in lower case", is_run_id
);

impl WorkspaceName {
    /// The workspace of an installation that has only one.
    pub fn default_workspace() -> Self {
        Self("default".into())
    }
}

impl StepId {
    /// The step that computes `output.transform`.
    pub fn output() -> Self {
        Self("output".into())
    }
}

/// What a run id is computed from: the same origin is the same run, however often it is delivered.
#[derive(Debug, Clone, Copy)]
pub enum RunOrigin<'a> {
    /// A record of a trigger topic. `timestamp` is the record's, in milliseconds since the epoch.
    Record { topic: &'a str, partition: i32, offset: i64, timestamp: i64 },
    /// The caller named the run.
    IdempotencyKey(&'a str),
    /// The trigger of this run is read again, because its group was rewound.
    Replay { of: &'a RunId, generation: &'a str },
}

impl TextHash {
    pub fn of(text: &str) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let hex: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self(hex.into())
    }
}

/// A mapping: the one of a step, for a target schema. Another schema is another mapping.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MappingKey {
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub step: StepId,
    pub schema: TextHash,
}

impl MappingKey {
    /// The partition that owns this mapping, of `partitions`.
    pub fn home(&self, partitions: i32) -> i32 {
        murmur2_partition(self.to_string().as_bytes(), partitions)
    }
}

impl fmt::Display for MappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.workspace, self.workflow, self.step, self.schema)
    }
}

impl FromStr for MappingKey {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError {
            noun: "mapping",
            text: text.to_owned(),
            expected: "<workspace>/<workflow>/<step>/<16 hexadecimal digits of its schema>",
        };
        let mut parts = text.split('/');
        let mut part = || parts.next().ok_or_else(error);
        let (workspace, workflow, step, schema) = (part()?.parse()?, part()?.parse()?, part()?.parse()?, part()?);
        if parts.next().is_some() {
            return Err(error());
        }
        Ok(Self { workspace, workflow, step, schema: schema.parse()? })
    }
}

impl TryFrom<String> for MappingKey {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<MappingKey> for String {
    fn from(key: MappingKey) -> String {
        key.to_string()
    }
}

impl RunId {
    /// The id of the run that `origin` starts. Fields are length-prefixed before hashing, so no
    /// two different origins share their input.
    pub fn derive(workspace: &WorkspaceName, workflow: &WorkflowName, origin: RunOrigin<'_>) -> Self {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        field(workspace.as_str().as_bytes());
        field(workflow.as_str().as_bytes());
        match origin {
            RunOrigin::Record { topic, partition, offset, timestamp } => {
                field(b"record");
                field(topic.as_bytes());
                field(&partition.to_be_bytes());
                field(&offset.to_be_bytes());
                field(&timestamp.to_be_bytes());
            }
            RunOrigin::IdempotencyKey(key) => {
                field(b"key");
                field(key.as_bytes());
            }
            RunOrigin::Replay { of, generation } => {
                field(b"replay");
                field(of.as_str().as_bytes());
                field(generation.as_bytes());
            }
        }
        let digest = hash.finalize();
        let number = digest[..16].iter().fold(0, |number, byte| number << 8 | u128::from(*byte));
        Self(format!("{number:032x}").into())
    }

    /// The partition that owns this run, of `partitions`: murmur2 as the Java client computes it.
    pub fn home(&self, partitions: i32) -> i32 {
        murmur2_partition(self.0.as_bytes(), partitions)
    }
}

/// Kafka's default partitioner for keyed records (`Utils.murmur2` and `toPositive` of the Java client).
pub fn murmur2_partition(key: &[u8], partitions: i32) -> i32 {
    debug_assert!(partitions > 0);
    (murmur2(key) & 0x7fff_ffff) as i32 % partitions
}

fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    const R: u32 = 24;
    let mut h: u32 = 0x9747_b28c ^ data.len() as u32;
    let mut chunks = data.chunks_exact(4);
    for chunk in &mut chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        k = k.wrapping_mul(M);
        k ^= k >> R;
        k = k.wrapping_mul(M);
        h = h.wrapping_mul(M) ^ k;
    }
    let rest = chunks.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

macro_rules! number_type {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_type!(
    /// Version of a workflow definition: 1, 2, 3 … in the order of `apply`.
    WorkflowVersion, i32
);
number_type!(
    /// How often a step was started anew, from 1.
    Attempt, i32
);
number_type!(
    /// Number of a batch within one attempt of a step, from 0.
    BatchNumber, i64
);

impl Attempt {
    pub const FIRST: Self = Self(1);
}

/// A definition that a run keeps for its whole life: `workspace/workflow@version`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WorkflowRef {
    pub workspace: WorkspaceName,
    pub workflow: WorkflowName,
    pub version: WorkflowVersion,
}

impl fmt::Display for WorkflowRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.workspace, self.workflow, self.version)
    }
}

/// Where one item of a run comes from: `run/step/attempt/batch/item`, the identity that consumers
/// of an output topic deduplicate by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ItemId {
    pub run: RunId,
    pub step: StepId,
    pub attempt: Attempt,
    pub batch: BatchNumber,
    pub item: i32,
}

impl ItemId {
    /// A number that is the same for the same item on every machine and in every release.
    pub fn seed(&self) -> u64 {
        seed_of([
            self.run.as_str().as_bytes(),
            self.step.as_str().as_bytes(),
            &self.attempt.0.to_be_bytes(),
            &self.batch.0.to_be_bytes(),
            &self.item.to_be_bytes(),
        ])
    }
}

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}/{}", self.run, self.step, self.attempt, self.batch, self.item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_agrees_with_the_java_client() {
        // Vectors of apache/kafka UtilsTest.testMurmur2.
        for (text, expected) in [
            ("21", -973932308),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
            ("abc", 479470107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, expected, "{text}");
        }
    }

    #[test]
    fn run_ids_differ_when_any_part_of_the_origin_differs() {
        let workspace = WorkspaceName::default_workspace();
        let workflow: WorkflowName = "orders".parse().expect("valid");
        let record = |topic, partition, offset, timestamp| {
            RunId::derive(&workspace, &workflow, RunOrigin::Record { topic, partition, offset, timestamp })
        };
        let base = record("t", 0, 1, 2);
        assert_eq!(base, record("t", 0, 1, 2));
        let others = [
            record("u", 0, 1, 2),
            record("t", 1, 1, 2),
            record("t", 0, 2, 2),
            record("t", 0, 1, 3),
            RunId::derive(&workspace, &workflow, RunOrigin::IdempotencyKey("t")),
            RunId::derive(&workspace, &workflow, RunOrigin::Replay { of: &base, generation: "1" }),
            RunId::derive(&workspace, &workflow, RunOrigin::Replay { of: &base, generation: "2" }),
            RunId::derive(&workspace, &"orderst".parse().expect("valid"), RunOrigin::IdempotencyKey("")),
        ];
        assert!(others.iter().all(|other| *other != base));
    }

    #[test]
    fn names_refuse_what_a_topic_name_could_not_carry() {
        assert!("orders-2".parse::<WorkflowName>().is_ok());
        for bad in ["", "Orders", "a.b", "a_b", "a b", &"x".repeat(64)] {
            let error = bad.parse::<WorkflowName>().expect_err(bad);
            assert!(error.to_string().contains("a-z, 0-9 and -"), "{error}");
        }
        assert!("2nd".parse::<StepId>().is_err());
        assert!("fetch_orders-2".parse::<StepId>().is_ok());
    }
}
