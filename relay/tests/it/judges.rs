//! Other people's programs beside the relay: Python signs as Stripe, GitHub and `DocuSign` do, and the official packages of
//! Standard Webhooks judge what is forwarded.

use std::env;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::desk::{
    BOTH, FORWARD_SECRET, Relay, Sent, configuration, event, forward_to, id, message, now_s, signed, until,
};
use crate::system::System;

/// What `cargo xtask test` installed: by its variable, else where it puts it.
fn installed(variable: &str, within: &str) -> PathBuf {
    let cached = || PathBuf::from(env::var_os("HOME").unwrap()).join(".cache/countersign").join(within);
    let found = env::var_os(variable).map_or_else(cached, PathBuf::from);
    assert!(found.exists(), "{} is missing: run `cargo xtask test` once, or set {variable}", found.display());
    found
}

/// Runs a program over one JSON value; the JSON value that it says.
fn run(command: &mut Command, input: &Value) -> Value {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn python(script: &str, input: &Value) -> Value {
    let mut command = Command::new(installed("CS_TEST_PYTHON", "venv/bin/python"));
    run(command.args(["-c", script]), input)
}

/// Signatures by Python's own `hmac`, as the pages of the three say.
const SIGN: &str = r#"
import base64, hashlib, hmac, json, sys
given = json.load(sys.stdin)
def mac(key, text):
    return hmac.new(key.encode(), text.encode(), hashlib.sha256)
said = []
for one in given:
    kind, key, body, time = one["kind"], one["key"], one["body"], one["time"]
    if kind == "stripe":
        said.append(f"t={time},v1={mac(key, f'{time}.{body}').hexdigest()}")
    elif kind == "github":
        said.append("sha256=" + mac(key, body).hexdigest())
    else:
        said.append(base64.b64encode(mac(key, body).digest()).decode())
json.dump(said, sys.stdout)
"#;

const STRIPE: &str = "whsec_stripe_has_secrets_of_its_own";
const GITHUB: &str = "It's a Secret to Everybody";
const DOCUSIGN: &str = "c29tZXRoaW5nIGluIGJhc2U2NA==";

fn preset(kind: &str, key: &str, body: &str, time_s: i64) -> Value {
    json!({"kind": kind, "key": key, "body": body, "time": time_s})
}

fn presets(url: &str) -> String {
    let mut tables = String::new();
    for name in ["stripe", "github", "docusign"] {
        let variable = name.to_uppercase();
        write!(
            tables,
            "[senders.{name}]\nformat = \"{name}\"\nsecret_envs = [\"OLD\", \"{variable}\"]\n\
             [senders.{name}.forward]\nurl = \"{url}\"\n"
        )
        .unwrap();
    }
    tables
}

fn with_header(name: &str, value: &str, body: &str) -> Sent {
    Sent { id: String::new(), headers: Vec::new(), body: body.as_bytes().to_vec() }.with(name, value)
}

/// W-10: messages of Stripe, GitHub and `DocuSign`, signed by Python, are taken once, and nothing that was changed, is stale or was
/// seen before.
#[expect(clippy::too_many_lines, reason = "most of it is the table of what is sent")]
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_stripe_github_and_docusign_are_taken_once() {
    let now_s = now_s();
    let stripe = r#"{"id":"evt_1NG8Du2eZvKYlo2CUI79vXWy","object":"event","type":"charge.succeeded"}"#;
    let github = r#"{"zen":"Keep it logically awesome.","hook_id":1}"#;
    let made_at = jiff::Timestamp::from_second(now_s - 60).unwrap();
    let docusign = |retries| {
        format!(
            r#"{{"event":"envelope-completed","apiVersion":"v2.1","uri":"/e/1","retryCount":{retries},"configurationId":7,"generatedDateTime":"{made_at}","data":{{"envelopeId":"e1"}}}}"#
        )
    };
    let signatures = python(
        SIGN,
        &json!([
            preset("stripe", STRIPE, stripe, now_s),
            preset("stripe", STRIPE, stripe, now_s + 1),
            preset("stripe", STRIPE, stripe, now_s - 330),
            preset("stripe", "whsec_somebody_else_has_another", stripe, now_s),
            preset("github", GITHUB, github, 0),
            preset("docusign", DOCUSIGN, &docusign(0), 0),
            preset("docusign", DOCUSIGN, &docusign(1), 0),
        ]),
    );
    let by = |number: usize| signatures[number].as_str().unwrap().to_owned();
    let of_stripe = |number, body: &str| with_header("stripe-signature", &by(number), body);
    let of_github = |delivery: &str, body: &str| {
        with_header("x-hub-signature-256", &by(4), body).with("x-github-delivery", delivery)
    };
    let of_docusign = |number, body: &str| {
        with_header("x-docusign-signature-1", "AAAA", body).with("x-docusign-signature-2", &by(number))
    };
    let cases = [
        ("stripe", 202, "accepted", of_stripe(0, stripe)),
        ("stripe", 409, "a replay", of_stripe(0, stripe)),
        ("stripe", 202, "sent again", of_stripe(1, stripe)),
        ("stripe", 408, "stale", of_stripe(2, stripe)),
        ("stripe", 401, "another secret", of_stripe(3, stripe)),
        ("stripe", 401, "changed", of_stripe(0, &stripe.replace("charge", "refund"))),
        ("github", 202, "accepted", of_github("72d3162e-cc78-11e3-81ab-4c9367dc0958", github)),
        ("github", 202, "sent again", of_github("72d3162e-cc78-11e3-81ab-4c9367dc0958", github)),
        (
            "github",
            409,
            "a replay under another id",
            of_github("72d3162e-cc78-11e3-81ab-000000000000", github),
        ),
        ("github", 401, "changed", of_github("72d3162e-cc78-11e3-81ab-4c9367dc0959", "{}")),
        ("docusign", 202, "accepted", of_docusign(5, &docusign(0))),
        ("docusign", 202, "a replay, which is no other than a retry", of_docusign(5, &docusign(0))),
        ("docusign", 202, "tried again", of_docusign(6, &docusign(1))),
        ("docusign", 401, "changed", of_docusign(5, &docusign(2))),
        ("github", 400, "of another sender", of_stripe(0, stripe)),
    ];
    for database in BOTH {
        let system = System::start().await;
        let mut relay = Relay::new(&configuration(
            "",
            "",
            &format!("{}{}", forward_to(&system.url), presets(&system.url)),
        ));
        for (name, value) in
            [("STRIPE", STRIPE), ("GITHUB", GITHUB), ("DOCUSIGN", DOCUSIGN), ("OLD", "0123456789abcdef")]
        {
            relay.set(name, value);
        }
        relay.over(database).await;
        relay.start().await;
        for (name, status, what, sent) in &cases {
            assert_eq!(relay.post_to(name, sent).await.status().as_u16(), *status, "{name}: {what}");
        }
        until("one of each", || std::future::ready((system.got().len() == 3).then_some(()))).await;
        relay.until_empty().await;
        let got = system.got();
        let mut keys: Vec<_> = got.iter().map(|got| got.header("idempotency-key").to_owned()).collect();
        keys.sort();
        assert_eq!(
            keys[1..],
            [
                "github:72d3162e-cc78-11e3-81ab-4c9367dc0958".to_owned(),
                "stripe:evt_1NG8Du2eZvKYlo2CUI79vXWy".to_owned()
            ]
        );
        assert!(got.iter().any(|got| got.body == stripe) && got.iter().any(|got| got.body == docusign(0)));
    }
}

const PYTHON_JUDGE: &str = r#"
import json, sys
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
given = json.load(sys.stdin)
def verdict(one):
    try:
        Webhook(given["secret"]).verify(one["body"], one["headers"])
        return True
    except WebhookVerificationError:
        return False
json.dump([verdict(one) for one in given["messages"]], sys.stdout)
"#;

const NODE_JUDGE: &str = r#"
const { Webhook } = require("standardwebhooks");
let text = "";
process.stdin.on("data", (part) => (text += part));
process.stdin.on("end", () => {
  const given = JSON.parse(text);
  const verdict = (one) => {
    try {
      new Webhook(given.secret).verify(one.body, one.headers);
      return true;
    } catch (error) {
      return false;
    }
  };
  process.stdout.write(JSON.stringify(given.messages.map(verdict)));
});
"#;

/// W-1, W-10: the official packages of Python and Node take what the relay forwards, with either secret while one is changed, and
/// nothing that was changed on the way.
#[tokio::test(flavor = "multi_thread")]
async fn the_official_packages_take_what_is_forwarded() {
    let system = System::start().await;
    let next = "whsec_CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";
    let forward =
        forward_to(&system.url).replace("[\"FORWARD_SECRET\"]", "[\"FORWARD_SECRET\", \"NEXT_SECRET\"]");
    let mut relay = Relay::new(&configuration("", "", &forward));
    relay.set("NEXT_SECRET", next);
    relay.start().await;
    assert_eq!(relay.post(&message()).await, 202);
    assert_eq!(relay.post(&signed(&id("msg"), now_s(), &event("env_ä☃", 3))).await, 202);
    until("both", || std::future::ready((system.got().len() == 2).then_some(()))).await;
    let got = system.got();
    let written = |body: &str, got: &crate::system::Got| {
        let headers: serde_json::Map<String, Value> = got
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), json!(value.to_str().unwrap())))
            .collect();
        json!({"body": body, "headers": headers})
    };
    let body = |number: usize| String::from_utf8(got[number].body.to_vec()).unwrap();
    let messages = json!([
        written(&body(0), &got[0]),
        written(&body(1), &got[1]),
        written(&body(0), &got[1]),
        written(&body(0).replace("live", "sandbox"), &got[0]),
    ]);
    for secret in [FORWARD_SECRET, next, "whsec_CgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgo="] {
        let is_ours = !secret.starts_with("whsec_Cgo");
        let expected = json!([is_ours, is_ours, false, false]);
        let given = json!({"secret": secret, "messages": messages});
        assert_eq!(python(PYTHON_JUDGE, &given), expected, "Python");
        let mut node = Command::new("node");
        let node = node.args(["-e", NODE_JUDGE]);
        node.env("NODE_PATH", installed("CS_TEST_NODE_MODULES", "node/node_modules"));
        assert_eq!(run(node, &given), expected, "Node");
    }
}
