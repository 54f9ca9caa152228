//! Text with `{{ … }}` in it.

use proptest::prelude::*;
use prunella_mapping::{Bindings, Encoding, EvalError, Input, Limits, Moment, StepReads, Template, TemplateValue};
use prunella_model::Code;
use serde_json::{Value, json};

fn context() -> Input<'static> {
    Input::new(json!({
        "trigger": { "since": "2026-01-01T00:00:00+01:00", "page": 3, "ok": true, "none": null, "ids": [1, 2], "q": "a b&c=ü/~-._" },
        "steps": { "fetch": [{ "id": 9_007_199_254_740_993_u64 }] },
        "base": "https://shop.example/orders?x=1",
    }))
}

fn evaluate(template: &str) -> Result<Value, EvalError> {
    let template = Template::parse(template).expect(template);
    template.evaluate(&context(), &Bindings::new(), Moment::new(0, 0), &Limits::default())
}

fn url(template: &str) -> Result<String, EvalError> {
    let template = Template::parse(template).expect(template);
    template.render(Encoding::Percent, &context(), &Bindings::new(), Moment::new(0, 0), &Limits::default())
}

#[test]
fn a_lone_expression_keeps_its_type() {
    assert_eq!(evaluate("{{ trigger.page }}"), Ok(json!(3)));
    assert_eq!(evaluate("{{trigger.ids}}"), Ok(json!([1, 2])));
    assert_eq!(evaluate("{{ trigger.none }}"), Ok(Value::Null));
    assert_eq!(evaluate("{{ steps.fetch.id }}"), Ok(json!(9_007_199_254_740_993_u64)));
    assert_eq!(evaluate("{{ trigger.page }} "), Ok(json!("3 ")));
    assert_eq!(evaluate("no expression"), Ok(json!("no expression")));
    assert_eq!(evaluate(""), Ok(json!("")));
}

#[test]
fn in_text_scalars_stand_as_text() {
    assert_eq!(evaluate("p={{ trigger.page }}&ok={{ trigger.ok }}"), Ok(json!("p=3&ok=true")));
    assert_eq!(evaluate("#{{ steps.fetch.id }}"), Ok(json!("#9007199254740993")));
    for (template, found) in
        [("x{{ trigger.none }}", "null"), ("x{{ trigger.ids }}", "an array"), ("x{{ trigger }}", "an object")]
    {
        let error = evaluate(template).expect_err(template);
        assert_eq!(error.code(), Code::TemplateValue);
        assert!(error.to_string().contains(found) && error.to_string().contains("trigger"), "{error}");
    }
}

#[test]
fn an_undefined_value_is_an_error_that_names_the_expression() {
    for template in ["{{ trigger.sinc }}", "since {{ trigger.sinc }}"] {
        let error = evaluate(template).expect_err(template);
        assert_eq!(error.code(), Code::TemplateUndefined);
        assert!(error.to_string().contains("{{ trigger.sinc }}"), "{error}");
    }
    assert_eq!(evaluate("{{ trigger.sinc ?? 'all' }}"), Ok(json!("all")));
    let error = evaluate("{{ 1 + trigger.q }}").expect_err("type error");
    assert_eq!(error.code(), Code::MappingFailed);
    assert!(error.to_string().contains("{{ 1 + trigger.q }}"), "{error}");
}

