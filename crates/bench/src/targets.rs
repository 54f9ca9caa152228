//! What the load is put on: a topic behind which someone writes to another, and the product's runs.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use prunella_testkit::harness::block_on;
use prunella_wire::records::{RunState, RunStatus};
use prunella_wire::{Codec, names};
use rdkafka::Offset;
use rdkafka::consumer::BaseConsumer;
use rdkafka::error::KafkaError;
use rdkafka::message::{Headers, Message};
use serde::Deserialize;

use crate::client::{Writer, consumer, read_from};
use crate::documents::{order_id, order_number};
use crate::error::{BenchError, Result};
use crate::load::Target;
use crate::product::Product;
use crate::workflows::output_topic;

/// Writes to one topic and waits for the same key on another.
pub(crate) struct TopicTarget {
    writer: Writer,
    consumer: BaseConsumer,
    to: String,
    value: Box<dyn FnMut(u64) -> Vec<u8>>,
}

impl TopicTarget {
    /// From now on: what stands in the topics already is not looked at. `value` makes the value of each record.
    pub(crate) fn new(
        brokers: &str,
        to: &str,
        back: &str,
        linger_ms: u32,
        value: impl FnMut(u64) -> Vec<u8> + 'static,
    ) -> Result<Self> {
        let consumer = consumer(brokers, None)?;
        read_from(&consumer, &[back], Offset::End)?;
        let writer = Writer::new(brokers, linger_ms, None)?;
        Ok(Self { writer, consumer, to: to.to_owned(), value: Box::new(value) })
    }
}

impl Target for TopicTarget {
    fn start(&mut self, number: u64) -> Result<()> {
        let value = (self.value)(number);
        self.writer.send(&self.to, None, order_id(number).as_bytes(), &value)
    }

    fn next_done(&mut self, wait: Duration) -> Result<Option<u64>> {
        self.writer.serve();
        match self.consumer.poll(wait) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => Ok(None),
            Some(Err(error)) => Err(error.into()),
            Some(Ok(message)) => Ok(message.key().and_then(order_number)),
        }
    }
}

/// How far a run is known.
#[derive(Default)]
struct Known {
    number: Option<u64>,
    outputs: usize,
    ended: bool,
}

/// The field that every output of the measured workflows has.
#[derive(Deserialize)]
struct Numbered {
    number: u64,
}

/// Starts runs by their trigger topic. A run is done when all its outputs *and* its end stand in Kafka, as a client sees them
/// that reads committed records only.
pub(crate) struct RunTarget {
    writer: Writer,
    consumer: BaseConsumer,
    codec: Codec,
    trigger: String,
    state: String,
    outputs_per_run: usize,
    value: Box<dyn Fn(u64) -> Vec<u8>>,
    runs: HashMap<String, Known>,
    done: VecDeque<u64>,
    outputs: usize,
}

impl RunTarget {
    /// Runs of `workflow`, each with one item of the trigger's number.
    pub(crate) fn new(product: &Product, brokers: &str, workflow: &str) -> Result<Self> {
        let value = |number| format!("{{\"number\":{number},\"text\":\"some text\"}}").into_bytes();
        Self::with_items(product, brokers, workflow, 1, value)
    }

    /// Runs with `items` outputs each, which carry the number of the run.
    pub(crate) fn with_items(
        product: &Product,
        brokers: &str,
        workflow: &str,
        items: usize,
        value: impl Fn(u64) -> Vec<u8> + 'static,
    ) -> Result<Self> {
        let (output, state) = (product.topic(&output_topic(workflow)), product.topic("state.runs"));
        let consumer = consumer(brokers, None)?;
        read_from(&consumer, &[&output, &state], Offset::End)?;
        Ok(Self {
            writer: Writer::new(brokers, 0, None)?,
            consumer,
            codec: Codec::new(None, None),
            trigger: product.topic(&format!("trigger.default.{workflow}")),
            state,
            outputs_per_run: items,
            value: Box::new(value),
            runs: HashMap::new(),
            done: VecDeque::new(),
            outputs: 0,
        })
    }

    /// Outputs beyond those that the runs should have given.
    pub(crate) fn duplicates(&self) -> usize {
        let wanted = self.runs.values().filter(|known| known.outputs > 0).count() * self.outputs_per_run;
        self.outputs.saturating_sub(wanted)
    }

    fn take(&mut self, message: &impl Message) -> Result<()> {
        if message.topic() == self.state { self.take_state(message) } else { self.take_output(message) }
    }

    /// Only the header of a run has the bare run id as its key.
    fn take_state(&mut self, message: &impl Message) -> Result<()> {
        let (Some(key), Some(value)) = (message.key(), message.payload()) else { return Ok(()) };
        if key.len() != 32 {
            return Ok(());
        }
        let state: RunState = block_on(self.codec.decode(value))?;
        if !state.status.is_terminal() {
            return Ok(());
        }
        if state.status != RunStatus::Succeeded {
            return Err(BenchError::Wrong(format!("run {} has ended as {}", state.run, state.status.as_str())));
        }
        self.runs.entry(state.run.to_string()).or_default().ended = true;
        self.look_at(state.run.as_str());
        Ok(())
    }

    fn take_output(&mut self, message: &impl Message) -> Result<()> {
        let header = message.headers().and_then(|headers| headers.iter().find(|header| header.key == names::RUN));
        let run = header.and_then(|header| header.value).and_then(|value| std::str::from_utf8(value).ok());
        let run = run.ok_or_else(|| BenchError::Wrong("an output without the id of its run".to_owned()))?.to_owned();
        let output: Numbered = serde_json::from_slice(message.payload().unwrap_or_default())?;
        let known = self.runs.entry(run.clone()).or_default();
        known.number = Some(output.number);
        known.outputs += 1;
        self.outputs += 1;
        self.look_at(&run);
        Ok(())
    }

    fn look_at(&mut self, run: &str) {
        if let Some(Known { number: Some(number), outputs, ended: true }) = self.runs.get(run)
            && *outputs >= self.outputs_per_run
        {
            self.done.push_back(*number);
        }
    }
}

impl Target for RunTarget {
    fn start(&mut self, number: u64) -> Result<()> {
        let value = (self.value)(number);
        self.writer.send(&self.trigger, None, order_id(number).as_bytes(), &value)
    }

    fn next_done(&mut self, wait: Duration) -> Result<Option<u64>> {
        if let Some(number) = self.done.pop_front() {
            return Ok(Some(number));
        }
        self.writer.serve();
        // The message borrows the consumer while the books are written.
        let message = match self.consumer.poll(wait) {
            None | Some(Err(KafkaError::PartitionEOF(_))) => return Ok(None),
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(message)) => message.detach(),
        };
        self.take(&message)?;
        Ok(self.done.pop_front())
    }

    fn known(&self, number: u64) -> String {
        match self.runs.iter().find(|(_, known)| known.number == Some(number)) {
            Some((run, known)) => format!("{number}: run {run}, {} outputs, ended: {}", known.outputs, known.ended),
            None => format!("{number}: no output"),
        }
    }
}
