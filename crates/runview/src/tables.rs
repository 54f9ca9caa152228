//! What stands in the file. Values are the control records as JSON: they can be printed and they outlive
//! changes of the wire format.

use redb::TableDefinition;

/// Raised with every change of the tables; a view of another version is rebuilt.
pub(crate) const SCHEMA: &str = "1";

/// `schema`, `cluster`, and the times below.
pub(crate) const META: TableDefinition<'_, &str, &str> = TableDefinition::new("meta");
pub(crate) const META_SCHEMA: &str = "schema";
/// Cluster id and topic names that the view was read from.
pub(crate) const META_SOURCE: &str = "source";
/// Timestamp of the newest record applied.
pub(crate) const META_NEWEST: &str = "newest";
/// When the view was fed last, by the clock of this machine.
pub(crate) const META_FED_AT: &str = "fed-at";

/// Topic and partition to the next offset.
pub(crate) const POSITIONS: TableDefinition<'_, (&str, i32), i64> = TableDefinition::new("positions");

/// Run id to its state.
pub(crate) const RUNS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("runs");

/// Workspace, created at, run id to what lists filter by: workflow, status, error code.
pub(crate) type ByCreatedKey = (&'static str, i64, &'static str);
pub(crate) type ByCreatedValue = (&'static str, &'static str, &'static str);
pub(crate) const BY_CREATED: TableDefinition<'_, ByCreatedKey, ByCreatedValue> = TableDefinition::new("by-created");

/// Run id and step id to the state of the step.
pub(crate) const STEPS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("steps");

/// Run id, time, partition and offset to the event. The record's place makes reading it twice harmless.
pub(crate) const EVENTS: TableDefinition<'_, (&str, i64, i32, i64), &[u8]> = TableDefinition::new("events");

/// Time, partition and offset to the run id, to find what is too old.
pub(crate) const EVENT_AGES: TableDefinition<'_, (i64, i32, i64), &str> = TableDefinition::new("event-ages");
