//! The ways sources write moments, how to recognise each, and how JSONata turns one into another.

mod layout;

use jiff::civil::DateTime;
use jiff::fmt::strtime::BrokenDownTime;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value;

use layout::{LAYOUTS, Layout};

/// A way to write a moment. Local forms are taken as UTC; whether that is so, joined records decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DateForm {
    IsoUtc,
    IsoMillisUtc,
    IsoFractionUtc,
    IsoFractionOffset,
    IsoFractionOffsetBare,
    IsoFractionLocal,
    IsoOffset,
    IsoOffsetBare,
    IsoSpaceOffset,
    IsoSpaceUtc,
    IsoLocal,
    IsoSpace,
    IsoMinuteUtc,
    IsoMinute,
    IsoSpaceMinute,
    IsoBasic,
    IsoDate,
    YearSlashes,
    YearSlashesTime,
    DayDots,
    DayDotsTime,
    DayDotsMinute,
    DaySlashes,
    MonthSlashes,
    DaySlashesTime,
    MonthSlashesTime,
    DaySlashesMinute,
    MonthSlashesMinute,
    DayDashes,
    DayMonthName,
    DayMonthDashes,
    /// Day and month without a zero before them.
    DayDotsShort,
    DaySlashesShort,
    MonthSlashesShort,
    DaySlashesShortMinute,
    MonthSlashesShortMinute,
    Compact,
    CompactTime,
    Rfc1123,
    Rfc2822,
    UnixText,
    EpochSeconds,
    EpochMillis,
    /// Seconds with decimals.
    EpochFraction,
    EpochMicros,
    EpochSecondsText,
    EpochMillisText,
    EpochNanosText,
    DotNet,
    Ticks,
    /// Days since the end of 1899, as spreadsheets count.
    ExcelDay,
}

use DateForm::*;

const OTHER_TEXT_FORMS: &[DateForm] = &[EpochSecondsText, EpochMillisText, EpochNanosText, DotNet];
const NUMBER_FORMS: &[DateForm] = &[EpochSeconds, EpochMillis, EpochFraction, EpochMicros, Ticks, ExcelDay];

/// .NET ticks at the epoch.
const EPOCH_TICKS: f64 = 621_355_968_000_000_000.0;
/// The day of the epoch, as spreadsheets count.
const EPOCH_DAY: f64 = 25_569.0;
const DAY: f64 = 86_400_000.0;

impl DateForm {
    /// Forms that the value can be read as.
    pub(crate) fn all_of(value: &Value) -> Vec<(DateForm, i64)> {
        match value {
            Value::String(text) if (8..=40).contains(&text.len()) => {
                let layouts = LAYOUTS.iter().filter(|layout| layout.fits(text)).map(|layout| layout.form);
                let forms = layouts.chain(OTHER_TEXT_FORMS.iter().copied());
                forms.filter_map(|form| Some((form, form.parse(text)?))).collect()
            }
            Value::Number(_) => NUMBER_FORMS.iter().filter_map(|form| Some((*form, form.millis(value)?))).collect(),
            _ => Vec::new(),
        }
    }

    /// Milliseconds since the epoch, if the value has this form.
    pub(crate) fn millis(self, value: &Value) -> Option<i64> {
        match (self, value) {
            (EpochSeconds, Value::Number(number)) => whole(number.as_f64()?, 1.0e8..5.0e9).map(|n| n * 1000),
            (EpochMillis, Value::Number(number)) => whole(number.as_f64()?, 1.0e11..5.0e12),
            (EpochMicros, Value::Number(number)) => whole((number.as_f64()? / 1000.0).floor(), 1.0e11..5.0e12),
            (EpochFraction, Value::Number(number)) => {
                let seconds = number.as_f64().filter(|seconds| seconds.fract() != 0.0)?;
                whole((seconds * 1000.0).round(), 1.0e11..5.0e12)
            }
            (Ticks, Value::Number(number)) => whole((number.as_f64()? - EPOCH_TICKS) / 10_000.0, 1.0e11..5.0e12),
            (ExcelDay, Value::Number(number)) => {
                let day = number.as_f64().filter(|day| (30_000.0..60_000.0).contains(day))?;
                whole(((day - EPOCH_DAY) * DAY / 1000.0).round() * 1000.0, 1.0e11..5.0e12)
            }
            (_, Value::String(text)) => match Layout::of(self) {
                Some(layout) if !layout.fits(text) => None,
                _ => self.parse(text),
            },
            _ => None,
        }
    }

