use prunella_model::Code;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// What stands between a client and the brokers, if `error` tells: one of `BrokerUnreachable`,
/// `BrokerAuthentication`, `BrokerTls`, `BrokerAuthorization` and, for options that librdkafka
/// does not accept, `Config`.
pub fn diagnose(error: &KafkaError) -> Option<Code> {
    if let KafkaError::ClientConfig(_, description, key, _) = error {
        return Some(option_code(&format!("{key} {description}")));
    }
    if let KafkaError::ClientCreation(reason) = error {
        return Some(option_code(reason));
    }
    error.rdkafka_error_code().and_then(diagnose_code)
}

/// As [`diagnose`], from the code and the text that librdkafka gives to its error callback.
pub fn diagnose_text(code: RDKafkaErrorCode, text: &str) -> Option<Code> {
    // A TLS failure while a connection is being set up may come as a plain transport error.
    let text = text.to_ascii_lowercase();
    if text.contains("ssl handshake failed") || text.contains("certificate verify failed") {
        return Some(Code::BrokerTls);
    }
    diagnose_code(code)
}

fn diagnose_code(code: RDKafkaErrorCode) -> Option<Code> {
    use RDKafkaErrorCode as Error;
    match code {
        Error::Authentication
        | Error::SaslAuthenticationFailed
        | Error::UnsupportedSASLMechanism
        | Error::IllegalSASLState => Some(Code::BrokerAuthentication),
        Error::SSL => Some(Code::BrokerTls),
        Error::TopicAuthorizationFailed
        | Error::GroupAuthorizationFailed
        | Error::ClusterAuthorizationFailed
        | Error::TransactionalIdAuthorizationFailed
        | Error::DelegationTokenAuthorizationFailed => Some(Code::BrokerAuthorization),
        Error::AllBrokersDown
        | Error::BrokerTransportFailure
        | Error::Resolve
        | Error::OperationTimedOut
        | Error::RequestTimedOut
        | Error::NodeUpdate => Some(Code::BrokerUnreachable),
        _ => None,
    }
}

/// Options that are unusable before any connection is tried: files of keys and certificates are TLS.
fn option_code(reason: &str) -> Code {
    let reason = reason.to_ascii_lowercase();
    let is_tls = reason.contains("ssl.") || reason.contains("certificate") || reason.contains("private key");
    if is_tls { Code::BrokerTls } else { Code::Config }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_tells_what_stands_in_the_way() {
        for (error, code) in [
            (RDKafkaErrorCode::Authentication, Some(Code::BrokerAuthentication)),
            (RDKafkaErrorCode::SSL, Some(Code::BrokerTls)),
            (RDKafkaErrorCode::AllBrokersDown, Some(Code::BrokerUnreachable)),
            (RDKafkaErrorCode::TopicAuthorizationFailed, Some(Code::BrokerAuthorization)),
            (RDKafkaErrorCode::UnknownTopicOrPartition, None),
        ] {
            assert_eq!(diagnose(&KafkaError::Global(error)), code, "{error:?}");
        }
    }

    #[test]
    fn options_are_told_apart_from_connections() {
        let missing_file = KafkaError::ClientCreation("ssl.ca.location failed: No such file".to_owned());
        assert_eq!(diagnose(&missing_file), Some(Code::BrokerTls));
        let no_user = KafkaError::ClientCreation("sasl.username must be set".to_owned());
        assert_eq!(diagnose(&no_user), Some(Code::Config));
    }

    #[test]
    fn a_handshake_that_fails_as_transport_error_is_still_tls() {
        let text = "ssl://localhost:9093/bootstrap: SSL handshake failed: Disconnected";
        assert_eq!(diagnose_text(RDKafkaErrorCode::BrokerTransportFailure, text), Some(Code::BrokerTls));
        let text = "localhost:9093/bootstrap: Connect to ipv4#127.0.0.1:9093 failed: Connection refused";
        assert_eq!(diagnose_text(RDKafkaErrorCode::BrokerTransportFailure, text), Some(Code::BrokerUnreachable));
    }
}
