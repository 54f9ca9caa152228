//! What known entities show in the outputs of a proposal, field by field.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::leaves::leaves;
use crate::evidence::Evidence;
use crate::known::{Known, Row, expected};
use crate::value::{bits, equal, lookup_keys};

/// Bits that known entities have to agree on in a field, and fewest different values.
const BITS_OF_FIELD: f64 = 12.0;
const FEWEST_VALUES: usize = 2;
/// A field with more different values holds no vocabulary.
const MOST_WORDS: usize = 20;

/// What known entities show.
pub(crate) struct Shown<'a> {
    pub(crate) old: &'a [Row<'a>],
    pub(crate) new: &'a [Row<'a>],
    pub(crate) known: &'a [Known],
    /// The records that the new rows were made of.
    pub(crate) records: &'a [&'a Value],
}

impl Shown<'_> {
    pub(crate) fn evidence(&self, name: &str) -> Evidence {
        let mut values: BTreeMap<String, f64> = BTreeMap::new();
        let (mut agreeing, mut contradicting, mut example) = (Vec::new(), 0, String::new());
        for pair in self.known {
            let (was, is) = (self.old[pair.old].fields.get(name), self.new[pair.new].fields.get(name));
            match (was, is) {
                (None, None) => {}
                // A field that is not remembered at all tells nothing.
                (None, Some(_)) if !self.old.iter().any(|row| row.fields.contains_key(name)) => {}
                (Some(was), Some(is)) if equal(was, is) => {
                    values.insert(was.to_string(), bits(was));
                    agreeing.push(pair);
                }
                _ if pair.fresh => {
                    contradicting += 1;
                    let shown =
                        |value: Option<&&Value>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
                    example = format!("a known entity showed {}, and shows {} now", shown(was), shown(is));
                }
                _ => {}
            }
        }
        if contradicting > agreeing.len() || (contradicting > 0 && agreeing.is_empty()) {
            return Evidence::Refuted { example };
        }
        let total: f64 = values.values().sum();
        if contradicting > 0 || values.len() < FEWEST_VALUES || total < BITS_OF_FIELD || !self.is_covered(name, &values)
        {
            return Evidence::Proposed;
        }
        let rivals = self.rivals(name, &agreeing);
        if rivals.is_empty() {
            Evidence::Proven { records: agreeing.len(), values: values.len(), bits: total }
        } else {
            Evidence::Tied { rivals }
        }
    }

    /// Whether known entities have confirmed each word of a field that has few. What becomes of another word is unknown.
    fn is_covered(&self, name: &str, confirmed: &BTreeMap<String, f64>) -> bool {
        let shown: Vec<String> =
            self.new.iter().filter_map(|row| row.fields.get(name)).map(ToString::to_string).collect();
        let words: BTreeSet<&String> = shown.iter().collect();
        words.len() > MOST_WORDS
            || words.len() * 2 > shown.len()
            || words.iter().all(|word| confirmed.contains_key(*word))
    }

    /// Other fields of the input that show the same for the known entities, and something else otherwise.
    fn rivals(&self, name: &str, agreeing: &[&Known]) -> Vec<String> {
        let of_known: BTreeSet<usize> = agreeing.iter().map(|pair| self.new[pair.new].output).collect();
        let mut fitting: Option<BTreeSet<String>> = None;
        for pair in agreeing {
            let row = &self.new[pair.new];
            let Some(value) = row.fields.get(name) else { continue };
            let wanted = lookup_keys(value);
            if wanted.is_empty() {
                continue;
            }
            let shows = |found: &Value| lookup_keys(found).iter().any(|key| wanted.contains(key));
            let leaves = leaves(self.records[row.output]);
            let here: BTreeSet<String> = leaves
                .into_iter()
                .filter(|(_, found)| found.iter().any(|it| shows(it)))
                .map(|(path, _)| path)
                .collect();
            fitting = Some(match fitting {
                None => here,
                Some(fitting) => fitting.intersection(&here).cloned().collect(),
            });
        }
        let Some(fitting) = fitting.filter(|fitting| fitting.len() > 1) else { return Vec::new() };
        // Of several that fit, the one that the mapping reads shows the same everywhere; another one that does not is a rival.
        let others: Vec<&Row<'_>> = self.new.iter().filter(|row| !of_known.contains(&row.output)).collect();
        let differs = |path: &String| {
            others.iter().any(|row| {
                let Some(value) = row.fields.get(name) else { return false };
                let wanted = lookup_keys(value);
                let leaves = leaves(self.records[row.output]);
                let found = leaves.get(path).map(Vec::as_slice).unwrap_or_default();
                !wanted.is_empty()
                    && !found.is_empty()
                    && !found.iter().any(|found| lookup_keys(found).iter().any(|key| wanted.contains(key)))
            })
        };
        fitting.into_iter().filter(differs).collect()
    }

    pub(super) fn same_fields(&self, pair: &Known) -> bool {
        let (old, new) = (&self.old[pair.old].fields, &self.new[pair.new].fields);
        old.iter().all(|(name, value)| new.get(name).is_some_and(|now| equal(now, value)))
    }
}

/// Identifiers of known entities that stand in the records and do not come out again.
pub(super) fn lost(old: &[Row<'_>], new: &[Row<'_>], records: &[&Value]) -> Vec<String> {
    let mut standing = BTreeSet::new();
    for record in records {
        standing.extend(leaves(record).values().flatten().flat_map(|value| lookup_keys(value)));
    }
    let stands = |value: &Value| lookup_keys(value).iter().any(|key| standing.contains(key));
    let counts = expected(old, new, stands);
    let lost = counts.into_iter().filter(|(_, (expected, found))| found * 10 < expected * 9);
    lost.map(|(field, (expected, found))| {
        format!("{field}: of {expected} known values that stand in the records, {found} come out again")
    })
    .collect()
}
