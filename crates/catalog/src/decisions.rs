//! What may be decided about a mapping as things stand. Whoever sends a command asks this first, to tell a person at once;
//! the healer asks it last, and its answer counts.

use prunella_model::{Code, TextHash};
use prunella_wire::records::{MappingCommand, MappingDecision, MappingVersion};

use crate::mappings::{AUTHORS_VERSION, MappingHistory};

/// Decisions that are remembered of a mapping.
const MOST_DECISIONS: usize = 50;

/// Why a command is not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: Code,
    /// What is wrong and the way out.
    pub message: String,
}

impl MappingHistory {
    /// Whether `command` may be carried out as things stand; gives the author's text that it is for, if that is known.
    ///
    /// # Errors
    /// [`Refusal`] for a version that is not there or not open to the command, and when another version is in use than the
    /// one that the command was made for.
    pub fn admit(&self, command: &MappingCommand) -> Result<Option<TextHash>, Refusal> {
        let base = self.base_of(command);
        if let (Some(expected), Some(base)) = (command.in_use, &base) {
            let in_use = self.active_version(base);
            if in_use != expected {
                let message =
                    format!("version {expected} was in use when this was decided, and version {in_use} is by now");
                return Err(changed(message));
            }
        }
        match command.command.as_str() {
            "approve" => self.may_be_approved(self.version_for(command)?)?,
            "reject" => {
                let version = self.version_for(command)?;
                if version.status != "candidate" {
                    return Err(waits_for_nothing(version));
                }
            }
            "rollback" if command.version == AUTHORS_VERSION => {}
            "rollback" => {
                let version = self.version_for(command)?;
                if !matches!(version.status.as_str(), "active" | "retired" | "rolled-back") {
                    let message = format!("version {} was never in use: approve it instead", version.version);
                    return Err(changed(message));
                }
            }
            "edit" | "heal" => {}
            "accept" if self.drifting().is_some() => {}
            "accept" => return Err(changed("outputs look as they used to: there is nothing to accept".to_owned())),
            other => {
                let message = format!("the command {other:?} is not known to this release");
                return Err(Refusal { code: Code::RequestMalformed, message });
            }
        }
        Ok(base)
    }

    /// What became of a command, if the healer has taken it.
    pub fn decision(&self, id: &str) -> Option<&MappingDecision> {
        self.decisions.iter().find(|decision| decision.id == id)
    }

    /// Remembers a decision; the oldest ones make room.
    pub fn decided(&mut self, decision: MappingDecision) {
        self.decisions.push(decision);
        let surplus = self.decisions.len().saturating_sub(MOST_DECISIONS);
        self.decisions.drain(..surplus);
    }

    /// The author's text that a command is for; without a word of it, that of its version, or of the newest.
    fn base_of(&self, command: &MappingCommand) -> Option<TextHash> {
        let named = || self.versions.get(&command.version).map(|version| version.base.clone());
        let newest = || self.versions.values().next_back().map(|newest| newest.base.clone());
        let drifting = || self.drifting().map(|drift| drift.base.clone());
        command.base.clone().or_else(named).or_else(newest).or_else(drifting)
    }

    fn version_for(&self, command: &MappingCommand) -> Result<&MappingVersion, Refusal> {
        let number = command.version;
        let Some(version) = self.versions.get(&number) else {
            let message = format!(
                "{} has no version {number}; version {AUTHORS_VERSION} is the text of the definition",
                command.mapping
            );
            return Err(Refusal { code: Code::MappingUnknown, message });
        };
        if command.base.as_ref().is_some_and(|base| *base != version.base) {
            return Err(changed(format!(
                "version {number} was made from another text of the author than the live one"
            )));
        }
        Ok(version)
    }

    fn may_be_approved(&self, version: &MappingVersion) -> Result<(), Refusal> {
        let in_use = self.active_version(&version.base);
        match version.status.as_str() {
            // Whoever approves what was rolled back insists on it.
            "rolled-back" => Ok(()),
            "candidate" if version.parent == in_use => Ok(()),
            "candidate" => Err(changed(format!(
                "version {} was made for version {}, and version {in_use} is in use: roll back to version {} first, or use its text with edit",
                version.version, version.parent, version.parent
            ))),
            _ => Err(waits_for_nothing(version)),
        }
    }
}

fn waits_for_nothing(version: &MappingVersion) -> Refusal {
    changed(format!("version {} waits for no decision: it is {}", version.version, version.status))
}

