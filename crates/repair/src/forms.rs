//! The form of a field's values, and the conversion that two forms tell without any known entity.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::convert::{Conversion, items};
use crate::dates::DateForm;
use crate::fit::fit;
use crate::value::{as_number, is_empty, plain_number};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    Flag,
    Number,
    NumberText,
    Text,
    Email,
    Url,
    Uuid,
    Date,
    Object,
}

impl Form {
    pub(crate) fn of(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => return None,
            Value::Bool(_) => Self::Flag,
            Value::Number(_) => Self::Number,
            Value::Object(_) | Value::Array(_) => Self::Object,
            Value::String(text) => match text {
                _ if crate::dates::any_moment(text).is_some() => Self::Date,
                _ if plain_number(text).is_some() => Self::NumberText,
                _ if text.contains('@') && text.contains('.') && !text.contains(' ') => Self::Email,
                _ if text.starts_with("http://") || text.starts_with("https://") => Self::Url,
                _ if is_uuid(text) => Self::Uuid,
                _ => Self::Text,
            },
        })
    }

    /// Forms that few fields of a row have.
    pub(crate) fn is_distinctive(self) -> bool {
        matches!(self, Self::Email | Self::Url | Self::Uuid)
    }
}

fn is_uuid(text: &str) -> bool {
    let fits = |(at, byte): (usize, u8)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

/// The form of most values, if there is one for nine of ten.
pub(crate) fn common<'a>(values: impl IntoIterator<Item = &'a Option<Value>>) -> Option<Form> {
    let mut counts: BTreeMap<Form, usize> = BTreeMap::new();
    let mut total = 0;
    for value in values.into_iter().flatten().filter(|value| !is_empty(Some(value))) {
        for item in items(value).iter().take(20) {
            if let Some(form) = Form::of(item) {
                *counts.entry(form).or_default() += 1;
                total += 1;
            }
        }
    }
    let (form, count) = counts.iter().max_by_key(|(_, count)| **count)?;
    if count * 10 >= total * 9 {
        return Some(*form);
    }
    // Codes such as 3, 12 and 7b are text.
    let texts = counts.get(&Form::Text).unwrap_or(&0) + counts.get(&Form::NumberText).unwrap_or(&0);
    (texts * 10 >= total * 9).then_some(Form::Text)
}

pub(crate) fn is_list(values: &[Option<Value>]) -> bool {
    values.iter().flatten().any(Value::is_array)
}

/// The one form of dates that all values have.
pub(crate) fn date_form(values: &[Option<Value>]) -> Option<DateForm> {
    let mut filled = values.iter().flatten().filter(|value| !is_empty(Some(value)));
    let first = DateForm::all_of(filled.next()?);
    let rest: Vec<_> = filled.collect();
    let fits = |form: &DateForm| rest.iter().all(|v| form.millis(v).is_some());
    let mut fitting: Vec<DateForm> = first.into_iter().map(|(form, _)| form).filter(fits).collect();
    if fitting.iter().any(|form| !form.is_short()) {
        fitting.retain(|form| !form.is_short());
    }
    match fitting.as_slice() {
        [form] => Some(*form),
        _ => None,
    }
}

