//! What was spent in the last hour, and whether there is room for more.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use prunella_model::{WorkflowName, WorkspaceName};
use prunella_wire::records::LlmCall;

use crate::answer::Usage;
use crate::error::LlmError;
use crate::request::Subject;
use crate::settings::{BudgetLimits, BudgetSettings};

const HOUR_MS: i64 = 3_600_000;

/// Whom calls are counted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    Workspace(WorkspaceName),
    Workflow(WorkspaceName, WorkflowName),
    /// A mapping by its key.
    Mapping(WorkspaceName, String),
}

impl Scope {
    fn all(workspace: &WorkspaceName, workflow: &WorkflowName, mapping: &str) -> [Self; 3] {
        [
            Self::Mapping(workspace.clone(), mapping.to_owned()),
            Self::Workflow(workspace.clone(), workflow.clone()),
            Self::Workspace(workspace.clone()),
        ]
    }

    fn key(&self) -> &'static str {
        match self {
            Self::Workspace(_) => "workspace",
            Self::Workflow(..) => "workflow",
            Self::Mapping(..) => "mapping",
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Workspace(workspace) => write!(f, "workspace {workspace}"),
            Self::Workflow(workspace, workflow) => write!(f, "workflow {workspace}/{workflow}"),
            Self::Mapping(_, mapping) => write!(f, "mapping {mapping}"),
        }
    }
}

/// What was spent since the process began, restored records included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Requests that were sent.
    pub requests: u64,
    /// Consultations that asked a model.
    pub consultations: u64,
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Millionths of the currency, where the cost is known.
    pub cost_micros: u64,
    /// Consultations whose cost is not known.
    pub of_unknown_cost: u64,
}

/// A place that was taken for one request, until it is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reservation(u64);

#[derive(Debug)]
struct Entry {
    id: u64,
    /// Milliseconds since the epoch.
    at: i64,
    scopes: [Scope; 3],
    charged: u64,
}

#[derive(Debug)]
pub(crate) struct Ledger {
    budget: BudgetSettings,
    currency: String,
    entries: VecDeque<Entry>,
    next: u64,
    totals: HashMap<Scope, Spent>,
}

impl Ledger {
    pub(crate) fn new(budget: BudgetSettings, currency: String) -> Self {
        Self { budget, currency, entries: VecDeque::new(), next: 0, totals: HashMap::new() }
    }

    fn limits(&self, scope: &Scope, of_mapping: BudgetLimits) -> BudgetLimits {
        match scope {
            Scope::Workspace(_) => self.budget.workspace,
            Scope::Workflow(..) => self.budget.workflow,
            Scope::Mapping(..) => self.budget.mapping.at_most(of_mapping),
        }
    }

    /// Takes a place for a request that costs at most `worst` millionths. `of_mapping` limits the mapping further.
    pub(crate) fn reserve(
        &mut self,
        subject: &Subject,
        of_mapping: BudgetLimits,
        worst: u64,
        now: i64,
    ) -> Result<Reservation, LlmError> {
        self.entries.retain(|entry| entry.at > now - HOUR_MS);
        let scopes = Scope::all(&subject.workspace, &subject.workflow, &subject.mapping);
        for scope in &scopes {
            self.check(scope, self.limits(scope, of_mapping), worst, now)?;
        }
        Ok(self.enter(scopes, worst, now))
    }

    fn enter(&mut self, scopes: [Scope; 3], charged: u64, at: i64) -> Reservation {
        let id = self.next;
        self.next += 1;
        self.entries.push_back(Entry { id, at, scopes, charged });
        Reservation(id)
    }

