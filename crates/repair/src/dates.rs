//! The ways sources write moments, how to recognise each, and how JSONata turns one into another.

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

/// A way to write a moment. Local forms are taken as UTC; whether that is so, joined records decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateForm {
    IsoUtc,
    IsoMillisUtc,
    IsoFractionUtc,
    IsoFractionOffset,
    IsoFractionLocal,
    IsoOffset,
    IsoSpaceOffset,
    IsoLocal,
    IsoSpace,
    IsoDate,
    DayDots,
    DayDotsTime,
    DaySlashes,
    MonthSlashes,
    DayDashes,
    Compact,
    Rfc1123,
    EpochSeconds,
    EpochMillis,
    EpochSecondsText,
    EpochMillisText,
    DotNet,
    Ticks,
}

use DateForm::*;

const TEXT_FORMS: &[DateForm] = &[
    IsoUtc,
    IsoMillisUtc,
    IsoFractionUtc,
    IsoFractionOffset,
    IsoFractionLocal,
    IsoOffset,
    IsoSpaceOffset,
    IsoLocal,
    IsoSpace,
    IsoDate,
    DayDots,
    DayDotsTime,
    DaySlashes,
    MonthSlashes,
    DayDashes,
    Compact,
    Rfc1123,
    EpochSecondsText,
    EpochMillisText,
    DotNet,
];
const NUMBER_FORMS: &[DateForm] = &[EpochSeconds, EpochMillis, Ticks];

/// .NET ticks at the epoch.
const EPOCH_TICKS: f64 = 621_355_968_000_000_000.0;

impl DateForm {
    /// Forms that the value can be read as.
    pub(crate) fn all_of(value: &Value) -> Vec<(DateForm, i64)> {
        let forms = match value {
            Value::String(text) if (8..=40).contains(&text.len()) => TEXT_FORMS,
            Value::Number(_) => NUMBER_FORMS,
            _ => return Vec::new(),
        };
        forms.iter().filter_map(|form| Some((*form, form.millis(value)?))).collect()
    }

