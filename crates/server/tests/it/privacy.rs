//! D-2, L-1, L-3 over a whole run of the real program: what its log and its disk tell a thief; and D-1: what becomes of
//! bytes that were changed on disk.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use countersign_core::{digest::Digest, id::DocumentId, time::Time};
use countersign_server::{
    demo::{
        DemoFault,
        api::{Api, id_of},
        ceremony::{Person, prepare, sign},
    },
    logs::ALWAYS,
    vault::{Kept, chunked},
};
use serde_json::{Value, json};

use crate::{
    app::{Key, TestApp, browser, envelope_of, logged, pdf},
    people::{self, Human, Letter, PUBLIC_URL, letters_to, status, types},
    program,
};

const NAME: &str = "Zdeňka Quäckenbüsch";
const EMAIL: &str = "zdenka.quackenbusch@vellum-orchid.example";
const TITLE: &str = "Überlassung der Zwiebelmühle";
const MESSAGE: &str = "Kolibri message with pomegranate";
const FILE_NAME: &str = "periwinkle-annex.pdf";
const TEXT: &str = "Marzipan clause seventeen";
const COMPANY: &str = "Obsidian Teapots & Söhne";
const REMARK: &str = "Nightingale remark";
const AGENT: &str = "TurquoiseBrowser/77.7";
const ADDRESS: &str = "127.83.19.7";

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A server in a process of its own, with all its log lines.
struct Program {
    process: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<std::thread::JoinHandle<()>>,
    port: u16,
}

fn command(folder: &Path) -> Command {
    let mut command = program::command(folder);
    command.env("COUNTERSIGN_LOG__LEVEL", "debug");
    command
}

fn run(folder: &Path, arguments: &[&str]) -> String {
    let done = command(folder).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap().trim().to_owned()
}

impl Program {
    fn start(folder: &Path) -> Self {
        let mut process = command(folder).arg("serve").stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(process.stderr.take().unwrap()).lines().map(Result::unwrap);
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let port = loop {
            let line = stderr.next().expect("the server ended before it listened");
            if let Some(rest) = line.strip_prefix("Listening on 127.0.0.1:") {
                break rest.split(' ').next().unwrap().parse().unwrap();
            }
            lines.lock().unwrap().push(line);
        };
        let kept = Arc::clone(&lines);
        let reader = std::thread::spawn(move || stderr.for_each(|line| kept.lock().unwrap().push(line)));
        Self { process, lines, reader: Some(reader), port }
    }

    /// Stops as an operator would, and gives all lines.
    fn stop(mut self) -> Vec<String> {
        let asked = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(asked.success());
        assert!(self.process.wait().unwrap().success());
        self.reader.take().unwrap().join().unwrap();
        std::mem::take(&mut *self.lines.lock().unwrap())
    }
}