fn changed(message: String) -> Refusal {
    Refusal { code: Code::MappingChanged, message }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prunella_wire::records::MappingActive;

    use super::*;

    fn base(text: &str) -> TextHash {
        TextHash::of(text)
    }

    fn version(number: i32, parent: i32, status: &str) -> MappingVersion {
        MappingVersion {
            mapping: "default/orders/fetch/0123456789abcdef".parse().expect("a key"),
            version: number,
            parent,
            base: base("author"),
            text: "$".to_owned(),
            origin: "repaired".to_owned(),
            status: status.to_owned(),
            evidence: "{}".to_owned(),
            actor: "healer".to_owned(),
            created_at: 0,
            changed_at: 0,
            moved: None,
        }
    }

    fn history(versions: impl IntoIterator<Item = MappingVersion>, in_use: i32) -> MappingHistory {
        let mut history = MappingHistory::default();
        for version in versions {
            history.versions.insert(version.version, Arc::new(version));
        }
        let active = MappingActive {
            mapping: "default/orders/fetch/0123456789abcdef".parse().expect("a key"),
            base: base("author"),
            version: in_use,
            changed_at: 0,
            changed_by: String::new(),
            command: None,
            before: 0,
            watched_until: 0,
        };
        history.active.insert(base("author"), active);
        history
    }

    fn command(command: &str, about: i32, in_use: Option<i32>) -> MappingCommand {
        MappingCommand {
            mapping: "default/orders/fetch/0123456789abcdef".parse().expect("a key"),
            id: "1".to_owned(),
            command: command.to_owned(),
            version: about,
            text: None,
            actor: "ann".to_owned(),
            reason: String::new(),
            asked_at: 0,
            base: Some(base("author")),
            in_use,
        }
    }

    fn refused(history: &MappingHistory, command: &MappingCommand) -> Option<Code> {
        history.admit(command).err().map(|refusal| refusal.code)
    }

    #[test]
    fn a_proposal_is_approved_only_for_the_version_that_it_was_made_for() {
        let proposed = [version(2, 1, "candidate"), version(3, 2, "candidate")];
        let history = history(proposed, 1);
        assert_eq!(refused(&history, &command("approve", 2, Some(1))), None);
        assert_eq!(refused(&history, &command("approve", 3, Some(1))), Some(Code::MappingChanged));
        assert_eq!(refused(&history, &command("approve", 4, None)), Some(Code::MappingUnknown));
        assert_eq!(refused(&history, &command("approve", 2, Some(3))), Some(Code::MappingChanged));
    }

    #[test]
    fn what_was_decided_is_not_decided_again() {
        for status in ["active", "retired", "rejected"] {
            let history = history([version(2, 1, status)], 2);
            assert_eq!(refused(&history, &command("approve", 2, None)), Some(Code::MappingChanged), "{status}");
            assert_eq!(refused(&history, &command("reject", 2, None)), Some(Code::MappingChanged), "{status}");
        }
        assert_eq!(refused(&history([version(2, 1, "rolled-back")], 1), &command("approve", 2, None)), None);
    }

    #[test]
    fn one_goes_back_only_to_what_was_in_use() {
        for (status, expected) in [
            ("active", None),
            ("retired", None),
            ("rolled-back", None),
            ("candidate", Some(Code::MappingChanged)),
            ("rejected", Some(Code::MappingChanged)),
        ] {
            let history = history([version(2, 1, status)], 1);
            assert_eq!(refused(&history, &command("rollback", 2, None)), expected, "{status}");
        }
        assert_eq!(refused(&history([], 1), &command("rollback", 1, None)), None);
    }

    #[test]
    fn versions_of_an_earlier_text_of_the_author_are_left_alone() {
        let history = history([version(2, 1, "candidate")], 1);
        let newer = MappingCommand { base: Some(base("newer")), ..command("approve", 2, None) };
        assert_eq!(refused(&history, &newer), Some(Code::MappingChanged));
        let edit = MappingCommand { base: Some(base("newer")), ..command("edit", 0, Some(1)) };
        assert_eq!(history.admit(&edit), Ok(Some(base("newer"))), "the newer text is in use as it is");
    }

    #[test]
    fn the_oldest_decisions_make_room() {
        let mut history = MappingHistory::default();
        let decision = |number: usize| MappingDecision {
            id: number.to_string(),
            command: "heal".to_owned(),
            version: 0,
            actor: String::new(),
            reason: String::new(),
            decided_at: 0,
            error: None,
        };
        (0..MOST_DECISIONS + 3).for_each(|number| history.decided(decision(number)));
        assert_eq!(history.decisions.len(), MOST_DECISIONS);
        assert!(history.decision("2").is_none() && history.decision("3").is_some());
    }
}