    fn pattern(self) -> Option<&'static str> {
        Some(match self {
            IsoUtc => "%Y-%m-%dT%H:%M:%SZ",
            IsoMillisUtc => "%Y-%m-%dT%H:%M:%S.%3fZ",
            IsoOffset => "%Y-%m-%dT%H:%M:%S%:z",
            IsoSpaceOffset => "%Y-%m-%d %H:%M:%S%:z",
            IsoLocal => "%Y-%m-%dT%H:%M:%S",
            IsoSpace => "%Y-%m-%d %H:%M:%S",
            IsoDate => "%Y-%m-%d",
            DayDots => "%d.%m.%Y",
            DayDotsTime => "%d.%m.%Y %H:%M:%S",
            DaySlashes => "%d/%m/%Y",
            MonthSlashes => "%m/%d/%Y",
            DayDashes => "%d-%m-%Y",
            Compact => "%Y%m%d",
            Rfc1123 => "%a, %d %b %Y %H:%M:%S GMT",
            _ => return None,
        })
    }

    /// Length of the text, and a character that stands at a place in all of this form.
    fn looks_like(self, text: &str) -> bool {
        let at = |index: usize| text.as_bytes().get(index).copied().unwrap_or_default();
        match self {
            IsoUtc => text.len() == 20 && at(10) == b'T' && at(19) == b'Z',
            IsoFractionUtc => {
                text.len() > 21 && text.len() != 24 && at(10) == b'T' && at(19) == b'.' && text.ends_with('Z')
            }
            IsoFractionOffset => {
                text.len() > 26
                    && at(10) == b'T'
                    && at(19) == b'.'
                    && matches!(text.as_bytes()[text.len() - 6], b'+' | b'-')
            }
            IsoFractionLocal => {
                (21..=29).contains(&text.len())
                    && at(10) == b'T'
                    && at(19) == b'.'
                    && text.as_bytes()[20..].iter().all(u8::is_ascii_digit)
            }
            IsoMillisUtc => text.len() == 24 && at(10) == b'T' && at(19) == b'.' && at(23) == b'Z',
            IsoOffset => text.len() == 25 && at(10) == b'T',
            IsoSpaceOffset => text.len() == 25 && at(10) == b' ',
            IsoLocal => text.len() == 19 && at(10) == b'T',
            IsoSpace => text.len() == 19 && at(10) == b' ' && at(4) == b'-',
            IsoDate => text.len() == 10 && at(4) == b'-',
            DayDots => text.len() == 10 && at(2) == b'.' && at(5) == b'.',
            DayDotsTime => text.len() == 19 && at(2) == b'.',
            DaySlashes | MonthSlashes => text.len() == 10 && at(2) == b'/',
            DayDashes => text.len() == 10 && at(2) == b'-' && at(5) == b'-',
            Compact => text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) && (at(0) == b'1' || at(0) == b'2'),
            Rfc1123 => text.len() == 29 && at(3) == b',',
            EpochSecondsText => text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit()),
            EpochMillisText => text.len() == 13 && text.bytes().all(|b| b.is_ascii_digit()),
            DotNet => text.starts_with("/Date("),
            EpochSeconds | EpochMillis | Ticks => false,
        }
    }

    /// Milliseconds since the epoch, if the value has this form.
    pub(crate) fn millis(self, value: &Value) -> Option<i64> {
        match (self, value) {
            (EpochSeconds, Value::Number(number)) => whole(number.as_f64()?, 1.0e8..5.0e9).map(|n| n * 1000),
            (EpochMillis, Value::Number(number)) => whole(number.as_f64()?, 1.0e11..5.0e12),
            (Ticks, Value::Number(number)) => whole((number.as_f64()? - EPOCH_TICKS) / 10_000.0, 1.0e11..5.0e12),
            (_, Value::String(text)) if self.looks_like(text) => self.parse(text),
            _ => None,
        }
    }

    fn parse(self, text: &str) -> Option<i64> {
        match self {
            EpochSecondsText => text.parse::<i64>().ok().filter(|n| *n >= 100_000_000).map(|n| n * 1000),
            EpochMillisText => text.parse::<i64>().ok().filter(|n| *n >= 100_000_000_000),
            DotNet => {
                let inner = text.strip_prefix("/Date(")?.split([')', '+']).next()?;
                inner.parse().ok()
            }
            IsoFractionUtc | IsoFractionOffset | IsoFractionLocal => {
                let seconds = format!("{}Z", text.get(..19)?);
                let digits: String =
                    text[20..].chars().take_while(char::is_ascii_digit).chain("000".chars()).take(3).collect();
                let local = IsoUtc.parse(&seconds)? + digits.parse::<i64>().ok()?;
                if self != IsoFractionOffset {
                    return Some(local);
                }
                let zone = text.get(text.len() - 6..)?;
                let (hours, minutes) = (zone.get(1..3)?.parse::<i64>().ok()?, zone.get(4..6)?.parse::<i64>().ok()?);
                let ahead = (hours * 60 + minutes) * 60_000;
                Some(if zone.starts_with('-') { local + ahead } else { local - ahead })
            }
            _ => {
                let mut time = BrokenDownTime::parse(self.pattern()?, text).ok()?;
                if matches!(self, IsoOffset | IsoSpaceOffset) {
                    return Some(time.to_timestamp().ok()?.as_millisecond());
                }
                if time.hour().is_none() {
                    time.set_hour(Some(0)).ok()?;
                    time.set_minute(Some(0)).ok()?;
                    time.set_second(Some(0)).ok()?;
                }
                let civil: DateTime = time.to_datetime().ok()?;
                Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
            }
        }
    }

    /// The moment written in this form; `None` when the form cannot hold it.
    pub(crate) fn write(self, millis: i64) -> Option<Value> {
        let civil = || Some(jiff::Timestamp::from_millisecond(millis).ok()?.to_zoned(TimeZone::UTC).datetime());
        Some(match self {
            EpochSeconds => Value::from(millis.div_euclid(1000)),
            EpochMillis => Value::from(millis),
            EpochSecondsText => Value::from(millis.div_euclid(1000).to_string()),
            EpochMillisText => Value::from(millis.to_string()),
            IsoOffset | IsoSpaceOffset => {
                let text = civil()?.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
                Value::from(if self == IsoSpaceOffset { text.replace('T', " ") } else { text })
            }
            DotNet | Ticks | IsoFractionUtc | IsoFractionOffset | IsoFractionLocal => return None,
            _ => Value::from(civil()?.strftime(self.pattern()?).to_string()),
        })
    }

    /// JSONata for the milliseconds of `x`, which has this form.
    fn read_text(self, x: &str) -> Option<String> {
        Some(match self {
            IsoUtc | IsoMillisUtc | IsoFractionUtc | IsoFractionOffset | IsoOffset | IsoDate => {
                format!("$toMillis({x})")
            }
            IsoSpaceOffset => format!("$toMillis($replace({x}, \" \", \"T\"))"),
            IsoLocal | IsoFractionLocal => format!("$toMillis({x} & \"Z\")"),
            IsoSpace => format!("$toMillis($replace({x}, \" \", \"T\") & \"Z\")"),
            DayDots | DayDotsTime | DaySlashes | MonthSlashes | DayDashes | Compact => {
                format!("$toMillis({x}, \"{}\")", self.picture()?)
            }
            Rfc1123 => format!("$toMillis($substring({x}, 5, 20), \"[D01] [MNn,*-3] [Y0001] [H01]:[m01]:[s01]\")"),
            EpochSeconds => format!("{x} * 1000"),
            EpochMillis => x.to_owned(),
            EpochSecondsText => format!("$number({x}) * 1000"),
            EpochMillisText => format!("$number({x})"),
            DotNet => format!("$number($match({x}, /-?[0-9]+/)[0].match)"),
            Ticks => format!("({x} - 621355968000000000) / 10000"),
        })
    }

    fn picture(self) -> Option<&'static str> {
        Some(match self {
            IsoUtc => "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01]Z",
            IsoOffset => "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01]+00:00",
            IsoSpaceOffset => "[Y0001]-[M01]-[D01] [H01]:[m01]:[s01]+00:00",
            IsoLocal => "[Y0001]-[M01]-[D01]T[H01]:[m01]:[s01]",
            IsoSpace => "[Y0001]-[M01]-[D01] [H01]:[m01]:[s01]",
            IsoDate => "[Y0001]-[M01]-[D01]",
            DayDots => "[D01].[M01].[Y0001]",
            DayDotsTime => "[D01].[M01].[Y0001] [H01]:[m01]:[s01]",
            DaySlashes => "[D01]/[M01]/[Y0001]",
            MonthSlashes => "[M01]/[D01]/[Y0001]",
            DayDashes => "[D01]-[M01]-[Y0001]",
            Compact => "[Y0001][M01][D01]",
            Rfc1123 => "[FNn,*-3], [D01] [MNn,*-3] [Y0001] [H01]:[m01]:[s01] GMT",
            _ => return None,
        })
    }

    /// JSONata that turns `x` from this form into `to`; `None` when no expression does.
    pub(crate) fn conversion(self, to: DateForm, x: &str) -> Option<String> {
        let starts_with_iso =
            matches!(self, IsoUtc | IsoMillisUtc | IsoFractionUtc | IsoLocal | IsoFractionLocal | IsoSpace);
        if starts_with_iso && to == IsoDate {
            return Some(format!("$substring({x}, 0, 10)"));
        }
        let millis = self.read_text(x)?;
        Some(match to {
            EpochSeconds => format!("$floor({} / 1000)", parenthesised(&millis)),
            EpochMillis => millis,
            EpochSecondsText => format!("$string($floor({} / 1000))", parenthesised(&millis)),
            EpochMillisText => format!("$string({millis})"),
            IsoMillisUtc => format!("$fromMillis({millis})"),
            DotNet | Ticks | IsoFractionUtc | IsoFractionOffset | IsoFractionLocal => return None,
            _ => format!("$fromMillis({millis}, \"{}\")", to.picture()?),
        })
    }

    pub(crate) fn has_time(self) -> bool {
        !matches!(self, IsoDate | DayDots | DaySlashes | MonthSlashes | DayDashes | Compact)
    }

    /// Whether the form says which zone it is in.
    pub(crate) fn has_zone(self) -> bool {
        !matches!(self, IsoLocal | IsoFractionLocal | IsoSpace | DayDotsTime)
    }
}

