use std::sync::Arc;

use prunella_model::{Code, Route};
use prunella_telemetry::emit;

use super::now_millis;
use super::outbox::Cause;
use crate::dead_letter::DeadLetter;
use crate::events::RecordFailed;
use crate::member::MemberHandle;
use crate::outlet::Outlet;
use crate::output::OutputError;
use crate::sharded::produce_failed;
use crate::stage::StageError;
use crate::transactor::Owner;

/// Effects that Kafka will never take. Rebuilding would only meet them again: the command goes to the
/// dead letters, and the run it was for ends at its deadline at the latest.
pub(super) struct TooLarge {
    pub(super) outlet: Outlet,
    pub(super) handle: MemberHandle,
    pub(super) topic: Arc<str>,
    pub(super) runtime: tokio::runtime::Handle,
}

impl TooLarge {
    pub(super) fn report(self, cause: Cause, message: String) {
        let Cause::Record(record) = cause else {
            return tracing::error!(
                stage = self.handle.stage(),
                code = Code::RecordTooLarge.id(),
                message,
                "not written"
            );
        };
        let failed = StageError::new(Code::RecordTooLarge, message);
        emit(RecordFailed {
            stage: self.handle.stage(),
            record: &record,
            error: &failed,
            route: Route::DeadLetter,
            attempt: 1,
        });
        let (stage, group) = (self.handle.stage(), self.handle.group());
        let letter = DeadLetter::new(&record, stage, group, failed.code, &failed.message, now_millis());
        let letter = letter.of_record(self.topic, &record);
        let (outlet, handle) = (self.outlet, self.handle.clone());
        self.runtime.spawn(async move {
            match outlet.deliver(|| Owner::Record(record.position()), vec![letter]).await {
                Ok(()) => handle.complete(&record),
                Err(OutputError::GivenUp) => {}
                Err(error) => handle.fail(produce_failed(handle.stage(), 1, &error)),
            }
        });
    }
}
