//! W3C trace context, passed from record to record.

use std::fmt;
use std::str::FromStr;

use crate::headers::{Headers, names};

/// A `traceparent`, version 00.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    trace: u128,
    span: u64,
    flags: u8,
}

impl TraceContext {
    /// A new trace, sampled.
    pub fn root() -> Self {
        Self { trace: rand::random::<u128>().max(1), span: rand::random::<u64>().max(1), flags: 1 }
    }

    /// A new span of the same trace.
    #[must_use]
    pub fn child(self) -> Self {
        Self { span: rand::random::<u64>().max(1), ..self }
    }

    /// The context that a record carries, if it carries a valid one.
    pub fn of(headers: &Headers) -> Option<Self> {
        headers.text(names::TRACEPARENT).and_then(|text| text.parse().ok())
    }

    /// Headers for a record that follows from one with `headers`: the same trace, a new span.
    pub fn carried_on(headers: &Headers) -> Headers {
        Self::of(headers).map_or_else(Headers::new, Self::as_headers)
    }

    /// Headers that carry a new span of this trace.
    pub fn as_headers(self) -> Headers {
        Headers::new().with(names::TRACEPARENT, self.child().to_string())
    }

    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = |part: &str, length: usize| {
            let valid = part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if valid { u128::from_str_radix(part, 16).map_err(|_| ()) } else { Err(()) }
        };
        let mut parts = text.split('-');
        let mut next = || parts.next().ok_or(());
        let version = hex(next()?, 2)?;
        let trace = hex(next()?, 32)?;
        let span = hex(next()?, 16)? as u64;
        let flags = hex(next()?, 2)? as u8;
        let trailing = parts.next().is_some();
        // Version ff is forbidden; later versions may append fields, version 00 may not.
        if version == 0xff || trace == 0 || span == 0 || (version == 0 && trailing) {
            return Err(());
        }
        Ok(Self { trace, span, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_prints_and_the_example_of_the_standard() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context: TraceContext = text.parse().expect("valid");
        assert_eq!(context.to_string(), text);
        assert_eq!(context.child().trace_id(), "0af7651916cd43dd8448eb211c80319c");
    }

    #[test]
    fn refuses_what_the_standard_forbids() {
        for bad in [
            "",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert!(bad.parse::<TraceContext>().is_err(), "{bad}");
        }
    }
}