/// Asks until there is an answer.
async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let mut ticks = tokio::time::interval(LOOK_AGAIN);
    let found = tokio::time::timeout(Duration::from_mins(1), async {
        loop {
            ticks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.expect("what was waited for did not come within a minute")
}

/// A PDF with the text of the test in it.
fn document() -> Vec<u8> {
    let spare = " ".repeat(TEXT.len());
    let file = String::from_utf8(pdf(1)).unwrap();
    assert!(spare.len() > "<< >>".len());
    let file = file.replace("/Resources << >>", &format!("/Resources << /Note ({TEXT}) >>"));
    // The page grew, and with it the place of the table: the tail is written anew.
    let (start, _) = file.split_once("xref\n").unwrap();
    let mut body = start.to_owned();
    let place = |needle: &str| body.find(needle).unwrap();
    let offsets = [place("1 0 obj"), place("2 0 obj"), place("3 0 obj")];
    let xref = body.len();
    body.push_str("xref\n0 4\n0000000000 65535 f \n");
    for offset in offsets {
        writeln!(body, "{offset:010} 00000 n ").unwrap();
    }
    writeln!(body, "trailer\n<< /Size 4 /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF").unwrap();
    body.into_bytes()
}

fn envelope(document: &str) -> Value {
    let field = |kind: &str, label: &str, y: f64| {
        json!({
            "document": 0, "recipient": 0, "kind": kind, "label": label, "page": 1,
            "rect": { "x": 40.0, "y": y, "width": 180.0, "height": 30.0 },
        })
    };
    json!({
        "title": TITLE, "message": MESSAGE, "documents": [{ "id": document }],
        "recipients": [{ "name": NAME, "email": EMAIL, "role": "signer", "factor": "email_code" }],
        "fields": [
            field("signature", "Signature", 40.0), field("name", "Name", 90.0), field("company", "Company", 140.0),
            field("text", "Remark", 190.0),
        ],
    })
}

/// What the run leaves behind: log, disk, and the secrets that were in it.
struct Traces {
    lines: Vec<String>,
    seeds: Vec<String>,
    folder: tempfile::TempDir,
}

async fn live_a_life() -> Traces {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["organizations", "create", "Acme"]);
    let mut arguments = vec!["keys", "create", "--organization", "Acme"];
    for scope in countersign_core::scope::Scopes::FOR_KEYS.iter() {
        arguments.extend(["--scope", scope.text()]);
    }
    let token = run(folder.path(), &arguments);
    let program = Program::start(folder.path());
    let ca = std::fs::read(folder.path().join("data/tls-ca.pem")).unwrap();
    let url = format!("{PUBLIC_URL}:{}", program.port);
    let http = || browser(&ca, AGENT, ADDRESS.parse().unwrap());
    let api = Api::new(http(), &url, &token);
    let document = api.upload(FILE_NAME, "upload", document()).await.unwrap();
    let envelope =
        id_of(&api.post_json("/v1/envelopes", "create", &envelope(&document)).await.unwrap()).unwrap();
    let path = format!("/v1/envelopes/{envelope}");
    api.post(&format!("{path}/send"), "send").await.unwrap();
    let mail = async |find: &(dyn Fn(&Letter) -> Option<String> + Sync)| {
        let mailbox = api.get_json("/v1/mailbox").await.unwrap();
        letters_to(&mailbox, EMAIL).iter().find_map(find)
    };
    let link = eventually(async || mail(&|letter| letter.link(&envelope)).await).await;
    let code: Mutex<String> = Mutex::default();
    let read_code = || -> std::pin::Pin<Box<dyn Future<Output = Result<String, DemoFault>> + Send + '_>> {
        Box::pin(async {
            let mut ticks = tokio::time::interval(LOOK_AGAIN);
            let found = loop {
                ticks.tick().await;
                let mailbox = api.get_json("/v1/mailbox").await?;
                if let Some(found) = letters_to(&mailbox, EMAIL).iter().find_map(Letter::code) {
                    break found;
                }
            };
            code.lock().unwrap().clone_from(&found);
            Ok(found)
        })
    };
    let jar = http();
    let values = [("Company", COMPANY), ("Remark", REMARK)];
    let person =
        Person { http: &jar, public_url: PUBLIC_URL, values: &values, mark: ("typed", NAME.to_owned()) };
    sign(&person, &format!("{url}{link}"), &read_code).await.unwrap();
    eventually(async || (api.get_json(&path).await.unwrap()["status"] == "completed").then_some(())).await;
    eventually(async || api.get(&format!("{path}/evidence")).await.ok()).await;
    // What fails is logged too: a bad address, a document that is none, a wrong link, a stranger's token.
    for (place, body) in
        [("/v1/envelopes", json!({ "title": TITLE, "documents": EMAIL })), ("/v1/nothing", json!({}))]
    {
        assert!(api.post_json(place, &format!("bad{}", place.len()), &body).await.is_err());
    }
    assert!(api.upload(FILE_NAME, "bad-upload", TEXT.as_bytes().to_vec()).await.is_err());
    assert!(
        Api::new(http(), &url, &token.to_uppercase())
            .get(&format!("/v1/envelopes?title={REMARK}"))
            .await
            .is_err()
    );
    let lines = program.stop();
    let secret = link.split_once('#').unwrap().1.to_owned();
    let code = code.into_inner().unwrap();
    let fixed =
        [NAME, EMAIL, TITLE, MESSAGE, FILE_NAME, TEXT, COMPANY, REMARK, AGENT, ADDRESS].map(str::to_owned);
    let mut seeds = fixed.to_vec();
    seeds.extend([token, secret, format!("\"{code}\""), format!(" {code}"), format!("{code}\n")]);
    Traces { lines, seeds, folder }
}

