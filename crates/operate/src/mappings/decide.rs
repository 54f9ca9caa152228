//! Decisions about mappings: commands to the healer, which alone changes them.

use std::time::Duration;

use prunella_catalog::{MappingHistory, Refusal};
use prunella_mapping::Expression;
use prunella_model::Code;
use prunella_stream::OutRecord;
use prunella_stream::homes::now_millis;
use prunella_wire::records::{MappingCommand, MappingDecision};

use super::{KnownMapping, MappingDesk};
use crate::error::OperateError;

/// Characters of a reason.
const LONGEST_REASON: usize = 2000;

/// What somebody wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Use this proposal, or this version although it was rolled back.
    Approve(i32),
    /// Turn this proposal down; what waits for it goes to the dead letters.
    Reject(i32),
    /// Go back to this version.
    Rollback(i32),
    /// Use this text.
    Edit(String),
    /// Attempt to heal it now.
    Heal,
    /// Outputs that do not look as they used to are right.
    Accept,
}

impl Decision {
    fn command(&self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Reject(_) => "reject",
            Self::Rollback(_) => "rollback",
            Self::Edit(_) => "edit",
            Self::Heal => "heal",
            Self::Accept => "accept",
        }
    }

    fn version(&self) -> i32 {
        match self {
            Self::Approve(version) | Self::Reject(version) | Self::Rollback(version) => *version,
            Self::Edit(_) | Self::Heal | Self::Accept => 0,
        }
    }

    /// What the version is once it is done.
    fn status(&self) -> &'static str {
        match self {
            Self::Approve(_) | Self::Rollback(_) | Self::Edit(_) => "active",
            Self::Reject(_) => "rejected",
            Self::Heal => "looked-at",
            Self::Accept => "accepted",
        }
    }
}

/// A decision, with what goes with it.
#[derive(Debug, Clone)]
pub struct Asked {
    pub decision: Decision,
    /// For the history.
    pub reason: String,
    /// The version in use that it was made for. Without it, the one that this process knows of.
    pub in_use: Option<i32>,
    /// Names the decision: the same one is carried out once.
    pub id: String,
}

/// What came of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    Done {
        version: i32,
        status: &'static str,
    },
    /// The healer has not taken it yet; it does when it runs.
    Waiting,
}

impl MappingDesk {
    /// Has the healer carry out a decision, and waits for up to `patience` for what comes of it.
    ///
    /// # Errors
    /// [`OperateError`] when it cannot be carried out, or Kafka does not take it.
    pub async fn decide(
        &self,
        known: &KnownMapping,
        asked: Asked,
        patience: Duration,
    ) -> Result<Decided, OperateError> {
        let Asked { decision, reason, in_use, id } = asked;
        if let Some(before) = known.history.decision(&id) {
            return done_before(before, &decision);
        }
        if reason.chars().count() > LONGEST_REASON {
            let message = format!("the reason is longer than {LONGEST_REASON} characters");
            return Err(OperateError::mapping(Code::RequestMalformed, message));
        }
        if let Decision::Edit(text) = &decision {
            Expression::compile(text)
                .map_err(|error| OperateError::mapping(Code::WorkflowExpression, error.to_string()))?;
        }
        let command = MappingCommand {
            mapping: known.key.clone(),
            id: id.clone(),
            command: decision.command().to_owned(),
            version: decision.version(),
            actor: self.actor.clone(),
            reason,
            asked_at: now_millis(),
            base: known.base(),
            // Asking the healer to look again does no harm, whatever is in use.
            in_use: (decision != Decision::Heal).then(|| in_use.unwrap_or_else(|| known.in_use())),
            text: match &decision {
                Decision::Edit(text) => Some(text.clone()),
                _ => None,
            },
        };
        known.history.admit(&command)?;
        self.send(&command).await?;
        let taken = |history: &MappingHistory| history.decision(&id).cloned();
        match self.view.wait_for(&known.key, patience, taken).await {
            Some(taken) => outcome(taken, decision.status()),
            None => Ok(Decided::Waiting),
        }
    }

    async fn send(&self, command: &MappingCommand) -> Result<(), OperateError> {
        let topic = self.topics.stage_heal();
        let value = self.codec.encode(&topic, command)?;
        self.output.deliver(vec![OutRecord::new(topic, command.mapping.to_string(), value)]).await?;
        Ok(())
    }
}

fn done_before(before: &MappingDecision, wanted: &Decision) -> Result<Decided, OperateError> {
    let is_same = before.command == wanted.command()
        && (matches!(wanted, Decision::Edit(_) | Decision::Heal | Decision::Accept)
            || before.version == wanted.version());
    if !is_same {
        let message = format!("{} names a decision that was made before: choose another key", before.id);
        return Err(OperateError::mapping(Code::RequestMalformed, message));
    }
    outcome(before.clone(), wanted.status())
}

fn outcome(taken: MappingDecision, status: &'static str) -> Result<Decided, OperateError> {
    match taken.error {
        None => Ok(Decided::Done { version: taken.version, status }),
        Some(error) => {
            let code = Code::from_id(&error.code).unwrap_or(Code::MappingChanged);
            Err(Refusal { code, message: error.message }.into())
        }
    }
}
