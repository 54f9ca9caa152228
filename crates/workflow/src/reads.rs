//! Which steps' outputs an expression reads. The one place that asks the mapping engine about it.

use std::collections::BTreeSet;

use prunella_mapping::{Expression, StepReads, Template, TemplateValue};

/// The steps whose outputs an expression may read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// By name, `$steps.orders` or (where the context document is the root) `steps.orders`.
    pub(crate) steps: BTreeSet<String>,
    /// It also reads all outputs, or outputs that only the run will tell.
    pub(crate) all: bool,
}

impl Reads {
    /// Of a mapping: the root is an item, so `$steps` counts and a field `steps` of the item does not.
    pub(crate) fn of_mapping(expression: &Expression) -> Self {
        if !expression.reads().binding("steps") {
            return Self::default();
        }
        let mut reads = Self::from(expression.step_reads());
        let text = expression.source();
        reads.steps.retain(|id| mention(text, "$steps", id).is_some() || mention(text, "steps", id).is_none());
        reads
    }

    /// Of an expression whose root is the context document.
    pub(crate) fn of_context(expression: &Expression) -> Self {
        expression.step_reads().into()
    }

    pub(crate) fn of_template(template: &Template) -> Self {
        template.step_reads().into()
    }

    pub(crate) fn of_value(value: &TemplateValue) -> Self {
        value.step_reads().into()
    }

    pub(crate) fn contains(&self, step: &str) -> bool {
        self.all || self.steps.contains(step)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.all |= other.all;
        self.steps.extend(other.steps);
    }
}

impl From<StepReads> for Reads {
    fn from(reads: StepReads) -> Self {
        match reads {
            StepReads::All => Self { steps: BTreeSet::new(), all: true },
            StepReads::Only(steps) => Self { steps, all: false },
        }
    }
}

/// Whether a mapping reads `$trigger`, `$steps` or `$run`.
pub(crate) fn reads_context(mapping: &Expression) -> bool {
    ["trigger", "steps", "run"].iter().any(|name| mapping.reads().binding(name))
}

/// The byte offset of `<root>.<id>` in the text of an expression, where it stands in so many words.
pub(crate) fn mention(text: &str, root: &str, id: &str) -> Option<usize> {
    [format!("{root}.{id}"), format!("{root}.`{id}`")].iter().find_map(|words| {
        text.match_indices(words.as_str()).map(|(at, _)| at).find(|at| {
            let is_name = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
            !text[..*at].ends_with(is_name) && !text[at + words.len()..].starts_with(is_name)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_mapping(text: &str) -> Reads {
        Reads::of_mapping(&Expression::compile(text).expect(text))
    }

    fn named(steps: &[&str]) -> Reads {
        Reads { steps: steps.iter().map(|id| (*id).to_owned()).collect(), all: false }
    }

    #[test]
    fn a_mapping_reads_the_variable_and_not_a_field_of_its_item() {
        assert_eq!(of_mapping("$count($steps.orders)"), named(&["orders"]));
        assert_eq!(of_mapping("steps.name"), Reads::default());
        assert_eq!(of_mapping("{ \"a\": steps.name, \"b\": $steps.orders.id }"), named(&["orders"]));
        assert_eq!(of_mapping("($s := $steps; $s.`two-words`)"), named(&["two-words"]));
        assert!(of_mapping("$keys($steps)").all || of_mapping("$keys($steps)").steps.is_empty());
    }

    #[test]
    fn an_expression_over_the_context_reads_its_field() {
        let reads = |text: &str| Reads::of_context(&Expression::compile(text).expect(text));
        assert_eq!(reads("$count(steps.orders) > 0"), named(&["orders"]));
        assert_eq!(reads("trigger.steps"), Reads::default());
        assert!(reads("steps").all);
    }

    #[test]
    fn a_mention_is_a_whole_word() {
        assert_eq!(mention("a + steps.fetch", "steps", "fetch"), Some(4));
        assert_eq!(mention("steps.fetched + steps.fetch", "steps", "fetch"), Some(16));
        assert_eq!(mention("$steps.fetch", "steps", "fetch"), None);
        assert_eq!(mention("$steps.`a-b`", "$steps", "a-b"), Some(0));
    }
}
