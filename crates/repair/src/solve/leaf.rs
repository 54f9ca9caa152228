//! One field of the output: its values together, what becomes of nothing, and whether known entities still have it.

use serde_json::Value;

use super::values::contradiction;
use super::{Outcome, Resolution, Seen, Solver};
use crate::evidence::Evidence;
use crate::path::FieldPath;
use crate::pick::{Choice, Pick, Rarity, Request, pick};
use crate::rewrite::{Edit, splice};
use crate::schema::FieldSchema;
use crate::syntax::{AROUND, Leaf};
use crate::value::{Empty, empty_kind, equal, equal_options, is_empty};

impl Solver<'_> {
    /// Settles one output: its values together, what becomes of nothing, and whether known entities still have it.
    pub(super) fn leaf(
        &self,
        leaf: &Leaf,
        resolutions: &[Resolution],
        seen: &[Seen],
        edits: &mut Vec<Edit>,
    ) -> Outcome {
        let old_text = self.reading.source.get(leaf.span.start..leaf.span.end).unwrap_or_default().to_owned();
        let evidence = self.weakest(leaf, resolutions);
        if leaf.outer {
            return Outcome { text: splice(self.reading.source, leaf.span, edits), evidence };
        }
        let level = &self.levels[leaf.context];
        if level.lost {
            return Outcome { text: old_text, evidence: Evidence::Gone };
        }
        let old = self.eval_old(leaf.context, &old_text);
        let known: Vec<(usize, Option<&Value>)> =
            level.witnesses().map(|pair| (pair.new, old[pair.old].as_ref())).collect();
        let stale = level.is_stale();
        let mut text = splice(self.reading.source, leaf.span, edits);
        let mut evidence = evidence;
        let changed = text != old_text;
        let contradicted = |text: &str| -> Option<(usize, String)> {
            if stale {
                return None;
            }
            let new = self.eval_new(leaf.context, text);
            known.iter().find_map(|(row, expected)| {
                let now = new[*row].as_ref();
                let same = equal_options(now, *expected) || (is_empty(now) && is_empty(*expected));
                (!same).then(|| (*row, contradiction(*expected, now)))
            })
        };
        let fitted = leaf.atoms.iter().any(|index| {
            resolutions[*index].choice.as_ref().is_some_and(|choice| choice.conversion.learned_bits() > 2.0)
        });
        let weak = match evidence {
            Evidence::Gone | Evidence::Quiet | Evidence::Named | Evidence::Refuted { .. } => true,
            // Values that cannot be told apart one by one may be told together.
            Evidence::Tied { .. } => leaf.atoms.len() > 1,
            _ => false,
        };
        let volatile = !changed && matches!(evidence, Evidence::Kept { .. });
        if !known.is_empty()
            && (weak || (fitted && !leaf.conditional) || (!volatile && contradicted(&text).is_some()))
            && let Some((found, proof)) = self.whole_leaf(leaf, &old, &known, weak || contradicted(&text).is_some())
        {
            let found = self.nothing_as_before(leaf, &old_text, &old, found);
            edits.retain(|edit| !(edit.span.start >= leaf.span.start && edit.span.end <= leaf.span.end));
            edits.push(Edit { span: leaf.span, text: found.clone() });
            (text, evidence) = (found, proof);
        }
        let certain = if stale { &[][..] } else { &known[..] };
        let settled = self.empties(leaf, &old, certain, resolutions, seen, &text);
        if let Some(settled) = settled {
            edits.retain(|edit| !(edit.span.start >= leaf.span.start && edit.span.end <= leaf.span.end));
            edits.push(Edit { span: leaf.span, text: settled.clone() });
            text = settled;
        }
        if evidence.carries()
            && !volatile
            && let Some((_, example)) = contradicted(&text)
        {
            evidence = Evidence::Refuted { example };
        }
        Outcome { text, evidence }
    }

    pub(super) fn weakest(&self, leaf: &Leaf, resolutions: &[Resolution]) -> Evidence {
        if leaf.opaque {
            let changed = leaf.atoms.iter().any(|index| resolutions[*index].choice.is_some());
            if changed || self.levels[leaf.context].moved.is_some() {
                return Evidence::Opaque;
            }
        }
        // What carries a change is the weakest of what changed; what does not carry is the weakest of all.
        let of_all = leaf.atoms.iter().map(|index| &resolutions[*index]);
        let weight = |resolution: &&Resolution| {
            let stays = resolution.choice.is_none() && resolution.evidence.carries();
            resolution.evidence.weight() + if stays { 1.0 } else { 0.0 }
        };
        of_all
            .min_by(|a, b| weight(a).total_cmp(&weight(b)))
            .map_or(Evidence::Kept { confirmed: 0 }, |resolution| resolution.evidence.clone())
    }

    /// A field that shows the output itself, in place of the whole expression.
    pub(super) fn whole_leaf(
        &self,
        leaf: &Leaf,
        old: &[Option<Value>],
        known: &[(usize, Option<&Value>)],
        anything: bool,
    ) -> Option<(String, Evidence)> {
        let level = &self.levels[leaf.context];
        let mut names: Vec<&str> = leaf.path.last().map(String::as_str).into_iter().collect();
        let members = FieldSchema::of(self.schema, &leaf.path).members;
        let own: Vec<&FieldPath> =
            leaf.atoms.iter().filter_map(|index| self.reading.atoms[*index].path.as_ref()).collect();
        let only = match leaf.atoms.as_slice() {
            [only] => self.reading.atoms[*only].path.as_ref(),
            _ => None,
        };
        names.extend(only.map(FieldPath::last_key));
        let request = Request {
            known,
            names: &names,
            before: Some((&level.old_table, old)),
            old_path: None,
            own: &own,
            members: &members,
            codes: &[],
            rarity: &Rarity::of(old.iter().flatten()),
            redefined: false,
            changed: &level.changed,
            stale: level.is_stale(),
            lens: None,
            outputs: None,
            home: None,
            selector: None,
            ingredients: self.ingredients,
        };
        let Pick::One(choice) = pick(&request, &level.new_table) else { return None };
        if !anything && !choice.is_plain() {
            return None;
        }
        let choice = Choice { optional: old.iter().any(|value| is_empty(value.as_ref())), ..choice };
        let list = old.iter().flatten().any(Value::is_array);
        let text = choice.render("");
        let text = if list { format!("[{text}]") } else { text };
        let support = choice.support;
        Some((text, Evidence::Proven { records: support.records, values: support.values, bits: support.bits }))
    }

    /// A field that takes the place of an expression says of nothing what the expression said of it, whether or not a
    /// record has shown it by now.
    fn nothing_as_before(&self, leaf: &Leaf, old_text: &str, old: &[Option<Value>], field: String) -> String {
        let schema = FieldSchema::of(self.schema, &leaf.path);
        let nothing = Value::Object(serde_json::Map::new());
        let prelude = self.prelude(leaf.context, &[]);
        let meant = self.evaluator.part(&prelude, old_text, &nothing, &nothing).ok().flatten();
        let mut empty = old.iter().filter(|output| is_empty(output.as_ref())).peekable();
        let was_null = empty.peek().is_some() && empty.all(|output| output.as_ref() == Some(&Value::Null));
        let target = match meant {
            Some(meant) if meant.is_null() || leaf.conditional => meant,
            _ if was_null => Value::Null,
            _ => return field,
        };
        let is_plain = !target.is_array() && !target.is_object() && !field.starts_with('[');
        if !is_plain || !schema.allows(Some(&target)) {
            return field;
        }
        or_else(&field, &field, &target, &self.eval_new(leaf.context, &field), &schema)
    }

    /// What the output becomes where its values say nothing, in a way that was not there before.
    pub(super) fn empties(
        &self,
        leaf: &Leaf,
        old: &[Option<Value>],
        known: &[(usize, Option<&Value>)],
        resolutions: &[Resolution],
        seen: &[Seen],
        text: &str,
    ) -> Option<String> {
        let schema = FieldSchema::of(self.schema, &leaf.path);
        let now = self.try_new(leaf.context, text);
        let mut meant: Vec<Option<Value>> = Vec::new();
        let mut bad = Vec::new();
        for (row, result) in now.iter().enumerate() {
            let expected = known.iter().find(|(known, _)| *known == row).map(|(_, expected)| *expected);
            let wrong = match (result, expected) {
                (Err(()), _) => true,
                (Ok(value), Some(expected)) => !equal_options(value.as_ref(), expected),
                (Ok(value), None) => !schema.allows(value.as_ref()),
            };
            if wrong {
                bad.push(row);
                meant.extend(expected.map(|expected| expected.cloned()));
            }
        }
        if bad.is_empty() {
            return self.unseen_nothing(leaf, old, resolutions, seen, text, &schema);
        }
        // The value that is empty on all of these rows.
        let texts: Vec<(usize, String)> = leaf
            .atoms
            .iter()
            .filter(|index| !seen[**index].container)
            .map(|index| (*index, self.atom_text(*index, &resolutions[*index])))
            .collect();
        let (index, x, kinds) = texts.iter().find_map(|(index, x)| {
            let values = self.eval_new(self.reading.atoms[*index].context, x);
            (self.reading.atoms[*index].context == leaf.context).then_some(())?;
            let kinds: Option<Vec<Empty>> = bad.iter().map(|row| empty_kind(values[*row].as_ref())).collect();
            Some((*index, x.clone(), kinds?))
        })?;
        let before: Vec<&Option<Value>> = seen[index]
            .old
            .iter()
            .zip(old)
            .filter(|(value, _)| is_empty(value.as_ref()))
            .map(|(_, output)| output)
            .collect();
        let target = match (meant.first(), before.first()) {
            (Some(first), _) if meant.iter().all(|other| equal_options(other.as_ref(), first.as_ref())) => {
                first.clone()?
            }
            (Some(_), _) => return None,
            (None, Some(Some(first))) if before.iter().all(|b| b.as_ref().is_some_and(|b| equal(b, first))) => {
                first.clone()
            }
            (None, Some(_)) => return None,
            (None, None) if schema.allows(Some(&Value::Null)) => Value::Null,
            (None, None) => return None,
        };
        // Nothing becomes what says nothing, or what it became before; anything else is a row mistaken for another.
        let says_nothing = target == Value::Bool(false) || target.as_f64() == Some(0.0) || is_empty(Some(&target));
        let as_before = before.iter().any(|output| equal_options(output.as_ref(), Some(&target)));
        if !schema.allows(Some(&target)) || !(says_nothing || as_before) {
            return None;
        }
        let mut kinds = kinds;
        kinds.sort();
        kinds.dedup();
        let text = match kinds.as_slice() {
            [Empty::Absent] => format!("$exists({x}) ? {text} : {target}"),
            [Empty::Null] => match literal_test(text, &x) {
                Some(rewritten) => rewritten,
                None => format!("{x} = null ? {target} : ({text})"),
            },
            [Empty::Text] => format!("{x} = \"\" ? {target} : ({text})"),
            [Empty::List] => format!("$count({x}) = 0 ? {target} : ({text})"),
            _ => {
                let falsy = |value: &Value| value == &Value::Bool(false) || value.as_f64() == Some(0.0);
                let values = self.eval_new(leaf.context, &x);
                if values.iter().flatten().any(falsy) || seen[index].old.iter().flatten().any(falsy) {
                    return None;
                }
                format!("{x} ? ({text}) : {target}")
            }
        };
        let text = tidy(&text);
        let repaired = self.try_new(leaf.context, &text);
        let right = bad.iter().all(|row| matches!(&repaired[*row], Ok(Some(value)) if equal(value, &target)));
        right.then_some(text)
    }

    /// The old field said nothing now and then, and the output was null; the new one has not done so yet. Whatever way it
    /// will choose, the output is null again.
    pub(super) fn unseen_nothing(
        &self,
        leaf: &Leaf,
        old: &[Option<Value>],
        resolutions: &[Resolution],
        seen: &[Seen],
        text: &str,
        schema: &FieldSchema,
    ) -> Option<String> {
        let [index] = leaf.atoms.as_slice() else { return None };
        let moved = resolutions[*index].choice.as_ref().filter(|choice| !choice.path.steps.is_empty())?;
        let nulls = seen[*index].old.iter().zip(old).filter(|(value, _)| is_empty(value.as_ref()));
        let mut nulls = nulls.map(|(_, output)| output.as_ref() == Some(&Value::Null)).peekable();
        let was_null = nulls.peek().is_some() && nulls.all(|null| null);
        let x = self.atom_text(*index, &resolutions[*index]);
        let now = self.eval_new(leaf.context, &x);
        if !was_null || leaf.conditional || moved.default.is_some() || now.iter().any(|value| is_empty(value.as_ref()))
        {
            return None;
        }
        Some(or_else(&x, text, &Value::Null, &now, schema))
    }

    pub(super) fn atom_text(&self, index: usize, resolution: &Resolution) -> String {
        let atom = &self.reading.atoms[index];
        let prefix = atom.sites.first().map(|(_, prefix)| prefix.as_str()).unwrap_or_default();
        match &resolution.choice {
            Some(choice) if !choice.path.steps.is_empty() && !prefix.starts_with(AROUND) => choice.path.render(prefix),
            _ => atom.sites.first().map_or_else(
                || atom.text.clone(),
                |(span, _)| self.reading.source.get(span.start..span.end).unwrap_or_default().to_owned(),
            ),
        }
    }
}

/// `text` where `x`, which is `now`, says something, and else `nothing`.
fn or_else(x: &str, text: &str, nothing: &Value, now: &[Option<Value>], schema: &FieldSchema) -> String {
    let texts = now.iter().flatten().all(Value::is_string);
    match texts && !schema.allows(Some(&Value::from(""))) {
        true => format!("{x} ? {text} : {nothing}"),
        false => format!("$exists({x}) ? {text} : {nothing}"),
    }
}

/// `x = "" ? …` asks for the new way of saying nothing instead.
fn literal_test(text: &str, x: &str) -> Option<String> {
    let rest = text.strip_prefix(&format!("{x} = \"\" ?"))?;
    Some(format!("{x} = null ?{rest}"))
}

/// Without parentheses around what needs none.
fn tidy(text: &str) -> String {
    let Some(open) = text.rfind(": (") else { return text.to_owned() };
    let inner = &text[open + 3..];
    let simple =
        inner.ends_with(')') && inner[..inner.len() - 1].chars().all(|c| c.is_alphanumeric() || "._`$".contains(c));
    if simple { format!("{}{}", &text[..open + 2], &inner[..inner.len() - 1]) } else { text.to_owned() }
}
