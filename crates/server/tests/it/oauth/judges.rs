//! Clients that nobody here wrote go the whole way: npm `oauth4webapi` and `openid-client`, PyPI `requests_oauth2client` and
//! `authlib`. Each checks every answer against its standard; the test plays the person.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use countersign_core::{access::Environment, level::Level};
use countersign_store::{
    Batch,
    access_rows::{Change, SignInRow},
};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::Command,
};

use super::{
    client::Client,
    flow::{REDIRECT, Scene, registration},
    keys::ClientKey,
};
use crate::app::{Options, TestApp};

mod codes;
mod mutual;
mod relying_party;

/// A server whose URL has its port in it, as strangers need it.
pub(super) async fn server() -> TestApp {
    TestApp::start_with(Options { has_own_port: true, clock_goes: true, ..Options::default() }).await
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judges/oauth")
}

pub(crate) fn place(variable: &str, within: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(
        || {
            let home = std::env::var_os("HOME").expect("HOME is set");
            Path::new(&home).join(".cache/countersign").join(within)
        },
        PathBuf::from,
    )
}

/// A copy of the judges where Node finds their packages, and the program that runs one.
fn command(test: &TestApp, judge: &str) -> Command {
    judge_in(test.folder.path(), judge)
}

fn judge_in(copy: &Path, judge: &str) -> Command {
    let copy = copy.join("judges");
    if !copy.exists() {
        std::fs::create_dir_all(&copy).unwrap();
        for file in std::fs::read_dir(folder()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.join(file.file_name())).unwrap();
        }
        let modules = place("CS_TEST_NODE_MODULES", "node/node_modules");
        std::os::unix::fs::symlink(modules, copy.join("node_modules")).unwrap();
    }
    let is_node = Path::new(judge).extension().is_some_and(|extension| extension == "mjs");
    let program = if is_node { PathBuf::from("node") } else { place("CS_TEST_PYTHON", "venv/bin/python") };
    let mut command = Command::new(program);
    command.arg(copy.join(judge)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.kill_on_drop(true);
    command
}

/// What every judge is told.
pub(super) fn input(client: &Client<'_>, more: Value) -> Value {
    let test = client.test;
    let port = Url::parse(&test.url).unwrap().port().unwrap();
    let mut input = json!({
        "issuer": test.app.config.server.public_url,
        "ca": test.app.config.development_ca_file(),
        "resolve": { (format!("sign.test:{port}")): format!("127.0.0.1:{port}") },
        "client": {
            "id": client.id.to_string(),
            "method": "private_key_jwt",
            "jwk": client.key.private("1"),
        },
        "redirect_uri": REDIRECT,
        "scope": "envelopes:status",
        "resource": format!("{}/v1/envelopes", test.app.config.server.public_url),
    });
    input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input
}

