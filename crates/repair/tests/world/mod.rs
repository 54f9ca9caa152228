//! Random sources, random mappings of them, random drifts; what is right is known, because it is made from the entities.

mod drift;

use drift::drift;
use prunella_repair::{Case, Sample};
use serde_json::{Map, Value, json};

/// SplitMix64: small, seeded, the same everywhere.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    Person,
    Email,
    Price,
    /// Above or below zero.
    Balance,
    Count,
    Moment,
    Day,
    Status,
    Flag,
    City,
    Note,
    Tags,
}

const KINDS: [Kind; 12] = [
    Kind::Person,
    Kind::Email,
    Kind::Price,
    Kind::Balance,
    Kind::Count,
    Kind::Moment,
    Kind::Day,
    Kind::Status,
    Kind::Flag,
    Kind::City,
    Kind::Note,
    Kind::Tags,
];

const STATES: [&str; 4] = ["open", "paid", "held", "closed"];
const CITIES: [&str; 6] = ["Hamburg", "Oslo", "Porto", "Graz", "Lyon", "Kyoto"];
const FIRST: [&str; 8] = ["Mei", "Kofi", "Ewa", "Liam", "Priya", "Noah", "Ingrid", "Tomas"];
const LAST: [&str; 8] = ["Novak", "Chen", "Patel", "Weber", "Okafor", "Rossi", "Silva", "Haddad"];
const WORDS: [&str; 10] = ["sync", "login", "cache", "report", "label", "tax", "user", "page", "invoice", "index"];

fn names_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Id => &["id", "order_id", "reference", "uid"],
        Kind::Person => &["name", "customer_name", "contact", "owner"],
        Kind::Email => &["email", "mail", "email_address"],
        Kind::Price => &["price", "total", "amount", "net_amount", "fee"],
        Kind::Balance => &["balance", "result", "delta"],
        Kind::Count => &["count", "quantity", "stock", "views"],
        Kind::Moment => &["created_at", "updated_at", "published_at", "seen_at"],
        Kind::Day => &["due_date", "start_date", "end_date", "birthday"],
        Kind::Status => &["status", "state", "phase"],
        Kind::Flag => &["active", "paid", "is_private", "archived"],
        Kind::City => &["city", "town", "place"],
        Kind::Note => &["note", "comment", "description"],
        Kind::Tags => &["tags", "labels", "categories"],
    }
}

fn fresh_value(kind: Kind, random: &mut Random) -> Value {
    match kind {
        Kind::Id => json!(format!("{:010x}", random.next() % (1 << 40))),
        Kind::Person => json!(format!("{} {}", random.pick(&FIRST), random.pick(&LAST))),
        Kind::Email => {
            json!(
                format!("{}.{}{}@example.org", random.pick(&FIRST), random.pick(&LAST), random.below(1000))
                    .to_lowercase()
            )
        }
        Kind::Price => json!((random.below(90_000) + 100) as f64 / 100.0),
        Kind::Balance => json!((random.below(180_000) as f64 - 90_000.5).round() / 100.0),
        Kind::Count => json!(random.below(5_000)),
        Kind::Moment => json!(format!(
            "202{}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            random.below(5),
            1 + random.below(12),
            1 + random.below(28),
            random.below(24),
            random.below(60),
            random.below(60)
        )),
        Kind::Day => json!(format!("202{}-{:02}-{:02}", random.below(5), 1 + random.below(12), 1 + random.below(28))),
        Kind::Status => json!(random.pick(&STATES)),
        Kind::Flag => json!(random.chance(50)),
        Kind::City => json!(random.pick(&CITIES)),
        Kind::Note => {
            let count = 3 + random.below(4);
            json!((0..count).map(|_| *random.pick(&WORDS)).collect::<Vec<_>>().join(" "))
        }
        Kind::Tags => {
            let count = 1 + random.below(3);
            json!((0..count).map(|_| format!("{}{}", random.pick(&WORDS), random.below(20))).collect::<Vec<_>>())
        }
    }
}

/// How a value is written by the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Plain,
    Text,
    Cents,
    Epoch,
    Dotted,
    Code,
    Yes,
    Upper,
    Prefixed,
    Halves,
    Listed,
    /// As a whole number and what it has to be divided by.
    Divided,
    /// Without its sign, which stands beside it as a word.
    Marked,
    /// In a list of names and values.
    Paired,
}

#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    pub(crate) path: Vec<String>,
    pub(crate) form: Form,
    pub(crate) optional: bool,
    /// Read by the mapping under this name.
    pub(crate) output: Option<String>,
}

impl Field {
    /// Where a part of the value stands: beside the others, under a name of its own.
    fn half(&self, name: &str) -> Vec<String> {
        let parent = self.path.split_last().map_or(&[][..], |(_, parent)| parent);
        parent.iter().cloned().chain([name.to_owned()]).collect()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) fields: Vec<Field>,
    /// Objects around the record.
    pub(crate) envelope: Vec<String>,
    /// The records stand in a list of this name.
    pub(crate) list: Option<String>,
}

