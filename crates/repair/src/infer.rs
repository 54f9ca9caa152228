//! A first mapping, from examples of input and output: the same search as for a repair, with every example known.

use std::borrow::Cow;
use std::collections::HashSet;

use jsonschema::Validator;
use serde_json::{Map, Value};

use crate::case::Case;
use crate::eval::Evaluator;
use crate::evidence::{Evidence, FieldChange, Repair, Story, Trial, Verdict};
use crate::guard::jumps;
use crate::path::Literal;
use crate::pick::{Choice, Pick, Rarity, Request, pick};
use crate::places::{RowPlace, row_places};
use crate::profile::OutputProfile;
use crate::proof::{regressed, run};
use crate::schema::FieldSchema;
use crate::settings::{Ingredients, Settings};
use crate::table::{Table, named_fields};
use crate::value::{equal_options, is_empty};
use crate::verdict::{Findings, decide};

const MOST_EXAMPLES: usize = 100;
const MOST_FILTERS: usize = 200;

pub(crate) fn infer(case: &Case, settings: &Settings, validator: &Validator, evaluator: &Evaluator) -> Repair {
    let examples: Vec<(&Value, &Value)> =
        case.remembered.iter().take(MOST_EXAMPLES).map(|sample| (&sample.input, &sample.output)).collect();
    let maker = Maker { evaluator, ingredients: settings.ingredients, schema: &case.schema };
    let made = maker.value(&examples, "");
    let held_back = examples.len() / 4;
    let fewer = maker.value(&examples[..examples.len() - held_back], "");
    let stable = fewer.fields.iter().filter(|field| field.evidence.carries()).all(|field| {
        let same = |other: &&FieldChange| other.field == field.field;
        made.fields.iter().find(same).is_some_and(|other| other.new == field.new)
    });
    let mapping = made.text.clone();
    let records: Vec<&Value> = case.failing.iter().collect();
    let runs: Vec<_> =
        records.iter().filter_map(|record| Some(run(evaluator, validator, mapping.as_deref()?, record))).collect();
    let reproduced = mapping.as_deref().map_or(0, |mapping| regressed(evaluator, mapping, &case.remembered));
    let trial = Trial {
        records: records.len(),
        valid: runs.iter().filter(|run| run.valid).count(),
        held_back,
        known: case.remembered.len(),
        reproduced,
        remembered: case.remembered.len(),
        regressed: reproduced,
        ..Trial::default()
    };
    let found = if settings.ingredients.profile {
        let before = OutputProfile::of(case.remembered.iter().map(|sample| &sample.output));
        jumps(&before, &OutputProfile::of(runs.iter().filter_map(|run| run.output.as_ref())))
    } else {
        Vec::new()
    };
    let findings = Findings {
        fields: made.fields,
        trial,
        jumps: found,
        changed: true,
        silent: false,
        stable,
        lost_rows: made.text.is_none(),
        new_records: records.len(),
        inferred: true,
    };
    let decision = decide(&findings);
    let story = Story {
        summary: decision.summary,
        gone: Vec::new(),
        new: Vec::new(),
        fields: findings.fields,
        trial: findings.trial,
        jumps: findings.jumps,
        outages: Vec::new(),
        score: decision.score,
        reasons: decision.reasons,
        would_change: decision.would_change,
    };
    let mapping = if decision.verdict == Verdict::Refuse { None } else { mapping };
    Repair { id: case.id.clone(), verdict: decision.verdict, mapping, origin: "inferred", evidence: story }
}

#[derive(Default)]
struct Made {
    text: Option<String>,
    fields: Vec<FieldChange>,
}

struct Maker<'a> {
    evaluator: &'a Evaluator,
    ingredients: Ingredients,
    schema: &'a Value,
}

