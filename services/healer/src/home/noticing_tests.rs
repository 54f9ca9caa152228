use serde_json::json;

use super::*;

const EVERY: i64 = 10_000;
const DAYS: i64 = 20_000;

fn sample(at: i64, outputs: std::ops::Range<u64>) -> MappingSample {
    let mut texts = outputs.map(|number| json!({ "id": number }).to_string());
    MappingSample {
        mapping: "default/orders/fetch/0123456789abcdef".parse().expect("valid"),
        base: TextHash::of("text"),
        version: 1,
        slot: 0,
        input: "{}".to_owned(),
        output: texts.next().expect("an output"),
        valid: 1,
        silent_drift: "warn".to_owned(),
        others: texts.collect(),
        taken_at: at,
    }
}

#[test]
fn a_window_needs_looks_and_outputs_and_time() {
    let mut noticing = Noticing::default();
    let looked = |noticing: &mut Noticing, look: i64, outputs: u64| {
        let from = u64::try_from(look).expect("small") * 100;
        assert!(noticing.look(&sample(look * EVERY, from..from + outputs)));
    };
    (0..5).for_each(|look| looked(&mut noticing, look, 10));
    assert!(noticing.window(EVERY).is_none(), "five looks");
    looked(&mut noticing, 5, 10);
    assert_eq!(noticing.window(EVERY).expect("full").outputs(), 60);
    assert!(noticing.window(2 * EVERY).is_none(), "too soon");
    assert!(noticing.slide(EVERY).is_none(), "what stays would not be full");
    looked(&mut noticing, 6, 10);
    assert_eq!(noticing.slide(EVERY).expect("the oldest look").since, 0);

    let mut slow = Noticing::default();
    (0..19).for_each(|look| looked(&mut slow, look, 1));
    assert!(slow.window(EVERY).is_none(), "nineteen outputs");
    looked(&mut slow, 19, 1);
    assert!(slow.window(EVERY).is_some());
}

#[test]
fn the_same_output_says_no_more_than_once() {
    let mut noticing = Noticing::default();
    assert!(noticing.look(&sample(0, 0..3)));
    assert!(!noticing.look(&sample(EVERY, 0..3)), "a source that is polled shows the same again");
    assert!(noticing.look(&sample(2 * EVERY, 2..4)));
    assert_eq!(noticing.window.back().map(Portion::outputs), Some(1));
}

#[test]
fn portions_are_kept_of_the_last_minutes_of_each_hour_and_of_each_weekday() {
    let mut noticing = Noticing::default();
    let minute = HOUR / 60;
    for at in 0..(8 * 24 * 60) {
        let until = DAYS * DAY + at * minute;
        for place in noticing.places(until) {
            noticing.restore(place, Portion { since: until - minute, until, looks: 6, ..Portion::default() });
        }
    }
    let kept = noticing.habit.portions();
    assert_eq!(kept.len(), RECENT + 24 + 7);
    let last = DAYS * DAY + (8 * 24 * 60 - 1) * minute;
    let oldest = |kind: &str| {
        let of_kind = kept.iter().filter(|(place, _)| place.starts_with(kind));
        of_kind.map(|(_, portion)| last - portion.until).max().expect("some")
    };
    assert!(oldest("recent") < 8 * minute);
    assert!((23 * HOUR..25 * HOUR).contains(&oldest("hour")), "{}", oldest("hour"));
    assert!((6 * DAY..8 * DAY).contains(&oldest("weekday")), "{}", oldest("weekday"));
}
