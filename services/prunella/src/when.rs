//! Points in time as people give them: a date, a time, or how long ago.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use prunella_model::Period;
use prunella_stream::homes::now_millis;

/// Milliseconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct When(pub i64);

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ago) = text.parse::<Period>() {
            return Ok(Self(now_millis() - ago.millis()));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self(at.as_millisecond()));
        }
        let midnight = text.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC));
        midnight.map(|at| Self(at.timestamp().as_millisecond())).map_err(|_| {
            format!("{text:?} is no time: write 2026-11-21T10:00:00Z, 2026-11-21 (midnight UTC), or how long ago, such as 2h")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_dates_and_lengths_are_points_in_time() {
        assert_eq!("1970-01-01T00:00:01Z".parse(), Ok(When(1000)));
        assert_eq!("1970-01-02".parse(), Ok(When(86_400_000)));
        let hour_ago: When = "1h".parse().expect("a length");
        assert!((now_millis() - hour_ago.0 - 3_600_000).abs() < 1000);
        assert!("soon".parse::<When>().is_err_and(|error| error.contains("2h")));
    }
}
