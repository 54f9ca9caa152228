//! Durations and sizes as people write them: `30s`, `1h 15m`, `512KiB`.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    #[error("{text:?} is not a duration ({reason}): write a number and a unit, such as 500ms, 30s, 5m or 1h 30m")]
    Period { text: String, reason: String },
    #[error("{text:?} is not a size ({reason}): write a number and a unit, such as 512KiB, 16MiB or 1GB")]
    ByteSize { text: String, reason: String },
}

/// A length of time, written `30s` or `1h 15m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Period(Duration);

impl Period {
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }
    pub const fn duration(self) -> Duration {
        self.0
    }
    /// Milliseconds, the unit of Kafka's timestamps and settings.
    pub fn millis(self) -> i64 {
        i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX)
    }
}

impl From<Duration> for Period {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Period {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|error| UnitError::Period { text: text.to_owned(), reason: error.to_string() })
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

/// A number of bytes, written `512KiB` or `1MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ByteSize(u64);

impl ByteSize {
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }
    pub const fn from_kib(kib: u64) -> Self {
        Self(kib << 10)
    }
    pub const fn from_mib(mib: u64) -> Self {
        Self(mib << 20)
    }
    pub const fn bytes(self) -> u64 {
        self.0
    }
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = UnitError;
    fn from_str(text: &str) -> Result<Self, UnitError> {
        text.parse::<bytesize::ByteSize>()
            .map(|size| Self(size.as_u64()))
            .map_err(|reason| UnitError::ByteSize { text: text.to_owned(), reason: reason.to_string() })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, name) in [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")] {
            if self.0 >= unit && self.0.is_multiple_of(unit) {
                return write!(f, "{}{name}", self.0 / unit);
            }
        }
        write!(f, "{}B", self.0)
    }
}

macro_rules! string_conversions {
    ($name:ident, $pattern:literal, $example:literal) => {
        impl TryFrom<String> for $name {
            type Error = UnitError;
            fn try_from(text: String) -> Result<Self, UnitError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.to_string()
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}

string_conversions!(Period, r"^\d+ *[a-zA-Z]+( *\d+ *[a-zA-Z]+)*$", "30s");
string_conversions!(ByteSize, r"^\d+(\.\d+)? *([kKmMgGtT]i?)?[bB]?$", "512KiB");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read_back_as_the_same_value() {
        for text in ["30s", "1h 15m", "250ms", "7days"] {
            let period: Period = text.parse().expect(text);
            assert_eq!(period.to_string().parse::<Period>(), Ok(period));
        }
        for (text, bytes) in [("512KiB", 512 << 10), ("1MB", 1_000_000), ("64MiB", 64 << 20), ("7B", 7)] {
            let size: ByteSize = text.parse().expect(text);
            assert_eq!(size.bytes(), bytes);
            assert_eq!(size.to_string().parse::<ByteSize>(), Ok(size));
        }
    }

    #[test]
    fn a_missing_unit_is_an_error_that_says_what_to_write() {
        let error = "30".parse::<Period>().expect_err("no unit");
        assert!(error.to_string().contains("30s"), "{error}");
    }
}
