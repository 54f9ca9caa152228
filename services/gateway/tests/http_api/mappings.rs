//! Mappings over HTTP. The tests play the healer: it alone writes `state.mappings`.

use prunella_model::{MappingKey, TextHash};
use prunella_stream::{Tail, TailFrom, Tailed};
use prunella_wire::records::{
    ErrorInfo, MappingActive, MappingCommand, MappingDecision, MappingDecisions, MappingVersion,
};
use reqwest::Method;
use serde_json::{Value, json as value};

use crate::support::{Api, eventually, json, kafka, problem};

const MAPPINGS: &str = "/v1/workspaces/default/mappings";
const FETCH: &str = "/v1/workspaces/default/mappings/orders/fetch";

fn key() -> MappingKey {
    "default/orders/fetch/0123456789abcdef".parse().expect("a key")
}

fn base() -> TextHash {
    TextHash::of("{ \"id\": id }")
}

fn version(number: i32, status: &str) -> MappingVersion {
    MappingVersion {
        mapping: key(),
        version: number,
        parent: 1,
        base: base(),
        text: "{ \"id\": reference }\n".to_owned(),
        origin: "repaired".to_owned(),
        status: status.to_owned(),
        evidence: value!({ "summary": "not proven" }).to_string(),
        actor: "healer".to_owned(),
        created_at: 1000,
        changed_at: 1000,
        moved: None,
    }
}

async fn write_version(api: &Api, version: &MappingVersion) {
    api.write(&api.topics.state_mappings(), &version.key(), version).await;
}

async fn write_decision(api: &Api, decision: MappingDecision) {
    let decisions = MappingDecisions { mapping: key(), decisions: vec![decision], changed_at: 0 };
    api.write(&api.topics.state_mappings(), &decisions.key(), &decisions).await;
}

async fn is_known(api: &Api, versions: &Value) {
    eventually("the versions are known", async || {
        let response = api.get(FETCH).await;
        response.status() == 200 && json(response).await.1["versions"] == *versions
    })
    .await;
}

async fn ask(api: &Api, path: &str, body: &Value, key: Option<&str>) -> (u16, Value) {
    let request = api.request(Method::POST, &format!("{FETCH}/{path}")).body(body.to_string());
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    json(request.send().await.expect("an answer")).await
}

async fn commands(api: &Api) -> Vec<MappingCommand> {
    let mut tail = Tail::start(&api.kafka, &api.topics.stage_heal(), TailFrom::Beginning).await.expect("a tail");
    let mut commands = Vec::new();
    while let Some(Tailed::Record(record)) = tail.next().await {
        commands.push(api.codec.decode(record.value.as_deref().expect("a value")).await.expect("a command"));
    }
    commands
}

#[tokio::test]
async fn what_was_proposed_is_shown_and_tried_on_an_item() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    write_version(&api, &version(2, "candidate")).await;
    is_known(&api, &value!([2])).await;
    let listed = api.get_json(MAPPINGS).await;
    let summary = &listed["mappings"][0];
    assert_eq!(summary["mapping"], key().to_string());
    assert_eq!((&summary["active"], &summary["candidates"]), (&value!(1), &value!([2])), "{summary}");
    assert_eq!(api.get_json("/v1/workspaces/other/mappings").await["mappings"], value!([]));

    let shown = api.get_json(&format!("{FETCH}/versions/2")).await;
    assert_eq!((&shown["status"], &shown["evidence"]["summary"]), (&value!("candidate"), &value!("not proven")));
    assert_eq!(problem(api.get(&format!("{FETCH}/versions/3")).await).await, (404, "PRN-0524".to_owned()));
    let history = api.get_json(&format!("{FETCH}/history")).await;
    let first = &history["history"][0];
    assert_eq!(
        (&first["what"], &first["version"], &first["why"]),
        (&value!("made"), &value!(2), &value!("not proven"))
    );

    // Numbers keep their digits.
    let item = r#"{ "version": 2, "item": { "reference": 12345678901234567890123 } }"#;
    let mapped = api.post(&format!("{FETCH}/eval"), item).await;
    assert_eq!(mapped.status(), 200);
    let mapped = mapped.text().await.expect("a body");
    assert!(mapped.contains(r#""output":{"id":12345678901234567890123}"#), "{mapped}");
    let (status, failed) = ask(&api, "eval", &value!({ "version": 2, "item": "no object" }), None).await;
    assert_eq!((status, &failed["output"]), (200, &value!({})), "{failed}");
}

#[tokio::test]
async fn a_decision_is_a_record_for_the_healer_which_is_waited_for() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    write_version(&api, &version(2, "candidate")).await;
    is_known(&api, &value!([2])).await;
    let body = value!({ "version": 2, "reason": "looks right", "in_use": 1 });
    let (status, answer) = ask(&api, "approve?timeout=1ms", &body, Some("mine")).await;
    assert_eq!((status, &answer["status"]), (202, &value!("accepted")), "nobody heals: {answer}");
    let sent = commands(&api).await;
    let [command] = sent.as_slice() else { panic!("one command: {sent:?}") };
    assert_eq!((command.command.as_str(), command.version, command.in_use), ("approve", 2, Some(1)));
    assert_eq!((command.id.as_str(), command.actor.as_str()), ("mine", "http-api"));
    assert_eq!(command.reason, "looks right");

    let done = MappingDecision {
        id: "mine".to_owned(),
        command: "approve".to_owned(),
        version: 2,
        actor: "http-api".to_owned(),
        reason: "looks right".to_owned(),
        decided_at: 5,
        error: None,
    };
    let waiting = ask(&api, "approve?timeout=20s", &body, Some("mine"));
    let healing = async {
        let active = MappingActive {
            mapping: key(),
            base: base(),
            version: 2,
            changed_at: 5,
            changed_by: "http-api".to_owned(),
            command: Some("mine".to_owned()),
            before: 1,
            watched_until: 0,
        };
        api.write(&api.topics.state_mappings(), &active.key(), &active).await;
        write_version(&api, &version(2, "active")).await;
        write_decision(&api, done).await;
    };
    let ((status, answer), ()) = tokio::join!(waiting, healing);
    assert_eq!((status, &answer["status"], &answer["version"]), (200, &value!("active"), &value!(2)), "{answer}");
    // Asked again with its key, it is told again; with another one, there is nothing left to decide.
    let asked = commands(&api).await.len();
    assert_eq!(ask(&api, "approve", &body, Some("mine")).await.0, 200);
    let (status, answer) = ask(&api, "reject", &body, Some("mine")).await;
    assert_eq!((status, &answer["code"]), (400, &value!("PRN-0805")), "{answer}");
    let (status, answer) = ask(&api, "approve", &value!({ "version": 2 }), None).await;
    assert_eq!((status, &answer["code"]), (409, &value!("PRN-0525")), "{answer}");
    let (status, answer) = ask(&api, "edit", &value!({ "text": "$", "in_use": 1 }), None).await;
    assert_eq!((status, &answer["code"]), (409, &value!("PRN-0525")), "{answer}");
    assert!(answer["detail"].as_str().is_some_and(|it| it.contains("version 2 is by now")), "{answer}");
    assert_eq!(commands(&api).await.len(), asked, "none of them went to the healer");
}

