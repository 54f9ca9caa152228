//! What a person decides. A command is carried out at most once, however often it is delivered, and what came of it is
//! written with its effects, so that whoever asked can be told.

use std::sync::Arc;

use prunella_catalog::Refusal;
use prunella_mapping::Expression;
use prunella_model::{Code, TextHash};
use prunella_stream::{OutRecord, StageError};
use prunella_wire::records::{ErrorInfo, MappingCommand, MappingDecision, MappingDecisions, MappingVersion};

use super::MappingHome;

/// What became of a command: the version that it made or was about.
type CarriedOut = Result<(i32, Vec<OutRecord>), Refusal>;

impl MappingHome {
    pub(super) fn asked(&mut self, command: MappingCommand, now: i64) -> Result<Vec<OutRecord>, StageError> {
        if self.kept(&command.mapping).history.decision(&command.id).is_some() {
            return Ok(Vec::new());
        }
        let (version, mut records, error) = match self.carry_out(&command, now)? {
            Ok((version, records)) => (version, records, None),
            Err(refusal) => (command.version, Vec::new(), Some(ErrorInfo::new(refusal.code, refusal.message))),
        };
        let MappingCommand { mapping, id, command, actor, reason, .. } = command;
        let decision = MappingDecision { id, command, version, actor, reason, decided_at: now, error };
        let history = &mut self.kept(&mapping).history;
        history.decided(decision);
        let decisions = MappingDecisions { decisions: history.decisions.clone(), mapping, changed_at: now };
        records.push(self.writer.decisions(&decisions)?);
        Ok(records)
    }

    fn carry_out(&mut self, command: &MappingCommand, now: i64) -> Result<CarriedOut, StageError> {
        let base = match self.kept(&command.mapping).history.admit(command) {
            Ok(base) => base,
            Err(refusal) => return Ok(Err(refusal)),
        };
        match command.command.as_str() {
            "approve" => self.approve(command, now),
            "reject" => self.reject(command, now),
            "rollback" => self.go_back(command, base, now),
            "edit" => self.edit(command, base, now),
            "accept" => {
                let drifting = self.kept(&command.mapping).history.drifting().map_or(0, |drift| drift.version);
                Ok(Ok((drifting, self.accept(command, now)?)))
            }
            _ => {
                self.kept(&command.mapping).waiting.try_again(now);
                Ok(Ok((0, self.ask_anew(&command.mapping, now)?)))
            }
        }
    }

    fn approve(&mut self, command: &MappingCommand, now: i64) -> Result<CarriedOut, StageError> {
        let Some(version) = self.version_of(command) else { return Ok(Err(unknown(command))) };
        let records = self.activate(version, &command.actor, Some(command.id.clone()), now)?;
        Ok(Ok((command.version, records)))
    }

    fn reject(&mut self, command: &MappingCommand, now: i64) -> Result<CarriedOut, StageError> {
        let MappingCommand { mapping, version, actor, reason, .. } = command;
        let Some(candidate) = self.version_of(command) else { return Ok(Err(unknown(command))) };
        let rejected =
            MappingVersion { status: "rejected".to_owned(), actor: actor.clone(), changed_at: now, ..candidate };
        let record = self.writer.version(&rejected)?;
        let audit = self.writer.audit((actor, "mapping-rejected", reason.clone()), mapping, *version, now)?;
        let kept = self.kept(mapping);
        kept.history.versions.insert(*version, Arc::new(rejected));
        kept.waiting.give_up();
        Ok(Ok((*version, vec![record, audit])))
    }

    fn go_back(
        &mut self,
        command: &MappingCommand,
        base: Option<TextHash>,
        now: i64,
    ) -> Result<CarriedOut, StageError> {
        let MappingCommand { mapping, version, actor, reason, .. } = command;
        let Some(base) = base else { return Ok(Err(unknown(command))) };
        let before = self.kept(mapping).history.active_version(&base);
        if before == *version {
            return Ok(Ok((*version, Vec::new())));
        }
        let mut records = self.point_to(mapping, &base, *version, actor, Some(command.id.clone()), now)?;
        records.extend(self.forget_habit(mapping, &base));
        // What it has driven while it was watched was not right either.
        records.extend(self.wait_again(mapping, before, now)?);
        records.extend(self.in_use(mapping, *version, now)?);
        records.push(self.writer.audit((actor, "mapping-rolled-back", reason.clone()), mapping, *version, now)?);
        self.kept(mapping).waiting.version_changed();
        Ok(Ok((*version, records)))
    }

    fn edit(&mut self, command: &MappingCommand, base: Option<TextHash>, now: i64) -> Result<CarriedOut, StageError> {
        let text = command.text.clone().unwrap_or_default();
        if let Err(error) = Expression::compile(&text) {
            return Ok(Err(Refusal { code: Code::WorkflowExpression, message: error.to_string() }));
        }
        let kept = self.kept(&command.mapping);
        let waiting = || kept.waiting.batches.last().map(|(_, batch)| batch.base.clone());
        let Some(base) = base.or_else(waiting) else { return Ok(Err(unknown(command))) };
        let version = MappingVersion {
            version: kept.history.next_version(),
            parent: kept.history.active_version(&base),
            mapping: command.mapping.clone(),
            moved: kept.history.healed(&base).and_then(|parent| parent.moved.clone()),
            base,
            text,
            origin: "human".to_owned(),
            status: "candidate".to_owned(),
            evidence: serde_json::json!({ "summary": command.reason }).to_string(),
            actor: command.actor.clone(),
            created_at: now,
            changed_at: now,
        };
        let number = version.version;
        let records = self.activate(version, &command.actor, Some(command.id.clone()), now)?;
        Ok(Ok((number, records)))
    }

    fn version_of(&mut self, command: &MappingCommand) -> Option<MappingVersion> {
        let known = self.kept(&command.mapping).history.versions.get(&command.version)?;
        Some(known.as_ref().clone())
    }
}

fn unknown(command: &MappingCommand) -> Refusal {
    let message = format!("{} has no version besides its author's", command.mapping);
    Refusal { code: Code::MappingUnknown, message }
}
