//! One, two, four processes: what they carry, what their coming and going costs, and that nothing is lost.

use std::time::{Duration, Instant};

use prunella_testkit::harness::{Broker, Prunella};
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::child::RelayProcess;
use crate::cli::{self, Settings};
use crate::client::{PATIENCE, consumer};
use crate::error::{BenchError, Result};
use crate::load::{Flow, Target};
use crate::product::Product;
use crate::relay::Relay;
use crate::results::Report;
use crate::sheet::{Sheet, Unit};
use crate::targets::RunTarget;
use crate::variant::{Guarantee, Variant, variants};
use crate::workflows::chain;

use super::runs::{create_baselines, hop_name, topic_target};

const CONCURRENCY: usize = 256;
/// Between two looks at the groups.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn scale(settings: &Settings, report: &mut Report) -> Result<()> {
    let broker = cli::broker();
    let brokers = broker.bootstrap_servers();
    let variants = variants(&settings.modes);
    create_baselines(&broker, settings.partitions);
    let binary = settings.binary()?;
    let install = |variant: &Variant| {
        let product = Product::install(&broker, &binary, *variant, settings.partitions);
        product.apply(&chain("chain", 3));
        product
    };
    let products: Vec<Product> = variants.iter().map(install).collect();
    let sheet = &mut report.sheet;
    for round in 0..settings.rounds {
        for guarantee in Guarantee::ALL {
            let name = hop_name(guarantee);
            cli::step(round, &name);
            let mut target = topic_target(&broker, &format!("{name}-in"), &format!("{name}-out"))?;
            let relay = Relay::hop(&brokers, &name, guarantee);
            let start = |_| RelayProcess::start(&relay).map(Member::Relay);
            let figures = Figures { sheet, name: format!("scale/{name}"), against: None };
            Fleet::new(&broker, &mut target, &start, &relay.group, figures)?.carry_out(settings)?;
        }
        for (variant, product) in variants.iter().zip(&products) {
            cli::step(round, &variant.to_string());
            let mut target = RunTarget::new(product, &brokers, "chain")?;
            let start = |slot| Ok(Member::Product(product.serve(slot)));
            let against = Some(format!("scale/{}", hop_name(variant.guarantee)));
            let figures = Figures { sheet, name: format!("scale/{}", variant), against };
            Fleet::new(&broker, &mut target, &start, &product.topic(""), figures)?.carry_out(settings)?;
        }
    }
    Ok(())
}

enum Member {
    Relay(RelayProcess),
    Product(Prunella),
}

impl Member {
    /// Lets it finish and leave its groups, so that the next one does not wait for a dead member.
    fn stop(self) -> Result<()> {
        match self {
            Self::Relay(process) => process.stop(),
            Self::Product(process) => {
                process.terminate(PATIENCE);
                Ok(())
            }
        }
    }

    /// `kill -9`.
    fn kill(self) {
        match self {
            Self::Relay(process) => process.kill(),
            Self::Product(process) => process.kill(),
        }
    }
}

struct Figures<'a> {
    sheet: &'a mut Sheet,
    name: String,
    against: Option<String>,
}

impl Figures<'_> {
    fn add(&mut self, figure: &str, unit: Unit, value: f64) {
        let against = self.against.as_ref().map(|against| format!("{against}/{figure}"));
        self.sheet.add(format!("{}/{figure}", self.name), unit, against.as_deref(), value);
    }
}

/// Processes of one kind under a load that never pauses.
struct Fleet<'a> {
    observer: BaseConsumer,
    target: &'a mut dyn Target,
    flow: Flow,
    start: &'a dyn Fn(usize) -> Result<Member>,
    /// What the names of their groups start with.
    groups: &'a str,
    members: Vec<Member>,
    figures: Figures<'a>,
}

impl<'a> Fleet<'a> {
    fn new(
        broker: &Broker,
        target: &'a mut dyn Target,
        start: &'a dyn Fn(usize) -> Result<Member>,
        groups: &'a str,
        figures: Figures<'a>,
    ) -> Result<Self> {
        let observer = consumer(&broker.bootstrap_servers(), None)?;
        let flow = Flow::new(0..u64::MAX, CONCURRENCY);
        Ok(Self { observer, target, flow, start, groups, members: Vec::new(), figures })
    }

    fn carry_out(mut self, settings: &Settings) -> Result<()> {
        for processes in &settings.processes {
            self.grow_to(*processes)?;
            let throughput = self.throughput(Duration::from_secs(settings.window))?;
            self.figures.add(&format!("throughput-{processes}"), Unit::RunsPerSecond, throughput);
        }
        if self.members.len() > 1
            && let Some(member) = self.members.pop()
        {
            let began = Instant::now();
            member.kill();
            self.settled(began, "killed")?;
        }
        // Whatever was started has to come out: the load counts each piece, and gives up when one is missing.
        self.flow.close();
        while !self.flow.in_flight().is_empty() {
            self.flow.drive(self.target)?;
        }
        self.members.drain(..).try_for_each(Member::stop)
    }

    fn grow_to(&mut self, processes: usize) -> Result<()> {
        let began = Instant::now();
        while self.members.len() < processes {
            self.members.push((self.start)(self.members.len())?);
        }
        self.settled(began, &format!("grown-to-{processes}"))
    }

    /// Waits until the groups are stable, and then until everything that was in flight at that moment is done: pieces that a
    /// dead process held among them.
    fn settled(&mut self, began: Instant, event: &str) -> Result<()> {
        let mut looked = Instant::now();
        loop {
            if looked.elapsed() >= LOOK {
                if self.is_stable()? {
                    break;
                }
                looked = Instant::now();
            }
            self.flow.drive(self.target)?;
            in_time(began, || format!("{event}: the groups are stable"))?;
        }
        self.figures.add(&format!("{event}/stable"), Unit::Seconds, began.elapsed().as_secs_f64());
        let (pending, before) = (self.flow.in_flight(), self.flow.done());
        let open =
            |flow: &Flow| -> Vec<u64> { pending.iter().copied().filter(|number| flow.is_in_flight(*number)).collect() };
        while !open(&self.flow).is_empty() {
            self.flow.drive(self.target)?;
            in_time(began, || {
                let left: Vec<String> = open(&self.flow).into_iter().map(|number| self.target.known(number)).collect();
                let others = self.flow.done() - before;
                format!("{event}: all pieces are done; {others} others are, but not {}", left.join("; "))
            })?;
        }
        self.figures.add(&format!("{event}/flowing"), Unit::Seconds, began.elapsed().as_secs_f64());
        Ok(())
    }

    /// All groups have a member in each process and agree on who has what.
    fn is_stable(&self) -> Result<bool> {
        let groups = self.observer.fetch_group_list(None, PATIENCE)?;
        let ours: Vec<_> = groups.groups().iter().filter(|group| group.name().starts_with(self.groups)).collect();
        let settled = |group: &&rdkafka::groups::GroupInfo| {
            group.state() == "Stable" && group.members().len() == self.members.len()
        };
        Ok(!ours.is_empty() && ours.iter().all(settled))
    }

    fn throughput(&mut self, window: Duration) -> Result<f64> {
        let (before, began) = (self.flow.done(), Instant::now());
        while began.elapsed() < window {
            self.flow.drive(self.target)?;
        }
        Ok((self.flow.done() - before) as f64 / began.elapsed().as_secs_f64())
    }
}

fn in_time(began: Instant, what: impl Fn() -> String) -> Result<()> {
    if began.elapsed() > PATIENCE {
        return Err(BenchError::TooSlow { what: what(), seconds: PATIENCE.as_secs() });
    }
    Ok(())
}
