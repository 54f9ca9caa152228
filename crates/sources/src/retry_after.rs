use std::time::{Duration, SystemTime};

/// How long `Retry-After` asks to wait: seconds or an HTTP date. What is neither is no wish; a date that
/// has passed is no wait. A wait longer than anybody lives is for the caller to compare with a deadline.
pub fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> SystemTime {
        httpdate::parse_http_date("Sat, 21 Nov 2026 08:00:00 GMT").expect("date")
    }

    #[test]
    fn understands_seconds_and_dates() {
        let wait = |text| parse(text, now());
        assert_eq!(wait("120"), Some(Duration::from_secs(120)));
        assert_eq!(wait(" 0 "), Some(Duration::ZERO));
        assert_eq!(wait("Sat, 21 Nov 2026 08:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Saturday, 21-Nov-26 08:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Sat Nov 21 08:00:30 2026"), Some(Duration::from_secs(30)));
        assert_eq!(wait("Sat, 21 Nov 2020 08:00:30 GMT"), Some(Duration::ZERO));
        assert_eq!(wait("99999999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    }

    #[test]
    fn what_is_neither_is_no_wish() {
        for text in ["-5", "+5", "1.5", "soon", "", " ", "1e3", "5s", "Sat, 99 Nov 2026 08:00:30 GMT"] {
            assert_eq!(parse(text, now()), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in ".{0,40}") {
            let _ = parse(&text, now());
        }

        #[test]
        fn every_number_of_seconds_is_read(seconds in any::<u64>()) {
            prop_assert_eq!(parse(&seconds.to_string(), now()), Some(Duration::from_secs(seconds)));
        }

        #[test]
        fn every_later_date_is_the_wait_until_then(seconds in 0..1_000_000_000_u64) {
            let wait = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&httpdate::fmt_http_date(now() + wait), now()), Some(wait));
        }
    }
}
