//! Decisions about letters, each carried out once.
//!
//! Whoever decides takes the name of the one writer first and reads what was decided before; what a letter becomes and
//! the mark that says so are one transaction. A command that is killed has done both or neither, and given again it finds
//! the marks. Two commands at a time cannot be: the later one fences the earlier one off.

use std::collections::BTreeSet;
use std::sync::Arc;

use prunella_stream::homes::now_millis;
use prunella_stream::{OutRecord, SoleWriter, StreamError};
use prunella_wire::records::{LetterAction, LetterMark};

use super::letter::{Letter, LetterPlace};
use super::redrive::WayBack;
use crate::desk::Desk;
use crate::error::OperateError;
use crate::ledger::{Ledger, letter_key};
use crate::offsets::Offsets;

/// What becomes of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Written to this topic.
    Redriven {
        to: String,
    },
    Discarded,
    /// It was decided before; nothing is done.
    Already(LetterAction),
    /// It stays where it is.
    Refused(String),
}

/// A letter and what became of it.
#[derive(Debug, Clone)]
pub struct Decided {
    pub letter: Letter,
    pub verdict: Verdict,
}

/// The one who decides.
pub struct Deciding<'a> {
    desk: &'a Desk,
    writer: SoleWriter,
    ledger: Ledger,
    way_back: WayBack<'a>,
    /// Removes marks of letters that Kafka has removed; written with the first decision.
    outdated: Vec<OutRecord>,
}

impl<'a> Deciding<'a> {
    /// Takes the turn, and reads what others have decided.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn begin(desk: &'a Desk, offsets: &'a Offsets) -> Result<Self, OperateError> {
        let writer = desk.writer("operations").await?;
        let ledger = Ledger::read(desk).await?;
        let outdated = outdated(desk, offsets, &ledger).await?;
        Ok(Self { desk, writer, ledger, way_back: WayBack::new(desk, offsets), outdated })
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Sends letters back to where they came from, in one transaction.
    ///
    /// # Errors
    /// [`OperateError`] when it is not known whether that was done: the command can be given again.
    pub async fn redrive(&mut self, letters: Vec<Letter>, reason: &str) -> Result<Vec<Decided>, OperateError> {
        self.way_back.prepare(&letters).await?;
        let (mut decided, mut records) = (Vec::with_capacity(letters.len()), Vec::new());
        for letter in letters {
            let verdict = match self.decided(&letter) {
                Some(action) => Verdict::Already(action),
                None => match self.way_back.of(&letter).await? {
                    Err(why) => Verdict::Refused(why),
                    Ok(record) => {
                        let to = record.topic.to_string();
                        records.push(record);
                        records.push(self.mark(&letter, LetterAction::Redriven, &to, reason)?);
                        Verdict::Redriven { to }
                    }
                },
            };
            decided.push(Decided { letter, verdict });
        }
        self.commit("letters-redriven", &decided, records, reason).await?;
        Ok(decided)
    }

    /// What [`Deciding::redrive`] would do; nothing is written.
    ///
    /// # Errors
    /// [`OperateError`] when Kafka does not answer.
    pub async fn preview(&mut self, letters: Vec<Letter>) -> Result<Vec<Decided>, OperateError> {
        self.way_back.prepare(&letters).await?;
        let mut decided = Vec::with_capacity(letters.len());
        for letter in letters {
            let verdict = match self.decided(&letter) {
                Some(action) => Verdict::Already(action),
                None => match self.way_back.of(&letter).await? {
                    Err(why) => Verdict::Refused(why),
                    Ok(record) => Verdict::Redriven { to: record.topic.to_string() },
                },
            };
            decided.push(Decided { letter, verdict });
        }
        Ok(decided)
    }

    /// Lays letters aside for good. They stay readable for as long as their topic keeps them.
    ///
    /// # Errors
    /// As [`Deciding::redrive`].
    pub async fn discard(&mut self, letters: Vec<Letter>, reason: &str) -> Result<Vec<Decided>, OperateError> {
        let (mut decided, mut records) = (Vec::with_capacity(letters.len()), Vec::new());
        for letter in letters {
            let verdict = match self.decided(&letter) {
                Some(action) => Verdict::Already(action),
                None => {
                    records.push(self.mark(&letter, LetterAction::Discarded, "", reason)?);
                    Verdict::Discarded
                }
            };
            decided.push(Decided { letter, verdict });
        }
        self.commit("letters-discarded", &decided, records, reason).await?;
        Ok(decided)
    }

    fn decided(&self, letter: &Letter) -> Option<LetterAction> {
        self.ledger.marks.get(&letter.place).map(|mark| mark.action).filter(|action| *action != LetterAction::Unknown)
    }

    fn mark(
        &mut self,
        letter: &Letter,
        action: LetterAction,
        became: &str,
        reason: &str,
    ) -> Result<OutRecord, OperateError> {
        let mark = LetterMark {
            workspace: self.desk.workspace.clone(),
            topic: letter.place.topic.clone(),
            partition: letter.place.partition,
            offset: letter.place.offset,
            action,
            code: letter.code().to_owned(),
            became: became.to_owned(),
            at: now_millis(),
            actor: self.desk.actor.clone(),
            reason: reason.to_owned(),
        };
        let topic = self.desk.topics.state_operations();
        let value = self.desk.codec.encode(&topic, &mark)?;
        // A letter that is named twice in one command is decided once.
        self.ledger.marks.insert(letter.place.clone(), mark);
        Ok(OutRecord::new(topic, letter_key(&letter.place), value))
    }

    /// One entry of the audit log for all letters of a transaction, with their places.
    async fn commit(
        &mut self,
        action: &str,
        decided: &[Decided],
        mut records: Vec<OutRecord>,
        reason: &str,
    ) -> Result<(), OperateError> {
        let done = |one: &&Decided| matches!(one.verdict, Verdict::Redriven { .. } | Verdict::Discarded);
        let places: Vec<String> = decided.iter().filter(done).map(|one| one.letter.place.to_string()).collect();
        let Some(first) = places.first() else { return Ok(()) };
        let topic = first.rsplitn(3, '/').last().unwrap_or_default().to_owned();
        let detail = serde_json::json!({ "letters": places, "reason": reason }).to_string();
        records.push(self.desk.audit(action, &topic, &detail)?);
        records.append(&mut self.outdated);
        self.writer.commit(records).await.map_err(|error| match error {
            StreamError::Fenced { .. } => OperateError::Refused(
                "another command has taken over; what this one reported is done, the rest is not: give it again"
                    .to_owned(),
            ),
            other => other.into(),
        })
    }
}

/// Tombstones for the marks of letters that stand nowhere any more.
async fn outdated(desk: &Desk, offsets: &Offsets, ledger: &Ledger) -> Result<Vec<OutRecord>, OperateError> {
    let topics: BTreeSet<&str> = ledger.marks.keys().map(|place| place.topic.as_str()).collect();
    let state: Arc<str> = desk.topics.state_operations().into();
    let mut tombstones = Vec::new();
    for topic in topics {
        let Some(bounds) = offsets.bounds(topic).await? else { continue };
        let is_gone =
            |place: &LetterPlace| bounds.get(&place.partition).is_some_and(|bounds| place.offset < bounds.first);
        let gone = ledger.marks.keys().filter(|place| place.topic == topic && is_gone(place));
        tombstones.extend(gone.map(|place| OutRecord::tombstone(state.clone(), letter_key(place))));
    }
    Ok(tombstones)
}