#[tokio::test]
async fn what_the_healer_refuses_is_a_conflict() {
    let kafka = kafka();
    let api = Api::with_kafka(&kafka).await;
    write_version(&api, &version(2, "candidate")).await;
    is_known(&api, &value!([2])).await;
    let refused = MappingDecision {
        id: "late".to_owned(),
        command: "reject".to_owned(),
        version: 2,
        actor: "http-api".to_owned(),
        reason: String::new(),
        decided_at: 5,
        error: Some(ErrorInfo { code: "PRN-0525".to_owned(), message: "somebody was faster".to_owned() }),
    };
    let body = value!({ "version": 2 });
    let ((status, answer), ()) =
        tokio::join!(ask(&api, "reject?timeout=20s", &body, Some("late")), write_decision(&api, refused));
    assert_eq!((status, &answer["code"]), (409, &value!("PRN-0525")), "{answer}");
    assert_eq!(answer["detail"], "somebody was faster");
}

#[tokio::test]
async fn requests_about_mappings_that_are_wrong_say_so() {
    let api = Api::without_kafka(|_| ()).await;
    assert_eq!(api.get_json(MAPPINGS).await, value!({ "mappings": [] }));
    for path in ["", "/history", "/diff", "/versions/2"] {
        assert_eq!(problem(api.get(&format!("{FETCH}{path}")).await).await, (404, "PRN-0524".to_owned()), "{path}");
    }
    let approve = format!("{FETCH}/approve");
    for (body, code) in
        [("", "PRN-0806"), ("{", "PRN-0806"), ("{}", "PRN-0805"), (r#"{"version":2,"force":1}"#, "PRN-0805")]
    {
        assert_eq!(problem(api.post(&approve, body).await).await, (400, code.to_owned()), "{body}");
    }
    assert_eq!(problem(api.post(&approve, r#"{"version":2}"#).await).await, (404, "PRN-0524".to_owned()));
    let schema = api.get(&format!("{FETCH}?schema=nonsense")).await;
    assert_eq!(problem(schema).await, (400, "PRN-0805".to_owned()));
    assert_eq!(problem(api.get(&approve).await).await, (405, "PRN-0809".to_owned()));
}

#[tokio::test]
async fn mappings_are_behind_the_token_as_everything_is() {
    let api = Api::without_kafka(|config| config.token = Some("s3cret".to_owned())).await;
    assert_eq!(problem(api.get(MAPPINGS).await).await, (401, "PRN-0803".to_owned()));
    let refused = api.post(&format!("{FETCH}/edit"), r#"{"text":"$"}"#).await;
    assert_eq!(problem(refused).await, (401, "PRN-0803".to_owned()));
    let open = api.request(Method::GET, MAPPINGS).bearer_auth("s3cret").send().await.expect("an answer");
    assert_eq!(open.status(), 200);
}
