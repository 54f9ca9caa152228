use bytes::Bytes;

use prunella_stream::Record;
use prunella_wire::{Headers, TraceContext, names};

/// Headers that describe this output and not the input it came from: those of an earlier stream are replaced.
const OURS: [&str; 4] = [names::TRACEPARENT, names::STREAM, names::SOURCE, names::CONTENT_TYPE];

/// The headers of an output: those of the input record, and ours.
///
/// `stream` is `workspace/stream@version`; `content_type` is the output value's, if it has one and a value.
pub fn output_headers(record: &Record, stream: &Bytes, content_type: Option<&'static str>) -> Headers {
    let mut headers = Headers::with_capacity(record.headers.len() + OURS.len());
    for (name, value) in record.headers.iter().filter(|(name, _)| !OURS.contains(name)) {
        match value {
            Some(value) => headers.push(name, value.clone()),
            None => headers.push_null(name),
        }
    }
    if let Some(trace) = TraceContext::of(&record.headers) {
        headers.push_known(names::TRACEPARENT, trace.child().to_string());
    }
    headers.push_known(names::STREAM, stream.clone());
    let source = format!("{}/{}/{}", record.source.topic, record.source.partition, record.offset);
    headers.push_known(names::SOURCE, source);
    if let Some(content_type) = content_type {
        headers.push_known(names::CONTENT_TYPE, Bytes::from_static(content_type.as_bytes()));
    }
    headers
}

#[cfg(test)]
mod tests {
    use prunella_stream::{AssignmentEpoch, TopicPartition};

    use super::*;

    fn record(headers: Headers) -> Record {
        Record {
            source: TopicPartition { topic: "shop.orders".into(), partition: 3 },
            offset: 42,
            timestamp: 0,
            key: None,
            value: None,
            headers,
            epoch: AssignmentEpoch::new(1),
            sequence: 0,
            replay: None,
        }
    }

    #[test]
    fn the_users_headers_pass_and_those_of_an_earlier_stream_are_replaced() {
        let mut given = Headers::new().with("mine", "1").with("mine", "2").with(names::STREAM, "default/earlier@7");
        given.push_null("nothing");
        let given = given.with(names::CONTENT_TYPE, "text/csv").with(names::SOURCE, "raw/0/1");
        let headers =
            output_headers(&record(given), &Bytes::from_static(b"default/orders@2"), Some("application/json"));
        let found: Vec<_> = headers.iter().map(|(name, value)| (name, value.map(AsRef::<[u8]>::as_ref))).collect();
        let expected: [(&str, Option<&[u8]>); 6] = [
            ("mine", Some(b"1")),
            ("mine", Some(b"2")),
            ("nothing", None),
            (names::STREAM, Some(b"default/orders@2")),
            (names::SOURCE, Some(b"shop.orders/3/42")),
            (names::CONTENT_TYPE, Some(b"application/json")),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_trace_goes_on_as_a_new_span_and_none_is_made_up() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let stream = Bytes::from_static(b"default/orders@1");
        let headers = output_headers(&record(Headers::new().with(names::TRACEPARENT, parent)), &stream, None);
        let found = headers.text(names::TRACEPARENT).expect("a trace");
        assert!(found.contains("0af7651916cd43dd8448eb211c80319c") && found != parent, "{found}");
        assert_eq!(headers.iter().filter(|(name, _)| *name == names::TRACEPARENT).count(), 1);
        assert_eq!(output_headers(&record(Headers::new()), &stream, None).text(names::TRACEPARENT), None);
    }
}
