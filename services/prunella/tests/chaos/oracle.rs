//! What is promised, as properties of what was sent and what is found. Each finding names the property it breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use prunella_testkit::harness::ReadRecord;
use prunella_wire::records::{RunState, RunStatus};

use crate::observed::Observed;
use crate::workload::{ORDERS_PER_RUN, Sent, good_and_bad_orders, is_bad_tick};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Property {
    /// Every trigger has one run, and that run one end that never changes.
    OneEnd,
    /// No run is open, and none ended behind its deadline.
    InTime,
    /// Every expected output is there.
    Complete,
    /// No reader of committed records sees an output or dead letter twice.
    Once,
    /// Copies are the same, byte for byte.
    SameCopies,
    /// Outputs of one key stand in the order of their inputs.
    Order,
    /// Whatever is no output is a dead letter with a code, and nothing else is.
    Accounted,
    /// Nothing is there that nobody asked for.
    Invented,
    /// There was something to check.
    EnoughTraffic,
    /// A process that is asked to end does.
    Leaves,
}

#[derive(Debug, Clone)]
pub(crate) struct Finding {
    pub(crate) property: Property,
    pub(crate) what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.property, self.what)
    }
}

pub(crate) fn check(sent: &Sent, seen: &Observed, exactly_once: bool) -> Vec<Finding> {
    let mut oracle = Oracle { findings: Vec::new(), exactly_once };
    oracle.runs("chain", sent.chain, seen);
    oracle.runs("orders", sent.orders, seen);
    oracle.chain(sent, seen);
    oracle.orders(sent, seen);
    oracle.ticks(sent, seen);
    for letter in &seen.system_letters {
        let what = format!(
            "a dead letter of the system: {:?} {:?}",
            letter.header("prunella-dead-code"),
            letter.header("prunella-dead-message")
        );
        oracle.found(Property::Accounted, what);
    }
    if sent.chain < 10 || sent.orders < 2 || sent.ticks < 20 {
        oracle.found(Property::EnoughTraffic, format!("{sent:?}"));
    }
    oracle.findings
}

struct Oracle {
    findings: Vec<Finding>,
    exactly_once: bool,
}

/// Most examples of one kind.
const EXAMPLES: usize = 8;

fn examples<T: fmt::Debug>(all: impl IntoIterator<Item = T>) -> String {
    let all: Vec<T> = all.into_iter().collect();
    format!("{} {:?}", all.len(), &all[..all.len().min(EXAMPLES)])
}

impl Oracle {
    fn found(&mut self, property: Property, what: impl Into<String>) {
        self.findings.push(Finding { property, what: what.into() });
    }

    fn none<T: fmt::Debug>(&mut self, property: Property, what: &str, bad: Vec<T>) {
        if !bad.is_empty() {
            self.found(property, format!("{what}: {}", examples(bad)));
        }
    }

    fn runs(&mut self, workflow: &str, sent: u64, seen: &Observed) {
        let of = |n: u64| seen.runs.get(&(workflow.to_owned(), n.to_string()));
        let unknown: Vec<u64> = (0..sent).filter(|n| of(*n).is_none()).collect();
        self.none(Property::OneEnd, &format!("{workflow}: triggers without a run"), unknown);
        let mut open = Vec::new();
        for n in 0..sent {
            let Some(states) = of(n) else { continue };
            if states.iter().map(|state| &state.run).collect::<BTreeSet<_>>().len() != 1 {
                self.found(Property::OneEnd, format!("{workflow} {n}: more than one run"));
            }
            let ends: Vec<&RunState> = states.iter().filter(|state| state.status.is_terminal()).collect();
            let Some(end) = ends.first() else {
                open.push((n, states.last().map(|state| (state.run.to_string(), state.status))));
                continue;
            };
            let changed = !states.last().is_some_and(|last| last.status == end.status);
            if changed || (self.exactly_once && ends.len() > 1) || ends.iter().any(|other| other.status != end.status) {
                let statuses: Vec<RunStatus> = states.iter().map(|state| state.status).collect();
                self.found(Property::OneEnd, format!("{workflow} {n} ({}): {statuses:?}", end.run));
            }
            if end.status != RunStatus::Succeeded {
                self.found(Property::InTime, format!("{workflow} {n} ({}) {:?}: {:?}", end.run, end.status, end.error));
            }
            self.counts(workflow, n, end);
        }
        self.none(Property::InTime, &format!("{workflow}: runs that did not end"), open);
        let strangers = seen.runs.keys().filter(|(of, _)| of == workflow).count().saturating_sub(sent as usize);
        if strangers > 0 {
            self.found(Property::Invented, format!("{workflow}: {strangers} runs that nobody asked for"));
        }
    }

    fn counts(&mut self, workflow: &str, n: u64, end: &RunState) {
        let (good, bad) = good_and_bad_orders();
        let expected = match workflow {
            "orders" => (ORDERS_PER_RUN as i64, good.len() as i64, bad.len() as i64),
            _ => (2, 2, 0),
        };
        let counted = (end.extracted, end.valid, end.dead_lettered);
        if end.status == RunStatus::Succeeded && counted != expected {
            self.found(
                Property::Accounted,
                format!("{workflow} {n} ({}) counts {counted:?}, not {expected:?}", end.run),
            );
        }
    }

