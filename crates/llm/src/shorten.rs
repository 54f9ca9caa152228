//! Samples of bounded size, with what was left out.

use serde_json::{Map, Value};

/// How much of each array, text and object is kept; tried one after the other. No text is cut below the length of a
/// placeholder.
const STEPS: [Caps; 7] = [
    Caps { items: 50, characters: 2000, fields: 500 },
    Caps { items: 20, characters: 800, fields: 200 },
    Caps { items: 10, characters: 400, fields: 100 },
    Caps { items: 5, characters: 200, fields: 60 },
    Caps { items: 3, characters: 100, fields: 40 },
    Caps { items: 2, characters: 64, fields: 25 },
    Caps { items: 1, characters: 64, fields: 12 },
];
/// Places that are named; of more, the number is said.
const NAMED_PLACES: usize = 12;
/// Characters of a place that are shown.
const LONGEST_PLACE: usize = 120;

#[derive(Debug, Clone, Copy)]
struct Caps {
    items: usize,
    characters: usize,
    fields: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Shortened {
    pub(crate) json: String,
    /// `/orders: the first 5 of 42 items`, for each place that was cut.
    pub(crate) cuts: Vec<String>,
}

/// The value as JSON of at most `limit` bytes; `None` when it cannot be made that short.
pub(crate) fn shorten(value: &Value, limit: usize) -> Option<Shortened> {
    let whole = value.to_string();
    if whole.len() <= limit {
        return Some(Shortened { json: whole, cuts: Vec::new() });
    }
    STEPS.iter().find_map(|caps| {
        let mut cuts = Vec::new();
        let json = cut(value, caps, &mut String::new(), &mut cuts).to_string();
        if cuts.len() > NAMED_PLACES {
            let more = cuts.len() - NAMED_PLACES;
            cuts.truncate(NAMED_PLACES);
            cuts.push(format!("and at {more} more places"));
        }
        (json.len() <= limit).then_some(Shortened { json, cuts })
    })
}

fn cut(value: &Value, caps: &Caps, place: &mut String, cuts: &mut Vec<String>) -> Value {
    match value {
        Value::String(text) => {
            let length = text.chars().count();
            note(cuts, place, (caps.characters, length), "characters");
            if length > caps.characters {
                text.chars().take(caps.characters).collect::<String>().into()
            } else {
                value.clone()
            }
        }
        Value::Array(items) => {
            note(cuts, place, (caps.items, items.len()), "items");
            let kept = items.iter().take(caps.items).enumerate();
            kept.map(|(at, item)| inside(place, &at.to_string(), |place| cut(item, caps, place, cuts))).collect()
        }
        Value::Object(fields) => {
            note(cuts, place, (caps.fields, fields.len()), "fields");
            let mut kept = Map::new();
            for (name, value) in fields.iter().take(caps.fields) {
                kept.insert(name.clone(), inside(place, name, |place| cut(value, caps, place, cuts)));
            }
            Value::Object(kept)
        }
        other => other.clone(),
    }
}

/// Says that of some things only the first are kept.
fn note(cuts: &mut Vec<String>, place: &str, (kept, of): (usize, usize), what: &str) {
    if of > kept {
        let shown: String = if place.is_empty() { "/" } else { place }.chars().take(LONGEST_PLACE).collect();
        cuts.push(format!("{shown}: the first {kept} of {of} {what}"));
    }
}

fn inside<T>(place: &mut String, name: &str, work: impl FnOnce(&mut String) -> T) -> T {
    let outer = place.len();
    place.push('/');
    place.push_str(&name.replace('~', "~0").replace('/', "~1"));
    let done = work(place);
    place.truncate(outer);
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_fits_stays_and_what_does_not_is_cut_where_it_is_said() {
        let small = json!({"a": [1, 2, 3]});
        assert_eq!(shorten(&small, 100), Some(Shortened { json: small.to_string(), cuts: Vec::new() }));
        let items: Vec<Value> = (0..1000).map(|id| json!({"id": id, "text": "x".repeat(300)})).collect();
        let shortened = shorten(&json!({"data": {"items": items}}), 2000).expect("shorter");
        assert!(shortened.json.len() <= 2000, "{}", shortened.json.len());
        assert!(shortened.cuts[0].starts_with("/data/items: the first "), "{:?}", shortened.cuts);
        assert!(shortened.cuts.iter().any(|cut| cut.contains("/data/items/0/text: ")), "{:?}", shortened.cuts);
        serde_json::from_str::<Value>(&shortened.json).expect("JSON");
    }

    #[test]
    fn what_cannot_be_shortened_is_left_out() {
        let names: Map<String, Value> = (0..20).map(|at| (format!("{at}{}", "n".repeat(500)), json!(1))).collect();
        assert_eq!(shorten(&Value::Object(names), 1000), None);
    }
}