    fn check(&self, scope: &Scope, limits: BudgetLimits, worst: u64, now: i64) -> Result<(), LlmError> {
        let mut spent: Vec<(i64, u64)> = self
            .entries
            .iter()
            .filter(|entry| entry.scopes.contains(scope))
            .map(|entry| (entry.at, entry.charged))
            .collect();
        spent.sort_unstable();
        let until_gone = |at: i64| Duration::from_millis(u64::try_from(at + HOUR_MS - now).unwrap_or(0));
        let key = scope.key();
        if let Some(most) = limits.calls_per_hour.map(|most| most as usize).filter(|most| spent.len() >= *most) {
            let reason = format!(
                "{scope} has made {} calls in the last hour, of {most} (llm.budget.{key}.calls-per-hour)",
                spent.len()
            );
            return Err(LlmError::Budget {
                reason,
                again_in: spent.get(spent.len() - most).map(|(at, _)| until_gone(*at)),
            });
        }
        let Some(most) = limits.cost_per_hour.map(micros) else { return Ok(()) };
        let mut total: u64 = spent.iter().map(|(_, charged)| charged).sum();
        if total.saturating_add(worst) <= most {
            return Ok(());
        }
        let currency = &self.currency;
        let reason = format!(
            "{scope} has spent {} {currency} in the last hour, and another call may cost {}: together more than {} \
             (llm.budget.{key}.cost-per-hour)",
            shown(total),
            shown(worst),
            shown(most)
        );
        let room = spent.iter().find(|(_, charged)| {
            total -= charged;
            total.saturating_add(worst) <= most
        });
        Err(LlmError::Budget { reason, again_in: room.map(|(at, _)| until_gone(*at)) })
    }

    /// Corrects a reservation to what the request has cost.
    pub(crate) fn settle(&mut self, reservation: Reservation, charged: u64) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.id == reservation.0) {
            entry.charged = charged;
        }
    }

    /// Adds a consultation to the totals.
    pub(crate) fn account(&mut self, subject: &Subject, requests: u64, usage: Usage, cost: Option<u64>) {
        let scopes = Scope::all(&subject.workspace, &subject.workflow, &subject.mapping);
        self.add(scopes, requests, usage, cost);
    }

    fn add(&mut self, scopes: [Scope; 3], requests: u64, usage: Usage, cost: Option<u64>) {
        for scope in scopes {
            let total = self.totals.entry(scope).or_default();
            total.requests += requests;
            total.consultations += u64::from(requests > 0);
            total.input_tokens += usage.input.unwrap_or(0);
            total.output_tokens += usage.output.unwrap_or(0);
            total.cost_micros += cost.unwrap_or(0);
            total.of_unknown_cost += u64::from(requests > 0 && cost.is_none());
        }
    }

    /// Counts a consultation of before.
    pub(crate) fn restore(&mut self, call: &LlmCall, now: i64) {
        let scopes = || Scope::all(&call.workspace, &call.workflow, &call.mapping);
        let known = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok());
        let requests = u64::try_from(call.tries).unwrap_or(0);
        let usage = Usage { input: known(call.input_tokens), output: known(call.output_tokens) };
        self.add(scopes(), requests, usage, known(call.cost_micros));
        if call.at <= now - HOUR_MS {
            return;
        }
        for number in 0..requests {
            let charged = if number == 0 { known(Some(call.charged_micros)).unwrap_or(0) } else { 0 };
            self.enter(scopes(), charged, call.at);
        }
    }

    pub(crate) fn spent(&self, scope: &Scope) -> Spent {
        self.totals.get(scope).copied().unwrap_or_default()
    }
}

/// Millionths of an amount of money; negative and infinite ones are refused when the settings are read.
fn micros(amount: f64) -> u64 {
    (amount * 1e6).round() as u64
}

