//! Members of a group on real Kafka, under both guarantees: nothing is lost and order per key is kept
//! while partitions move, poison records leave byte for byte, and a stop commits what is done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prunella_localkafka::{LocalKafka, LocalKafkaConfig};
use prunella_model::{ByteSize, Code, Period};
use prunella_stream::{
    KafkaSettings, Member, MemberConfig, MemoryBudget, OutRecord, Outcome, Output, Record, RefusedSizes,
    RuntimeSettings, Stage, StageError, StreamError, Tail, TailFrom, Tailed, TailedRecord, TransactionSettings,
    Writing, sharded,
};
use prunella_wire::{Headers, names};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Broker {
    _kafka: LocalKafka,
    _directory: tempfile::TempDir,
    settings: KafkaSettings,
}

async fn broker() -> Broker {
    tokio::task::spawn_blocking(|| {
        let directory = tempfile::tempdir().expect("temporary directory");
        let kafka = LocalKafka::start(LocalKafkaConfig::new(directory.path().join("kafka")), &|_| {}).expect("starts");
        let settings = KafkaSettings { brokers: kafka.bootstrap_servers(), ..KafkaSettings::default() };
        Broker { _kafka: kafka, _directory: directory, settings }
    })
    .await
    .expect("no panic")
}

async fn create(settings: &KafkaSettings, topics: &[(&str, i32)]) {
    let admin: AdminClient<DefaultClientContext> = settings.client_config().expect("valid").create().expect("client");
    let new: Vec<NewTopic<'_>> =
        topics.iter().map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1))).collect();
    for result in admin.create_topics(&new, &AdminOptions::new()).await.expect("answered") {
        result.expect("created");
    }
}

/// Copies each record to `out`, a little later; values that say so are poison.
struct Copy;

