//! Load, and how long each piece of it took.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::error::{BenchError, Result};

/// The longest time without any progress before a measurement is given up.
const STUCK: Duration = Duration::from_secs(60);
/// In microseconds: an hour.
const LONGEST_LATENCY: u64 = 3_600_000_000;
const POLL: Duration = Duration::from_millis(20);

/// Something that is given numbered pieces of work and reports those that are done.
pub(crate) trait Target {
    fn start(&mut self, number: u64) -> Result<()>;
    /// A piece that is done, waiting at most `wait`.
    fn next_done(&mut self, wait: Duration) -> Result<Option<u64>>;
    /// What is known of a piece that is not done, for the message about it.
    fn known(&self, number: u64) -> String {
        format!("{number}")
    }
}

/// Latencies with three digits, in microseconds.
pub(crate) struct Measured {
    latencies: Histogram<u64>,
    pub(crate) elapsed: Duration,
}

impl Measured {
    fn new() -> Result<Self> {
        Ok(Self { latencies: Histogram::new_with_bounds(1, LONGEST_LATENCY, 3)?, elapsed: Duration::ZERO })
    }

    fn took(&mut self, latency: Duration) {
        self.latencies.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(u64::MAX));
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// In milliseconds; `quantile` is between 0 and 1.
    pub(crate) fn latency(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1000.0
    }
}

fn stuck(done: u64, of: u64) -> BenchError {
    BenchError::TooSlow { what: format!("progress; {done} of {of} are done"), seconds: STUCK.as_secs() }
}

/// Keeps a number of pieces in flight, for as long as it is driven.
pub(crate) struct Flow {
    concurrency: usize,
    waiting: std::ops::Range<u64>,
    in_flight: HashMap<u64, Instant>,
    done: u64,
    last: Instant,
}

impl Flow {
    pub(crate) fn new(numbers: std::ops::Range<u64>, concurrency: usize) -> Self {
        let in_flight = HashMap::with_capacity(concurrency);
        Self { concurrency, waiting: numbers, in_flight, done: 0, last: Instant::now() }
    }

    /// Pieces that are done.
    pub(crate) fn done(&self) -> u64 {
        self.done
    }

    /// Pieces that are started and not done.
    pub(crate) fn in_flight(&self) -> Vec<u64> {
        self.in_flight.keys().copied().collect()
    }

    pub(crate) fn is_in_flight(&self, number: u64) -> bool {
        self.in_flight.contains_key(&number)
    }

    /// Starts no more pieces.
    pub(crate) fn close(&mut self) {
        self.waiting = 0..0;
    }

    /// Starts what may be started and takes one piece that is done, with its latency.
    pub(crate) fn drive(&mut self, target: &mut dyn Target) -> Result<Option<Duration>> {
        while self.in_flight.len() < self.concurrency
            && let Some(number) = self.waiting.next()
        {
            self.in_flight.insert(number, Instant::now());
            target.start(number)?;
        }
        let finished = target.next_done(POLL)?.and_then(|number| self.in_flight.remove(&number));
        if let Some(started) = finished {
            self.done += 1;
            self.last = Instant::now();
            return Ok(Some(started.elapsed()));
        }
        if self.last.elapsed() > STUCK && !self.in_flight.is_empty() {
            return Err(stuck(self.done, self.done + self.in_flight.len() as u64));
        }
        Ok(None)
    }
}

/// Keeps `concurrency` pieces in flight until the pieces of `numbers` are done.
pub(crate) fn closed_loop(
    target: &mut dyn Target,
    numbers: std::ops::Range<u64>,
    concurrency: usize,
) -> Result<Measured> {
    let mut measured = Measured::new()?;
    let total = numbers.end - numbers.start;
    let mut flow = Flow::new(numbers, concurrency);
    let began = Instant::now();
    while flow.done() < total {
        if let Some(latency) = flow.drive(target)? {
            measured.took(latency);
        }
    }
    measured.elapsed = began.elapsed();
    Ok(measured)
}

