//! Changes of a source, one at a time.

use super::{Form, Kind, Random, Source, names_of};

/// Changes the source in one way; gives its name, or nothing if there was nothing to change.
pub(crate) fn drift(source: &mut Source, random: &mut Random) -> Option<&'static str> {
    let read: Vec<usize> = (0..source.fields.len()).filter(|index| source.fields[*index].output.is_some()).collect();
    let index = *random.pick(&read);
    let taken: Vec<String> = source.fields.iter().filter_map(|field| field.path.last().cloned()).collect();
    let halved = source.fields.iter().any(|field| field.form == Form::Halves);
    let marked = source.fields.iter().any(|field| field.form == Form::Marked);
    let field = &mut source.fields[index];
    let plain = field.form == Form::Plain;
    Some(match random.below(15) {
        0 if field.form != Form::Halves => {
            let name = (*random.pick(names_of(field.kind))).to_owned();
            let name = if taken.contains(&name) { format!("fld{:06x}", random.below(1 << 24)) } else { name };
            *field.path.last_mut()? = name;
            "rename"
        }
        1 => {
            for field in &mut source.fields {
                if let Some(last) = field.path.last_mut() {
                    *last = camel(last);
                }
            }
            "camel case"
        }
        2 => {
            let name = field.path.last()?.clone();
            let group = if field.path.len() > 1 { None } else { Some("attributes".to_owned()) };
            field.path = group.into_iter().chain([name]).collect();
            "move"
        }
        3 => {
            source.envelope.push((*random.pick(&["data", "result", "response"])).to_owned());
            "wrap"
        }
        4 => {
            let list = source.list.as_mut()?;
            "entries".clone_into(list);
            "rename list"
        }
        5 if plain => {
            field.form = match field.kind {
                Kind::Price | Kind::Count => Form::Text,
                Kind::Id => Form::Prefixed,
                Kind::City => Form::Upper,
                Kind::Flag => Form::Yes,
                _ => return None,
            };
            if field.form == Form::Upper {
                // Capital letters cannot be undone without a list of names.
                field.form = Form::Listed;
            }
            "cast"
        }
        6 if plain => {
            field.form = match field.kind {
                Kind::Price => Form::Cents,
                Kind::Moment => Form::Epoch,
                Kind::Day => Form::Dotted,
                _ => return None,
            };
            "unit"
        }
        7 if plain && field.kind == Kind::Status => {
            field.form = Form::Code;
            "recode"
        }
        8 if plain && field.kind == Kind::Person && !halved => {
            field.form = Form::Halves;
            "split"
        }
        9 if plain && matches!(field.kind, Kind::Email | Kind::City) => {
            field.form = Form::Listed;
            "list"
        }
        10 if field.path.len() > 1 => {
            let name = field.path.last()?.clone();
            if taken.iter().filter(|other| **other == name).count() > 1 {
                return None;
            }
            field.path = vec![name];
            "unwrap"
        }
        10 => {
            source.envelope.pop()?;
            "unwrap record"
        }
        11 if field.form == Form::Halves => {
            field.form = Form::Plain;
            "merge"
        }
        12 if plain && field.kind == Kind::Price => {
            field.form = Form::Divided;
            "divisor"
        }
        13 if plain && field.kind == Kind::Balance && !marked => {
            field.form = Form::Marked;
            "sign"
        }
        14 if plain && matches!(field.kind, Kind::Email | Kind::City | Kind::Note | Kind::Day) => {
            field.form = Form::Paired;
            "pair"
        }
        _ => return None,
    })
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| {
        let mut chars = part.chars();
        let head: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
        name + &head + chars.as_str()
    })
}
