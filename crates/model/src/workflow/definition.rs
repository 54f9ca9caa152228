//! The types behind a workflow file. Doc comments become the descriptions of
//! `schemas/workflow.schema.json`, which editors complete from.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::ItemsPath;
use crate::{ByteSize, Period, StepId, WorkflowName};

/// A workflow: what starts a run, the steps of a run, and where the results go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Workflow {
    /// Name of the workflow, part of its topic names.
    pub workflow: WorkflowName,
    /// What the workflow is for, shown in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What starts a run: records of the topic `<prefix>trigger.<workspace>.<workflow>`.
    pub trigger: Trigger,
    /// How long a run may take before it is failed. A run never outlives it.
    #[serde(default = "default_deadline")]
    pub deadline: Period,
    /// The steps. A step starts when all steps it needs have succeeded; steps that need nothing from
    /// each other run at the same time.
    #[schemars(length(min = 1))]
    pub steps: Vec<Step>,
    /// Where validated records go.
    pub output: Output,
}

fn default_deadline() -> Period {
    Period::from_secs(3600)
}

/// What starts a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Trigger {}

/// One step: extract raw data, transform each item with a mapping, validate it against a schema.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// Name of the step; later steps read its output as `steps.<id>`.
    pub id: StepId,
    /// Steps that must have succeeded before this one starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<StepId>,
    /// A JSONata expression over `trigger`, `steps` and `run`; when it is not true, the step is skipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Where the raw data comes from.
    pub extract: Extract,
    /// The JSONata mapping from one raw item to the wanted shape, inline or in a file. Without it, items pass as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Mapping>,
    /// The JSON Schema that every mapped item must satisfy, inline or in a file. Without it, every item is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSource>,
    /// Examples that the mapping has to get right, and every mapping that is healed from it. `prunella mappings test` runs
    /// them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<MappingTest>,
    /// What happens to items that cannot be mapped or are not valid.
    #[serde(default)]
    pub on_invalid: OnInvalid,
    /// What happens when the source has changed and items cannot be mapped any more, or are not valid. Needs a mapping and
    /// a schema.
    #[serde(default, skip_serializing_if = "Heal::is_off")]
    pub heal: Heal,
    /// How the mapping is healed. Needs `heal`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healing: Option<Healing>,
    /// Keep the items of this step in order (one partition per run instead of all partitions).
    #[serde(default)]
    pub ordered: bool,
}

/// Where raw data comes from: exactly one of `http`, `inline` and `trigger`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Extract {
    /// Fetch JSON over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpExtract>,
    /// Data written in the workflow; `{{ … }}` in its strings holds JSONata over `trigger`, `steps` and `run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<Value>,
    /// The payload of the trigger record, byte for byte.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerExtract>,
    /// Path of the items inside an answer, such as `data.orders`. Without it the whole answer is one item
    /// (for `inline` and `trigger` too). The value at the path must be an array.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<ItemsPath>,
}

/// The payload of the trigger record as a source.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerExtract {}

/// A JSON document fetched over HTTP, page by page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct HttpExtract {
    /// Address; `{{ … }}` holds JSONata over `trigger`, `steps` and `run`, percent-encoded where it stands
    /// (at the very start it gives scheme and host and is taken as it is).
    pub url: String,
    /// Request method.
    #[serde(default)]
    pub method: HttpMethod,
    /// Request headers; values may hold `{{ … }}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub headers: IndexMap<String, String>,
    /// Query parameters, added to those of the address; values may hold `{{ … }}`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub query: IndexMap<String, String>,
    /// JSON body; strings in it may hold `{{ … }}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// How the next page is found. Without it there is one page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pagination: Option<Pagination>,
    /// Longest time for one page, from the request to the last byte of the answer.
    #[serde(default = "default_timeout")]
    pub timeout: Period,
    /// What is done when the source fails for a moment: connection errors, timeouts, 408, 425, 429 and 5xx.
    #[serde(default)]
    pub retry: Retry,
    /// Largest answer of one page, after decompression.
    #[serde(default = "default_max_page")]
    pub max_page_bytes: ByteSize,
}

fn default_timeout() -> Period {
    Period::from_secs(30)
}

fn default_max_page() -> ByteSize {
    ByteSize::from_mib(64)
}

/// HTTP methods that a source may be read with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    #[default]
    Get,
    Post,
    Put,
}

/// How the next page is found: exactly one of `page`, `offset`, `cursor` and `link`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pagination {
    /// Pages are numbered; ends with an empty page, or one shorter than `size` once the source has filled a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub page: Option<PagePagination>,
    /// Pages start at an item number; ends with an empty page, or one shorter than `limit` once the source has filled a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<OffsetPagination>,
    /// The answer holds a cursor for the next page; ends when it is absent, null or empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<CursorPagination>,
    /// The answer holds the address of the next page; ends when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkPagination>,
    /// Most pages of one extraction; one more is an error.
    #[serde(default = "default_max_pages")]
    #[schemars(range(min = 1))]
    pub max_pages: u32,
}

fn default_max_pages() -> u32 {
    100_000
}