/// What turns values of the new form into the old one, where the forms alone say how. `None`: no safe way.
pub(crate) fn recast(old: &[Option<Value>], new: &[Option<Value>]) -> Option<Conversion> {
    let (before, now) = (common(old), common(new));
    if let (Some(to), Some(from)) = (date_form(old), date_form(new))
        && (before == Some(Form::Date) || now == Some(Form::Date))
    {
        if from == to {
            return Some(Conversion::Same);
        }
        let certain = from.has_zone() && to.has_zone() && (from.has_time() || !to.has_time());
        let clear = !from.may_be_chance();
        return (certain && clear && from.conversion(to, "x").is_some()).then_some(Conversion::Date { from, to });
    }
    let each = |conversion: Conversion| {
        let each = is_list(new) && conversion != Conversion::Same;
        if each { Conversion::Each(Box::new(conversion)) } else { conversion }
    };
    let quoted = |values: &[Option<Value>]| {
        let mut texts = values
            .iter()
            .flatten()
            .flat_map(items)
            .filter_map(Value::as_str)
            .filter(|text| !text.is_empty())
            .peekable();
        texts.peek().is_some() && texts.all(|text| Conversion::Unquote.apply(&Value::from(text)).is_some())
    };
    if quoted(new) && !quoted(old) {
        let bare: Vec<Option<Value>> =
            new.iter().map(|cell| cell.as_ref().and_then(|cell| Conversion::Unquote.apply(cell))).collect();
        let inner = recast(old, &bare)?;
        return Some(if inner == Conversion::Same {
            Conversion::Unquote
        } else {
            Conversion::Chain(vec![Conversion::Unquote, inner])
        });
    }
    if affix(old) != affix(new) {
        return None;
    }
    match (before?, now?) {
        (Form::Text, Form::Text) => respelled(old, new).map(each),
        (a, b) if a == b => Some(Conversion::Same),
        (Form::Number, Form::NumberText) => Some(each(Conversion::ToNumber)),
        (Form::NumberText, Form::Number) => Some(each(Conversion::ToText)),
        (Form::Text, Form::NumberText | Form::Uuid) | (Form::NumberText, Form::Text) => Some(Conversion::Same),
        _ => None,
    }
}

/// What all identifiers of a field begin with, up to a separator, such as `usr_`. Nothing for what is no identifier.
fn affix(values: &[Option<Value>]) -> Option<String> {
    let texts: Vec<&str> = values.iter().flatten().flat_map(items).filter_map(Value::as_str).collect();
    let first = texts.first()?;
    let end = first.find(['_', ':', '-', '/'])?;
    let prefix = &first[..=end];
    let same = texts.iter().all(|text| text.starts_with(prefix) && text.len() > prefix.len());
    let digits =
        texts.iter().filter(|text| text[prefix.len().min(text.len())..].bytes().any(|b| b.is_ascii_digit())).count();
    let letters = prefix.chars().any(char::is_alphabetic);
    (texts.len() >= 4 && same && letters && digits * 2 > texts.len()).then(|| prefix.to_owned())
}

