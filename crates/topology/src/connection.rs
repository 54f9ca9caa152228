use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prunella_model::Code;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::diagnose::diagnose_text;

/// A failure that librdkafka reported about its connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionEvent {
    pub code: Code,
    /// librdkafka's own words, with the broker's address.
    pub text: String,
}

/// A client context that remembers why connections fail: a request only says that it timed out,
/// the reason comes through the error callback. Clones share what they remember.
#[derive(Debug, Clone, Default)]
pub struct ConnectionLog {
    /// The latest text of each code. librdkafka tells a cause once and its consequences in a flood, so a list of
    /// the last events would lose the cause.
    latest: Arc<Mutex<BTreeMap<Code, String>>>,
}

impl ConnectionLog {
    pub fn new() -> Self {
        Self::default()
    }

    /// The event that says most: refused credentials and TLS failures before unreachable brokers.
    pub fn verdict(&self) -> Option<ConnectionEvent> {
        let latest = self.lock();
        [Code::BrokerAuthentication, Code::BrokerTls, Code::BrokerAuthorization, Code::BrokerUnreachable]
            .into_iter()
            .find_map(|code| Some(ConnectionEvent { code, text: latest.get(&code)?.clone() }))
    }

    /// For when a connection was made: what was in the way before explains nothing that comes later.
    pub fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Code, String>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for ConnectionLog {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        // Connection failures come through `error` as well, where they get a code.
        tracing::debug!(target: "librdkafka", ?level, facility, "{message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        let Some(error_code) = error.rdkafka_error_code() else {
            return;
        };
        let Some(code) = diagnose_text(error_code, reason) else {
            return;
        };
        let mut latest = self.lock();
        if error_code == RDKafkaErrorCode::AllBrokersDown {
            // Says only how many: any other reason is better.
            latest.entry(code).or_insert_with(|| reason.to_owned());
        } else {
            latest.insert(code, reason.to_owned());
        }
    }
}

impl ConsumerContext for ConnectionLog {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_outranks_its_consequences() {
        let log = ConnectionLog::new();
        log.error(KafkaError::Global(RDKafkaErrorCode::Authentication), "host:1: wrong password");
        log.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "host:2: refused");
        log.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "2/2 brokers are down");
        let verdict = log.verdict().expect("three events");
        assert_eq!(verdict.code, Code::BrokerAuthentication);
        assert_eq!(verdict.text, "host:1: wrong password");
    }

    #[test]
    fn a_refused_connection_says_more_than_that_all_are_down() {
        let log = ConnectionLog::new();
        log.error(KafkaError::Global(RDKafkaErrorCode::BrokerTransportFailure), "host:2: refused");
        log.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        assert_eq!(log.verdict().map(|event| event.text), Some("host:2: refused".to_owned()));
    }

    #[test]
    fn a_flood_of_consequences_does_not_wash_the_cause_away() {
        let log = ConnectionLog::new();
        log.error(KafkaError::Global(RDKafkaErrorCode::Resolve), "host:1: no such host");
        for _ in 0..1000 {
            log.error(KafkaError::Global(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down");
        }
        assert_eq!(log.verdict().map(|event| event.text), Some("host:1: no such host".to_owned()));
        log.forget();
        assert_eq!(log.verdict(), None);
    }
}