/// A seed in the forms that programs write text in.
fn forms(seed: &str) -> Vec<Vec<u8>> {
    let bytes = seed.as_bytes();
    let mut forms = vec![bytes.to_vec(), seed.to_lowercase().into_bytes(), hex::encode(bytes).into_bytes()];
    forms.push(hex::encode_upper(bytes).into_bytes());
    forms.push(seed.encode_utf16().flat_map(u16::to_le_bytes).collect());
    forms.push(seed.encode_utf16().flat_map(u16::to_be_bytes).collect());
    let escaped = |plain: fn(char) -> bool, mark: &str| -> String {
        let one = |c: char| {
            let mut buffer = [0; 4];
            let code = |byte: &u8| format!("{mark}{byte:02X}");
            if plain(c) {
                c.to_string()
            } else {
                c.encode_utf8(&mut buffer).as_bytes().iter().map(code).collect()
            }
        };
        seed.chars().map(one).collect()
    };
    forms.push(escaped(|c| c.is_ascii(), "=").into_bytes());
    forms.push(escaped(|c| c.is_ascii_alphanumeric() || "-._~".contains(c), "%").into_bytes());
    forms.push(seed.chars().flat_map(char::escape_default).collect::<String>().into_bytes());
    let json: String = seed
        .chars()
        .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", u32::from(c)) })
        .collect();
    forms.push(json.into_bytes());
    // Base64 depends on where the text stands: three forms, without their uncertain ends.
    for shift in 0..3_usize {
        for engine in [STANDARD, URL_SAFE] {
            let shifted = [vec![0; shift], bytes.to_vec()].concat();
            let whole = engine.encode(&shifted[..shifted.len() / 3 * 3]).into_bytes();
            let cut = whole.get(if shift == 0 { 0 } else { 4 }..).unwrap_or_default().to_vec();
            if cut.len() >= 8 {
                forms.push(cut);
            }
        }
    }
    forms.sort();
    forms.dedup();
    forms
}

fn holds(hay: &[u8], needle: &[u8]) -> bool {
    let Some(first) = needle.first() else { return false };
    let mut rest = hay;
    while let Some(place) = rest.iter().position(|byte| byte == first) {
        if rest[place..].starts_with(needle) {
            return true;
        }
        rest = &rest[place + 1..];
    }
    false
}

/// Every file below a folder.
pub(crate) fn files(folder: PathBuf) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![folder]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

