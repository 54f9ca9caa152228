//! The workflows that are measured.

use crate::work::{MAPPING, SCHEMA};

/// `steps` steps in a row, each of one small item: the first takes the trigger, the others what the one before gave.
pub(crate) fn chain(name: &str, steps: usize) -> String {
    let mut text = format!("workflow: {name}\ntrigger: {{}}\ndeadline: 10m\nsteps:\n");
    for step in 1..=steps {
        let (needs, extract) = match step - 1 {
            0 => (String::new(), "trigger: {}".to_owned()),
            before => {
                (format!("    needs: [s{before}]\n"), format!("{{ inline: \"{{{{ steps.s{before} }}}}\", items: $ }}"))
            }
        };
        let extract = if step == 1 { format!("{{ {extract} }}") } else { extract };
        text.push_str(&format!(
            "  - id: s{step}\n{needs}    extract: {extract}\n    transform: '{{ \"number\": number, \"text\": $uppercase(text) }}'\n    schema: {ITEM_SCHEMA}\n"
        ));
    }
    text.push_str(&format!("output: {{ from: s{steps}, key: $string(number) }}\n"));
    text
}

const ITEM_SCHEMA: &str = "{ type: object, required: [number, text], properties: { number: { type: integer, minimum: 0 }, text: { type: string, minLength: 1 } } }";

/// One step over all items of the trigger.
pub(crate) fn batch(name: &str) -> String {
    format!(
        "workflow: {name}\ntrigger: {{}}\ndeadline: 10m\nsteps:\n  - id: all\n    extract: {{ trigger: {{}}, items: items }}\n    transform: '{{ \"number\": number, \"text\": $uppercase(text) }}'\n    schema: {ITEM_SCHEMA}\noutput: {{ from: all, key: $string(number) }}\n"
    )
}

/// Every record of `from` mapped and validated onto the output topic of the stream.
pub(crate) fn stream(name: &str, from: &str) -> String {
    let mapping: String = MAPPING.lines().map(|line| format!("  {line}\n")).collect();
    let schema: String = SCHEMA.split_whitespace().collect::<Vec<_>>().join(" ");
    format!(
        "kind: stream\nstream: {name}\nfrom: {{ topic: {from} }}\ntransform: |\n{mapping}schema: {schema}\nkey: id\n"
    )
}

/// Name without prefix of the topic that a stream or workflow writes.
pub(crate) fn output_topic(name: &str) -> String {
    format!("output.default.{name}")
}

/// Name without prefix of the group that carries a stream.
pub(crate) fn stream_group(name: &str) -> String {
    format!("stream.default.{name}")
}
