//! Documents through a stream: parse, map, validate, serialise, from topic to topic.

use std::time::{Duration, Instant};

use prunella_testkit::harness::Broker;
use rdkafka::Offset;
use rdkafka::consumer::{CommitMode, Consumer};

use crate::child::RelayProcess;
use crate::cli::{self, Settings};
use crate::client::{PATIENCE, Writer, observer, progress, watermarks};
use crate::documents::Documents;
use crate::error::{BenchError, Result};
use crate::load::{closed_loop, paced};
use crate::product::Product;
use crate::relay::Relay;
use crate::results::Report;
use crate::sheet::{Sheet, Unit};
use crate::targets::TopicTarget;
use crate::usage::{cpu_time, peak_memory};
use crate::variant::{Guarantee, Variant, variants};
use crate::verify::{Marks, verify};
use crate::work::{Work, expected};
use crate::workflows::{output_topic, stream as stream_text, stream_group};

const PARTITIONS: i32 = 12;
const LOAD: &str = "bench-documents";
const WARM_UP: u64 = 50;
/// Documents of the baseline in memory; more give the same rate.
const IN_MEMORY: usize = 50_000;

pub(crate) fn stream(settings: &Settings, report: &mut Report) -> Result<()> {
    let broker = cli::broker();
    let brokers = broker.bootstrap_servers();
    let variants = variants(&settings.modes);
    broker.client().create_topic(LOAD, PARTITIONS);
    write_documents(&brokers, settings.records)?;
    for guarantee in Guarantee::ALL {
        for role in ["out", "paced-in", "paced-out"] {
            broker.client().create_topic(&copy_name(guarantee, role), PARTITIONS);
        }
    }
    let products = install(&broker, settings, &variants, &mut report.notes)?;
    let sheet = &mut report.sheet;
    for round in 0..settings.rounds {
        cli::step(round, "in memory");
        in_memory(sheet, settings)?;
        for guarantee in Guarantee::ALL {
            cli::step(round, &copy_name(guarantee, "out"));
            copy(sheet, settings, &brokers, guarantee)?;
        }
        for (guarantee, product) in &products {
            cli::step(round, &format!("stream {}", guarantee.name()));
            product_stream(sheet, settings, &brokers, *guarantee, product)?;
        }
    }
    Ok(())
}

/// A stream is always one hop, so the placement does not matter: the first variant of each guarantee is taken.
fn install(
    broker: &Broker,
    settings: &Settings,
    variants: &[Variant],
    notes: &mut Vec<String>,
) -> Result<Vec<(Guarantee, Product)>> {
    let binary = settings.binary()?;
    let mut products = Vec::new();
    for guarantee in Guarantee::ALL {
        let Some(variant) = variants.iter().find(|variant| variant.guarantee == guarantee) else { continue };
        let product = Product::install(broker, &binary, *variant, PARTITIONS);
        if let Some(why) = product.refuses(&stream_text("load", LOAD)) {
            notes.push(format!("stream: this binary refuses the definition of a stream: {why}"));
            break;
        }
        let paced_in = format!("bench-paced-{}", guarantee.name());
        broker.client().create_topic(&paced_in, PARTITIONS);
        product.apply(&stream_text("load", LOAD));
        product.apply(&stream_text("paced", &paced_in));
        products.push((guarantee, product));
    }
    Ok(products)
}

fn write_documents(brokers: &str, records: u64) -> Result<()> {
    let writer = Writer::new(brokers, 50, None)?;
    for document in Documents::new().take(usize::try_from(records).unwrap_or(usize::MAX)) {
        writer.send(LOAD, None, document.key.as_bytes(), &document.value)?;
        writer.serve();
    }
    writer.settle()
}

/// The same work on all processors, without Kafka.
fn in_memory(sheet: &mut Sheet, settings: &Settings) -> Result<()> {
    let count = usize::try_from(settings.records).unwrap_or(usize::MAX).min(IN_MEMORY);
    let documents: Vec<_> = Documents::new().take(count).collect();
    let work = Work::new()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (began, cpu) = (Instant::now(), cpu_time(std::process::id())?);
    std::thread::scope(|scope| {
        let parts = documents.chunks(count.div_ceil(threads).max(1));
        let process = |part: &[crate::documents::Document]| -> Result<()> {
            part.iter().try_for_each(|document| work.process(&document.value).map(drop))
        };
        let handles: Vec<_> = parts.map(|part| scope.spawn(move || process(part))).collect();
        handles.into_iter().try_for_each(|handle| {
            handle.join().unwrap_or_else(|_| Err(BenchError::Work("a thread of the baseline panicked".to_owned())))
        })
    })?;
    let elapsed = began.elapsed();
    let used = cpu_time(std::process::id())?.saturating_sub(cpu);
    sheet.add("stream/memory/throughput", Unit::RecordsPerSecond, None, count as f64 / elapsed.as_secs_f64());
    sheet.add("stream/memory/cpu", Unit::CpuSecondsPerMillion, None, used.as_secs_f64() * 1e6 / count as f64);
    Ok(())
}