/// Pages by number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PagePagination {
    /// Query parameter that holds the number of the page.
    pub param: String,
    /// Number of the first page.
    #[serde(default = "one")]
    pub first: u64,
    /// Items per page, when the source can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<PageSize>,
}

fn one() -> u64 {
    1
}

/// Pages by the number of their first item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct OffsetPagination {
    /// Query parameter that holds the number of items to skip.
    pub param: String,
    /// Items per page.
    pub limit: PageSize,
}

/// A query parameter for the number of items per page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PageSize {
    /// Query parameter that holds the number of items per page.
    pub param: String,
    /// Number of items per page.
    #[schemars(range(min = 1))]
    pub value: u64,
}

/// Pages by a cursor out of the previous answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct CursorPagination {
    /// Path of the cursor in the answer, such as `meta.next`.
    pub path: ItemsPath,
    /// Query parameter that carries the cursor in the next request.
    pub param: String,
}

/// Pages by an address out of the previous answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LinkPagination {
    /// Path of the next page's address in the answer. Without it, the `Link` header's `rel="next"` is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<ItemsPath>,
}

/// How often and how patiently a request is repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Retry {
    /// Most tries of one page, the first included.
    #[schemars(range(min = 1))]
    pub attempts: u32,
    /// Wait before the second try; doubles with each further try, with jitter.
    pub backoff: Period,
    /// Longest wait between two tries. A `Retry-After` of the source is obeyed up to the run's deadline.
    pub max_backoff: Period,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 4, backoff: Period::from_millis(200), max_backoff: Period::from_secs(10) }
    }
}

/// A JSONata mapping: its text, or the file that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Mapping {
    /// The expression itself.
    Inline(String),
    /// A file beside the workflow file.
    File(FileRef),
}

/// A JSON Schema: the schema itself, or the file that holds it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SchemaSource {
    /// A file beside the workflow file.
    File(FileRef),
    /// The schema itself (draft 2020-12 unless `$schema` says otherwise).
    Inline(serde_json::Map<String, Value>),
}

/// A file, relative to the workflow file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// Path relative to the workflow file.
    pub file: String,
}

/// What happens when the source of a step has changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Heal {
    /// `on-invalid` decides at once.
    #[default]
    Off,
    /// Failing items wait; a repaired mapping is proposed and used once somebody approves it.
    Review,
    /// Failing items wait; a repaired mapping that is proven is used at once, another one waits for approval.
    Auto,
}

/// An example of what a mapping does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MappingTest {
    /// What it is about, shown when it fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// An item.
    pub input: Value,
    /// What the mapping makes of it.
    pub output: Value,
}

/// How the mapping of a step is healed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Healing {
    /// The language model that is asked when structure is not enough, `provider/model`, instead of `llm.model` of the
    /// configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Times a model is asked about one change of the source, instead of `healing.model-attempts`; 0: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_attempts: Option<u32>,
    /// Most calls of models in an hour, if `llm.budget.mapping` allows as many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls_per_hour: Option<u32>,
    /// Most money for models in an hour, in `llm.currency`, if `llm.budget.mapping` allows as much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_hour: Option<f64>,
    /// Whether some valid items are remembered, so that a repair can be proven on them.
    #[serde(default, skip_serializing_if = "Remember::is_on")]
    pub remember: Remember,
    /// Paths of fields that are neither remembered nor shown to a model, in items and in what becomes of them:
    /// `customer.email`, `*.iban`, `**.ssn`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redact: Vec<String>,
    /// What is done when outputs are valid and do not look as they used to.
    #[serde(default, skip_serializing_if = "SilentDrift::is_default")]
    pub silent_drift: SilentDrift,
}

/// What is done when outputs of a mapping are valid and do not look as they used to: a field is never filled any more,
/// is a hundredth of what it was, has changed places with another one, or is coded in another way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SilentDrift {
    /// Nobody looks.
    Off,
    /// It is told; items go on.
    #[default]
    Warn,
    /// It is told, and items wait from then on: until the mapping is repaired, or somebody accepts that outputs look so now.
    Park,
}

impl SilentDrift {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// As it is written in a workflow.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Park => "park",
        }
    }
}

/// Whether items are remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Remember {
    #[default]
    On,
    /// Nothing of the data is kept. Little can be proven then: most repairs wait for a person.
    Off,
}

impl Remember {
    pub fn is_on(&self) -> bool {
        *self == Self::On
    }
}

impl Heal {
    pub fn is_off(&self) -> bool {
        *self == Self::Off
    }
}

/// What happens to items that cannot be mapped or are not valid; the other items go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnInvalid {
    /// Send the item to the dead-letter topic of the workflow.
    #[default]
    Deadletter,
    /// Send the item to the dead-letter topic and fail the step.
    Fail,
}

/// Where validated records go: exactly one of `from` and `transform`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Output {
    /// Step whose items are written to the output topic as soon as each is valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<StepId>,
    /// A JSONata mapping over `trigger`, `steps` and `run`, evaluated once at the end of the run; its result is one record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transform: Option<Mapping>,
    /// The JSON Schema of the result of `transform`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSource>,
    /// A JSONata expression over the validated record that gives its key. Without it the key is the run id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}