impl Maker<'_> {
    /// JSONata of the outputs, evaluated on the inputs.
    fn value(&self, examples: &[(&Value, &Value)], name: &str) -> Made {
        if examples.is_empty() {
            return Made::default();
        }
        if examples.iter().all(|(_, output)| output.is_object()) {
            return self.object(examples, name);
        }
        let of_objects = |output: &Value| output.as_array().is_some_and(|items| items.iter().all(Value::is_object));
        let some = examples.iter().any(|(_, output)| output.as_array().is_some_and(|items| !items.is_empty()));
        if some && examples.iter().all(|(_, output)| of_objects(output)) {
            return self.rows(examples, name);
        }
        Made::default()
    }

    /// A list of objects: one for each row of some place.
    fn rows(&self, examples: &[(&Value, &Value)], name: &str) -> Made {
        let inputs: Vec<&Value> = examples.iter().map(|(input, _)| *input).collect();
        let mut best = Made::default();
        let mut best_found = 0;
        let mut places = row_places(&inputs);
        let filtered: Vec<RowPlace> = places.iter().flat_map(|place| filters(place, examples)).collect();
        places.extend(filtered);
        for place in places {
            let Some(rows) = paired(&place, examples) else { continue };
            let made = self.object(&rows, name);
            let found = made.fields.iter().filter(|field| field.evidence.carries()).count();
            // Two filters that serve as well are a tie, and nothing is made of it.
            if found == best_found && found > 0 && place.only.is_some() {
                best.fields
                    .iter_mut()
                    .for_each(|field| field.evidence = Evidence::Tied { rivals: vec![place.render()] });
            }
            if let Some(text) = made.text.filter(|_| found > best_found) {
                best_found = found;
                best = Made { text: Some(format!("[{}.{text}]", place.render())), fields: made.fields };
            }
        }
        best
    }

    fn object(&self, examples: &[(&Value, &Value)], name: &str) -> Made {
        let inputs: Vec<&Value> = examples.iter().map(|(input, _)| *input).collect();
        let table = Table::of(&inputs, self.ingredients.structure);
        let mut keys: Vec<&String> = Vec::new();
        for key in examples.iter().filter_map(|(_, output)| output.as_object()).flat_map(Map::keys) {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let (mut parts, mut fields) = (Vec::new(), Vec::new());
        for key in keys {
            let full = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            let nested: Vec<(&Value, &Value)> =
                examples.iter().filter_map(|(input, output)| Some((*input, output.get(key)?))).collect();
            let inner = self.value(&nested, &full);
            if let Some(text) = inner.text.filter(|_| nested.len() == examples.len()) {
                parts.push(format!("{}: {text}", Value::from(key.as_str())));
                fields.extend(inner.fields);
                continue;
            }
            let known: Vec<(usize, Option<&Value>)> = examples
                .iter()
                .enumerate()
                .map(|(row, (_, output))| (row, output.get(key)))
                .take(table.rows())
                .collect();
            let names: Vec<String> = full.split('.').map(str::to_owned).collect();
            let schema = FieldSchema::of(self.schema, &names);
            let (text, evidence) = self.leaf((key, &schema), &known, &table, &inputs);
            if let Some(text) = &text {
                parts.push(format!("{}: {text}", Value::from(key.as_str())));
            }
            let because = evidence.because();
            fields.push(FieldChange {
                field: full,
                old: String::new(),
                new: text.unwrap_or_default(),
                evidence,
                because,
            });
        }
        Made { text: (!parts.is_empty()).then(|| format!("{{ {} }}", parts.join(", "))), fields }
    }

    fn leaf(
        &self,
        (key, schema): (&str, &FieldSchema),
        known: &[(usize, Option<&Value>)],
        table: &Table,
        inputs: &[&Value],
    ) -> (Option<String>, Evidence) {
        let request = Request {
            known,
            names: &[key],
            before: None,
            old_path: None,
            own: &[],
            members: &schema.members,
            codes: &[],
            rarity: &Rarity::of(known.iter().filter_map(|(_, value)| *value)),
            redefined: false,
            changed: &HashSet::new(),
            stale: false,
            lens: None,
            outputs: None,
            home: None,
            selector: None,
            ingredients: self.ingredients,
        };
        match pick(&request, table) {
            Pick::One(choice) => {
                let support = choice.support;
                let proof = Evidence::Proven { records: support.records, values: support.values, bits: support.bits };
                match self.settled(&choice, schema, known, inputs) {
                    Some(text) => (Some(text), proof),
                    None => (Some(choice.render("")), Evidence::Refuted { example: "of empty values".to_owned() }),
                }
            }
            Pick::Tied(choices) => {
                let rivals = choices.iter().skip(1).take(4).map(|choice| choice.render("")).collect();
                (
                    choices.first().and_then(|choice| self.settled(choice, schema, known, inputs)),
                    Evidence::Tied { rivals },
                )
            }
            Pick::None => (None, Evidence::Gone),
        }
    }

    /// The text that gives all known values, also where the input says nothing.
    fn settled(
        &self,
        choice: &Choice,
        schema: &FieldSchema,
        known: &[(usize, Option<&Value>)],
        inputs: &[&Value],
    ) -> Option<String> {
        let text = choice.render("");
        let x = choice.path.render("");
        let list = known.iter().any(|(_, value)| value.is_some_and(Value::is_array));
        let text = if list { format!("[{text}]") } else { text };
        let nothing = known.iter().map(|(_, value)| *value).find(|value| is_empty(*value)).flatten().cloned();
        // Where the target has to have the field and may have null, that is what nothing becomes, seen or not.
        let has_to_be_null = schema.required && schema.allows(Some(&Value::Null)) && !schema.is_open();
        let nothing = nothing.or(has_to_be_null.then_some(Value::Null));
        let mut texts = Vec::new();
        if has_to_be_null
            && !schema.allows(Some(&Value::from("")))
            && known.iter().any(|(_, value)| value.is_some_and(Value::is_string))
        {
            texts.push(format!("{x} ? {text} : null"));
        }
        if has_to_be_null {
            texts.push(format!("$exists({text}) ? {text} : null"));
        }
        texts.push(text.clone());
        if let Some(nothing) = nothing {
            texts.push(format!("$exists({text}) ? {text} : {nothing}"));
            texts.push(format!("$exists({x}) ? {text} : {nothing}"));
            texts.push(format!("{x} = \"\" ? {nothing} : {text}"));
            texts.push(format!("{x} ? {text} : {nothing}"));
        }
        let holds = |text: &&String| {
            known.iter().all(|(row, expected)| {
                let now = self.evaluator.part("", text, inputs[*row], inputs[*row]);
                now.is_ok_and(|now| equal_options(now.as_ref(), *expected))
            })
        };
        texts.iter().find(holds).cloned()
    }
}