fn median(values: &[Option<Value>]) -> Option<f64> {
    let mut numbers: Vec<f64> = values
        .iter()
        .flatten()
        .flat_map(items)
        .filter_map(|value| as_number(value).or_else(|| plain_number(value.as_str()?)))
        .map(f64::abs)
        .collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

/// How likely it is by chance that numbers which were below zero now and then never are now; nothing if some are.
pub(crate) fn chance_of_no_sign(old: &[Option<Value>], new: &[Option<Value>]) -> Option<f64> {
    let numbers = |values: &[Option<Value>]| -> Vec<f64> {
        let number = |value: &Value| as_number(value).or_else(|| plain_number(value.as_str()?));
        values.iter().flatten().flat_map(items).filter_map(number).collect()
    };
    let (old, new) = (numbers(old), numbers(new));
    let share = old.iter().filter(|number| **number < 0.0).count() as f64 / old.len().max(1) as f64;
    let none = share > 0.0 && !new.is_empty() && !new.iter().any(|number| *number < 0.0);
    none.then(|| (1.0 - share).powf(new.len() as f64))
}

/// Whether numbers are of about the same size.
pub(crate) fn same_magnitude(old: &[Option<Value>], new: &[Option<Value>]) -> bool {
    match (median(old), median(new)) {
        (Some(old), Some(new)) if old > 0.0 && new > 0.0 => (0.2..=5.0).contains(&(new / old)),
        (Some(old), Some(new)) => old == new,
        _ => true,
    }
}

/// Whether decimal numbers lie in ranges that do not meet and are of one size, such as coordinates of two cities.
pub(crate) fn apart(old: &[Option<Value>], new: &[Option<Value>]) -> bool {
    let range = |values: &[Option<Value>]| {
        let numbers: Vec<f64> = values.iter().flatten().flat_map(items).filter_map(as_number).collect();
        let decimal = numbers.iter().filter(|number| number.fract() != 0.0).count() * 2 > numbers.len();
        let (low, high) = numbers.iter().fold((f64::MAX, f64::MIN), |(low, high), n| (low.min(*n), high.max(*n)));
        (numbers.len() >= 3 && decimal).then_some((low, high))
    };
    match (range(old), range(new)) {
        (Some(old_range), Some(new_range)) => {
            (old_range.1 < new_range.0 || new_range.1 < old_range.0) && same_magnitude(old, new)
        }
        _ => false,
    }
}

/// Lengths of identifiers, to tell kinds of identifiers apart.
pub(crate) fn same_length(old: &[Option<Value>], new: &[Option<Value>]) -> bool {
    let range = |values: &[Option<Value>]| {
        let lengths: Vec<usize> = values
            .iter()
            .flatten()
            .flat_map(items)
            .filter_map(|value| match value {
                Value::String(text) => Some(text.chars().count()),
                Value::Number(number) => Some(number.to_string().len()),
                _ => None,
            })
            .collect();
        Some((*lengths.iter().min()?, *lengths.iter().max()?))
    };
    match (range(old), range(new)) {
        (Some((old_low, old_high)), Some((new_low, new_high))) => new_low <= old_high + 2 && old_low <= new_high + 2,
        _ => true,
    }
}

/// How identifiers of one kind are written: their length, and which characters they are made of. Nothing for what recurs,
/// is short or is not written alike.
pub(crate) fn pattern(values: &[Option<Value>]) -> Option<(usize, String)> {
    let texts: Vec<String> =
        values.iter().flatten().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned)).collect();
    let length = texts.first()?.chars().count();
    let distinct: BTreeSet<&String> = texts.iter().collect();
    let alike = texts.iter().all(|text| text.chars().count() == length && !text.contains(' ') && text.is_ascii());
    if texts.len() < 3 || !alike || length < 6 || distinct.len() * 10 < texts.len() * 9 {
        return None;
    }
    let class = |at: usize| {
        let chars = || texts.iter().filter_map(move |text| text.as_bytes().get(at));
        let first = *texts[0].as_bytes().get(at)?;
        Some(match () {
            () if !first.is_ascii_alphanumeric() && chars().all(|c| *c == first) => char::from(first),
            () if chars().all(u8::is_ascii_digit) => '0',
            () if chars().all(u8::is_ascii_hexdigit) => 'h',
            () if chars().all(u8::is_ascii_alphanumeric) => 'a',
            () => '?',
        })
    };
    // Which digits happen to stand at a place says nothing; what all of it is made of does.
    let classes: Option<String> = (0..length).map(class).collect();
    let classes = classes?;
    let widest = ['?', 'a', 'h', '0'].into_iter().find(|class| classes.contains(*class))?;
    let marks = classes.chars().map(|c| if c.is_alphanumeric() || c == '?' { widest } else { c }).collect();
    (widest != '?').then_some((length, marks))
}

/// Texts, how often each is there, and how many there are.
fn words(values: &[Option<Value>]) -> (BTreeMap<String, usize>, usize) {
    let mut words = BTreeMap::new();
    let mut total = 0;
    for value in values.iter().flatten().flat_map(items) {
        if let Value::String(text) = value
            && !text.is_empty()
        {
            *words.entry(text.clone()).or_default() += 1;
            total += 1;
        }
    }
    (words, total)
}

