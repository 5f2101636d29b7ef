//! `countersign clients`: from a new key to a token, the list, the end, and every wrong input (A-5, A-6).

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    app::TestApp,
    oauth::{
        client::Answered,
        keys::{ClientKey, assertion_claims, proof_claims},
    },
    operator::{printed, run, said},
};

const SCOPES: [&str; 4] = ["--scope", "envelopes:status", "--scope", "documents:write"];

/// Runs a command that must be refused; what it says.
fn refused(folder: &Path, words: &[&str]) -> String {
    let done = run(folder, words);
    assert!(!done.status.success(), "{words:?}: {}", printed(&done));
    assert_eq!(printed(&done), "", "nothing that a script could take for an answer");
    said(&done)
}

fn create<'a>(jwks: &'a str, scopes: &[&'a str]) -> Vec<&'a str> {
    let words = ["clients", "create", "--organization", "Acme", "--name", "Contract robot", "--jwks", jwks];
    [&words, scopes].concat()
}

/// A token for the client, by its key, as `docs/oauth.md` says.
async fn token(test: &TestApp, id: &str, jwk: &Value) -> Answered {
    let key = ClientKey::of_private(jwk);
    let (now, url) = (test.app.now(), &test.app.config.server.public_url);
    // The dice of this test are the server's; these are good once by the time that went on.
    let jti = format!("jti of {}", now.unix_ms());
    let header = json!({ "alg": "ES256", "kid": jwk["kid"] });
    let assertion = key.sign(&header, &assertion_claims(id, url, &jti, now));
    let nonce = test.app.oauth.nonces.issue(now);
    let claims = proof_claims("POST", &format!("{url}/oauth/token"), &jti, now, Some(&nonce), None);
    let form = [
        ("grant_type", "client_credentials"),
        ("scope", "envelopes:status"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
    ];
    let request = test.request(reqwest::Method::POST, "/oauth/token").form(&form);
    Answered::of(request.header("DPoP", key.proof(&claims))).await
}

/// A-5, A-6: a key is made, its public part registered, and a token comes of it in a server that runs; the list shows the client
/// and no key; it ends at once.
#[tokio::test]
async fn a_client_is_made_listed_and_ended_on_the_command_line() {
    let test = TestApp::start().await;
    for organization in ["Acme", "Other"] {
        test.organization(organization).await;
    }
    let folder = test.folder.path();
    let at = |name: &str| folder.join(name).display().to_string();
    let made = run(folder, &["clients", "keygen", &at("key.json")]);
    assert!(made.status.success(), "{}", said(&made));
    let mode = fs::metadata(at("key.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "nobody else reads the private key");
    let private: Value = serde_json::from_str(&fs::read_to_string(at("key.json")).unwrap()).unwrap();
    let public: Value = serde_json::from_str(&printed(&made)).unwrap();
    let mut expected = ClientKey::of_private(&private).public(private["kid"].as_str().unwrap());
    assert_eq!(
        public,
        json!({ "keys": [expected.take()] }),
        "the other half, and nothing of the private one"
    );
    fs::write(at("public.json"), printed(&made)).unwrap();

    let created = run(folder, &create(&at("public.json"), &SCOPES));
    assert!(created.status.success(), "{}", said(&created));
    let (id, words) = (printed(&created).trim().to_owned(), said(&created));
    assert!(id.starts_with("cli_") && words.contains("https://sign.test/oauth/token"), "{words}");
    let answered = token(&test, &id, &private).await;
    assert_eq!(answered.body["token_type"], "DPoP", "{}", answered.body);
    let access_token = answered.token();

    let listed = printed(&run(folder, &["clients", "list", "--organization", "Acme"]));
    let line = format!(
        "{id}  Acme  sandbox  fapi2  private_key_jwt  documents:write,envelopes:status  Contract robot\n"
    );
    assert_eq!(listed, line);
    assert_eq!(printed(&run(folder, &["clients", "list"])), line);
    assert_eq!(printed(&run(folder, &["clients", "list", "--organization", "Other"])), "");

    let ended = run(folder, &["clients", "end", &id]);
    assert!(ended.status.success() && said(&ended).contains("has ended"), "{}", said(&ended));
    test.clock.forward_s(1);
    assert_eq!(token(&test, &id, &private).await.error(), (401, "invalid_client"));
    let call = test.request(reqwest::Method::GET, "/v1/envelopes");
    let call = call.header("Authorization", format!("DPoP {access_token}"));
    assert_eq!(call.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    assert!(printed(&run(folder, &["clients", "list"])).contains("Contract robot  ended "));
    assert!(refused(folder, &["clients", "end", &id]).contains("it has ended"));
    test.work().await;
    test.finish().await;
}

/// The same with a whole registration, from a file and from standard input: a secret is shown once, apart from the id.
#[test]
fn a_whole_registration_is_taken_from_a_file_or_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    assert!(run(folder, &["organizations", "create", "Acme"]).status.success());
    let registration = json!({
        "client_name": "Trial", "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["client_credentials"], "scope": "envelopes:status",
    });
    let file = folder.join("registration.json").display().to_string();
    fs::write(&file, registration.to_string()).unwrap();
    let words = ["clients", "create", "--organization", "Acme", "--registration"];
    let by_file = run(folder, &[&words, [file.as_str()].as_slice()].concat());
    let by_input = run_with_input(folder, &[&words, ["-"].as_slice()].concat(), &registration.to_string());
    for done in [by_file, by_input] {
        assert!(done.status.success(), "{}", said(&done));
        let lines: Vec<String> = printed(&done).lines().map(str::to_owned).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].starts_with("cli_") && said(&done).contains("shown once"), "{lines:?}");
        assert!(!printed(&run(folder, &["clients", "list"])).contains(&lines[1]));
    }
    assert_eq!(printed(&run(folder, &["clients", "list"])).lines().count(), 2);
}

fn run_with_input(folder: &Path, words: &[&str], text: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_countersign"))
        .env("COUNTERSIGN_SERVER__DATA_DIR", folder.join("data"))
        .env("COUNTERSIGN_SERVER__PUBLIC_URL", "https://sign.test")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Every wrong input is refused in a sentence that says what to do, and leaves nothing behind.
#[test]
fn a_wrong_input_is_told_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let at = |name: &str| folder.join(name).display().to_string();
    let key = at("key.json");
    let made = run(folder, &["clients", "keygen", &key]);
    assert!(made.status.success(), "it needs no server: {}", said(&made));
    assert!(!folder.join("data").exists());
    let before = fs::read_to_string(&key).unwrap();
    let again = refused(folder, &["clients", "keygen", &key]);
    let told = ["key.json", "exists", "choose another name"];
    assert!(told.iter().all(|words| again.contains(words)), "{again}");
    assert_eq!(fs::read_to_string(&key).unwrap(), before, "a key is never written over");
    assert!(refused(folder, &["clients", "keygen", &at("nowhere/key.json")]).contains("nowhere/key.json"));

    fs::write(at("public.json"), printed(&made)).unwrap();
    fs::write(at("text.json"), "not JSON").unwrap();
    fs::write(at("private-set.json"), format!("{{\"keys\":[{before}]}}")).unwrap();
    fs::write(at("one.json"), r#"{"a":1}"#).unwrap();
    fs::write(at("empty.json"), "{\"keys\":[]}").unwrap();
    fs::write(at("more.json"), r#"{"client_name":"a","wrong_member":1}"#).unwrap();
    fs::write(
        at("method.json"),
        r#"{"client_name":"a","token_endpoint_auth_method":"none","grant_types":["client_credentials"],"scope":"envelopes:status"}"#,
    )
    .unwrap();
    assert!(refused(folder, &["clients", "list"]).contains("nothing to look at"));
    assert!(run(folder, &["organizations", "create", "Acme"]).status.success());
    let public = at("public.json");
    for (jwks, told) in [
        ("text.json", "text.json"),
        ("private-set.json", "private"),
        ("key.json", "treat it as disclosed"),
        ("key.json", "what `clients keygen` printed"),
        ("one.json", "no JWK set"),
        ("empty.json", "no public key in it"),
        ("nowhere.json", "nowhere.json"),
    ] {
        let sentence = refused(folder, &create(&at(jwks), &SCOPES));
        assert!(sentence.contains(told), "{jwks}: {sentence}");
    }
    let unknown = refused(folder, &create(&public, &["--scope", "envelopes:all"]));
    assert!(unknown.contains("scopes are: ") && unknown.contains("envelopes:status"), "{unknown}");
    assert!(refused(folder, &create(&public, &[])).contains("name the scopes"));
    let live = [SCOPES.as_slice(), &["--environment", "live"]].concat();
    assert!(refused(folder, &create(&public, &live)).contains("smtp_host"));
    let nowhere = [SCOPES.as_slice(), &["--environment", "test"]].concat();
    assert!(refused(folder, &create(&public, &nowhere)).contains("sandbox, live"));
    let mut other = create(&public, &SCOPES);
    other[3] = "Nobody";
    assert!(
        refused(folder, &other).contains("countersign organizations create"),
        "{}",
        refused(folder, &other)
    );
    let words = ["clients", "create", "--organization", "Acme"];
    assert!(refused(folder, &words).contains("--jwks"));
    let both = [&words, ["--name", "a", "--registration", &public].as_slice()].concat();
    assert!(refused(folder, &both).contains("cannot be used with"));
    for (file, told) in
        [("more.json", "wrong_member"), ("method.json", "client_credentials"), ("text.json", "JSON")]
    {
        let sentence = refused(folder, &[&words, ["--registration", &at(file)].as_slice()].concat());
        assert!(sentence.contains(told), "{file}: {sentence}");
    }
    assert!(refused(folder, &["clients", "end", "cli_mistyped"]).contains("cli_mistyped"));
    let unknown = refused(folder, &["clients", "end", "cli_00000000000000000000000000"]);
    assert!(unknown.contains("countersign clients list"), "{unknown}");
    assert_eq!(printed(&run(folder, &["clients", "list"])), "", "nothing was registered");
}

/// A-6: a public key alone is as good as a set of one.
#[test]
fn one_public_key_is_taken_without_a_set() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let at = |name: &str| folder.join(name).display().to_string();
    let made = run(folder, &["clients", "keygen", &at("key.json")]);
    let set: Value = serde_json::from_str(&printed(&made)).unwrap();
    fs::write(at("alone.json"), set["keys"][0].to_string()).unwrap();
    assert!(run(folder, &["organizations", "create", "Acme"]).status.success());
    let created = run(folder, &create(&at("alone.json"), &SCOPES));
    assert!(created.status.success(), "{}", said(&created));
}