#[test]
fn braces_inside_expressions_do_not_end_them() {
    assert_eq!(evaluate(r#"{{ {"a": {"b": 1}} }}"#), Ok(json!({"a": {"b": 1}})));
    assert_eq!(evaluate(r#"{{{"a":{"b":1}}}}"#), Ok(json!({"a": {"b": 1}})));
    assert_eq!(evaluate(r#"<{{ "}}" & '{{' }}>"#), Ok(json!("<}}{{>")));
    assert_eq!(evaluate("{{ trigger.page /* }} */ }}}}"), Ok(json!("3}}")));
    assert_eq!(evaluate("a }} b {{ '{{' }} c"), Ok(json!("a }} b {{ c")));
}

#[test]
fn mistakes_have_their_place_in_the_template() {
    let error = |template: &str| Template::parse(template).expect_err(template);
    let unclosed = error("a\n b {{ trigger");
    assert_eq!((unclosed.code, unclosed.line, unclosed.column), (Code::TemplateSyntax, 2, 4));
    assert_eq!(error("x {{ }} y").code, Code::TemplateSyntax);
    let broken = error("é {{ trigger.ids[ }} and {{ trigger.page }}");
    assert_eq!((broken.code, broken.line), (Code::MappingSyntax, 1));
    assert!((16..=19).contains(&broken.column), "{broken}");
    let broken = error("{{ a + ) }}");
    assert_eq!(broken.code, Code::MappingSyntax);
    let broken = error(r#"{{ {"a": {"b": x]}} }}"#);
    assert_eq!((broken.position, broken.code), (16, Code::MappingSyntax));
}

#[test]
fn values_in_urls_are_percent_encoded_where_they_stand() {
    assert_eq!(
        url("https://x.example/{{ trigger.q }}?since={{ trigger.since }}&page={{ trigger.page }}").as_deref(),
        Ok("https://x.example/a%20b%26c%3D%C3%BC%2F~-._?since=2026-01-01T00%3A00%3A00%2B01%3A00&page=3")
    );
    assert_eq!(url("{{ base }}").as_deref(), Ok("https://shop.example/orders?x=1"));
    assert_eq!(
        url("{{ base }}&p={{ trigger.q }}").as_deref(),
        Ok("https://shop.example/orders?x=1&p=a%20b%26c%3D%C3%BC%2F~-._")
    );
}

#[test]
fn values_hold_templates_in_their_strings_and_not_in_their_keys() {
    let value = json!({ "{{ a }}": "{{ trigger.ids }}", "list": [1, "p{{ trigger.page }}", { "x": "{{ steps.fetch[0] }}" }], "plain": [null] });
    let template = TemplateValue::parse(&value).expect("templates");
    assert!(!template.is_static());
    assert_eq!(template.step_reads(), StepReads::Only(["fetch".to_owned()].into()));
    assert_eq!(
        template.evaluate(&context(), &Bindings::new(), Moment::new(0, 0), &Limits::default()),
        Ok(
            json!({ "{{ a }}": [1, 2], "list": [1, "p3", { "x": { "id": 9_007_199_254_740_993_u64 } }], "plain": [null] })
        )
    );
    // From text to text it is the same, whatever the shape of the template.
    let text = context().value().to_string();
    for value in
        [value, json!("{{ steps.fetch }}"), json!("{{ trigger.ids[1] }}"), json!("p{{ trigger.page }}"), json!(7)]
    {
        let template = TemplateValue::parse(&value).expect("templates");
        let of_value = template.evaluate(&context(), &Bindings::new(), Moment::new(0, 0), &Limits::default());
        let of_text = template.evaluate_text(&text, Moment::new(0, 0), &Limits::default()).expect("a value");
        assert_eq!(serde_json::from_slice::<Value>(&of_text).ok(), of_value.ok());
    }
    let missing = TemplateValue::parse(&json!("{{ trigger.missing }}")).expect("a template");
    let error = missing.evaluate_text(&text, Moment::new(0, 0), &Limits::default()).expect_err("undefined");
    assert_eq!(error.code(), Code::TemplateUndefined);
    assert!(TemplateValue::parse(&json!([{ "a": "x", "b": [1, null] }])).expect("no templates").is_static());
    assert!(TemplateValue::parse(&json!(["{{ a["])).is_err());
}

#[test]
fn a_template_reads_the_steps_of_its_expressions() {
    let reads = |template: &str| Template::parse(template).expect(template).step_reads();
    assert_eq!(reads("no {} step"), StepReads::Only([].into()));
    assert_eq!(reads("{{ steps.a.id }}/{{ $steps.b }}"), StepReads::Only(["a".to_owned(), "b".to_owned()].into()));
    assert_eq!(reads("{{ steps.a }}{{ $keys(steps) }}"), StepReads::All);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn escaped_text_comes_out_as_it_was(text in "[{}a\"' \\\\é$]{0,24}") {
        let template = Template::parse(&Template::escape(&text)).expect("escaped text");
        prop_assert_eq!(template.render(Encoding::Plain, &context(), &Bindings::new(), Moment::new(0, 0), &Limits::default()), Ok(text));
    }

    #[test]
    fn strings_pass_through_templates(text in "\\PC{0,16}", before in "[a-z }]{0,4}", after in "[a-z }]{0,4}") {
        let template = Template::parse(&format!("{before}{{{{ v }}}}{after}")).expect("a template");
        let input = Input::new(json!({ "v": text }));
        let plain = template.render(Encoding::Plain, &input, &Bindings::new(), Moment::new(0, 0), &Limits::default());
        prop_assert_eq!(plain, Ok(format!("{before}{text}{after}")));
    }

    #[test]
    fn no_text_is_too_strange_to_be_parsed_or_refused(text in "([{}\\[\\]'\"/*a.$ ]|\\{\\{|\\}\\}){0,24}") {
        if let Err(error) = Template::parse(&text) {
            prop_assert!(text.is_char_boundary(error.position));
        }
    }
}