fn parenthesised(text: &str) -> String {
    if text.contains(" * ") { format!("({text})") } else { text.to_owned() }
}

fn whole(number: f64, range: std::ops::Range<f64>) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "within the range, so it fits")]
    (number.fract() == 0.0 && range.contains(&number)).then_some(number as i64)
}

/// The moment that a text states in a form that no other text has by chance.
pub(crate) fn any_moment(text: &str) -> Option<i64> {
    if !(10..=40).contains(&text.len()) {
        return None;
    }
    TEXT_FORMS
        .iter()
        .filter(|form| !matches!(form, EpochSecondsText | EpochMillisText | Compact | MonthSlashes))
        .find(|form| form.looks_like(text))
        .and_then(|form| form.parse(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-03-09T14:05:06Z
    const MOMENT: i64 = 1_709_993_106_000;

    #[test]
    fn what_a_form_writes_it_reads_and_the_engine_agrees() {
        for from in TEXT_FORMS.iter().chain(NUMBER_FORMS) {
            let Some(written) = from.write(MOMENT) else { continue };
            let read = from.millis(&written).unwrap_or_else(|| panic!("{from:?} {written}"));
            for to in TEXT_FORMS.iter().chain(NUMBER_FORMS) {
                let (Some(text), Some(expected)) = (from.conversion(*to, "x"), to.write(read)) else { continue };
                let expression = prunella_mapping::Expression::compile(&text).expect(&text);
                let got = expression.evaluate(
                    &serde_json::json!({ "x": written }),
                    &prunella_mapping::Bindings::new(),
                    prunella_mapping::Moment::new(0, 0),
                    &prunella_mapping::Limits::default(),
                );
                let got = got.unwrap_or_else(|error| panic!("{from:?} to {to:?}: {text}: {error}"));
                assert!(crate::value::equal_options(got.as_ref(), Some(&expected)), "{text}: {got:?}, not {expected}");
            }
        }
        assert_eq!(DotNet.millis(&Value::from("/Date(1709993106000+0000)/")), Some(MOMENT));
        let fraction = Value::from("2024-03-09T16:05:06.123456+02:00");
        assert_eq!(DateForm::all_of(&fraction), [(IsoFractionOffset, MOMENT + 123)]);
    }
}