    /// The moment of a text that has the mask of this form.
    fn parse(self, text: &str) -> Option<i64> {
        let digits = |count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            EpochSecondsText if digits(10) => text.parse::<i64>().ok().filter(|n| *n >= 100_000_000).map(|n| n * 1000),
            EpochMillisText if digits(13) => text.parse::<i64>().ok().filter(|n| *n >= 100_000_000_000),
            EpochNanosText if digits(19) => Some(text.parse::<i64>().ok()? / 1_000_000),
            DotNet => text.strip_prefix("/Date(")?.split([')', '+']).next()?.parse().ok(),
            Compact | CompactTime if !text.starts_with(['1', '2']) => None,
            IsoFractionUtc | IsoFractionOffset | IsoFractionOffsetBare | IsoFractionLocal => {
                let (seconds, rest) = (text.get(..19)?, text.get(20..)?);
                let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                let fraction: String = rest[..rest.len() - zone.len()].chars().chain("000".chars()).take(3).collect();
                Some(self.parse_pattern(&format!("{seconds}{zone}"))? + fraction.parse::<i64>().ok()?)
            }
            _ => self.parse_pattern(text),
        }
    }

    fn parse_pattern(self, text: &str) -> Option<i64> {
        let mut time = BrokenDownTime::parse(Layout::of(self)?.pattern, text).ok()?;
        if time.offset().is_some() {
            return Some(time.to_timestamp().ok()?.as_millisecond());
        }
        if time.hour().is_none() {
            time.set_hour(Some(0)).ok()?;
            time.set_minute(Some(0)).ok()?;
        }
        if time.second().is_none() {
            time.set_second(Some(0)).ok()?;
        }
        let civil: DateTime = time.to_datetime().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
    }

    /// The moment written in this form; `None` when the form cannot hold it.
    pub(crate) fn write(self, millis: i64) -> Option<Value> {
        let civil = || Some(jiff::Timestamp::from_millisecond(millis).ok()?.to_zoned(TimeZone::UTC));
        Some(match self {
            EpochSeconds => Value::from(millis.div_euclid(1000)),
            EpochMillis => Value::from(millis),
            EpochSecondsText => Value::from(millis.div_euclid(1000).to_string()),
            EpochMillisText => Value::from(millis.to_string()),
            _ => {
                let layout = Layout::of(self).filter(|layout| layout.picture.is_some() || self == IsoMillisUtc)?;
                Value::from(civil()?.strftime(layout.pattern).to_string())
            }
        })
    }

    /// JSONata for the milliseconds of `x`, which has this form.
    fn read_text(self, x: &str) -> Option<String> {
        Some(match self {
            IsoUtc
            | IsoMillisUtc
            | IsoFractionUtc
            | IsoFractionOffset
            | IsoFractionOffsetBare
            | IsoOffset
            | IsoOffsetBare
            | IsoDate => format!("$toMillis({x})"),
            IsoSpaceOffset => format!("$toMillis($replace({x}, \" \", \"T\"))"),
            IsoLocal | IsoFractionLocal => format!("$toMillis({x} & \"Z\")"),
            IsoSpace => format!("$toMillis($replace({x}, \" \", \"T\") & \"Z\")"),
            Rfc1123 => format!("$toMillis($substring({x}, 5, 20), \"[D01] [MNn,*-3] [Y0001] [H01]:[m01]:[s01]\")"),
            Rfc2822 => {
                format!("$toMillis($substring({x}, 5), \"[D01] [MNn,*-3] [Y0001] [H01]:[m01]:[s01] [Z0001]\")")
            }
            UnixText => {
                format!("$toMillis($substring({x}, 4), \"[MNn,*-3] [D01] [H01]:[m01]:[s01] [Z0001] [Y0001]\")")
            }
            EpochSeconds => format!("{x} * 1000"),
            EpochFraction => format!("$round({x} * 1000)"),
            EpochMillis => x.to_owned(),
            EpochMicros => format!("$floor({x} / 1000)"),
            EpochSecondsText => format!("$number({x}) * 1000"),
            EpochMillisText => format!("$number({x})"),
            EpochNanosText => format!("$number($substring({x}, 0, 13))"),
            DotNet => format!("$number($match({x}, /-?[0-9]+/)[0].match)"),
            Ticks => format!("({x} - 621355968000000000) / 10000"),
            ExcelDay => format!("$round(({x} - 25569) * 86400) * 1000"),
            _ => format!("$toMillis({x}, \"{}\")", self.picture()?),
        })
    }

    fn picture(self) -> Option<&'static str> {
        Layout::of(self)?.picture
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
            _ => format!("$fromMillis({millis}, \"{}\")", to.picture()?),
        })
    }

    pub(crate) fn has_time(self) -> bool {
        Layout::of(self).is_none_or(|layout| layout.has_time)
    }

    /// Whether the form says which zone it is in.
    pub(crate) fn has_zone(self) -> bool {
        Layout::of(self).is_none_or(|layout| layout.has_zone)
    }

    /// Whether a value that is no moment may look so by chance.
    pub(crate) fn may_be_chance(self) -> bool {
        matches!(self, Compact | CompactTime | Ticks | ExcelDay | EpochFraction | EpochMicros | EpochNanosText)
    }

    /// Whether day and month go without a zero before them: what is written in full has this form, too.
    pub(crate) fn is_short(self) -> bool {
        matches!(
            self,
            DayDotsShort | DaySlashesShort | MonthSlashesShort | DaySlashesShortMinute | MonthSlashesShortMinute
        )
    }

    pub(crate) fn is_number(self) -> bool {
        NUMBER_FORMS.contains(&self)
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
    if text.starts_with("/Date(") {
        return DotNet.parse(text);
    }
    let clear = |layout: &&Layout| {
        let month_first = matches!(layout.form, MonthSlashes | MonthSlashesTime | MonthSlashesMinute);
        !month_first && !layout.form.is_short() && !matches!(layout.form, Compact | CompactTime)
    };
    let layout = LAYOUTS.iter().filter(clear).find(|layout| layout.fits(text))?;
    layout.form.parse(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-03-09T14:05:06Z
    const MOMENT: i64 = 1_709_993_106_000;

    fn forms() -> impl Iterator<Item = DateForm> {
        let others = OTHER_TEXT_FORMS.iter().chain(NUMBER_FORMS).copied();
        LAYOUTS.iter().map(|layout| layout.form).chain(others)
    }

    #[test]
    fn what_a_form_writes_it_reads_and_the_engine_agrees() {
        for from in forms() {
            let Some(written) = from.write(MOMENT) else { continue };
            let read = from.millis(&written).unwrap_or_else(|| panic!("{from:?} {written}"));
            for to in forms() {
                let (Some(text), Some(expected)) = (from.conversion(to, "x"), to.write(read)) else { continue };
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