fn shown(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subject(workflow: &str, mapping: &str) -> Subject {
        Subject {
            workspace: WorkspaceName::default_workspace(),
            workflow: workflow.parse().expect("name"),
            step: "fetch".parse().expect("step"),
            mapping: mapping.to_owned(),
            run: None,
        }
    }

    fn ledger(mapping: BudgetLimits, workflow: BudgetLimits) -> Ledger {
        Ledger::new(BudgetSettings { mapping, workflow, workspace: BudgetLimits::default() }, "USD".to_owned())
    }

    const fn calls(calls: u32) -> BudgetLimits {
        BudgetLimits { calls_per_hour: Some(calls), cost_per_hour: None }
    }

    const fn cost(cost: f64) -> BudgetLimits {
        BudgetLimits { calls_per_hour: None, cost_per_hour: Some(cost) }
    }

    fn again_in(result: Result<Reservation, LlmError>) -> Option<Duration> {
        let error = result.expect_err("no room");
        assert_eq!(error.code().id(), "PRN-1105");
        error.again_in()
    }

    #[test]
    fn calls_stop_at_the_limit_of_each_scope_and_go_on_when_the_oldest_is_an_hour_old() {
        let mut ledger = ledger(calls(2), calls(3));
        let (one, other) = (subject("orders", "a"), subject("orders", "b"));
        for at in [0, 60_000] {
            ledger.reserve(&one, BudgetLimits::default(), 0, at).expect("room");
        }
        assert_eq!(
            again_in(ledger.reserve(&one, BudgetLimits::default(), 0, 120_000)),
            Some(Duration::from_secs(3480))
        );
        ledger.reserve(&other, BudgetLimits::default(), 0, 120_000).expect("another mapping");
        let error = ledger.reserve(&other, BudgetLimits::default(), 0, 120_000).expect_err("the workflow");
        assert!(error.to_string().contains("workflow default/orders has made 3 calls"), "{error}");
        ledger.reserve(&subject("returns", "c"), BudgetLimits::default(), 0, 120_000).expect("another workflow");
        ledger.reserve(&one, BudgetLimits::default(), 0, 3_600_001).expect("an hour later");
    }

    #[test]
    fn a_step_may_allow_less_than_the_installation_and_never_more() {
        let mut ledger = ledger(calls(3), BudgetLimits::default());
        let one = subject("orders", "a");
        ledger.reserve(&one, calls(1), 0, 0).expect("room");
        again_in(ledger.reserve(&one, calls(1), 0, 1000));
        for at in [1000, 2000] {
            ledger.reserve(&one, calls(9), 0, at).expect("room");
        }
        again_in(ledger.reserve(&one, calls(9), 0, 3000));
        again_in(ledger.reserve(&one, cost(0.5), 600_000, 3_600_001 + 3000));
    }

    #[test]
    fn money_is_reserved_at_its_worst_and_settled_at_what_it_was() {
        let mut ledger = ledger(cost(1.0), BudgetLimits::default());
        let one = subject("orders", "a");
        let first = ledger.reserve(&one, BudgetLimits::default(), 600_000, 0).expect("room");
        assert_eq!(
            again_in(ledger.reserve(&one, BudgetLimits::default(), 600_000, 1000)),
            Some(Duration::from_secs(3599))
        );
        ledger.settle(first, 100_000);
        let second = ledger.reserve(&one, BudgetLimits::default(), 600_000, 1000).expect("room again");
        ledger.settle(second, 600_000);
        assert_eq!(
            again_in(ledger.reserve(&one, BudgetLimits::default(), 400_000, 2000)),
            Some(Duration::from_secs(3598))
        );
        assert_eq!(again_in(ledger.reserve(&one, BudgetLimits::default(), 1_000_001, 2000)), None, "never");
        let error = ledger.reserve(&one, BudgetLimits::default(), 400_000, 2000).expect_err("no room");
        assert!(error.to_string().contains("spent 0.700000 USD"), "{error}");
    }

    proptest! {
        #[test]
        fn no_hour_holds_more_than_its_limits(requests in proptest::collection::vec((0_u64..400_000, 0_i64..900_000, any::<bool>()), 1..60)) {
            let mut ledger = Ledger::new(
                BudgetSettings {
                    mapping: BudgetLimits { calls_per_hour: Some(5), cost_per_hour: Some(1.0) },
                    workflow: BudgetLimits::default(),
                    workspace: BudgetLimits::default(),
                },
                "USD".to_owned(),
            );
            let (mut now, mut made): (i64, Vec<(i64, u64)>) = (0, Vec::new());
            for (worst, later, is_cheap) in requests {
                now += later;
                if let Ok(place) = ledger.reserve(&subject("orders", "a"), BudgetLimits::default(), worst, now) {
                    let charged = if is_cheap { worst / 4 } else { worst };
                    ledger.settle(place, charged);
                    made.push((now, charged));
                }
                let hour: Vec<u64> = made.iter().filter(|(at, _)| *at > now - HOUR_MS).map(|(_, charged)| *charged).collect();
                prop_assert!(hour.len() <= 5 && hour.iter().sum::<u64>() <= 1_000_000);
            }
        }
    }
}