    /// Compares what is there, by its identity, with what has to be there.
    fn compare(
        &mut self,
        what: &str,
        records: &[ReadRecord],
        ids: &[String],
        expected: &BTreeSet<String>,
        complete: Property,
    ) {
        let mut copies: BTreeMap<&String, Vec<&ReadRecord>> = BTreeMap::new();
        for (id, record) in ids.iter().zip(records) {
            copies.entry(id).or_default().push(record);
        }
        let missing: Vec<&String> = expected.iter().filter(|id| !copies.contains_key(id)).collect();
        self.none(complete, &format!("{what} missing"), missing);
        let strangers: Vec<&&String> = copies.keys().filter(|id| !expected.contains(**id)).collect();
        self.none(Property::Invented, &format!("{what} that nobody asked for"), strangers);
        let repeated = copies.iter().filter(|(_, copies)| copies.len() > 1);
        if self.exactly_once {
            let place = |(id, copies): (&&String, &Vec<&ReadRecord>)| {
                let places: Vec<(i32, i64)> = copies.iter().map(|copy| (copy.partition, copy.offset)).collect();
                format!("{id} at {places:?}")
            };
            self.none(Property::Once, &format!("{what} seen twice"), repeated.map(place).collect());
        } else {
            let differ = |copies: &Vec<&ReadRecord>| copies.iter().any(|copy| copy.value != copies[0].value);
            let different: Vec<&&String> = repeated.filter(|(_, copies)| differ(copies)).map(|(id, _)| id).collect();
            self.none(Property::SameCopies, &format!("{what} with copies that differ"), different);
        }
    }

    fn chain(&mut self, sent: &Sent, seen: &Observed) {
        let outputs = &seen.outputs["chain"];
        let ids: Vec<String> = outputs.iter().map(|output| output.json()["n"].to_string()).collect();
        let expected = (0..sent.chain).map(|n| n.to_string()).collect();
        self.compare("outputs of chain", outputs, &ids, &expected, Property::Complete);
        let wrong = outputs
            .iter()
            .map(ReadRecord::json)
            .filter(|value| value["twice"].as_u64() != value["n"].as_u64().map(|n| n * 2));
        self.none(Property::Invented, "outputs of chain that are wrong", wrong.collect());
        self.letters_are(seen, "chain", |_| String::new(), &BTreeSet::new());
    }

    fn orders(&mut self, sent: &Sent, seen: &Observed) {
        let (good, bad) = good_and_bad_orders();
        let run_of = |n: u64| {
            let states = seen.runs.get(&("orders".to_owned(), n.to_string()));
            states.and_then(|states| states.first()).map_or_else(|| format!("?{n}"), |state| state.run.to_string())
        };
        let all = |numbers: &BTreeSet<u64>| -> BTreeSet<String> {
            let ids = |n: u64| numbers.iter().map(move |order| (n, *order));
            (0..sent.orders).flat_map(ids).map(|(n, order)| format!("{} ORD-{order:07}", run_of(n))).collect()
        };
        let run = |record: &ReadRecord| {
            record.header("prunella-item").unwrap_or_default().split('/').next().unwrap_or_default().to_owned()
        };
        let outputs = &seen.outputs["orders"];
        let id = |output: &ReadRecord| format!("{} {}", run(output), output.json()["id"].as_str().unwrap_or_default());
        let ids: Vec<String> = outputs.iter().map(id).collect();
        self.compare("outputs of orders", outputs, &ids, &all(&good), Property::Complete);
        let id =
            |letter: &ReadRecord| format!("{} {}", run(letter), letter.json()["orderId"].as_str().unwrap_or_default());
        self.letters_are(seen, "orders", id, &all(&bad));
    }

    fn ticks(&mut self, sent: &Sent, seen: &Observed) {
        let outputs = &seen.outputs["ticks"];
        let ids: Vec<String> = outputs.iter().map(|output| output.json()["n"].to_string()).collect();
        let good = sent.good_ticks();
        let expected = good.values().flatten().map(u64::to_string).collect();
        self.compare("outputs of ticks", outputs, &ids, &expected, Property::Complete);
        let bad = (0..sent.ticks).filter(|n| is_bad_tick(*n)).map(|n| n.to_string()).collect();
        self.letters_are(seen, "ticks", |letter| letter.json()["number"].to_string(), &bad);
        let mut by_key: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for output in outputs {
            let value = output.json();
            let key = value["key"].as_str().unwrap_or_default().to_owned();
            by_key.entry(key).or_default().push(value["n"].as_u64().unwrap_or_default());
        }
        for (key, numbers) in by_key {
            // Each first sight is behind all first sights before it: a tail that comes again is no disorder.
            let mut first_seen = BTreeSet::new();
            let firsts: Vec<u64> = numbers.into_iter().filter(|n| first_seen.insert(*n)).collect();
            let disorder: Vec<_> = firsts.windows(2).filter(|pair| pair[0] > pair[1]).map(<[u64]>::to_vec).collect();
            self.none(Property::Order, &format!("key {key} out of order"), disorder);
        }
    }

    fn letters_are(
        &mut self,
        seen: &Observed,
        name: &str,
        id: impl Fn(&ReadRecord) -> String,
        expected: &BTreeSet<String>,
    ) {
        let letters = &seen.letters[name];
        let ids: Vec<String> = letters.iter().map(id).collect();
        self.compare(&format!("dead letters of {name}"), letters, &ids, expected, Property::Accounted);
        let code = |letter: &&ReadRecord| letter.header("prunella-dead-code").is_none_or(|code| code != "PRN-0602");
        let others: Vec<_> = letters
            .iter()
            .filter(code)
            .map(|letter| {
                letter.headers.get("prunella-dead-message").map(|message| String::from_utf8_lossy(message).into_owned())
            })
            .collect();
        self.none(Property::Accounted, &format!("dead letters of {name} with another code"), others);
    }
}
