//! Of several fields that fit: is one of them meant, or is it a tie?

use serde_json::Value;

use crate::convert::{Conversion, items};
use crate::forms;
use crate::names::{
    Likeness, is_for_people, is_presentation_of, is_qualified, likeness, own_name, places_alike, tokens,
};
use crate::path::{FieldPath, Literal, Step};
use crate::pick::{Choice, Pick, Request};
use crate::table::Table;
use crate::value::{equal, equal_options, is_empty};

/// Leaves one choice if the others are ruled out by more than agreement on these records.
pub(crate) fn settle(mut choices: Vec<Choice>, request: &Request<'_>, table: &Table) -> Pick {
    // A selector that asks for the literal which the mapping asked for.
    if let Some((_, literal)) = request.old_path.and_then(FieldPath::literal)
        && choices.iter().any(|choice| choice.path.literal().is_some_and(|(_, other)| other == literal))
    {
        choices.retain(|choice| choice.path.literal().is_some_and(|(_, other)| other == literal));
    }
    if let Some(selector) = request.selector
        && choices.iter().any(|choice| choice.path.literal().is_some_and(|(key, _)| key == selector))
    {
        choices.retain(|choice| choice.path.literal().is_some_and(|(key, _)| key == selector));
    }
    // The item that the source itself marks as the one that counts is meant, not the last one.
    if choices.iter().any(|choice| choice.path.literal().is_some_and(|(_, literal)| literal == &Literal::Flag(true))) {
        choices.retain(|choice| !choice.path.steps.contains(&Step::At(-1)));
    }
    let marked = |choice: &Choice| match choice.path.literal() {
        Some((_, Literal::Text(text))) => WORDS_OF_THE_MAIN_ONE.contains(&text.to_lowercase().as_str()),
        _ => false,
    };
    if request.ingredients.names && choices.iter().any(marked) {
        choices.retain(|choice| marked(choice) || is_field(&choice.path));
    }
    // The item that bears the very name is meant, not the one that stands at a place.
    let bears_name = |choice: &Choice| match choice.path.literal() {
        Some((_, Literal::Text(text))) => request.names.iter().any(|name| likeness(name, text) == Likeness::Same),
        _ => false,
    };
    if request.ingredients.names && choices.iter().any(bears_name) {
        choices.retain(|choice| !choice.path.is_positional());
    }
    one_of_each_place(&mut choices, request, table);
    let is_plain = |choice: &Choice| choice.conversion == Conversion::Same && choice.support.bits >= 12.0;
    let any_plain = choices.iter().any(is_plain);
    // Where it was read before, it is read again.
    if let Some(old) = request.old_path
        && let Some(kept) = choices.iter().position(|choice| {
            let fitted = matches!(choice.conversion, Conversion::FirstOfLength(_));
            let moved = request.home.is_some_and(|home| choice.path == home.joined(old));
            (&choice.path == old || moved) && !(fitted && any_plain)
        })
    {
        return Pick::One(choices.swap_remove(kept));
    }
    // What needs no conversion rules out what had to be fitted, if it stands for many bits.
    if any_plain {
        let best = choices.iter().filter(|choice| is_plain(choice)).map(|choice| rank(choice, request)).max();
        let less_named = |choice: &Choice| best.is_some_and(|best| rank(choice, request) <= best);
        choices.retain(|choice| {
            is_plain(choice)
                || choice.conversion.learned_bits() < 3.0
                    && !(choice.conversion != Conversion::Same && less_named(choice))
        });
        // A field of its own is meant, not an item of a list that happens to hold the same.
        if choices.iter().any(|choice| is_plain(choice) && is_field(&choice.path))
            && !request.old_path.is_some_and(FieldPath::is_positional)
        {
            choices.retain(|choice| !choice.path.is_positional());
        }
    }
    any_item(&mut choices, table);
    not_negated(&mut choices, table);
    same_parent(&mut choices, request, table);
    let shared = |choice: &Choice| {
        let found = tokens(choice.path.last_key());
        request.names.iter().filter(|name| tokens(name).iter().any(|token| found.contains(token))).count()
    };
    // Of two that bear a name, one that of the field itself and the other only a word for it or for the output.
    let very = |choice: &Choice| {
        let old = request.old_path.map(FieldPath::last_key).filter(|_| request.ingredients.names);
        old.is_some_and(|old| old == choice.path.last_key()) && is_field(&choice.path)
    };
    choices.sort_by_key(|choice| {
        (
            choice.path.literal().is_none(),
            !very(choice),
            is_for_people(choice.path.last_key()),
            std::cmp::Reverse((rank(choice, request), shared(choice))),
        )
    });
    let best = choices[0].clone();
    let best_name = best.path.last_key().to_owned();
    let best_rank = rank(&best, request);
    choices.retain(|choice| {
        let name = choice.path.last_key();
        let same_field = choice.path == best.path;
        let people = is_for_people(name) && !request.names.iter().any(|name| is_for_people(name));
        let beside = choice.path.parent() == best.path.parent();
        let presentation = beside && (is_presentation_of(name, &best_name) || (people && !is_for_people(&best_name)));
        let far_less_named = best_rank >= Likeness::Same && rank(choice, request) <= Likeness::Weak;
        let by_chance = best_rank >= Likeness::Close
            && !best.path.is_positional()
            && choice.path.is_positional()
            && rank(choice, request) == Likeness::None;
        let qualified = best_rank >= Likeness::Same && beside && is_qualified(name, &best_name);
        let same_reference =
            shared(&best) > shared(choice) && choice.path.literal().is_none() && same_identifiers(&best, choice, table);
        let other_word =
            very(&best) && is_field(&choice.path) && !tokens(name).iter().any(|word| tokens(&best_name).contains(word));
        same_field || !(presentation || by_chance || far_less_named || qualified || same_reference || other_word)
    });
    // What takes many steps to be read like the best one shows it in another way, for other readers.
    let simple = best.conversion.cost() + FAR_FETCHED;
    choices.retain(|choice| choice.conversion.cost() < simple || rank(choice, request) > best_rank);
    // The same value at several places of one array is one choice only if no array has more than one item.
    let rivals: Vec<Choice> = choices.iter().filter(|choice| differs(choice, &best, table)).cloned().collect();
    if rivals.is_empty() {
        return Pick::One(best);
    }
    let mut tied = vec![best];
    tied.extend(rivals);
    Pick::Tied(tied)
}