pub(crate) type Entity = Vec<Option<Value>>;

impl Source {
    pub(crate) fn random(random: &mut Random) -> Self {
        let mut fields = vec![Field {
            kind: Kind::Id,
            path: vec![(*random.pick(names_of(Kind::Id))).to_owned()],
            form: Form::Plain,
            optional: false,
            output: Some("key".to_owned()),
        }];
        let count = 4 + random.below(5);
        for index in 0..count {
            let kind = *random.pick(&KINDS);
            let name = (*random.pick(names_of(kind))).to_owned();
            if fields.iter().any(|field: &Field| field.path.last() == Some(&name)) {
                continue;
            }
            let group = random.chance(30).then(|| (*random.pick(&["details", "info", "meta"])).to_owned());
            let path = group.into_iter().chain([name]).collect();
            let optional = kind != Kind::Flag && kind != Kind::Tags && random.chance(20);
            let output = (index < 3 || random.chance(70)).then(|| format!("out{index}"));
            fields.push(Field { kind, path, form: Form::Plain, optional, output });
        }
        let person = fields.iter_mut().find(|field| field.kind == Kind::Person && !field.optional);
        if let Some(person) = person.filter(|_| random.chance(40)) {
            person.form = Form::Halves;
        }
        let list = random.chance(30).then(|| (*random.pick(&["items", "orders", "rows"])).to_owned());
        let envelope = random.chance(25).then(|| (*random.pick(&["data", "body"])).to_owned());
        Self { fields, envelope: envelope.into_iter().collect(), list }
    }

    pub(crate) fn entity(&self, random: &mut Random) -> Entity {
        let value = |field: &Field| {
            let absent = field.optional && random.chance(25);
            let value = fresh_value(field.kind, random);
            (!absent).then_some(value)
        };
        self.fields.iter().map(value).collect()
    }

    pub(crate) fn row(&self, entity: &Entity) -> Value {
        let mut row = Map::new();
        let mut pairs = Vec::new();
        for (field, value) in self.fields.iter().zip(entity) {
            if let Some(value) = value {
                for (path, value) in written(field, value) {
                    put(&mut row, &path, value);
                }
                if field.form == Form::Paired {
                    let pair = json!({ "name": field.path.last(), "value": value });
                    pairs.push(pair);
                }
            }
        }
        if self.fields.iter().any(|field| field.form == Form::Paired) {
            pairs.push(json!({ "name": "origin", "value": "import" }));
            row.insert("properties_list".to_owned(), pairs.into());
        }
        Value::Object(row)
    }

    /// Entities as records: one each, or pages of three.
    pub(crate) fn records(&self, entities: &[Entity]) -> Vec<Value> {
        let wrap = |value: Value| self.envelope.iter().rev().fold(value, |value, key| json!({ key: value }));
        match &self.list {
            None => entities.iter().map(|entity| wrap(self.row(entity))).collect(),
            Some(list) => entities
                .chunks(3)
                .map(|page| {
                    let rows: Vec<Value> = page.iter().map(|entity| self.row(entity)).collect();
                    wrap(json!({ list: rows, "page_size": 3 }))
                })
                .collect(),
        }
    }

    /// What the mapping is to give, whatever the source looks like.
    pub(crate) fn outputs(&self, entities: &[Entity]) -> Vec<Value> {
        let output = |entity: &Entity| {
            let mut output = Map::new();
            for (field, value) in self.fields.iter().zip(entity) {
                let Some(name) = &field.output else { continue };
                match (field.kind, value) {
                    (_, Some(value)) => {
                        output.insert(name.clone(), value.clone());
                    }
                    (_, None) => {
                        output.insert(name.clone(), Value::Null);
                    }
                }
            }
            Value::Object(output)
        };
        match &self.list {
            None => entities.iter().map(output).collect(),
            Some(_) => entities.chunks(3).map(|page| page.iter().map(output).collect::<Vec<_>>().into()).collect(),
        }
    }

    pub(crate) fn mapping(&self) -> String {
        let leaf = |field: &Field| {
            let name = field.output.as_ref()?;
            let path = field.path.join(".");
            let halves = |name: &str| field.half(name).join(".");
            let text = match (field.kind, field.optional) {
                _ if field.form == Form::Halves => {
                    format!("{} & \" \" & {}", halves("first_name"), halves("last_name"))
                }
                (Kind::Tags, _) => format!("[{path}]"),
                (_, true) => format!("$exists({path}) ? {path} : null"),
                _ => path,
            };
            Some(format!("  \"{name}\": {text}"))
        };
        let object = format!("{{\n{}\n}}", self.fields.iter().filter_map(leaf).collect::<Vec<_>>().join(",\n"));
        let around: String = self.envelope.iter().map(|key| format!("{key}.")).collect();
        match &self.list {
            None => format!("{around}{object}"),
            Some(list) => format!("[{around}{list}.{object}]"),
        }
    }

