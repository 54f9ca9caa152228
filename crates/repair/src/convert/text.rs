//! Conversions as JSONata, and in words.

use serde_json::Value;

use super::Conversion::{self, *};
use crate::dates::DateForm;

impl Conversion {
    /// JSONata of the conversion of `x`; may hold operators, see [`Conversion::is_operation`].
    pub(crate) fn render(&self, x: &str) -> String {
        let literal = |text: &str| Value::from(text).to_string();
        match self {
            Same => x.to_owned(),
            ToText => format!("$string({x})"),
            ToNumber => format!("$number({x})"),
            Decimal { thousands, point, to_number } => {
                let mut text = format!("$replace({x}, \"{thousands}\", \"\")");
                if *point != '.' {
                    text = format!("$replace({text}, \"{point}\", \".\")");
                }
                if *to_number { format!("$number({text})") } else { text }
            }
            Scale { power: 0, decimals: 0, .. } => format!("$round({x})"),
            Scale { power: 0, decimals, .. } => format!("$round({x}, {decimals})"),
            Scale { power, decimals, rounded } => {
                let factor = format!("1{}", "0".repeat(power.unsigned_abs() as usize));
                match (*power > 0, decimals) {
                    (false, decimals) if *rounded => format!("$round({x} / {factor}, {decimals})"),
                    (true, 0) => format!("$round({x} * {factor})"),
                    (true, decimals) => format!("$round({x} * {factor}, {decimals})"),
                    (false, _) => format!("{x} / {factor}"),
                }
            }
            Unit { factor, over, decimals, rounded } => {
                let moved = format!("{x} {} {factor}", if *over { "/" } else { "*" });
                match (*rounded, decimals) {
                    (false, _) => moved,
                    (true, 0) => format!("$round({moved})"),
                    (true, decimals) => format!("$round({moved}, {decimals})"),
                }
            }
            Seconds(form) => form.render(x),
            Date { from, to } => from.conversion(*to, x).unwrap_or_else(|| x.to_owned()),
            Lower => format!("$lowercase({x})"),
            Upper => format!("$uppercase({x})"),
            Capital => format!("$uppercase($substring({x}, 0, 1)) & $lowercase($substring({x}, 1))"),
            Trim => format!("$trim({x})"),
            Unquote => format!("$replace($replace($trim({x}), /^\"|\"$/, \"\"), \"\\\"\\\"\", \"\\\"\")"),
            Part { separator, place } => format!("$split({x}, {})[{place}]", literal(separator)),
            Behind(separator) => format!("$substringAfter({x}, {})", literal(separator)),
            Before(separator) => {
                let text = literal(separator);
                let length = separator.chars().count();
                format!("$substring({x}, 0, $length({x}) - $length($split({x}, {text})[-1]) - {length})")
            }
            AddPrefix(prefix) => format!("{} & {x}", literal(prefix)),
            AddSuffix(suffix) => format!("{x} & {}", literal(suffix)),
            StripPrefix(prefix) => format!("$substringAfter({x}, {})", literal(prefix)),
            StripSuffix(suffix) => format!("$substring({x}, 0, $length({x}) - {})", suffix.chars().count()),
            Slice { start, length: Some(length) } => format!("$substring({x}, {start}, {length})"),
            Slice { start, length: None } => format!("$substring({x}, {start})"),
            Swap { from, to } => {
                format!("$replace({x}, {}, {})", literal(&from.to_string()), literal(&to.to_string()))
            }
            Table(pairs) => match pairs.as_slice() {
                [(Value::Bool(first), a), (Value::Bool(_), b)] => {
                    let (yes, no) = if *first { (a, b) } else { (b, a) };
                    format!("{x} = true ? {yes} : {no}")
                }
                _ => {
                    let entries: Vec<_> = pairs
                        .iter()
                        .map(|(from, to)| {
                            let key = ToText.apply(from).unwrap_or_default();
                            format!("{key}: {to}")
                        })
                        .collect();
                    format!("$lookup({{ {} }}, $string({x}))", entries.join(", "))
                }
            },
            Except(pairs) => {
                let exceptions: String = pairs.iter().map(|(from, to)| format!("{x} = {from} ? {to} : ")).collect();
                format!("{exceptions}{x}")
            }
            Is(literal) => format!("{x} = {literal}"),
            Not => format!("$not({x})"),
            Present => format!("({x} ? true : false)"),
            Join(separator) if separator.is_empty() => format!("$join({x})"),
            Join(separator) => format!("$join({x}, {})", literal(separator)),
            Split(separator) => format!("$split({x}, {})", literal(separator)),
            Count => format!("$count({x})"),
            Sum => format!("$sum({x})"),
            FirstOfLength(length) => format!("{x}[$length($) = {length}][0]"),
            Each(inner) => format!("{x}.({})", inner.render("$")),
            Chain(chain) => chain.iter().fold(x.to_owned(), |x, conversion| {
                let text = conversion.render(&x);
                if conversion.is_operation() { format!("({text})") } else { text }
            }),
        }
    }

    /// What it does, for a reader.
    pub fn describe(&self) -> String {
        match self {
            Same => "as it is".to_owned(),
            ToText => "number to text".to_owned(),
            ToNumber => "text to number".to_owned(),
            Decimal { thousands, point, .. } => format!("numbers like 1{thousands}234{point}56"),
            Scale { power: 0, .. } => "rounded".to_owned(),
            Scale { power, .. } => {
                let factor = format!("1{}", "0".repeat(power.unsigned_abs() as usize));
                if *power > 0 { format!("times {factor}") } else { format!("divided by {factor}") }
            }
            Date { from, to } => format!("date from {} to {}", kebab(from), kebab(to)),
            Unit { factor, over: true, .. } => format!("divided by {factor}"),
            Unit { factor, .. } => format!("times {factor}"),
            Seconds(_) => "length of time to seconds".to_owned(),
            Lower => "in small letters".to_owned(),
            Upper => "in capital letters".to_owned(),
            Capital => "with a capital letter".to_owned(),
            Trim => "without blanks around".to_owned(),
            Unquote => "without quotation marks".to_owned(),
            Part { separator, place } => format!("part {place} between \"{separator}\""),
            Behind(separator) => format!("all behind \"{separator}\""),
            Before(separator) => format!("all before the last \"{separator}\""),
            AddPrefix(prefix) => format!("with \"{prefix}\" before"),
            AddSuffix(suffix) => format!("with \"{suffix}\" behind"),
            StripPrefix(prefix) => format!("without \"{prefix}\" before"),
            StripSuffix(suffix) => format!("without \"{suffix}\" behind"),
            Slice { start, length: Some(length) } => format!("{length} characters from {start} on"),
            Slice { start, length: None } => format!("from character {start} on"),
            Swap { from, to } => format!("\"{from}\" as \"{to}\""),
            Table(pairs) => format!("recoded, {} values", pairs.len()),
            Except(pairs) => format!("as it is but for {} values", pairs.len()),
            Is(literal) => format!("whether it is {literal}"),
            Not => "negated".to_owned(),
            Present => "whether it is there".to_owned(),
            Join(separator) => format!("joined with \"{separator}\""),
            Split(separator) => format!("split at \"{separator}\""),
            Count => "number of items".to_owned(),
            Sum => "sum of items".to_owned(),
            FirstOfLength(length) => format!("the first of length {length}"),
            Each(inner) => format!("each {}", inner.describe()),
            Chain(chain) => chain.iter().map(Conversion::describe).collect::<Vec<_>>().join(", then "),
        }
    }
}

fn kebab(form: &DateForm) -> String {
    serde_json::to_value(form).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
