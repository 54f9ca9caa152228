//! What services get to execute.

use std::sync::Arc;

use prunella_model::Code;
use prunella_model::workflow::{Mapping, OnInvalid};
use prunella_workflow::{Limits, PageStrategy, Plan, PlannedExtract, load_str};

fn plan(text: &str) -> Plan {
    let limits = Limits::default();
    let loaded = load_str("w.yaml", text, None, &limits).unwrap_or_else(|problems| panic!("{problems}"));
    Plan::compile(loaded.declared.as_workflow().expect("a workflow"), &limits)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

const DIAMOND: &str = r#"
workflow: diamond
trigger: {}
steps:
  - id: report
    needs: [prices, stock]
    extract: { inline: { day: "{{ run.id }}" } }
    transform: '{ "prices": $count($steps.prices), "first": $steps.shops[0] }'
  - id: stock
    needs: [shops]
    when: $count(steps.shops) > 0
    extract:
      http:
        url: https://shop.example/stock
        pagination: { page: { param: page } }
      items: data.stock
    schema: { type: object, properties: { at: { type: string, format: date-time } } }
  - id: shops
    extract: { trigger: {} }
    on-invalid: fail
    ordered: true
  - id: prices
    needs: [shops]
    extract: { http: { url: "https://shop.example/{{ trigger.country }}/prices" } }
    transform: price
output:
  from: report
  key: '"day-" & prices'
"#;

#[test]
fn a_plan_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Arc<Plan>>();
}

#[test]
fn steps_stand_after_what_they_need_and_know_their_ancestors() {
    let plan = plan(DIAMOND);
    let ids: Vec<_> = plan.steps().iter().map(|step| step.id.to_string()).collect();
    assert_eq!(ids, ["shops", "stock", "prices", "report"]);
    let report = plan.step(&"report".parse().expect("an id")).expect("the step");
    assert_eq!((report.index, &report.needs[..], &report.ancestors[..]), (3, &[2, 1][..], &[0, 1, 2][..]));
    assert_eq!(plan.output().from, 3);
    assert!(plan.output().key.is_some());
    assert!(plan.steps().iter().enumerate().all(|(at, step)| step.index == at));
}

#[test]
fn only_outputs_that_somebody_reads_are_wanted() {
    let plan = plan(DIAMOND);
    let wanted: Vec<_> = plan.steps().iter().map(|step| step.output_wanted).collect();
    assert_eq!(wanted, [true, false, true, false], "shops and prices are read, stock and report are not");
    let context: Vec<_> = plan.steps().iter().map(|step| step.context_wanted).collect();
    assert_eq!(context, [false, false, true, true]);
}

#[test]
fn sources_are_compiled() {
    let plan = plan(DIAMOND);
    assert!(matches!(plan.steps()[0].extract, PlannedExtract::Trigger));
    assert!(plan.steps()[0].ordered && plan.steps()[0].on_invalid == OnInvalid::Fail);
    let PlannedExtract::Http(stock) = &plan.steps()[1].extract else { panic!("http expected") };
    assert!(
        matches!(&stock.pagination, Some(p) if matches!(&p.strategy, PageStrategy::Page(page) if page.param == "page"))
    );
    let items = plan.steps()[1].items.as_ref().expect("a path");
    assert_eq!(items.fields(), ["data", "stock"]);
    assert!(plan.steps()[1].when.is_some());
    assert!(matches!(plan.steps()[3].extract, PlannedExtract::Inline(_)));
}

#[test]
fn schemas_assert_formats() {
    let plan = plan(DIAMOND);
    let schema = plan.steps()[1].schema.as_ref().expect("a schema");
    assert!(schema.is_valid(&serde_json::json!({ "at": "2024-05-01T10:00:00Z" })));
    assert!(!schema.is_valid(&serde_json::json!({ "at": "yesterday" })));
}

#[test]
fn a_transform_of_the_whole_run_is_a_last_step_of_its_own() {
    let plan = plan(
        "workflow: w\ntrigger: {}\nsteps:\n  - { id: a, extract: { trigger: {} } }\n  - { id: b, extract: { trigger: {} } }\noutput:\n  transform: '{ \"a\": $count(steps.a) }'\n  schema: { type: object }\n",
    );
    let last = plan.steps().last().expect("a step");
    assert_eq!(last.id.as_str(), "output");
    assert!(matches!(last.extract, PlannedExtract::Context));
    assert_eq!((plan.output().from, &last.needs[..]), (2, &[0, 1][..]));
    assert!(last.transform.is_some() && last.schema.is_some() && last.context_wanted);
    assert!(plan.steps()[0].output_wanted);
    assert!(!plan.steps()[1].output_wanted);
}

#[test]
fn whoever_reads_all_steps_wants_them_all() {
    let plan = plan(
        "workflow: w\ntrigger: {}\nsteps:\n  - { id: a, extract: { trigger: {} } }\n  - { id: b, extract: { trigger: {} } }\noutput: { transform: steps }\n",
    );
    assert!(plan.steps()[..2].iter().all(|step| step.output_wanted));
}

#[test]
fn characters_that_yaml_would_refuse_pass_through_a_definition() {
    let plan = plan(
        "{\"workflow\":\"w\",\"trigger\":{},\"steps\":[{\"id\":\"a\",\"extract\":{\"inline\":\"\\u007f\\u0085\\ufeff\\uffff\\u2028\\u0001😀\"}}],\"output\":{\"from\":\"a\"}}",
    );
    assert_eq!(plan.workflow().steps[0].extract.inline, Some("\u{7f}\u{85}\u{feff}\u{ffff}\u{2028}\u{1}😀".into()));
}

#[test]
fn a_definition_that_was_never_checked_is_checked() {
    let limits = Limits::default();
    let mut workflow = plan(DIAMOND).workflow().clone();
    workflow.steps[0].transform = Some(Mapping::Inline("{ \"a\": ".into()));
    workflow.steps[1].needs = vec!["report".parse().expect("an id")];
    workflow.output.from = None;
    let problems = Plan::compile(&workflow, &limits).expect_err("three mistakes");
    let mut codes: Vec<_> = problems.iter().map(|problem| problem.code).collect();
    codes.sort();
    codes.dedup();
    assert_eq!(codes, [Code::WorkflowShape, Code::WorkflowGraph, Code::WorkflowExpression]);
    assert!(problems.iter().all(|problem| problem.file == "workflow diamond" && problem.line > 1), "{problems}");
}
