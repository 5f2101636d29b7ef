//! The commands of the README that register a program, and the program of `docs/oauth.md` that gets a token, as they stand
//! there.

use std::{fs, os::unix::fs::symlink, process::Output};

use countersign_core::{
    access::Environment,
    scope::Scopes,
    webhook::{
        class::{Class, Payload},
        endpoint::Profile,
    },
};
use countersign_server::api::openapi;
use serde_json::Value;
use tokio::process::Command;

use super::judges::place;
use crate::{
    api_guide::shell,
    app::{Options, TestApp, envelope_of, pdf},
    operator::run,
    receivers::trusting,
    webhooks::{House, settings},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A server that is `localhost` for everybody.
async fn server() -> TestApp {
    let mut test = TestApp::start_with(Options {
        has_own_port: true,
        clock_goes: true,
        configure: |config| {
            config.server.public_url = config.server.public_url.replace("sign.test", "localhost");
            trusting(config);
        },
        ..Options::default()
    })
    .await;
    test.url = test.app.config.server.public_url.clone();
    test
}

/// Runs the README's commands in the folder of the test; the client's id and all scopes that it has.
async fn register(test: &TestApp) -> (String, String) {
    let readme = fs::read_to_string(format!("{ROOT}/README.md")).unwrap();
    let (_, section) = readme.split_once("## Register a program\n").unwrap();
    let commands = section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    assert_eq!(commands.matches("target/release/countersign ").count(), 2, "{commands}");
    let here =
        commands.replace("target/release/countersign ", concat!(env!("CARGO_BIN_EXE_countersign"), " "));
    let printed = operate(test, &here).await;
    let mut words = commands.split_whitespace();
    let mut scopes = Vec::new();
    while words.any(|word| word == "--scope") {
        scopes.extend(words.next());
    }
    (printed, scopes.join(" "))
}

/// Runs commands of an operator in the folder of the test; what they print.
async fn operate(test: &TestApp, commands: &str) -> String {
    let done = Command::new("sh")
        .args(["-eu", "-c", commands])
        .current_dir(test.folder.path())
        .env("COUNTERSIGN_SERVER__DATA_DIR", &test.app.config.server.data_dir)
        .env("COUNTERSIGN_SERVER__PUBLIC_URL", &test.url)
        .output()
        .await
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

/// Runs the program of the page with the key of the README's commands.
async fn get_token(test: &TestApp, client: &str, key: &str, scope: &str) -> Output {
    Command::new(place("CS_TEST_PYTHON", "venv/bin/python"))
        .arg(format!("{ROOT}/docs/oauth/get_token.py"))
        .args(["--server", &test.url, "--client", client, "--key", key, "--scope", scope])
        .arg("--ca")
        .arg(test.app.config.development_ca_file())
        .current_dir(test.folder.path())
        .env("NO_PROXY", "localhost")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .await
        .unwrap()
}

/// A-6, A-7: whoever copies the README's two commands and the page's program gets a token that is bound to a key, for all that
/// the walk of `docs/api.md` needs, and lists envelopes with it.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_of_the_page_gets_a_token_and_lists_envelopes() {
    let test = server().await;
    let organization = test.organization("Acme").await;
    let key = test.key(organization, Environment::Sandbox, Scopes::FOR_KEYS).await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    let (client, scopes) = register(&test).await;
    let done = get_token(&test, &client, "program-key.json", &scopes).await;
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success() && complaint.is_empty(), "{complaint}");
    let said = String::from_utf8(done.stdout).unwrap();
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [granted, listed] = lines.as_slice() else { panic!("{said}") };
    assert_eq!(granted["token_type"], "DPoP", "{said}");
    let sorted = |scopes: &str| {
        let mut scopes: Vec<String> = scopes.split(' ').map(str::to_owned).collect();
        scopes.sort();
        scopes
    };
    assert_eq!(sorted(granted["scope"].as_str().unwrap()), sorted(&scopes));
    assert_eq!(listed["envelopes"][0]["id"], envelope.as_str(), "{said}");
    test.work().await;
    test.finish().await;
}

/// W-2, X-1: who copies the commands of the guide of webhooks rotates the key of an endpoint.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_guide_rotate_a_key() {
    let house = House::on(server().await).await;
    let (test, folder) = (&house.app, house.app.folder.path());
    let asked = settings(&house.receiver.url, &[Class::Envelope], Payload::Thin, Profile::Standard);
    let made = house.endpoint(&asked).await;
    let program = env!("CARGO_BIN_EXE_countersign");
    let organization = house.tenant.organization();
    let client = operate(
        test,
        &format!(
            "{program} clients keygen program-key.json > public.json
            {program} clients create --organization {organization} --name Robot --jwks public.json --scope admin:webhooks"
        ),
    )
    .await;
    let guide = fs::read_to_string(format!("{ROOT}/docs/webhooks/endpoints.md")).unwrap();
    let block = |heading: &str| {
        let (_, section) = guide.split_once(heading).unwrap();
        section.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
    };
    let (act, rotate) = (block("## Try it, and let events come"), block("## Rotate the key"));
    symlink(format!("{ROOT}/docs"), folder.join("docs")).unwrap();
    let python = place("CS_TEST_PYTHON", "venv/bin/python");
    let path = format!("{}:{}", python.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let (endpoint, ca) = (made.endpoint.to_string(), test.app.config.development_ca_file());
    let before = [
        ("endpoint", endpoint.as_str()),
        ("CLIENT", client.as_str()),
        ("PATH", path.as_str()),
        ("SSL_CERT_FILE", ca.to_str().unwrap()),
        ("NO_PROXY", "localhost"),
    ];
    let commands = format!("{}\n{rotate}\nhead -n 1 new-key.txt", act.lines().next().unwrap());
    let told = shell(test, &house.key.token, folder, &before, &commands).await;
    let lines: Vec<&str> = told.lines().collect();
    let ["primary", "dual", "true", "retiring", "primary", key] = lines.as_slice() else { panic!("{told}") };
    let test_message = house.receiver.came().pop().unwrap();
    assert_eq!(test_message.headers["webhook-key-id"], *key, "the new key signed it alone");
    house.finish().await;
}

/// A-5: the page's table has every member of a registration, and nothing else.
#[test]
fn the_page_names_every_member_of_a_registration() {
    let page = fs::read_to_string(format!("{ROOT}/docs/oauth.md")).unwrap();
    let (_, section) = page.split_once("### As JSON\n").unwrap();
    let (section, _) = section.split_once("\n###").unwrap();
    let named = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let mut named: Vec<&str> = named.collect();
    named.sort_unstable();
    let document = serde_json::to_value(openapi::document()).unwrap();
    let members = document["components"]["schemas"]["RegistrationBody"]["properties"].as_object().unwrap();
    let mut members: Vec<&str> = members.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(named, members);
}

/// A-6: with a key that is not registered the same program is refused, and says how.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_of_the_page_is_refused_with_another_key() {
    let test = server().await;
    test.organization("Acme").await;
    let (client, _) = register(&test).await;
    let folder = test.folder.path();
    let other = folder.join("other.json").display().to_string();
    let made = run(folder, &["clients", "keygen", &other]);
    assert!(made.status.success());
    let done = get_token(&test, &client, &other, "envelopes:status").await;
    let complaint = String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && done.stdout.is_empty(), "{complaint}");
    assert!(complaint.contains("/oauth/token: 401 ") && complaint.contains("invalid_client"), "{complaint}");
    test.work().await;
    test.finish().await;
}
