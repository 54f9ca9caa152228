//! What a person decides.

use std::sync::Arc;

use prunella_catalog::AUTHORS_VERSION;
use prunella_mapping::Expression;
use prunella_stream::{OutRecord, StageError};
use prunella_wire::records::{MappingCommand, MappingVersion};

use super::MappingHome;

impl MappingHome {
    pub(super) fn asked(&mut self, command: MappingCommand, now: i64) -> Result<Vec<OutRecord>, StageError> {
        let MappingCommand { mapping, id, version, actor, reason, text, .. } = command.clone();
        let known = self.kept(&mapping).history.versions.get(&version).cloned();
        match (command.command.as_str(), known) {
            ("approve", Some(candidate)) if matches!(candidate.status.as_str(), "candidate" | "rolled-back") => {
                self.activate(candidate.as_ref().clone(), &actor, Some(id), now)
            }
            ("reject", Some(candidate)) if candidate.status == "candidate" => {
                let rejected = MappingVersion {
                    status: "rejected".to_owned(),
                    actor: actor.clone(),
                    changed_at: now,
                    ..candidate.as_ref().clone()
                };
                let record = self.writer.version(&rejected)?;
                let audit = self.writer.audit((&actor, "mapping-rejected", reason), &mapping, version, now)?;
                let kept = self.kept(&mapping);
                kept.history.versions.insert(version, Arc::new(rejected));
                kept.waiting.give_up();
                Ok(vec![record, audit])
            }
            ("rollback", known) => {
                let base = match known {
                    Some(known) => Some(known.base.clone()),
                    // The author's text has no record of its own: it is what the newest version descends from.
                    None if version == AUTHORS_VERSION => {
                        self.kept(&mapping).history.versions.values().next_back().map(|newest| newest.base.clone())
                    }
                    None => None,
                };
                let Some(base) = base else { return Ok(Vec::new()) };
                let before = self.kept(&mapping).history.active_version(&base);
                let mut records = self.point_to(&mapping, &base, version, &actor, Some(id), now)?;
                // What it has driven while it was watched was not right either.
                records.extend(self.wait_again(&mapping, before, now)?);
                records.extend(self.in_use(&mapping, version, now)?);
                records.push(self.writer.audit((&actor, "mapping-rolled-back", reason), &mapping, version, now)?);
                self.kept(&mapping).waiting.version_changed();
                Ok(records)
            }
            ("edit", _) => {
                let Some(text) = text.filter(|text| Expression::compile(text).is_ok()) else { return Ok(Vec::new()) };
                let kept = self.kept(&mapping);
                let newest = kept.history.versions.values().next_back().map(|newest| newest.base.clone());
                let waiting = kept.waiting.batches.last().map(|(_, batch)| batch.base.clone());
                let Some(base) = waiting.or(newest) else { return Ok(Vec::new()) };
                let version = MappingVersion {
                    version: kept.history.next_version(),
                    parent: kept.history.active_version(&base),
                    mapping,
                    base,
                    text,
                    origin: "human".to_owned(),
                    status: "candidate".to_owned(),
                    evidence: serde_json::json!({ "summary": reason }).to_string(),
                    actor: actor.clone(),
                    created_at: now,
                    changed_at: now,
                };
                self.activate(version, &actor, Some(id), now)
            }
            ("heal", _) => {
                self.kept(&mapping).waiting.try_again(now);
                self.ask_anew(&mapping, now)
            }
            // Decided before, or never known: the view shows how it stands.
            _ => Ok(Vec::new()),
        }
    }
}
