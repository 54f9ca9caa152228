//! What an expression reads, found without evaluating it.

use prunella_mapping::{Expression, StepReads};

fn only(steps: &[&str]) -> StepReads {
    StepReads::Only(steps.iter().map(|id| (*id).to_owned()).collect())
}

#[test]
fn steps_are_told_by_their_names() {
    for (source, expected) in [
        ("items.sku", only(&[])),
        ("$steps.fetch.id", only(&["fetch"])),
        ("steps.fetch[0].id & $steps.`other-one`.x", only(&["fetch", "other-one"])),
        ("( $s := $steps; $s.a.b + $s.c )", only(&["a", "c"])),
        ("$map(steps.a, function($i){ $i.x & $$.steps.b.y })", only(&["a", "b"])),
        ("$exists(steps.a) ? steps.b : 0", only(&["a", "b"])),
        ("$count($distinct(steps.a.id))", only(&["a"])),
        ("$keys($steps)", StepReads::All),
        ("$lookup(steps, trigger.which)", StepReads::All),
        ("steps.*", StepReads::All),
        ("**.id", StepReads::All),
        ("$string($$)", StepReads::All),
        ("$eval('steps')", StepReads::All),
    ] {
        assert_eq!(Expression::compile(source).expect(source).step_reads(), expected, "{source}");
    }
}

#[test]
fn variables_and_fields_are_told_apart() {
    let mapping = Expression::compile("{ 'a': steps.name, 'b': $steps.orders.id }").expect("compiles");
    assert_eq!(mapping.reads().steps_of_variable(), only(&["orders"]));
    assert_eq!(mapping.reads().steps_of_input(), only(&["name"]));
    assert!(mapping.reads().binding("steps") && !mapping.reads().binding("trigger"));
}