/// D-2, L-1, L-3: none of what people and senders gave is in the log, in the database or among the blobs, in any form;
/// and every line has its fields.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_log_nor_disk_holds_anything_personal_in_any_form() {
    let traces = live_a_life().await;
    // The search finds what is there.
    let planted = STANDARD.encode(format!("x{EMAIL}"));
    assert!(forms(EMAIL).iter().any(|form| holds(planted.as_bytes(), form)));

    let mut places: Vec<(String, Vec<u8>)> =
        vec![("the log".to_owned(), traces.lines.join("\n").into_bytes())];
    for file in files(traces.folder.path().join("data")) {
        places.push((file.display().to_string(), std::fs::read(&file).unwrap()));
    }
    let has = |needle: &str| places.iter().any(|(place, bytes)| place.contains(needle) && !bytes.is_empty());
    assert!(
        has("countersign.sqlite") && has(".original"),
        "{:?}",
        places.iter().map(|(place, _)| place).collect::<Vec<_>>()
    );
    for seed in &traces.seeds {
        for form in forms(seed) {
            for (place, bytes) in &places {
                // Six digits may stand in any file by chance; in the log they would stand apart.
                let by_chance = form.len() < 9 && place != "the log";
                let found = !by_chance && holds(bytes, &form);
                assert!(!found, "{seed} is in {place} as {}", String::from_utf8_lossy(&form));
            }
        }
    }
    every_line_has_its_fields(&traces.lines);
}

fn every_line_has_its_fields(lines: &[String]) {
    let json: Vec<Value> = lines
        .iter()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let plain: Vec<&String> = lines.iter().filter(|line| !line.starts_with('{')).collect();
    assert!(plain.len() <= 3, "announcements only: {plain:?}");
    let (mut of_api, mut of_jobs) = (0, 0);
    for line in &json {
        assert!(line["timestamp"].as_str().unwrap().parse::<Time>().is_ok(), "{line}");
        for field in ALWAYS {
            assert!(line.get(field).is_some(), "{field} is not in {line}");
        }
        let own = line["target"].as_str().unwrap().starts_with("countersign");
        if own {
            for field in ["event_type", "event_result"] {
                assert!(line[field].is_string(), "{field} is null in {line}");
            }
        }
        if line["message"] == "answered" {
            for field in ["ip", "ua", "correlation_id"] {
                assert!(line[field].is_string(), "{field} is null in {line}");
            }
            if line["client_id"].is_string() {
                of_api += 1;
                assert!(line["user_id"].is_string(), "{line}");
            }
        }
        if line["event_type"] == "job" {
            of_jobs += 1;
            assert!(line["correlation_id"].is_string(), "{line}");
        }
    }
    assert!(of_api >= 8 && of_jobs >= 4, "{of_api} lines of the API, {of_jobs} of jobs");
}

async fn waiting_for_ada() -> (TestApp, Key, String, String) {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let mut body = envelope_of(&document);
    body["recipients"][0]["factor"] = "link".into();
    let envelope = test.create(&key, &body).await;
    test.send(&key, &envelope).await;
    (test, key, envelope, document)
}

fn blob_of(test: &TestApp, document: &str) -> PathBuf {
    let blobs = files(test.app.config.server.data_dir.join("blobs"));
    blobs.into_iter().find(|file| file.to_string_lossy().contains(document)).unwrap()
}

const ADA: &str = "ada@example.com";

/// D-1: a flipped bit on disk stops the signing: no page shows it, nobody signs it, and the doctor names it.
#[tokio::test]
async fn a_flipped_bit_on_disk_stops_the_signing() {
    let (test, key, envelope, document) = waiting_for_ada().await;
    let blob = blob_of(&test, &document);
    let good = std::fs::read(&blob).unwrap();
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    std::fs::write(&blob, bad).unwrap();
    let ada = Human::typing(ADA, "Ada Lovelace");
    let stopped = people::sign(&test, &key, &envelope, &ada).await;
    assert!(
        matches!(&stopped, Err(DemoFault::Refused { status: 500, body, .. }) if body.contains("internal_error")),
        "{stopped:?}"
    );
    assert_eq!(status(&test, &key, &envelope).await, "sent");
    assert!(!types(&test, &key, &envelope).await.contains(&"recipient.signed".to_owned()));
    let report = countersign_server::doctor::examine(&test.app).await.unwrap();
    assert!(report.findings.iter().any(|line| line.contains(&document)), "{report}");
    // The backup is put back, and the same link works.
    std::fs::write(&blob, good).unwrap();
    people::sign(&test, &key, &envelope, &ada).await.unwrap();
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed");
    test.finish().await;
}