/// Of choices that differ only in which item of a list they take, while no list has more than one: the one that treats
/// lists as the mapping did, else the one that takes all there is and fails loudly once there are more.
fn one_of_each_place(choices: &mut Vec<Choice>, request: &Request<'_>, table: &Table) {
    let first = request.old_path.is_some_and(FieldPath::is_positional);
    let strength = |path: &FieldPath| match path.is_positional() {
        true if path.steps.contains(&Step::At(-1)) => 2,
        positional => u8::from(positional != first),
    };
    let cells = |choice: &Choice| table.get(&choice.path).map(|column| &column.cells);
    let weaker = |choice: &Choice, all: &[Choice]| {
        all.iter().any(|other| {
            other.path != choice.path
                && other.path.without_positions() == choice.path.without_positions()
                && other.conversion == choice.conversion
                && cells(other) == cells(choice)
                && (strength(&other.path), other.path.steps.len()) < (strength(&choice.path), choice.path.steps.len())
        })
    };
    let all = choices.clone();
    choices.retain(|choice| !weaker(choice, &all));
}

/// What sources call the one of several items that counts.
const WORDS_OF_THE_MAIN_ONE: [&str; 5] = ["primary", "main", "default", "alternate", "canonical"];

fn is_field(path: &FieldPath) -> bool {
    !path.is_positional() && path.literal().is_none()
}

/// Where all items of each list show the same, it is the first one's; no item is meant more than another.
fn any_item(choices: &mut Vec<Choice>, table: &Table) {
    let alike = |cell: &Value| items(cell).iter().all(|item| equal(item, &items(cell)[0]));
    let first_of_alike = |choice: &&Choice| {
        let all = table.get(&choice.path.without_positions()).map(|column| &column.cells);
        choice.path.steps.contains(&Step::At(0))
            && all.is_some_and(|cells| cells.iter().flatten().filter(|cell| !is_empty(Some(cell))).all(alike))
    };
    if let Some(first) = choices.iter().find(first_of_alike).cloned() {
        let place = first.path.without_positions().keys().join(".");
        choices.retain(|choice| choice.path == first.path || choice.path.keys().join(".") != place);
    }
}

/// Of two flags of one object that are each other's opposite in all rows, the one that is not negated.
fn not_negated(choices: &mut Vec<Choice>, table: &Table) {
    let opposite = |a: &Choice, b: &Choice| {
        let (Some(x), Some(y)) = (table.get(&a.path), table.get(&b.path)) else { return false };
        let flags = |cell: &Option<Value>| cell.as_ref().and_then(Value::as_bool);
        let both = x.cells.iter().zip(&y.cells).map(|(x, y)| (flags(x), flags(y)));
        let filled = both.clone().filter(|(x, _)| x.is_some()).count();
        filled >= FEWEST_FLAGS && both.clone().all(|(x, y)| x == y.map(|y| !y)) && a.path.parent() == b.path.parent()
    };
    let all = choices.clone();
    choices.retain(|choice| {
        let rather = |other: &Choice| other.conversion == Conversion::Same && opposite(choice, other);
        choice.conversion != Conversion::Not || !all.iter().any(rather)
    });
}

/// A conversion that costs this much more is no rival.
const FAR_FETCHED: u32 = 6;

/// Rows in which two flags have to be each other's opposite.
const FEWEST_FLAGS: usize = 5;