/// What gives text of the new field the spelling of the old one, where both have few recurring words: nothing if they
/// share words, `HIGH` for `high`. `None` if the words are others: it was recoded, and only known entities tell how.
fn respelled(old: &[Option<Value>], new: &[Option<Value>]) -> Option<Conversion> {
    let ((old_words, old_total), (new_words, new_total)) = (words(old), words(new));
    let recur = old_words.len() >= 2 && old_words.len() * 2 <= old_total;
    // How likely it is that all new words are just such that were not seen before.
    let single = old_words.values().filter(|count| **count == 1).count();
    let by_chance = ((single as f64 + 1.0) / (old_total as f64 + 2.0)).powf(new_total as f64);
    if !recur || by_chance > 1e-4 || new_words.keys().any(|word| old_words.contains_key(word)) {
        return Some(Conversion::Same);
    }
    let bare =
        |word: &str| word.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let twin = |word: &String| {
        let mut twins = old_words.keys().filter(|old| bare(old) == bare(word));
        twins
            .next()
            .filter(|_| twins.next().is_none())
            .map(|twin| (Value::from(word.as_str()), Value::from(twin.as_str())))
    };
    let twins: Vec<(Value, Value)> = new_words.keys().filter_map(twin).collect();
    let pairs: Vec<(&Value, &Value)> = twins.iter().map(|(new, old)| (new, old)).collect();
    if pairs.len() < 2 || pairs.len() * 2 < new_words.len() {
        return None;
    }
    fit(&pairs, true).into_iter().find(|fit| !fit.is_learned())
}

/// Whether the words of a field that had few, recurring ones are all others now, written in the same way: members that
/// were not seen before, if other fields show such, too.
pub(crate) fn other_words(old: &[Option<Value>], new: &[Option<Value>]) -> bool {
    let ((old_words, old_total), (new_words, new_total)) = (words(old), words(new));
    let recur = old_words.len() >= 2 && old_words.len() * 2 <= old_total && new_total >= 3;
    recur && !new_words.is_empty() && !new_words.keys().any(|word| old_words.contains_key(word))
}

/// Whether text is written in letters of another alphabet.
pub(crate) fn other_script(old: &[Option<Value>], new: &[Option<Value>]) -> bool {
    let latin = |values: &[Option<Value>]| {
        let texts = values.iter().flatten().flat_map(items).filter_map(Value::as_str);
        let letters: Vec<char> = texts.flat_map(str::chars).filter(|c| c.is_alphabetic()).collect();
        let latin = letters.iter().filter(|c| u32::from(**c) < 0x250).count();
        (letters.len() >= 10).then_some(latin * 2 > letters.len())
    };
    matches!((latin(old), latin(new)), (Some(before), Some(now)) if before != now)
}

/// Whether texts are written alike: in letters, digits, large or small.
pub(crate) fn same_style(old: &[Option<Value>], new: &[Option<Value>]) -> bool {
    let style = |text: &str| {
        let upper = text.chars().filter(|c| c.is_uppercase()).count();
        let letters = text.chars().filter(|c| c.is_alphabetic()).count();
        let case = if upper == 0 {
            0
        } else if upper == letters {
            2
        } else {
            1
        };
        (letters > 0, text.chars().any(char::is_numeric), case)
    };
    let styles = |values: &[Option<Value>]| -> BTreeSet<(bool, bool, u8)> {
        values
            .iter()
            .flatten()
            .flat_map(items)
            .filter_map(Value::as_str)
            .filter(|text| !text.is_empty())
            .map(style)
            .collect()
    };
    let (old, new) = (styles(old), styles(new));
    old.is_empty() || new.is_empty() || new.iter().any(|style| old.contains(style))
}

/// Values that recur in the old and in the new field, and the share of the new field that they are.
pub(crate) fn vocabulary(old: &[Option<Value>], new: &[Option<Value>]) -> Option<(usize, f64)> {
    let ((old_words, old_total), (new_words, new_total)) = (words(old), words(new));
    if old_words.len() < 2 || new_words.len() < 2 || old_words.len() * 2 > old_total || new_words.len() > new_total {
        return None;
    }
    let shared = new_words.keys().filter(|word| old_words.contains_key(*word)).count();
    Some((shared, shared as f64 / new_words.len() as f64))
}
