//! `server.properties` of a node that fits beside everything else on a laptop.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::config::{LocalKafkaConfig, Seat};
use crate::secured::SecuredFiles;

const ALONE: u32 = 1;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) plain: u16,
    pub(crate) controller: u16,
    pub(crate) secured: Option<u16>,
}

/// The text of the file, for the log in `log_dir`.
pub(crate) fn render(
    config: &LocalKafkaConfig,
    log_dir: &Path,
    ports: Ports,
    secured: Option<&SecuredFiles>,
) -> String {
    let mut properties = BTreeMap::new();
    for (name, value) in SMALL_SINGLE_NODE {
        properties.insert((*name).to_owned(), (*value).to_owned());
    }
    if config.seat.is_some() {
        properties.extend(SMALL_CLUSTER.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    }
    properties.extend(config.extra_properties.clone());
    properties.extend(match &config.seat {
        None => identity(log_dir, ports),
        Some(seat) => seated(log_dir, ports, seat),
    });
    if let Some(secured) = secured {
        properties.extend(secured.properties());
    }
    let mut text = String::new();
    for (name, value) in properties {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name}={}", escape(&value));
    }
    text
}

const SMALL_SINGLE_NODE: &[(&str, &str)] = &[
    // Topics are declared; a mistyped name is an error, not a topic.
    ("auto.create.topics.enable", "false"),
    ("group.initial.rebalance.delay.ms", "0"),
    // Memory: the cleaner alone would take 128 MiB.
    ("log.cleaner.dedupe.buffer.size", "8388608"),
    ("log.cleaner.threads", "1"),
    // A small segment lets compaction and retention show within a test or a demo.
    ("log.segment.bytes", "134217728"),
    ("num.io.threads", "4"),
    ("num.network.threads", "2"),
    ("num.recovery.threads.per.data.dir", "2"),
    ("offsets.topic.num.partitions", "4"),
    ("offsets.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    // Records of 100 MB on a topic whose max.message.bytes allows them; the default for a topic stays 1 MiB.
    ("socket.request.max.bytes", "125829120"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "4"),
    ("transaction.state.log.replication.factor", "1"),
];

/// What a cluster has instead: copies of everything, and a dead broker is noticed in seconds.
const SMALL_CLUSTER: &[(&str, &str)] = &[
    ("broker.heartbeat.interval.ms", "500"),
    ("broker.session.timeout.ms", "3000"),
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.replication.factor", "3"),
    ("replica.lag.time.max.ms", "5000"),
    ("share.coordinator.state.topic.min.isr", "2"),
    ("share.coordinator.state.topic.replication.factor", "3"),
    ("transaction.state.log.min.isr", "2"),
    ("transaction.state.log.replication.factor", "3"),
    ("unclean.leader.election.enable", "false"),
];

/// Brokers talk to each other past whatever stands between them and their clients.
fn seated(log_dir: &Path, ports: Ports, seat: &Seat) -> Vec<(String, String)> {
    let voter = |(index, port): (usize, &u16)| format!("{}@127.0.0.1:{port}", index + 1);
    let voters: Vec<String> = seat.controller_ports.iter().enumerate().map(voter).collect();
    let internal = format!("INTERNAL://127.0.0.1:{}", seat.internal_port);
    let (plain, advertised) = (ports.plain, seat.advertised_port);
    let listeners = format!("PLAINTEXT://127.0.0.1:{plain},{internal},CONTROLLER://127.0.0.1:{}", ports.controller);
    let mut properties = identity(log_dir, ports);
    properties.extend(
        [
            ("node.id", seat.node_id.to_string()),
            ("controller.quorum.voters", voters.join(",")),
            ("inter.broker.listener.name", "INTERNAL".to_owned()),
            ("listeners", listeners),
            ("advertised.listeners", format!("PLAINTEXT://127.0.0.1:{advertised},{internal}")),
            (
                "listener.security.protocol.map",
                "PLAINTEXT:PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    );
    properties
}

fn identity(log_dir: &Path, ports: Ports) -> Vec<(String, String)> {
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{}", ports.plain);
    if let Some(port) = ports.secured {
        listeners.push_str(&format!(",SECURED://127.0.0.1:{port}"));
    }
    [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", ALONE.to_string()),
        ("controller.quorum.voters", format!("{ALONE}@127.0.0.1:{}", ports.controller)),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("listeners", format!("{listeners},CONTROLLER://127.0.0.1:{}", ports.controller)),
        ("advertised.listeners", listeners),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL".to_owned()),
        ("log.dirs", log_dir.to_string_lossy().into_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// Java reads property files as Latin-1 with backslash escapes.
fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for (index, unit) in value.encode_utf16().enumerate() {
        match u8::try_from(unit) {
            Ok(b'\\') => escaped.push_str("\\\\"),
            Ok(b'\n') => escaped.push_str("\\n"),
            Ok(b' ') if index == 0 => escaped.push_str("\\ "),
            Ok(byte) if byte.is_ascii_graphic() || byte == b' ' => escaped.push(char::from(byte)),
            _ => escaped.push_str(&format!("\\u{unit:04x}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_property_file_format() {
        assert_eq!(escape("/home/zo\u{eb}/a b\\c"), "/home/zo\\u00eb/a b\\\\c");
        assert_eq!(escape(" \u{1f33f}"), "\\ \\ud83c\\udf3f");
    }

    #[test]
    fn extra_properties_win_over_the_defaults() {
        let mut config = LocalKafkaConfig::new("data");
        config.extra_properties.insert("num.io.threads".to_owned(), "9".to_owned());
        let text = render(&config, Path::new("data/log"), Ports { plain: 1, controller: 2, secured: None }, None);
        assert!(text.contains("\nnum.io.threads=9\n"), "{text}");
        assert!(text.contains("\nlisteners=PLAINTEXT://127.0.0.1:1,CONTROLLER://127.0.0.1:2\n"), "{text}");
    }
}
