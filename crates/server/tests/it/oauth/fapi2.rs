//! The OpenID conformance suite for the FAPI 2.0 Security Profile (final), as data, over HTTP. `http.json` has the steps
//! of its modules and what each must be answered; the cases that `countersign-core` decides on values alone go the same way
//! once more. A module may have more cases here than the suite has.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::stage::Stage;
use crate::app::TestApp;

mod answers;
mod stage;

const PREFIX: &str = "fapi2-security-profile-final-";

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn http() -> Vec<Value> {
    cases(include_str!("fapi2/http.json"))
}

fn pure() -> Vec<Value> {
    cases(include_str!("../../../../core/tests/it/oauth_fapi2/pure.json"))
}

/// What goes over from a pure case to the step that has its subject.
fn step(case: &Value, names: &[&str]) -> Value {
    let kept = names.iter().filter_map(|name| Some(((*name).to_owned(), case.get(name)?.clone())));
    Value::Object(kept.collect())
}

fn with(mut step: Value, members: &Value) -> Value {
    step.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    step
}

/// A request that is pushed, agreed to and redeemed.
fn way() -> [Value; 3] {
    [
        json!({ "do": "push", "status": 201 }),
        json!({ "do": "authorize", "status": 303, "location": { "code": "$present", "iss": "$issuer" } }),
        json!({ "do": "token", "status": 200 }),
    ]
}

fn refused(status: u16, error: &str) -> Value {
    json!({ "status": status, "error": error })
}

/// A pure case as the steps in which its subject is met over HTTP.
fn steps_of(case: &Value) -> Vec<Value> {
    let expect = case["expect"].as_str().unwrap();
    let [_, agree, token] = way();
    match case["judge"].as_str().unwrap() {
        "assertion" => {
            let answer = if expect == "ok" { json!({ "status": 201 }) } else { refused(401, expect) };
            let assertion = step(case, &["header", "claims", "signature"]);
            vec![with(json!({ "do": "push", "assertion": assertion }), &answer)]
        }
        "dpop" => {
            let says = format!("$has DPoP error=\"{expect}\"");
            let answer = match expect {
                "ok" => json!({ "status": 200 }),
                _ => json!({ "status": 401, "answer_headers": { "WWW-Authenticate": says } }),
            };
            let proof = step(case, &["header", "claims", "signature", "headers", "key"]);
            vec![json!({ "do": "own" }), with(json!({ "do": "resource", "proof": proof }), &answer)]
        }
        "authorize" if case.get("source").is_some() => {
            let location = json!({ "location": { "code": "$absent", "iss": "$issuer" }, "decision": "none" });
            let go = json!({ "do": "authorize", "query": "$parameters" });
            vec![with(with(go, &refused(303, expect)), &location)]
        }
        "authorize" => {
            let proof = json!({ "proof": case.get("proved").unwrap_or(&json!("none")) });
            let push = with(with(json!({ "do": "push" }), &step(case, &["parameters"])), &proof);
            if expect != "ok" {
                return vec![with(push, &refused(400, expect))];
            }
            let sent = |name: &str, otherwise: &str| match case["parameters"].get(name) {
                Some(Value::Null) => json!("$absent"),
                Some(sent) => sent.clone(),
                None => json!(otherwise),
            };
            let agree =
                with(agree, &json!({ "location": { "code": "$present", "state": sent("state", "s") } }));
            let token = with(token, &json!({ "id_token": { "nonce": sent("nonce", "n") } }));
            vec![with(push, &json!({ "status": 201 })), agree, token]
        }
        "redeem" | "binding" | "refresh" => steps_with_tokens(case, expect),
        unknown => panic!("nothing is judged by {unknown}"),
    }
}

/// The same for what happens at the token endpoint.
fn steps_with_tokens(case: &Value, expect: &str) -> Vec<Value> {
    let way = way();
    let [push, agree, token] = way.clone();
    let wait = json!({ "do": "wait", "seconds": case.get("later_s").unwrap_or(&json!(0)) });
    match case["judge"].as_str().unwrap() {
        "redeem" => {
            let push =
                with(push, &json!({ "proof": if case.get("bound").is_some() { "own" } else { "none" } }));
            let who =
                json!({ "as": if case.get("client").is_some() { "second" } else { "first" }, "of": "first" });
            let proof = json!({ "proof": case.get("key").unwrap_or(&json!("own")) });
            let answer =
                if expect == "ok" { json!({ "status": 200 }) } else { refused(400, "invalid_grant") };
            let redeem =
                with(with(with(json!({ "do": "token" }), &who), &proof), &step(case, &["parameters"]));
            let before = case.get("used").map(|_| token.clone());
            let steps = [Some(push), Some(agree), before, Some(wait), Some(with(redeem, &answer))];
            steps.into_iter().flatten().collect()
        }
        "binding" => {
            let verb = if case.get("before").is_some() { "refresh" } else { "token" };
            let proof = if case["proved"].is_null() { json!("none") } else { case["proved"].clone() };
            let answer = if expect == "ok" { json!({ "status": 200 }) } else { refused(400, expect) };
            let before = if verb == "refresh" { &way[..] } else { &way[..2] };
            [before, &[with(json!({ "do": verb, "proof": proof }), &answer)]].concat()
        }
        _ => {
            let is_other = case.get("client").is_some();
            let is_authenticated = case.get("authenticated").is_none();
            let refresh =
                json!({ "do": "refresh", "as": if is_other { "second" } else { "first" }, "of": "first" });
            let answer = match (expect, is_authenticated) {
                ("keep", _) => json!({ "status": 200, "members": { "refresh_token": "$absent" } }),
                (_, false) => with(refused(401, "invalid_client"), &json!({ "assertion": "none" })),
                (_, true) => refused(400, "invalid_grant"),
            };
            [&way[..], &[wait, with(refresh, &answer)]].concat()
        }
    }
}

/// every case of the conformance suite, over HTTP, answered as the suite expects it.
#[tokio::test]
async fn the_conformance_suite_is_answered_as_it_expects() {
    let test = TestApp::start().await;
    let mut stage = Stage::new(&test).await;
    let of_http = http().into_iter().map(|case| (case["steps"].as_array().unwrap().clone(), case));
    let of_pure = pure().into_iter().map(|case| (steps_of(&case), case));
    let mut deviations = Vec::new();
    for (steps, case) in of_http.chain(of_pure) {
        stage.forget();
        for (number, step) in steps.iter().enumerate() {
            if let Err(deviation) = stage.run(step).await {
                let (module, name) = (&case["module"], &case["case"]);
                deviations.push(format!("{module}, {name}, step {}: {deviation}\n  {step}", number + 1));
                break;
            }
        }
    }
    assert!(deviations.is_empty(), "{}", deviations.join("\n"));
    test.work().await;
    test.finish().await;
}

/// no module of the suite is forgotten, and no case has a module that the suite does not have. The list is what the
/// suite's plan runs (August 2026) for the profile `plain_fapi`, `private_key_jwt`, DPoP, OpenID Connect, and requests and
/// responses without signatures.
#[test]
fn every_module_of_the_conformance_suite_has_a_case() {
    let name = |case: &Value| case["module"].as_str().unwrap().strip_prefix(PREFIX).unwrap().to_owned();
    let found: BTreeSet<String> = pure().iter().chain(&http()).map(name).collect();
    let modules = include_str!("../../../../core/tests/it/oauth_fapi2/modules.json");
    let expected: BTreeSet<String> = serde_json::from_str(modules).unwrap();
    assert_eq!(found, expected);
}
