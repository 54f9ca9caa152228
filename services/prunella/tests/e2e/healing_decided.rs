//! What people see of a mapping and decide about it, over HTTP and on the command line.

use std::time::Duration;

use prunella_testkit::harness::{Installation, Prunella, block_on, wait_until};
use serde_json::{Value, json};

use crate::healing::{as_it_is_now, assert_all_right, assert_all_succeed, expected, learn, settings, start, workflow};
use crate::support::{api, install_with};

/// An HTTP client that looks at the mapping of `healing/orders`.
struct Asker {
    base: String,
}

impl Asker {
    fn of(process: &Prunella) -> Self {
        Self { base: format!("{}/v1/workspaces/default/mappings/healing/orders", api(process)) }
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask(reqwest::Client::new().get(format!("{}{path}", self.base)))
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(reqwest::Client::new().post(format!("{}{path}", self.base)).json(body))
    }

    fn ask(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        block_on(async {
            let response = request.send().await.expect("an answer");
            (response.status().as_u16(), response.json().await.expect("JSON"))
        })
    }

    fn refused(&self, path: &str, body: &Value) -> (u16, String) {
        let (status, answer) = self.post(path, body);
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// Sixteen runs of the old shape, then eight of the new one, which wait for the proposal that comes of them.
fn drifted(installation: &Installation, asker: &Asker) -> Vec<String> {
    installation.apply(&workflow("review"));
    learn(installation);
    let drifted = start(installation, 16..24, as_it_is_now);
    wait_until(Duration::from_secs(60), "a proposal", || (asker.get("").1["candidates"] == json!([2])).then_some(()));
    drifted
}

fn conflict() -> (u16, String) {
    (409, "PRN-0525".to_owned())
}

#[test]
fn a_drift_is_looked_at_and_decided_about_over_http() {
    let installation = install_with(&settings());
    let running = installation.up();
    let asker = Asker::of(&running);
    let drifted = drifted(&installation, &asker);

    let (_, shown) = asker.get("");
    assert_eq!((&shown["active"], &shown["versions"]), (&json!(1), &json!([2])), "{shown:#}");
    assert!(shown["author"].as_str().is_some_and(|text| text.contains("total_cents")), "{shown:#}");
    let (_, difference) = asker.get("/diff?to=2");
    let lines = difference["lines"].as_str().expect("text");
    assert!(lines.contains("order_id") && lines.contains("reference"), "{lines}");
    let tried = asker.post("/eval", &json!({ "version": 2, "item": as_it_is_now(3) }));
    assert_eq!((tried.0, &tried.1["output"]), (200, &expected(3)), "{}", tried.1);

    // Decided for a version that is not the one in use.
    assert_eq!(asker.refused("/approve", &json!({ "version": 2, "in_use": 7 })), conflict());
    assert_eq!(asker.refused("/rollback", &json!({ "version": 2 })), conflict(), "it was never in use");
    assert_eq!(installation.count("output.default.healing"), 80, "nothing is used before it is approved");
    let approved = asker.post("/approve", &json!({ "version": 2, "in_use": 1, "reason": "looks right" }));
    assert_eq!((approved.0, &approved.1["status"], &approved.1["version"]), (200, &json!("active"), &json!(2)));
    assert_all_succeed(&installation, &drifted);
    assert_all_right(&installation);
    assert_eq!(asker.refused("/approve", &json!({ "version": 2 })), conflict(), "decided already");
    assert_eq!(asker.refused("/reject", &json!({ "version": 2 })), conflict());

    // Back to the author's text, which the new shape does not fit; then another text, by hand.
    assert_eq!(asker.post("/rollback", &json!({ "version": 1, "in_use": 2 })).0, 200);
    assert_eq!(asker.get("").1["active"], json!(1));
    let waiting = start(&installation, 24..25, as_it_is_now);
    let text = r#"{ "id": reference, "customer": buyer.name, "cents": amount.cents }"#;
    assert_eq!(asker.refused("/edit", &json!({ "text": "{ \"id\": " })), (400, "PRN-0105".to_owned()));
    assert_eq!(asker.refused("/edit", &json!({ "text": text, "in_use": 2 })), conflict());
    let edited = asker.post("/edit", &json!({ "text": text, "in_use": 1, "reason": "by hand" }));
    assert_eq!((edited.0, &edited.1["version"]), (200, &json!(3)), "{}", edited.1);
    assert_all_succeed(&installation, &waiting);

    let (_, history) = asker.get("/history");
    let told: Vec<(String, i64, String)> = history["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            (text("what"), entry["version"].as_i64().unwrap_or_default(), text("actor"))
        })
        .collect();
    let by_hand = |what: &str, version| (what.to_owned(), version, "http-api".to_owned());
    let wanted = [
        ("made".to_owned(), 2, "healer".to_owned()),
        by_hand("approve", 2),
        by_hand("rollback", 1),
        by_hand("edit", 3),
    ];
    assert_eq!(told, wanted, "{history:#}");
    assert_eq!(installation.count("deadletter.default.healing"), 0);
}

#[test]
fn a_proposal_that_is_turned_down_sends_what_waits_to_the_dead_letters() {
    let installation = install_with(&settings());
    let running = installation.up();
    let asker = Asker::of(&running);
    let drifted = drifted(&installation, &asker);
    let rejected = asker.post("/reject", &json!({ "version": 2, "reason": "wrong source" }));
    assert_eq!((rejected.0, &rejected.1["status"]), (200, &json!("rejected")), "{}", rejected.1);
    for report in installation.wait_for_ends(&drifted, Duration::from_secs(60)) {
        assert_eq!((&report["valid"], &report["dead_lettered"]), (&json!(0), &json!(5)), "{report:#}");
    }
    assert_eq!(installation.count("deadletter.default.healing"), 40);
    assert_eq!(installation.count("output.default.healing"), 80);
    assert_eq!(asker.post("/heal", &json!({})).0, 200);
}

#[test]
fn of_two_people_who_edit_at_once_one_is_told_that_the_other_was_faster() {
    let installation = install_with(&settings());
    let running = installation.up();
    installation.apply(&workflow("auto"));
    wait_until(Duration::from_secs(20), "the mapping is known", || {
        (Asker::of(&running).get("").0 == 200).then_some(())
    });
    let edit = |customer: &str| {
        let text = format!(r#"{{ "id": order_id, "customer": {customer}, "cents": total_cents }}"#);
        Asker::of(&running).post("/edit", &json!({ "text": text, "in_use": 1 }))
    };
    let mut answers = std::thread::scope(|scope| {
        let threads = ["customer_name", "$uppercase(customer_name)"].map(|text| scope.spawn(move || edit(text)));
        threads.map(|thread| thread.join().expect("no panic"))
    });
    answers.sort_by_key(|(status, _)| *status);
    assert_eq!((answers[0].0, answers[1].0), (200, 409), "{answers:?}");
    assert_eq!(Asker::of(&running).get("").1["versions"], json!([2]), "one of them made a version");
}

#[test]
fn the_command_line_shows_how_versions_differ_and_what_became_of_a_mapping() {
    let installation = install_with(&settings());
    let _running = installation.up();
    installation.apply(&workflow("auto"));
    let mappings = |arguments: &[&str]| installation.cli(&[&["mappings"], arguments].concat());
    // Known before anything was healed: version 1 is the author's text.
    let shown = mappings(&["show", "healing/orders"]).exits_with(0).json();
    assert_eq!((&shown["active"], &shown["versions"]), (&json!(1), &json!([])), "{shown:#}");
    mappings(&["show", "healing/nothing"]).exits_with(5);
    learn(&installation);
    assert_all_succeed(&installation, &start(&installation, 16..24, as_it_is_now));
    let difference = mappings(&["diff", "healing/orders"]).exits_with(0).json();
    assert_eq!((&difference["from"], &difference["to"]), (&json!(1), &json!(2)), "{difference:#}");
    let lines = difference["lines"].as_str().expect("text");
    assert!(lines.contains("- ") && lines.contains("total_cents") && lines.contains("amount.cents"), "{lines}");
    assert!(!lines.contains("the shop's own number") || !lines.contains("-         /*"), "only what differs: {lines}");
    let same = mappings(&["diff", "healing/orders", "--from", "2", "--to", "2"]).exits_with(0).json();
    assert_eq!(same["lines"], json!(""));
    mappings(&["diff", "healing/orders", "--to", "9"]).exits_with(5);

    mappings(&["rollback", "healing/orders", "1", "--in-use", "3"]).exits_with(6);
    mappings(&["rollback", "healing/orders", "1", "--in-use", "2", "--reason", "a look"]).exits_with(0);
    mappings(&["rollback", "healing/orders", "2"]).exits_with(0);
    let history = mappings(&["history", "healing/orders"]).exits_with(0).json();
    let told: Vec<(&str, i64, &str)> = history["history"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|it| {
            (
                it["what"].as_str().unwrap_or_default(),
                it["version"].as_i64().unwrap_or_default(),
                it["why"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(told[0].0, "made", "{history:#}");
    assert_eq!(told[1..], [("rollback", 1, "a look"), ("rollback", 2, "")], "{history:#}");
    assert_eq!(history["history"][0]["status"], json!("active"), "{history:#}");
}