/// Puts another document in the place of one, as somebody could who has the keys: it opens like the real one.
async fn put_another(test: &TestApp, key: &Key, document: &str) {
    let id: DocumentId = document.parse().unwrap();
    let row = test.app.store.document(&key.tenant, id).await.unwrap().unwrap();
    let kept = Kept { blob: row.blob.clone(), wrapped_key: row.wrapped_key.clone() };
    let data_key = test.app.key_of(&key.tenant, &kept).await.unwrap();
    let context = format!("countersign/blob/v1/{}/sandbox/{}", key.tenant.organization(), row.blob);
    let other = pdf(2);
    let sealed =
        chunked::encrypt(data_key.expose(), &[3; chunked::SALT_BYTES], context.as_bytes(), &other).unwrap();
    std::fs::write(blob_of(test, document), sealed).unwrap();
    let (_, found) = test.app.fetch_as_found(&key.tenant, &kept).await.unwrap();
    assert_eq!(found, Digest::of(&other));
}

/// D-1: somebody who has the keys puts another document in the place of the one that was sent: the digest gives it away,
/// and the record says so.
#[tokio::test]
async fn another_document_in_the_place_of_the_sent_one_is_recorded_and_stops_the_signing() {
    let (test, key, envelope, document) = waiting_for_ada().await;
    put_another(&test, &key, &document).await;
    let ada = Human::typing(ADA, "Ada Lovelace");
    let stopped = people::sign(&test, &key, &envelope, &ada).await;
    assert!(
        matches!(&stopped, Err(DemoFault::Refused { body, .. }) if body.contains("document_changed")),
        "{stopped:?}"
    );
    let told = types(&test, &key, &envelope).await;
    assert!(told.contains(&"document.mismatched".to_owned()), "{told:?}");
    assert!(
        logged().iter().any(|line| line.contains("\"ERROR\"") && line.contains("not the one that was sent"))
    );
    assert!(!told.contains(&"recipient.signed".to_owned()), "{told:?}");
    assert_eq!(status(&test, &key, &envelope).await, "sent");
    let original = test.get(&key, &format!("/v1/envelopes/{envelope}/documents/{document}/original")).await;
    assert!(original.status().is_server_error(), "the API does not hand it out either");
}

/// D-1: the same after the signer has read the real document: what is hashed when the button is pressed is what is
/// stored then.
#[tokio::test]
async fn another_document_put_in_place_after_the_reading_stops_the_button() {
    let (test, key, envelope, document) = waiting_for_ada().await;
    test.work().await;
    let link = people::link(&test, &key, &envelope, ADA).await;
    let http = test.browser();
    let person = Person {
        http: &http,
        public_url: PUBLIC_URL,
        values: &[],
        mark: ("typed", "Ada Lovelace".to_owned()),
    };
    let ready = prepare(&person, &link, &|| unreachable!("Ada needs no code")).await.unwrap();
    let blob = blob_of(&test, &document);
    let good = std::fs::read(&blob).unwrap();
    put_another(&test, &key, &document).await;
    let stopped = ready.act().await;
    assert!(
        matches!(&stopped, Err(DemoFault::Refused { status: 409, body, .. }) if body.contains("document_changed")),
        "{stopped:?}"
    );
    let told = types(&test, &key, &envelope).await;
    assert_eq!(told.last().unwrap(), "document.mismatched");
    assert!(!told.contains(&"recipient.signed".to_owned()), "{told:?}");
    assert_eq!(status(&test, &key, &envelope).await, "sent");
    // The very same act counts once the real document is back.
    std::fs::write(&blob, good).unwrap();
    ready.act().await.unwrap();
    test.work().await;
    assert_eq!(status(&test, &key, &envelope).await, "completed");
    test.finish().await;
}