/// Runs a judge; the person of the scene visits what it opens, signs in again where that is asked, and agrees. What it found,
/// or its complaint.
pub(super) async fn run(
    judge: &str,
    input: &Value,
    scene: Option<&Scene<'_>>,
    test: &TestApp,
) -> Result<Value, String> {
    let mut child = command(test, judge).arg(input.to_string()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answers = child.stdin.take().unwrap();
    let mut found = Value::Null;
    while let Some(line) = lines.next_line().await.unwrap() {
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{judge} says {line}"));
        let Some(url) = said["open"].as_str() else {
            found = said;
            continue;
        };
        let back = visit(scene.unwrap(), &Url::parse(url).unwrap()).await;
        answers.write_all(format!("{back}\n").as_bytes()).await.unwrap();
    }
    drop(answers);
    let mut complaint = String::new();
    child.stderr.take().unwrap().read_to_string(&mut complaint).await.unwrap();
    if child.wait().await.unwrap().success() { Ok(found) } else { Err(complaint) }
}

async fn visit(scene: &Scene<'_>, url: &Url) -> Url {
    let test = scene.client.test;
    let path = format!("{}?{}", url.path(), url.query().unwrap());
    let mut page = scene.person.lands_on(test, &path).await;
    if page == "/signin/again" {
        // For the next one-time code time goes on by 30 s: half of what the judge's own clock may be behind.
        scene.person.confirm(test).await;
        page = scene.person.lands_on(test, &path).await;
    }
    assert!(page.starts_with("/oauth/authorize/"), "{page}");
    scene.decide(&page, "agree").await
}

/// A resource server of the same organization.
async fn resource_server<'a>(test: &'a TestApp, scene: &Scene<'_>) -> Client<'a> {
    let key = ClientKey::new("resource server");
    let registration = json!({
        "client_name": "Archive",
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": { "keys": [key.public("1")] },
        "grant_types": ["client_credentials"],
        "scope": "tokens:introspect",
    });
    Client::register_with(test, scene.organization, Environment::Sandbox, key, &registration).await
}

pub(super) fn steps(found: &Value) -> Vec<&str> {
    found["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

/// `oauth4webapi` pushes, redeems, calls, refreshes, introspects plain and signed, and sees a reused
/// refresh token end everything.
#[tokio::test(flavor = "multi_thread")]
async fn oauth4webapi_goes_the_whole_way() {
    let test = server().await;
    let scene = Scene::new(&test, "standard").await;
    let asker = resource_server(&test, &scene).await;
    let wanted = ["authorize", "resource", "refresh", "introspect", "introspect_jwt", "reuse"];
    let more = json!({
        "steps": wanted,
        "resource_server": {
            "id": asker.id.to_string(), "method": "private_key_jwt", "jwk": asker.key.private("1"),
        },
        "introspection": { "response": { "client_id": scene.client.id.to_string(), "scope": "envelopes:status" } },
    });
    let found = run("oauth4webapi.mjs", &input(&scene.client, more), Some(&scene), &test).await.unwrap();
    assert_eq!(steps(&found), wanted);
}

/// `oauth4webapi` is refused for an authentication that is too old, and takes the person through another one (RFC 9470).
#[tokio::test(flavor = "multi_thread")]
async fn oauth4webapi_steps_up() {
    let test = server().await;
    let scene = Scene::new(&test, "standard").await;
    // The person signed in long ago.
    let (user, now) = (test.app.store.members(scene.organization).await.unwrap()[0].user, test.app.now());
    let session = test.app.store.sign_ins(user).await.unwrap().remove(0);
    let version = session.version + 1;
    let old = SignInRow { authenticated: (Level::Aal2, now.plus_s(-3_600)), version, ..session };
    let batch = Batch { changes: vec![Change::SignIn(old)], ..Batch::default() };
    test.app.store.commit(batch).await.unwrap();
    let evidence = "env_00000000000000000000000000/evidence";
    let url = format!("{}/v1/envelopes/{evidence}", test.app.config.server.public_url);
    let more = json!({
        "steps": ["authorize", "step_up"],
        "scope": "evidence:read",
        "step_up": { "url": url, "acr_values": "aal2" },
    });
    let complaint = run("oauth4webapi.mjs", &input(&scene.client, more), Some(&scene), &test).await;
    // The last call is let through, to an envelope that is not there.
    let complaint = complaint.unwrap_err();
    assert!(complaint.contains("after the step up, the resource answers 404"), "{complaint}");
}

/// `openid-client` validates an ID token and a signed introspection, and revokes.
#[tokio::test(flavor = "multi_thread")]
async fn openid_client_goes_the_whole_way() {
    let test = server().await;
    let scene = Scene::new(&test, "standard").await;
    let asker = resource_server(&test, &scene).await;
    let wanted = ["authorize", "resource", "refresh", "introspect", "revoke"];
    let more = json!({
        "steps": wanted,
        "scope": "openid envelopes:status",
        "signed": true,
        "resource_server": {
            "id": asker.id.to_string(), "method": "private_key_jwt", "jwk": asker.key.private("1"),
        },
    });
    let found = run("openid-client.mjs", &input(&scene.client, more), Some(&scene), &test).await.unwrap();
    assert_eq!(steps(&found), wanted);
}

/// `requests_oauth2client` gets a token of its own, bound by DPoP, and calls the API.
#[tokio::test(flavor = "multi_thread")]
async fn requests_oauth2client_acts_for_itself() {
    let test = server().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "robot").await;
    let wanted = ["client_credentials", "resource"];
    let found =
        run("requests_oauth2client_judge.py", &input(&client, json!({ "steps": wanted })), None, &test).await;
    assert_eq!(steps(&found.unwrap()), wanted);
}

/// `authlib` knows no DPoP: a client of the standard profile gets a bearer token by `private_key_jwt`.
#[tokio::test(flavor = "multi_thread")]
async fn authlib_acts_for_itself() {
    let test = server().await;
    let organization = test.organization("Acme").await;
    let key = ClientKey::new("authlib");
    let mut registration = registration("standard", &key, "envelopes:status");
    registration["grant_types"] = json!(["client_credentials"]);
    registration["redirect_uris"] = json!([]);
    registration["dpop_bound_access_tokens"] = json!(false);
    registration["require_pushed_authorization_requests"] = json!(false);
    let client = Client::register_with(&test, organization, Environment::Sandbox, key, &registration).await;
    let wanted = ["client_credentials", "resource"];
    let more = json!({ "steps": wanted, "dpop": false });
    let found = run("authlib_judge.py", &input(&client, more), None, &test).await;
    assert_eq!(steps(&found.unwrap()), wanted);
}

/// The judges themselves: a server of others finds favour with each of them, and none when it is broken in a way that the judge
/// looks at.
#[tokio::test(flavor = "multi_thread")]
async fn the_judges_see_what_is_broken() {
    let copy = tempfile::tempdir().unwrap();
    let mut command = judge_in(copy.path(), "stand_in.mjs");
    let done = command.arg(place("CS_TEST_PYTHON", "venv/bin/python")).output().await.unwrap();
    let (said, complaint) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success() && said.ends_with("Every judge judges.\n"), "{said}\n{complaint}");
    assert!(said.lines().filter(|line| line.starts_with("right: ")).count() > 50, "{said}");
}
