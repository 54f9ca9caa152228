//! Lengths of time written as text, read as seconds.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duration {
    /// `PT1H2M3S`, with days before the `T`.
    Iso,
    /// `1:02:03`
    HoursMinutesSeconds,
    /// `62:03`
    MinutesSeconds,
}

impl Duration {
    pub(crate) const ALL: [Self; 3] = [Self::Iso, Self::HoursMinutesSeconds, Self::MinutesSeconds];

    pub(crate) fn seconds(self, text: &str) -> Option<f64> {
        match self {
            Self::Iso => iso(text),
            Self::HoursMinutesSeconds => clock(text, 3),
            Self::MinutesSeconds => clock(text, 2),
        }
    }

    /// JSONata for the seconds of `x`.
    pub(crate) fn render(self, x: &str) -> String {
        let part = |letter: char, factor: u32| {
            let number = format!("$number($match({x}, /([0-9.]+){letter}/).groups[0])");
            if factor == 1 { number } else { format!("{number} * {factor}") }
        };
        match self {
            Self::Iso => {
                let parts = [part('D', 86_400), part('H', 3_600), part('M', 60), part('S', 1)];
                format!("$sum([{}])", parts.join(", "))
            }
            Self::HoursMinutesSeconds => format!(
                "($part := $split({x}, \":\"); $number($part[0]) * 3600 + $number($part[1]) * 60 + $number($part[2]))"
            ),
            Self::MinutesSeconds => {
                format!("($part := $split({x}, \":\"); $number($part[0]) * 60 + $number($part[1]))")
            }
        }
    }
}

fn iso(text: &str) -> Option<f64> {
    let mut rest = text.strip_prefix('P')?;
    let mut seconds = 0.0;
    let mut units = [('D', 86_400.0), ('H', 3_600.0), ('M', 60.0), ('S', 1.0)].into_iter();
    let mut in_time = false;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('T') {
            (rest, in_time) = (after, true);
            continue;
        }
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let letter = rest[digits..].chars().next()?;
        let (_, factor) = units.by_ref().find(|(unit, _)| *unit == letter)?;
        // A month is no length of time.
        if !in_time && letter != 'D' {
            return None;
        }
        seconds += rest[..digits].parse::<f64>().ok()? * factor;
        rest = &rest[digits + letter.len_utf8()..];
    }
    (text.len() > 2).then_some(seconds)
}

fn clock(text: &str, places: usize) -> Option<f64> {
    let parts: Vec<&str> = text.split(':').collect();
    let digits = |part: &&str| !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() != places || !parts.iter().all(digits) {
        return None;
    }
    parts.iter().try_fold(0.0, |seconds, part| Some(seconds * 60.0 + part.parse::<f64>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_natively_the_engine_reads_too() {
        for (form, text, seconds) in [
            (Duration::Iso, "PT1H2M3S", 3723.0),
            (Duration::Iso, "P1DT4M", 86_640.0),
            (Duration::Iso, "PT45S", 45.0),
            (Duration::HoursMinutesSeconds, "01:02:03", 3723.0),
            (Duration::MinutesSeconds, "62:03", 3723.0),
        ] {
            assert_eq!(form.seconds(text), Some(seconds), "{text}");
            let expression = prunella_mapping::Expression::compile(&form.render("x")).expect("compiles");
            let got = expression.evaluate(
                &serde_json::json!({ "x": text }),
                &prunella_mapping::Bindings::new(),
                prunella_mapping::Moment::new(0, 0),
                &prunella_mapping::Limits::default(),
            );
            assert_eq!(got.expect(text).and_then(|value| value.as_f64()), Some(seconds), "{text}");
        }
        assert_eq!(Duration::Iso.seconds("P1M"), None);
    }
}