    pub(crate) fn schema(&self) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in &self.fields {
            let Some(name) = &field.output else { continue };
            let kind = match field.kind {
                Kind::Price | Kind::Balance | Kind::Count => "number",
                Kind::Flag => "boolean",
                Kind::Tags => "array",
                _ => "string",
            };
            properties.insert(
                name.clone(),
                if field.optional { json!({ "type": [kind, "null"] }) } else { json!({ "type": kind }) },
            );
            required.push(name.clone());
        }
        let object = json!({ "type": "object", "properties": properties, "required": required });
        if self.list.is_some() { json!({ "type": "array", "items": object }) } else { object }
    }
}

fn put(row: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            row.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = row.entry(first.clone()).or_insert_with(|| json!({}));
            if let Value::Object(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

fn written(field: &Field, value: &Value) -> Vec<(Vec<String>, Value)> {
    let path = field.path.clone();
    let new = match field.form {
        Form::Plain => value.clone(),
        Form::Text => match value {
            Value::String(_) => value.clone(),
            value => json!(value.to_string()),
        },
        Form::Cents => json!((value.as_f64().unwrap_or_default() * 100.0).round() as i64),
        Form::Epoch => {
            let moment: jiff::Timestamp = value.as_str().unwrap_or_default().parse().expect("a moment");
            json!(moment.as_second())
        }
        Form::Dotted => {
            let text = value.as_str().unwrap_or_default();
            json!(format!("{}.{}.{}", &text[8..10], &text[5..7], &text[..4]))
        }
        Form::Code => json!(1 + STATES.iter().position(|state| Some(*state) == value.as_str()).unwrap_or_default()),
        Form::Yes => json!(if value == &Value::Bool(true) { "Y" } else { "N" }),
        Form::Upper => json!(value.as_str().unwrap_or_default().to_uppercase()),
        Form::Prefixed => json!(format!("ord_{}", value.as_str().unwrap_or_default())),
        Form::Halves => {
            let (first, last) = value.as_str().unwrap_or_default().split_once(' ').unwrap_or_default();
            return vec![(field.half("first_name"), json!(first)), (field.half("last_name"), json!(last))];
        }
        Form::Listed => json!([{ "value": value, "primary": true }]),
        Form::Divided => {
            let cents = (value.as_f64().unwrap_or_default() * 100.0).round() as i64;
            let fine = cents % 3 == 0;
            let (amount, divisor) = if fine { (cents * 10, 1_000) } else { (cents, 100) };
            json!({ "amount": amount, "divisor": divisor })
        }
        Form::Marked => {
            let number = value.as_f64().unwrap_or_default();
            let word = if number < 0.0 { "debit" } else { "credit" };
            return vec![(path, json!(number.abs())), (field.half("direction"), json!(word))];
        }
        Form::Paired => return Vec::new(),
    };
    vec![(path, new)]
}

/// A case with its truth: records the repairer never saw, and what is right for them.
pub(crate) struct Trial {
    pub(crate) case: Case,
    pub(crate) drifts: Vec<&'static str>,
    pub(crate) fresh: Vec<(Value, Value)>,
}

/// `overlap` entities are on both sides.
pub(crate) fn trial(seed: u64, drifts: usize, overlap: usize) -> Trial {
    let mut random = Random(seed);
    let old = Source::random(&mut random);
    let mut new = old.clone();
    let mut names = Vec::new();
    while names.len() < drifts {
        names.extend(drift(&mut new, &mut random));
    }
    // Fields nobody asked for, of kinds that can be mistaken for others.
    for index in 0..random.below(4) {
        let kind = *random.pick(&KINDS);
        let path = vec![format!("{}_{}", random.pick(names_of(kind)), ["x", "alt", "v2", "ext"][index])];
        new.fields.push(Field { kind, path, form: Form::Plain, optional: false, output: None });
    }
    let before: Vec<Entity> = (0..18).map(|_| old.entity(&mut random)).collect();
    let extend = |entity: &Entity, random: &mut Random| -> Entity {
        let extra = new.fields[old.fields.len()..].iter().map(|field| Some(fresh_value(field.kind, random)));
        entity.iter().cloned().chain(extra.collect::<Vec<_>>()).collect()
    };
    let mut after: Vec<Entity> = before.iter().take(overlap).map(|entity| extend(entity, &mut random)).collect();
    after.extend((0..9).map(|_| new.entity(&mut random)));
    let fresh: Vec<Entity> = (0..15).map(|_| new.entity(&mut random)).collect();
    let remembered = old.records(&before).into_iter().zip(old.outputs(&before));
    let remembered = remembered.map(|(input, output)| Sample { input, output }).collect();
    let failing = new.records(&after);
    let case =
        Case { id: format!("seed {seed}"), mapping: Some(old.mapping()), schema: old.schema(), remembered, failing };
    Trial { case, drifts: names, fresh: new.records(&fresh).into_iter().zip(new.outputs(&fresh)).collect() }
}