/// What stands in the object where the value stood before is meant, not its likeness in an object that is new.
fn same_parent(choices: &mut Vec<Choice>, request: &Request<'_>, table: &Table) {
    let Some(old) = request.old_path else { return };
    let parent = old.parent();
    let Some((before, _)) = request.before.filter(|_| !parent.steps.is_empty()) else { return };
    let beside = |choice: &Choice| choice.path.parent() == parent && choice.conversion == Conversion::Same;
    let known = |choice: &Choice| {
        let around = choice.path.parent();
        before.columns.iter().any(|column| column.path.steps.starts_with(&around.steps))
    };
    if choices.iter().filter(|choice| beside(choice)).count() == 1 && table.get(old).is_none() {
        let all = choices.clone();
        choices.retain(|choice| beside(choice) || known(choice) && !choice.path.parent().steps.is_empty());
        if choices.is_empty() {
            *choices = all;
        }
    }
}

pub(crate) fn has_namesake(choice: &Choice, request: &Request<'_>, table: &Table) -> bool {
    let Some(name) = request.old_path.map(FieldPath::last_key).filter(|name| !name.is_empty()) else { return false };
    choice.path.last_key() != name
        && table.columns.iter().any(|column| {
            let plain = !column.path.root && !column.path.is_positional() && column.path.literal().is_none();
            plain && column.path.last_key() == name && column.cells.iter().any(|cell| !is_empty(cell.as_ref()))
        })
}

/// Bits for a field whose recurring values are those that the old field had, in all rows and not only in known ones.
pub(crate) fn vocabulary_bits(choice: &Choice, request: &Request<'_>, table: &Table) -> f64 {
    let Some((_, values)) = request.before.filter(|_| request.ingredients.values) else { return 0.0 };
    // What a table was made to give is no evidence for it.
    let made_to_fit = matches!(choice.conversion, Conversion::Table(_) | Conversion::Is(_) | Conversion::Not);
    let Some(column) = table.get(&choice.path).filter(|_| !made_to_fit) else { return 0.0 };
    let now: Vec<Option<Value>> = match choice.conversion {
        Conversion::Same => column.cells.clone(),
        _ => column.cells.iter().map(|cell| choice.predict(cell.as_ref())).collect(),
    };
    let shares = forms::vocabulary(values, &now).is_some_and(|(shared, share)| shared >= 2 && share >= 0.6);
    if shares { 4.0 } else { 0.0 }
}

/// Whether both show the same opaque identifiers in all rows: two names for one reference, where dates or amounts that
/// agree may be different things.
fn same_identifiers(best: &Choice, other: &Choice, table: &Table) -> bool {
    let (Some(a), Some(b)) = (table.get(&best.path), table.get(&other.path)) else { return false };
    let plain = best.conversion == Conversion::Same && other.conversion == Conversion::Same;
    let opaque = |value: &Value| {
        value.as_str().is_some_and(|text| {
            let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
            let digits = text.bytes().filter(u8::is_ascii_digit).count();
            let moment = crate::dates::any_moment(text).is_some();
            text.len() >= 5 && !text.contains(' ') && letters > 0 && digits > 0 && !moment
        })
    };
    let values: Vec<&Value> = a.cells.iter().flatten().collect();
    let mut texts: Vec<&str> = values.iter().filter_map(|value| value.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    let mostly_opaque = values.iter().filter(|value| opaque(value)).count() * 4 >= values.len() * 3;
    plain && texts.len() >= 4 && a.cells == b.cells && mostly_opaque
}

/// Whether the choice reads another field, or makes something else of a new row.
fn differs(choice: &Choice, best: &Choice, table: &Table) -> bool {
    if choice.path != best.path || choice.with != best.with {
        return true;
    }
    let Some(column) = table.get(&best.path) else { return false };
    column
        .cells
        .iter()
        .any(|cell| !equal_options(choice.predict(cell.as_ref()).as_ref(), best.predict(cell.as_ref()).as_ref()))
}

pub(crate) fn rank(choice: &Choice, request: &Request<'_>) -> Likeness {
    if !request.ingredients.names {
        return Likeness::None;
    }
    let name = &own_name(&choice.path);
    let place = request.old_path.map_or(Likeness::None, |old| places_alike(old, &choice.path));
    let literal = match (&choice.conversion, request.names) {
        (Conversion::Is(Value::String(text)), names)
            if names.iter().any(|name| likeness(name, text) >= Likeness::Close) =>
        {
            Likeness::Close
        }
        _ => Likeness::None,
    };
    let asked = request.old_path.and_then(FieldPath::literal).map(|(_, literal)| literal);
    let literal = match choice.path.literal() {
        Some((_, found)) if Some(found) == asked => literal.max(Likeness::Close),
        _ => literal,
    };
    // What stands in an object of the name belongs to it.
    let around = choice
        .path
        .keys()
        .iter()
        .rev()
        .skip(1)
        .any(|key| request.names.iter().any(|name| likeness(name, key) >= Likeness::Close));
    let place = if around { place.max(Likeness::Close) } else { place };
    request.names.iter().map(|old| likeness(old, name)).max().unwrap_or(Likeness::None).max(literal).max(place)
}