impl Stage for Copy {
    async fn process(&self, record: &Record) -> Result<Outcome, StageError> {
        let value = record.value.clone().unwrap_or_default();
        if value.starts_with(b"poison") {
            return Err(StageError::new(Code::RecordMalformed, "poison").dead_letter_to("dead"));
        }
        if value.starts_with(b"moody") {
            return Err(StageError::new(Code::ClaimMissing, "never there").dead_letter_to("dead"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        Ok(Outcome::of(vec![OutRecord::new("out", record.key.clone().unwrap_or_default(), value)]))
    }

    async fn given_up(&self, _record: &Record, _error: &StageError) -> Vec<OutRecord> {
        vec![OutRecord::new("told", "k", "given up")]
    }
}

/// How the members of a test write: all through one producer, or each in its own transactions.
#[derive(Clone)]
enum Writes {
    AtLeastOnce(Output),
    ExactlyOnce(RefusedSizes),
}

impl Writes {
    fn of_slot(&self, slot: u32) -> Writing {
        match self {
            Self::AtLeastOnce(output) => Writing::AtLeastOnce(output.clone()),
            Self::ExactlyOnce(refused) => Writing::ExactlyOnce {
                id: format!("copiers-{slot}"),
                settings: TransactionSettings { slot, ..TransactionSettings::default() },
                refused: refused.clone(),
            },
        }
    }
}

fn start(
    settings: &KafkaSettings,
    writes: &Writes,
    slot: u32,
    stop: &CancellationToken,
) -> JoinHandle<Result<(), StreamError>> {
    let runtime = RuntimeSettings {
        in_flight_records: 40,
        commit_interval: Period::from_millis(20),
        backoff: Period::from_millis(5),
        ..RuntimeSettings::default()
    };
    let member = Member::join(MemberConfig {
        stage: "copy".to_owned(),
        group: "copiers".to_owned(),
        topics: vec!["in".to_owned()],
        restored_topics: Vec::new(),
        notices_rewinds: false,
        kafka: settings.clone(),
        runtime,
        memory: MemoryBudget::new(ByteSize::from_mib(64)),
        writing: writes.of_slot(slot),
    })
    .expect("joins");
    let stop = stop.clone();
    tokio::spawn(async move { sharded::run(member, Arc::new(Copy), "dead".into(), stop).await })
}

async fn ended(member: JoinHandle<Result<(), StreamError>>) {
    member.await.expect("no panic").expect("ends well");
}

async fn read(settings: &KafkaSettings, topic: &str) -> Vec<TailedRecord> {
    let mut tail = Tail::start(settings, topic, TailFrom::Beginning).await.expect("tail");
    let mut records = Vec::new();
    while let Some(Tailed::Record(record)) = tail.next().await {
        records.push(record);
    }
    records
}

/// Values by key, in the order of the topic.
fn by_key(records: &[TailedRecord]) -> BTreeMap<String, Vec<u32>> {
    let mut values: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for record in records {
        let key = String::from_utf8(record.key.clone().expect("keyed").to_vec()).expect("text");
        let value = String::from_utf8(record.value.clone().expect("valued").to_vec()).expect("text");
        values.entry(key).or_default().push(value.parse().expect("number"));
    }
    values
}

async fn until_copied(settings: &KafkaSettings, count: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    loop {
        let copied: usize = by_key(&read(settings, "out").await)
            .values()
            .map(|values| {
                let mut distinct = values.clone();
                distinct.sort_unstable();
                distinct.dedup();
                distinct.len()
            })
            .sum();
        if copied >= count {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{copied} of {count} were copied in time");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_move_without_loss_and_keys_keep_their_order() {
    let broker = broker().await;
    let output = Output::new(&broker.settings, "test").expect("output");
    partitions_move(&broker.settings, Writes::AtLeastOnce(output)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_move_without_loss_in_transactions() {
    let broker = broker().await;
    partitions_move(&broker.settings, Writes::ExactlyOnce(RefusedSizes::default())).await;
}

async fn partitions_move(settings: &KafkaSettings, writes: Writes) {
    const KEYS: u32 = 40;
    const PER_KEY: u32 = 100;
    create(settings, &[("in", 6), ("out", 3), ("dead", 1), ("told", 1)]).await;
    let output = Output::new(settings, "test").expect("output");
    let produce = async |numbers: std::ops::Range<u32>| {
        let records = numbers.flat_map(|number| {
            (0..KEYS).map(move |key| OutRecord::new("in", format!("key-{key}"), number.to_string()))
        });
        output.deliver(records.collect()).await.expect("produced");
    };
    produce(0..PER_KEY / 2).await;
    let (first_stop, second_stop) = (CancellationToken::new(), CancellationToken::new());
    let first = start(settings, &writes, 0, &first_stop);
    until_copied(settings, 200).await;
    let second = start(settings, &writes, 1, &second_stop);
    produce(PER_KEY / 2..PER_KEY).await;
    until_copied(settings, (KEYS * PER_KEY / 2) as usize).await;
    first_stop.cancel();
    ended(first).await;
    until_copied(settings, (KEYS * PER_KEY) as usize).await;
    second_stop.cancel();
    ended(second).await;

    let copied = by_key(&read(settings, "out").await);
    assert_eq!(copied.len(), KEYS as usize);
    for (key, values) in &copied {
        // A handed-over partition may repeat a stretch; it never leaves one out and never goes back further
        // than the repeated stretch: the first appearances are in order.
        let mut first_seen = Vec::new();
        for value in values {
            if !first_seen.contains(value) {
                first_seen.push(*value);
            }
        }
        assert_eq!(first_seen, (0..PER_KEY).collect::<Vec<_>>(), "{key}");
    }
    let repeated: usize = copied.values().map(Vec::len).sum::<usize>() - (KEYS * PER_KEY) as usize;
    assert_eq!(repeated, 0, "clean hand-overs drain and commit: nothing is done twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_leaves_byte_for_byte_and_the_rest_goes_on() {
    let broker = broker().await;
    let output = Output::new(&broker.settings, "test").expect("output");
    poison_leaves(&broker.settings, Writes::AtLeastOnce(output)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_leaves_byte_for_byte_in_transactions() {
    let broker = broker().await;
    poison_leaves(&broker.settings, Writes::ExactlyOnce(RefusedSizes::default())).await;
}

async fn poison_leaves(settings: &KafkaSettings, writes: Writes) {
    create(settings, &[("in", 1), ("out", 1), ("dead", 1), ("told", 1)]).await;
    let output = Output::new(settings, "test").expect("output");
    let poison =
        OutRecord::new("in", vec![0xff, 0x00], b"poison\xfe".to_vec()).with_headers(Headers::new().with("mine", "1"));
    let moody = OutRecord::new("in", "m", "moody");
    let good = (0..20).map(|number| OutRecord::new("in", "k", number.to_string()));
    output.deliver([poison, moody].into_iter().chain(good).collect()).await.expect("produced");
    let stop = CancellationToken::new();
    let running = start(settings, &writes, 0, &stop);
    until_copied(settings, 20).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while read(settings, "dead").await.len() < 2 {
        assert!(tokio::time::Instant::now() < deadline, "both are dead-lettered in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    ended(running).await;

    let dead = read(settings, "dead").await;
    let poison = dead.iter().find(|letter| letter.key.as_deref() == Some(&[0xff, 0x00])).expect("the poison is there");
    assert_eq!(poison.value.as_deref(), Some(&b"poison\xfe"[..]));
    assert_eq!(poison.headers.text("mine"), Some("1"));
    assert_eq!(poison.headers.text(names::DEAD_CODE), Some("PRN-0301"));
    assert_eq!(poison.headers.text(names::DEAD_OFFSET), Some("0"));
    assert_eq!(poison.headers.text(names::DEAD_ATTEMPTS), Some("1"));
    let moody = dead.iter().find(|letter| letter.key.as_deref() == Some(b"m")).expect("given up after its tries");
    assert_eq!(moody.headers.text(names::DEAD_ATTEMPTS), Some("4"));
    assert_eq!(read(settings, "told").await.len(), 2);

    // What was committed is not read again.
    let again = CancellationToken::new();
    let running = start(settings, &writes, 0, &again);
    tokio::time::sleep(Duration::from_secs(2)).await;
    again.cancel();
    ended(running).await;
    assert_eq!(read(settings, "dead").await.len(), 2);
    assert_eq!(read(settings, "out").await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_members_of_one_slot_fence_each_other_off_and_say_so() {
    let broker = broker().await;
    let settings = &broker.settings;
    create(settings, &[("in", 1), ("out", 1), ("dead", 1), ("told", 1)]).await;
    let writes = Writes::ExactlyOnce(RefusedSizes::default());
    let output = Output::new(settings, "test").expect("output");
    let (first_stop, second_stop) = (CancellationToken::new(), CancellationToken::new());
    let first = start(settings, &writes, 0, &first_stop);
    output.deliver(vec![OutRecord::new("in", "k", "0")]).await.expect("produced");
    until_copied(settings, 1).await;
    let second = start(settings, &writes, 0, &second_stop);
    // Whoever of the two gets the partition: the first one cannot write any more.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    for number in 1_u32.. {
        if first.is_finished() {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the first member was fenced off in time");
        output.deliver(vec![OutRecord::new("in", "k", number.to_string())]).await.expect("produced");
        tokio::time::sleep(Duration::from_millis(100)).await;
        if number == 50 {
            // The second one has the partition: it leaves, and the first meets its fence.
            second_stop.cancel();
        }
    }
    let error = first.await.expect("no panic").expect_err("fenced off");
    assert_eq!(error.code(), Code::SlotInUse, "{error}");
    assert!(error.to_string().contains("processing.transactions.slot"), "{error}");
    second_stop.cancel();
    let _ = second.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outcome_too_large_for_its_topic_is_dead_lettered_and_the_rest_goes_on() {
    let broker = broker().await;
    let settings = &broker.settings;
    create(settings, &[("in", 1), ("out", 1), ("dead", 1), ("told", 1)]).await;
    let admin: AdminClient<DefaultClientContext> = settings.client_config().expect("valid").create().expect("client");
    let larger = [("in", "5000000"), ("dead", "5000000")]
        .map(|(topic, bytes)| AlterConfig::new(ResourceSpecifier::Topic(topic)).set("max.message.bytes", bytes));
    for altered in admin.alter_configs(&larger, &AdminOptions::new()).await.expect("answered") {
        altered.expect("altered");
    }
    let output = Output::new(settings, "test").expect("output");
    // What does not compress: the limit is for what is sent.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let giant = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    let giant: Vec<u8> = giant.take(2_000_000).collect();
    let records = [OutRecord::new("in", "k", "0"), OutRecord::new("in", "k", giant), OutRecord::new("in", "k", "1")];
    output.deliver(records.into()).await.expect("produced");
    let stop = CancellationToken::new();
    let writes = Writes::ExactlyOnce(RefusedSizes::default());
    // The transaction with the giant fails as a whole, and its member with it; the next one knows better.
    let first = tokio::time::timeout(Duration::from_secs(30), start(settings, &writes, 0, &stop)).await;
    let first = first.expect("in time").expect("no panic").expect_err("fails");
    assert_eq!(first.code(), Code::TransactionFailed, "{first}");
    let running = start(settings, &writes, 0, &stop);
    until_copied(settings, 2).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while read(settings, "dead").await.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "the giant is dead-lettered in time");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    ended(running).await;
    let dead = read(settings, "dead").await;
    assert_eq!(dead[0].headers.text(names::DEAD_CODE), Some("PRN-0305"));
    let copied: Vec<u32> = by_key(&read(settings, "out").await).into_values().flatten().collect();
    assert_eq!(copied, [0, 1]);
}
