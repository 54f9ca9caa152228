use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use prunella_operate::letters::{Decided, Deciding, Filter, Letter, LetterPlace, Letters, State, Verdict};
use prunella_operate::{Desk, Ledger, Offsets, Pace};
use prunella_wire::names;
use prunella_wire::records::LetterMark;

use crate::cli::{DeadLettersCommand, LetterFilter, WhichLetters};
use crate::commands::Context;
use crate::desk::desk;
use crate::failure::{Exit, Failure};
use crate::print::{table, time};
use prunella_model::{Code, WorkflowName};

/// The name under which letters of no workflow are listed. No workflow can have it.
const SYSTEM: &str = "_system";

pub async fn run(context: &Context, command: DeadLettersCommand) -> Result<ExitCode, Failure> {
    let desk = desk(context).await?;
    let offsets = Offsets::new(&desk.kafka)?;
    match command {
        DeadLettersCommand::List { name, filter, state, limit } => {
            let topic = topic_of(&desk, name.as_ref().map_or(SYSTEM, WorkflowName::as_str))?;
            list(context, &desk, &offsets, &topic, &as_filter(filter, state), limit).await?;
        }
        DeadLettersCommand::Show { letter } => show(context, &desk, &offsets, &place_of(&desk, &letter)?).await?,
        DeadLettersCommand::Redrive { which, reason, rate, dry_run } => {
            let how = How::Redrive { reason, dry_run };
            return decide(context, &desk, &offsets, which, how, Pace::new(rate)).await;
        }
        DeadLettersCommand::Discard { which, reason } => {
            let pace = Pace::new(std::num::NonZeroU32::MAX);
            return decide(context, &desk, &offsets, which, How::Discard { reason }, pace).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

enum How {
    Redrive { reason: String, dry_run: bool },
    Discard { reason: String },
}

fn topic_of(desk: &Desk, name: &str) -> Result<String, Failure> {
    if name == SYSTEM {
        return Ok(desk.topics.deadletter_system());
    }
    let name: WorkflowName =
        name.parse().map_err(|error| Failure::new(Code::LetterUnknown, format!("{error}")).exit(Exit::NotFound))?;
    if desk.catalog.workflow(&desk.workspace, &name).is_none() {
        return Err(crate::definitions::missing(&desk.workspace, &name));
    }
    Ok(desk.topics.deadletter(&desk.workspace, &name))
}

/// From the short form on the command line to the place in Kafka.
fn place_of(desk: &Desk, short: &LetterPlace) -> Result<LetterPlace, Failure> {
    Ok(LetterPlace { topic: topic_of(desk, &short.topic)?, ..short.clone() })
}

/// From the place in Kafka to the short form.
fn short(desk: &Desk, place: &LetterPlace) -> String {
    let topic = desk.topics.parse(&place.topic);
    let name = topic.as_ref().and_then(|topic| topic.workflow()).map_or(SYSTEM, |(_, name)| name.as_str());
    format!("{name}/{}/{}", place.partition, place.offset)
}

fn as_filter(filter: LetterFilter, state: State) -> Filter {
    Filter {
        step: filter.step,
        code: filter.code,
        run: filter.run.map(|run| run.to_string()),
        since: filter.since.map(|when| when.0),
        until: filter.until.map(|when| when.0),
        state,
    }
}

async fn list(
    context: &Context,
    desk: &Desk,
    offsets: &Offsets,
    topic: &str,
    filter: &Filter,
    limit: usize,
) -> Result<(), Failure> {
    let ledger = Ledger::read(desk).await?;
    let mut letters = Letters::read(desk, offsets, topic).await?;
    let mut counts: BTreeMap<(String, String, &str), u64> = BTreeMap::new();
    let mut kept: Vec<(Letter, State)> = Vec::new();
    let mut total = 0_u64;
    while let Some(mut letter) = letters.next().await {
        let mark = ledger.marks.get(&letter.place);
        if !filter.takes(&letter, mark) {
            continue;
        }
        total += 1;
        let state = State::of(mark);
        let place = (letter.code().to_owned(), letter.step().unwrap_or(letter.stage()).to_owned(), state.as_str());
        *counts.entry(place).or_default() += 1;
        // What is listed are headers; values may be large.
        letter.value = letter.value.map(|value| value.slice(..value.len().min(120)));
        kept.push((letter, state));
        if kept.len() >= 2 * limit.max(100) {
            newest(&mut kept, limit);
        }
    }
    newest(&mut kept, limit);
    if context.json {
        let counts: Vec<Value> = counts
            .iter()
            .map(|((code, place, state), count)| json!({ "code": code, "at": place, "state": state, "count": count }))
            .collect();
        let listed: Vec<Value> = kept.iter().map(|(letter, state)| summary(desk, letter, *state)).collect();
        println!("{}", json!({ "total": total, "counts": counts, "letters": listed }));
        return Ok(());
    }
    if total == 0 {
        println!("no dead letters{}", if filter.state == State::Open { " that nothing was decided about" } else { "" });
        return Ok(());
    }
    let mut rows = table(&["count", "code", "at", "state", "what it means"]);
    for ((code, place, state), count) in &counts {
        let meaning = Code::from_id(code).map_or("", Code::summary);
        rows.add_row([&count.to_string(), code, place, *state, meaning]);
    }
    println!("{rows}\n");
    let mut rows = table(&["letter", "failed", "code", "at", "why"]);
    for (letter, _) in &kept {
        rows.add_row([
            short(desk, &letter.place),
            time(letter.failed_at),
            letter.code().to_owned(),
            letter.step().unwrap_or(letter.stage()).to_owned(),
            letter.message().chars().take(160).collect(),
        ]);
    }
    println!("{rows}");
    if total > kept.len() as u64 {
        println!("{} older ones: raise --limit or filter", total - kept.len() as u64);
    }
    Ok(())
}

fn newest(letters: &mut Vec<(Letter, State)>, limit: usize) {
    letters.sort_by(|(a, _), (b, _)| (a.failed_at, &a.place).cmp(&(b.failed_at, &b.place)));
    letters.drain(..letters.len().saturating_sub(limit));
}

fn summary(desk: &Desk, letter: &Letter, state: State) -> Value {
    json!({
        "letter": short(desk, &letter.place), "failed_at": letter.failed_at, "state": state.as_str(),
        "code": letter.code(), "message": letter.message(), "stage": letter.stage(), "step": letter.step(),
        "run": letter.run(), "item": letter.item(), "redrives": letter.redrives().count(),
    })
}

async fn show(context: &Context, desk: &Desk, offsets: &Offsets, place: &LetterPlace) -> Result<(), Failure> {
    let letter = Letters::one(desk, offsets, place).await.map_err(|error| Failure::from(error).exit(Exit::NotFound))?;
    let ledger = Ledger::read(desk).await?;
    let mark = ledger.marks.get(place);
    let headers: Vec<(&str, String)> = letter
        .headers
        .iter()
        .map(|(name, value)| (name, value.map_or_else(|| "null".to_owned(), |value| shown(value))))
        .collect();
    if context.json {
        let mut value = summary(desk, &letter, State::of(mark));
        value["topic"] = json!(place.topic);
        value["original"] = json!(letter.original.as_ref().map(|original| json!({
            "topic": original.topic, "partition": original.partition, "offset": original.offset,
            "timestamp": original.timestamp,
        })));
        value["fields"] = fields(&letter);
        value["output"] = json!(letter.headers.get(names::DEAD_OUTPUT).map(|output| shown(output)));
        value["headers"] = headers.iter().map(|(name, value)| json!([name, value])).collect();
        value["key"] = json!(letter.key.as_ref().map(|key| shown(key)));
        value["value"] = json!(letter.value.as_ref().map(|value| shown(value)));
        value["value_bytes"] = json!(letter.value.as_ref().map(|value| value.len()));
        value["history"] = json!(letter.redrives().collect::<Vec<_>>());
        value["decision"] = json!(mark.map(decision));
        println!("{value}");
        return Ok(());
    }
    let meaning = Code::from_id(letter.code()).map_or("a code of another release", Code::summary);
    println!("{}  {}", short(desk, place), State::of(mark).as_str());
    println!("├─ what      {}: {meaning}", letter.code());
    println!("├─ why       {}", letter.message());
    println!(
        "├─ where     {}{}",
        letter.stage(),
        letter.step().map_or_else(String::new, |step| format!(", step {step}"))
    );
    println!("├─ when      {}", time(letter.failed_at));
    if let Some(original) = &letter.original {
        println!("├─ from      {}[{}]@{}", original.topic, original.partition, original.offset);
    }
    if let Some(run) = letter.run() {
        println!("├─ run       {run}");
    }
    if let Some(item) = letter.item() {
        println!("├─ item      {item}");
    }
    for field in fields(&letter).as_array().into_iter().flatten() {
        println!("├─ field     {field}");
    }
    if let Some(output) = letter.headers.get(names::DEAD_OUTPUT) {
        println!("├─ mapped to {}", shown(output));
    }
    for earlier in letter.redrives() {
        println!("├─ came of   {earlier}");
    }
    if let Some(mark) = mark {
        println!("├─ decided   {} by {} at {}  {}", mark.action.as_str(), mark.actor, time(mark.at), mark.reason);
    }
    println!("├─ headers");
    for (name, value) in &headers {
        println!("│  {name}: {value}");
    }
    println!("├─ key       {}", letter.key.as_ref().map_or_else(|| "none".to_owned(), |key| shown(key)));
    println!("└─ value     {}", letter.value.as_ref().map_or_else(|| "none".to_owned(), |value| shown(value)));
    Ok(())
}

fn fields(letter: &Letter) -> Value {
    letter.headers.get(names::DEAD_FIELDS).and_then(|fields| serde_json::from_slice(fields).ok()).unwrap_or(Value::Null)
}

fn decision(mark: &LetterMark) -> Value {
    json!({ "action": mark.action, "at": mark.at, "actor": mark.actor, "reason": mark.reason, "became": mark.became })
}

/// Text as it is, everything else by its length.
fn shown(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| format!("<{} bytes that are not text>", bytes.len()), str::to_owned)
}

async fn decide(
    context: &Context,
    desk: &Desk,
    offsets: &Offsets,
    which: WhichLetters,
    how: How,
    mut pace: Pace,
) -> Result<ExitCode, Failure> {
    let mut deciding = Deciding::begin(desk, offsets).await?;
    let mut tally = Tally::default();
    let mut source = Source::new(desk, offsets, which).await?;
    loop {
        let mut portion = Vec::new();
        while portion.len() < pace.portion() {
            let Some(letter) = source.next(desk, offsets, &deciding).await? else { break };
            portion.push(letter);
        }
        if portion.is_empty() {
            break;
        }
        pace.wait(portion.len()).await;
        let decided = match &how {
            How::Redrive { dry_run: true, .. } => deciding.preview(portion).await?,
            How::Redrive { reason, .. } => deciding.redrive(portion, reason).await?,
            How::Discard { reason } => deciding.discard(portion, reason).await?,
        };
        for one in &decided {
            tally.note(context, desk, one);
        }
    }
    tally.print(context, &how);
    Ok(if tally.refused > 0 { ExitCode::from(Exit::Refused as u8) } else { ExitCode::SUCCESS })
}

/// Letters one after the other: those that were named, or all that a filter takes.
enum Source {
    Named(std::vec::IntoIter<LetterPlace>),
    Filtered(Letters, Filter),
}

impl Source {
    async fn new(desk: &Desk, offsets: &Offsets, which: WhichLetters) -> Result<Self, Failure> {
        let Some(name) = &which.all_of else {
            let places: Result<Vec<_>, Failure> = which.letters.iter().map(|short| place_of(desk, short)).collect();
            return Ok(Self::Named(places?.into_iter()));
        };
        let topic = topic_of(desk, name)?;
        // What becomes a letter again while this goes on is not taken: the end is where it is now.
        let letters = Letters::read(desk, offsets, &topic).await?;
        Ok(Self::Filtered(letters, as_filter(which.filter, State::Open)))
    }

    async fn next(
        &mut self,
        desk: &Desk,
        offsets: &Offsets,
        deciding: &Deciding<'_>,
    ) -> Result<Option<Letter>, Failure> {
        match self {
            Self::Named(places) => {
                let Some(place) = places.next() else { return Ok(None) };
                let letter = Letters::one(desk, offsets, &place).await;
                letter.map(Some).map_err(|error| Failure::from(error).exit(Exit::NotFound))
            }
            Self::Filtered(letters, filter) => {
                while let Some(letter) = letters.next().await {
                    if filter.takes(&letter, deciding.ledger().marks.get(&letter.place)) {
                        return Ok(Some(letter));
                    }
                }
                Ok(None)
            }
        }
    }
}

#[derive(Default)]
struct Tally {
    done: u64,
    already: u64,
    refused: u64,
}

impl Tally {
    fn note(&mut self, context: &Context, desk: &Desk, one: &Decided) {
        let letter = short(desk, &one.letter.place);
        let (what, detail) = match &one.verdict {
            Verdict::Redriven { to } => {
                self.done += 1;
                ("redriven", to.clone())
            }
            Verdict::Discarded => {
                self.done += 1;
                ("discarded", String::new())
            }
            Verdict::Already(action) => {
                self.already += 1;
                ("left", format!("it was {} before", action.as_str()))
            }
            Verdict::Refused(reason) => {
                self.refused += 1;
                ("refused", reason.clone())
            }
        };
        if context.json {
            println!("{}", json!({ "letter": letter, "verdict": what, "code": one.letter.code(), "detail": detail }));
        } else {
            println!("{letter}  {}  {what}  {detail}", one.letter.code());
        }
    }

    fn print(&self, context: &Context, how: &How) {
        let (name, dry_run) = match how {
            How::Redrive { dry_run, .. } => ("redriven", *dry_run),
            How::Discard { .. } => ("discarded", false),
        };
        if context.json {
            let total = json!({ name: self.done, "left": self.already, "refused": self.refused, "dry_run": dry_run });
            println!("{}", json!({ "total": total }));
        } else {
            let would = if dry_run { "would be " } else { "" };
            println!("{} {would}{name}, {} decided before, {} refused", self.done, self.already, self.refused);
        }
    }
}
