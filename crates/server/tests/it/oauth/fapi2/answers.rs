//! What an answer must be: a value that is met exactly, or a word for what is not known before.

use reqwest::header::HeaderMap;
use serde_json::{Map, Value};

/// What came back of one step.
pub(super) struct Came {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// The body, where it is JSON.
    pub(super) body: Value,
    /// The parameters that the browser takes to the client.
    pub(super) location: Value,
    /// The claims of the ID token.
    pub(super) id_token: Value,
}

/// Whether a value is what a case expects.
fn fits(expected: &Value, found: Option<&Value>, issuer: &str) -> bool {
    let found = found.filter(|found| !found.is_null());
    let Some(word) = expected.as_str().filter(|word| word.starts_with('$')) else {
        return found == Some(expected);
    };
    let (word, rest) = word.split_once(' ').unwrap_or((word, ""));
    let text = found.and_then(Value::as_str);
    let list = || found.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    match word {
        "$present" => found.is_some(),
        "$absent" => found.is_none(),
        "$issuer" => text == Some(issuer),
        "$begins" => text.is_some_and(|text| text.starts_with(rest)),
        "$has" => text.is_some_and(|text| text.contains(rest)),
        "$from" => {
            let (least, most) = rest.split_once(" to ").unwrap();
            let bounds = least.parse().unwrap()..=most.parse().unwrap();
            found.and_then(Value::as_i64).is_some_and(|found| bounds.contains(&found))
        }
        "$with" => list().any(|found| found == rest),
        "$within" => list().count() > 0 && list().all(|found| rest.split(' ').any(|one| one == found)),
        unknown => panic!("no expectation is called {unknown}"),
    }
}

fn members(what: &str, expected: Option<&Value>, found: &Value, issuer: &str) -> Result<(), String> {
    for (name, expected) in expected.and_then(Value::as_object).into_iter().flatten() {
        if !fits(expected, found.get(name), issuer) {
            return Err(format!("{what} {name}: {:?} is not {expected}", found.get(name)));
        }
    }
    Ok(())
}

/// Compares an answer with what a step expects of it.
pub(super) fn compare(step: &Value, came: &Came, issuer: &str) -> Result<(), String> {
    let (status, body) = (step["status"].as_u64().expect("a status is expected"), &came.body);
    if u64::from(came.status) != status {
        return Err(format!("{} is not {status}: {body} {}", came.status, came.location));
    }
    let error = if came.location.is_null() { &body["error"] } else { &came.location["error"] };
    if *error != step["error"] {
        return Err(format!("the error {error} is not {}", step["error"]));
    }
    let headers: Map<String, Value> = came
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().into()))
        .collect();
    let wanted = step.get("answer_headers").and_then(Value::as_object).into_iter().flatten();
    let wanted: Map<String, Value> =
        wanted.map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    members("header", Some(&Value::Object(wanted)), &Value::Object(headers), issuer)?;
    members("member", step.get("members"), body, issuer)?;
    members("parameter", step.get("location"), &came.location, issuer)?;
    members("claim", step.get("id_token"), &came.id_token, issuer)
}