fn copy(sheet: &mut Sheet, settings: &Settings, brokers: &str, guarantee: Guarantee) -> Result<()> {
    let name = format!("stream/copy/{}", guarantee.name());
    let (out, paced_in) = (copy_name(guarantee, "out"), copy_name(guarantee, "paced-in"));
    let group = copy_name(guarantee, "load");
    rewind(brokers, &group, LOAD)?;
    let marks = Marks::at_end(brokers, &out)?;
    let relay = RelayProcess::start(&Relay::copy(brokers, &group, LOAD, &out, guarantee))?;
    let window = measure(brokers, &group, relay.pid())?;
    window.add(sheet, &name, None, None);
    sheet.add(format!("{name}/memory"), Unit::Mebibytes, None, peak_memory(relay.pid())?);
    relay.stop()?;
    verify(brokers, &marks, settings.records, guarantee, &[])?;

    let paced_out = copy_name(guarantee, "paced-out");
    let mut target = paced_target(brokers, &paced_in, &paced_out)?;
    let group = copy_name(guarantee, "paced");
    let relay = RelayProcess::start(&Relay::copy(brokers, &group, &paced_in, &paced_out, guarantee))?;
    latencies(sheet, settings, &mut target, &name, None)?;
    relay.stop()
}

fn product_stream(
    sheet: &mut Sheet,
    settings: &Settings,
    brokers: &str,
    guarantee: Guarantee,
    product: &Product,
) -> Result<()> {
    let name = format!("stream/{}", guarantee.name());
    let copy = format!("stream/copy/{}", guarantee.name());
    let group = product.topic(&stream_group("load"));
    rewind(brokers, &group, LOAD)?;
    let marks = Marks::at_end(brokers, &product.topic(&output_topic("load")))?;
    let paced_out = product.topic(&output_topic("paced"));
    let mut target = paced_target(brokers, &format!("bench-paced-{}", guarantee.name()), &paced_out)?;
    let process = product.up();
    let window = measure(brokers, &group, process.pid())?;
    window.add(sheet, &name, Some(&copy), Some("stream/memory"));
    sheet.add(format!("{name}/memory"), Unit::Mebibytes, Some(&format!("{copy}/memory")), peak_memory(process.pid())?);
    verify(brokers, &marks, settings.records, guarantee, &expected()?)?;
    latencies(sheet, settings, &mut target, &name, Some(&copy))?;
    process.terminate(PATIENCE);
    Ok(())
}

fn paced_target(brokers: &str, to: &str, back: &str) -> Result<TopicTarget> {
    let mut documents = Documents::new();
    TopicTarget::new(brokers, to, back, 0, move |_| documents.next().map_or_else(Vec::new, |document| document.value))
}

fn latencies(
    sheet: &mut Sheet,
    settings: &Settings,
    target: &mut TopicTarget,
    name: &str,
    against: Option<&str>,
) -> Result<()> {
    closed_loop(target, 0..WARM_UP, 8)?;
    let measured = paced(target, WARM_UP..WARM_UP + settings.paced_records, settings.rate)?;
    for (figure, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let against = against.map(|against| format!("{against}/paced/{figure}"));
        let name = format!("{name}/paced/{figure}");
        sheet.add(name, Unit::Milliseconds, against.as_deref(), measured.latency(quantile));
    }
    Ok(())
}

/// From the first commit that is seen to the one that covers everything, so that the start of the process does not count.
struct Window {
    records: f64,
    elapsed: Duration,
    cpu: Duration,
}

impl Window {
    fn add(&self, sheet: &mut Sheet, name: &str, copy: Option<&str>, memory: Option<&str>) {
        let figure = |against: Option<&str>, figure: &str| against.map(|against| format!("{against}/{figure}"));
        let throughput = self.records / self.elapsed.as_secs_f64();
        let cpu = self.cpu.as_secs_f64() * 1e6 / self.records;
        let (records, seconds) = (Unit::RecordsPerSecond, Unit::CpuSecondsPerMillion);
        sheet.add(format!("{name}/throughput"), records, figure(copy, "throughput").as_deref(), throughput);
        sheet.add(format!("{name}/cpu"), seconds, figure(copy, "cpu").as_deref(), cpu);
        if memory.is_some() {
            let against = figure(memory, "throughput");
            sheet.add(format!("{name}/throughput-of-memory"), records, against.as_deref(), throughput);
            sheet.add(format!("{name}/cpu-of-memory"), seconds, figure(memory, "cpu").as_deref(), cpu);
        }
    }
}

fn measure(brokers: &str, group: &str, process: u32) -> Result<Window> {
    let observer = observer(brokers, group)?;
    let ends = watermarks(&observer, LOAD)?;
    let mut began: Option<(i64, Instant, Duration)> = None;
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let (done, total) = progress(&observer, &ends, LOAD)?;
        if done > last {
            (last, moved) = (done, Instant::now());
        } else if moved.elapsed() > PATIENCE {
            let what = format!("progress of {group}: {done} of {total} records");
            return Err(BenchError::TooSlow { what, seconds: PATIENCE.as_secs() });
        }
        match began {
            None if done > 0 => began = Some((done, Instant::now(), cpu_time(process)?)),
            Some((before, since, cpu)) if done >= total => {
                let used = cpu_time(process)?.saturating_sub(cpu);
                return Ok(Window { records: (done - before) as f64, elapsed: since.elapsed(), cpu: used });
            }
            _ => {}
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Puts a group that has no members back to the beginning, as an operator would.
fn rewind(brokers: &str, group: &str, topic: &str) -> Result<()> {
    let observer = observer(brokers, group)?;
    let mut list = rdkafka::TopicPartitionList::new();
    for (partition, low, _) in watermarks(&observer, topic)? {
        list.add_partition_offset(topic, partition, Offset::Offset(low))?;
    }
    Ok(observer.commit(&list, CommitMode::Sync)?)
}

fn copy_name(guarantee: Guarantee, role: &str) -> String {
    format!("copy-{}-{role}", guarantee.name())
}
