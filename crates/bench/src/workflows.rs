//! The workflows that are measured.

use crate::work::{MAPPING, SCHEMA};

const SMALL_MAPPING: &str = r#"{ "number": number, "text": $uppercase(text) }"#;
const SMALL_SCHEMA: &str = "\
    { type: object, required: [number, text], \
    properties: { number: { type: integer, minimum: 0 }, text: { type: string, minLength: 1 } } }";

/// `steps` steps in a row, each of one small item: the first takes the trigger, the others what the one before gave.
pub(crate) fn chain(name: &str, steps: usize) -> String {
    let first = step("s1", "[]", "{ trigger: {} }");
    let others = (2..=steps).map(|number| {
        let before = format!("s{}", number - 1);
        let extract = format!(r#"{{ inline: "{{{{ steps.{before} }}}}", items: $ }}"#);
        step(&format!("s{number}"), &format!("[{before}]"), &extract)
    });
    workflow(name, &format!("{first}{}", others.collect::<String>()), &format!("s{steps}"))
}

/// One step over all items of the trigger.
pub(crate) fn batch(name: &str) -> String {
    workflow(name, &step("all", "[]", "{ trigger: {}, items: items }"), "all")
}

fn workflow(name: &str, steps: &str, output: &str) -> String {
    format!(
        "workflow: {name}\ntrigger: {{}}\ndeadline: 10m\nsteps:\n{steps}output: {{ from: {output}, key: $string(number) }}\n"
    )
}

fn step(id: &str, needs: &str, extract: &str) -> String {
    format!(
        "  - id: {id}
    needs: {needs}
    extract: {extract}
    transform: '{SMALL_MAPPING}'
    schema: {SMALL_SCHEMA}
"
    )
}

/// Every record of `from` mapped and validated onto the output topic of the stream.
pub(crate) fn stream(name: &str, from: &str) -> String {
    let mapping: String = MAPPING.lines().map(|line| format!("  {line}\n")).collect();
    let schema: String = SCHEMA.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("kind: stream\nstream: {name}\ninput: {{ topic: {from} }}\ntransform: |\n{mapping}schema: {schema}\n")
}

/// Name without prefix of the topic that a stream or workflow writes.
pub(crate) fn output_topic(name: &str) -> String {
    format!("output.default.{name}")
}

/// Name without prefix of the group that carries a stream.
pub(crate) fn stream_group(name: &str) -> String {
    format!("stream.default.{name}")
}

#[cfg(test)]
mod tests {
    use prunella_workflow::{Limits, Plan, load_str};

    use super::*;

    #[test]
    fn the_measured_workflows_can_be_executed() {
        let limits = Limits::default();
        for text in [chain("chain", 1), chain("chain", 30), batch("batch")] {
            let loaded = load_str("bench.yaml", &text, None, &limits).unwrap_or_else(|problems| panic!("{problems}"));
            Plan::compile(loaded.declared.as_workflow().expect("a workflow"), &limits)
                .unwrap_or_else(|problems| panic!("{problems}"));
        }
    }
}