/// Keeps `concurrency` pieces in flight, the first of which is `first`. What is done in the `time` after `settling` is
/// measured; then the rest is waited for. Gives the number that comes next as well.
pub(crate) fn steady(
    target: &mut dyn Target,
    first: u64,
    concurrency: usize,
    settling: Duration,
    time: Duration,
) -> Result<(Measured, u64)> {
    let mut measured = Measured::new()?;
    let mut flow = Flow::new(first..u64::MAX, concurrency);
    let began = Instant::now() + settling;
    while Instant::now() < began + time {
        if let Some(latency) = flow.drive(target)?
            && Instant::now() >= began
        {
            measured.took(latency);
        }
    }
    measured.elapsed = began.elapsed();
    let next = flow.waiting.start;
    flow.close();
    while !flow.in_flight.is_empty() {
        flow.drive(target)?;
    }
    Ok((measured, next))
}

/// Starts the pieces of `numbers` at a steady rate, whatever comes back. Latency counts from the time a piece was due, so that a
/// stall is seen by all that it delays.
pub(crate) fn paced(target: &mut dyn Target, numbers: std::ops::Range<u64>, per_second: f64) -> Result<Measured> {
    let mut measured = Measured::new()?;
    let (first, total) = (numbers.start, numbers.end - numbers.start);
    let began = Instant::now();
    let due = |number: u64| began + Duration::from_secs_f64((number - first) as f64 / per_second);
    let (mut waiting, mut next) = (numbers.clone(), numbers.start);
    let mut seen = vec![false; usize::try_from(total).unwrap_or(0)];
    let (mut done, mut last) = (0, began);
    while done < total {
        while next < numbers.end && due(next) <= Instant::now() {
            next = waiting.next().map_or(numbers.end, |number| number + 1);
            target.start(next - 1)?;
        }
        let wait = if next < numbers.end { due(next).saturating_duration_since(Instant::now()) } else { POLL };
        if let Some(number) = target.next_done(wait)? {
            let place = number.checked_sub(first).and_then(|place| usize::try_from(place).ok());
            // A record that comes twice is done once.
            if let Some(new @ false) = place.and_then(|place| seen.get_mut(place)) {
                *new = true;
                measured.took(due(number).elapsed());
                (done, last) = (done + 1, Instant::now());
            }
        } else if last.elapsed() > STUCK {
            return Err(stuck(done, total));
        }
    }
    measured.elapsed = began.elapsed();
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Does one piece at a time, in order, and counts the most it ever held.
    #[derive(Default)]
    struct Queue {
        held: VecDeque<u64>,
        most: usize,
    }

    impl Target for Queue {
        fn start(&mut self, number: u64) -> Result<()> {
            self.held.push_back(number);
            self.most = self.most.max(self.held.len());
            Ok(())
        }

        fn next_done(&mut self, _: Duration) -> Result<Option<u64>> {
            Ok(self.held.pop_front())
        }
    }

    #[test]
    fn a_closed_loop_keeps_its_concurrency() {
        let mut queue = Queue::default();
        let measured = closed_loop(&mut queue, 10..60, 8).expect("done");
        assert_eq!((measured.latencies.len(), queue.most), (50, 8));
    }

    #[test]
    fn a_steady_load_measures_its_time_and_leaves_nothing_in_flight() {
        let mut queue = Queue::default();
        let [settling, time] = [10, 20].map(Duration::from_millis);
        let (measured, next) = steady(&mut queue, 10, 8, settling, time).expect("done");
        assert!(queue.held.is_empty() && queue.most == 8);
        let (counted, started) = (measured.latencies.len(), next - 10);
        assert!(counted > 0 && counted < started, "{counted} of {started}: settling is not counted");
        assert!(measured.elapsed >= time, "{:?}", measured.elapsed);
    }

    #[test]
    fn a_paced_load_takes_its_time_and_counts_from_when_a_piece_was_due() {
        let mut queue = Queue::default();
        let measured = paced(&mut queue, 5..25, 1000.0).expect("done");
        assert_eq!(measured.latencies.len(), 20);
        assert!(measured.elapsed >= Duration::from_millis(19), "{:?}", measured.elapsed);
    }

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut measured = Measured::new().expect("bounds");
        (1..=100).for_each(|millis| measured.took(Duration::from_millis(millis)));
        assert!((measured.latency(0.5) - 50.0).abs() < 0.5, "{}", measured.latency(0.5));
        assert!((measured.latency(0.99) - 99.0).abs() < 0.5, "{}", measured.latency(0.99));
    }
}