/// The same place with a filter that leaves as many rows as there are outputs, in every example.
fn filters(place: &RowPlace, examples: &[(&Value, &Value)]) -> Vec<RowPlace> {
    let count = |place: &RowPlace, input: &Value| place.rows(input).len();
    let outputs = |output: &Value| output.as_array().map_or(0, Vec::len);
    let fewer = examples.iter().all(|(input, output)| outputs(output) <= count(place, input));
    let some = examples.iter().any(|(input, output)| outputs(output) < count(place, input));
    if place.keyed || !fewer || !some {
        return Vec::new();
    }
    let mut found: Vec<(Vec<String>, Literal)> = Vec::new();
    for row in examples.iter().flat_map(|(input, _)| place.rows(input)).take(MOST_EXAMPLES) {
        named_fields(&row, &mut Vec::new(), &mut |key, literal| {
            let filter = (key.to_vec(), literal);
            if found.len() < MOST_FILTERS && !found.contains(&filter) {
                found.push(filter);
            }
        });
    }
    let with = |filter| RowPlace { only: Some(filter), ..place.clone() };
    let fits = |place: &RowPlace| examples.iter().all(|(input, output)| count(place, input) == outputs(output));
    found.into_iter().map(with).filter(fits).collect()
}

/// The rows of a place with the outputs beside them, if there are as many in every example. Rows under keys are left
/// out: what the keys mean, a person has to say.
fn paired<'v>(place: &RowPlace, examples: &[(&'v Value, &'v Value)]) -> Option<Vec<(&'v Value, &'v Value)>> {
    let mut pairs = Vec::new();
    for (input, output) in examples {
        let rows: Option<Vec<&Value>> = place.rows(input).into_iter().map(borrowed).collect();
        let (rows, items) = (rows?, output.as_array()?);
        if rows.len() != items.len() {
            return None;
        }
        pairs.extend(rows.into_iter().zip(items));
    }
    (!pairs.is_empty()).then_some(pairs)
}

fn borrowed(row: Cow<'_, Value>) -> Option<&Value> {
    match row {
        Cow::Borrowed(row) => Some(row),
        Cow::Owned(_) => None,
    }
}
