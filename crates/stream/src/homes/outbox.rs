use std::sync::Arc;
use std::time::Duration;

use super::Effects;
use super::pace::Pace;
use super::too_large::TooLarge;
use crate::member::MemberHandle;
use crate::outlet::Outlet;
use crate::output::OutputError;
use crate::record::{OutRecord, Record};
use crate::sharded::produce_failed;
use crate::transactor::{Done, Owner};

/// What effects came of.
pub(super) enum Cause {
    Record(Box<Record>),
    /// A timer, or a restore.
    Home(Owner),
}

/// Outcomes that are sent together are no more than this.
const GROUP: usize = 256;
/// How long outcomes wait for the confirmation of those before them, or for others if nothing goes on because of them.
const PATIENCE: Duration = Duration::from_millis(20);

/// Outcomes in the order in which they were decided, until they go out.
pub(super) struct Outbox {
    outlet: Outlet,
    handle: MemberHandle,
    system_dead_letters: Arc<str>,
    waiting: Vec<Outgoing>,
    pace: Pace,
}

struct Outgoing {
    owner: Owner,
    records: Vec<OutRecord>,
    done: Done,
}

impl Outbox {
    pub(super) fn new(outlet: Outlet, handle: MemberHandle, system_dead_letters: Arc<str>) -> Self {
        Self { outlet, handle, system_dead_letters, waiting: Vec::new(), pace: Pace::new(PATIENCE) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting.len() >= GROUP
    }

    /// Whether what waits should go out when there is nothing else to do. A transactor groups outcomes by itself.
    pub(super) fn is_due(&self) -> bool {
        self.pace.is_due() || (matches!(self.outlet, Outlet::ExactlyOnce(_)) && self.pace.is_urgent())
    }

    pub(super) fn until_due(&self) -> impl Future<Output = ()> + use<> {
        self.pace.until_due()
    }

    /// The offset of a record moves with its effects.
    pub(super) fn put(&mut self, cause: Cause, effects: Effects) {
        let Effects { records, then, may_wait } = effects;
        let owner = match &cause {
            Cause::Record(record) => Owner::Record(record.position()),
            Cause::Home(_) if records.is_empty() => return then.map_or((), |then| then()),
            Cause::Home(owner) => owner.clone(),
        };
        let (handle, count) = (self.handle.clone(), records.len());
        let too_large = TooLarge {
            outlet: self.outlet.clone(),
            handle: self.handle.clone(),
            topic: self.system_dead_letters.clone(),
            runtime: tokio::runtime::Handle::current(),
        };
        let done = move |result| match result {
            Ok(()) => {
                if let Some(then) = then {
                    then();
                }
                if let Cause::Record(record) = cause {
                    handle.complete(&record);
                }
            }
            Err(error @ OutputError::TooLarge { .. }) => too_large.report(cause, error.to_string()),
            Err(error) => handle.fail(produce_failed(handle.stage(), count, &error)),
        };
        self.pace.one_waits(may_wait);
        self.waiting.push(Outgoing { owner, records, done: Box::new(done) });
    }

    pub(super) async fn send_all(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        self.pace.send();
        for Outgoing { owner, records, done } in self.waiting.drain(..) {
            let on_its_way = self.pace.one_more();
            let done = move |result| {
                drop(on_its_way);
                done(result);
            };
            self.outlet.submit(|| owner, records, done).await;
        }
    }
}
