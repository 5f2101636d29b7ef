//! The whole life of an envelope, from upload to evidence that strangers' programs accept.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use countersign_pdf::seal::{KeyFault, SealKey};
use countersign_server::{
    app::App,
    evidence, jobs,
    keys::SharedSealKey,
    signer::consent::{self, ConsentVersion},
};
use countersign_verify::{Verdict, Verifier, verify_package, verify_sealed_pdf};
use serde_json::{Value, json};

use crate::{
    app::{Key, TestApp, TestDice, envelope_of, logged, pdf},
    people::{Human, drawing, letters, sign, status, types},
};

const ADA: &str = "ada@example.com";
const SARA: &str = "sara@example.com";
const BOB: &str = "bob@example.com";
const MEI: &str = "mei@example.com";
const VERA: &str = "vera@example.com";
const CARL: &str = "carl@example.com";

/// The project's Python.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("CS_TEST_PYTHON").map_or_else(
        || {
            let home = std::env::var_os("HOME").unwrap_or_default();
            PathBuf::from(home).join(".cache/countersign/venv/bin/python")
        },
        PathBuf::from,
    )
}

fn recipients() -> Value {
    let recipient = |name: &str, email: &str, role: &str, order: u16, factor: &str| json!({ "name": name, "email": email, "role": role, "order": order, "factor": factor });
    json!([
        recipient("Ada Lovelace", ADA, "signer", 1, "email_code"),
        recipient("שרה כהן", SARA, "signer", 1, "link"),
        recipient("Bob Approver", BOB, "approver", 2, "email_code"),
        recipient("王小明", MEI, "signer", 3, "link"),
        recipient("Vera Viewer", VERA, "viewer", 4, "link"),
        recipient("Carl Copy", CARL, "copy", 5, "link"),
    ])
}

fn field(document: u32, recipient: u32, kind: &str, label: &str, (x, y): (f64, f64), more: Value) -> Value {
    let (width, height) = if ["checkbox", "radio"].contains(&kind) { (16.0, 16.0) } else { (180.0, 30.0) };
    let mut field = json!({
        "document": document, "recipient": recipient, "kind": kind, "label": label, "page": 1,
        "rect": { "x": x, "y": y, "width": width, "height": height },
    });
    field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    field
}

/// Every kind of field on the first document, signatures of the others on the second.
fn fields() -> Value {
    let none = || json!({});
    json!([
        field(0, 0, "signature", "Signature", (40.0, 40.0), none()),
        field(0, 0, "initials", "Initials", (240.0, 40.0), none()),
        field(0, 0, "date_signed", "Date", (40.0, 90.0), none()),
        field(0, 0, "name", "Name", (240.0, 90.0), none()),
        field(0, 0, "email", "E-mail", (40.0, 140.0), none()),
        field(0, 0, "company", "Company", (240.0, 140.0), none()),
        field(0, 0, "title", "Title", (40.0, 190.0), none()),
        field(0, 0, "number", "Rent", (240.0, 190.0), json!({ "decimals": 2 })),
        field(0, 0, "dropdown", "Pays by", (40.0, 240.0), json!({ "options": ["Bank", "Card"] })),
        field(0, 0, "checkbox", "Has seen the mill", (240.0, 240.0), none()),
        field(0, 0, "radio", "Quarterly", (300.0, 240.0), json!({ "group": "How often" })),
        field(0, 0, "radio", "Yearly", (340.0, 240.0), json!({ "group": "How often" })),
        field(0, 0, "text", "Remarks", (40.0, 290.0), json!({ "multiline": true, "max_chars": 80 })),
        field(0, 0, "text", "Nothing", (240.0, 290.0), json!({ "required": false })),
        field(1, 1, "signature", "Signature", (40.0, 40.0), none()),
        field(1, 1, "name", "Name", (240.0, 40.0), none()),
        field(1, 2, "text", "Approved as", (40.0, 90.0), none()),
        field(1, 3, "signature", "Signature", (40.0, 140.0), none()),
        field(1, 3, "name", "Name", (240.0, 140.0), none()),
    ])
}

struct Completed {
    test: TestApp,
    key: Key,
    envelope: String,
    documents: Vec<(String, Vec<u8>)>,
}

async fn mailed(test: &TestApp, key: &Key) -> Vec<&'static str> {
    test.work().await;
    let mut mailed = Vec::new();
    for email in [ADA, SARA, BOB, MEI, VERA, CARL] {
        if !letters(test, key, email).await.is_empty() {
            mailed.push(email);
        }
    }
    mailed
}

async fn completed() -> Completed {
    let test = TestApp::start().await;
    let key = test.sandbox("Harbour Mills").await;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let agreement = std::fs::read(examples.join("consulting-agreement.pdf")).unwrap();
    let mut documents = Vec::new();
    for (name, bytes) in [("agreement.pdf", agreement), ("plan.pdf", pdf(2))] {
        documents.push((test.upload(&key, name, bytes.clone()).await, bytes));
    }
    let body = json!({
        "title": "Lease of the old mill", "message": "Dear all,\nplease act before Friday.",
        "documents": documents.iter().map(|(id, _)| json!({ "id": id })).collect::<Vec<_>>(),
        "recipients": recipients(), "fields": fields(),
    });
    let envelope = test.create(&key, &body).await;
    test.send(&key, &envelope).await;
    // Parallel where the order is equal, one after the other where it is not.
    assert_eq!(mailed(&test, &key).await, [ADA, SARA]);
    let values = [
        ("Company", "Analytical Engines Ltd"),
        ("Title", "Countess"),
        ("Rent", "1234.50"),
        ("Pays by", "Bank"),
        ("Has seen the mill", "true"),
        ("Quarterly", "true"),
        ("Remarks", "First remark\nSecond remark"),
    ];
    let sara = Human { email: SARA, values: &[], mark: ("drawn", drawing()) };
    sign(&test, &key, &envelope, &sara).await.unwrap();
    assert_eq!(mailed(&test, &key).await, [ADA, SARA]);
    let ada = Human { email: ADA, values: &values, mark: ("typed", "Ada Lovelace".to_owned()) };
    sign(&test, &key, &envelope, &ada).await.unwrap();
    assert_eq!(mailed(&test, &key).await, [ADA, SARA, BOB]);
    let bob =
        Human { email: BOB, values: &[("Approved as", "Head of Mills")], mark: ("typed", String::new()) };
    sign(&test, &key, &envelope, &bob).await.unwrap();
    assert_eq!(mailed(&test, &key).await, [ADA, SARA, BOB, MEI]);
    sign(&test, &key, &envelope, &Human::typing(MEI, "王小明")).await.unwrap();
    assert_eq!(mailed(&test, &key).await, [ADA, SARA, BOB, MEI, VERA]);
    sign(&test, &key, &envelope, &Human::typing(VERA, "")).await.unwrap();
    assert_eq!(mailed(&test, &key).await, [ADA, SARA, BOB, MEI, VERA, CARL]);
    assert_eq!(status(&test, &key, &envelope).await, "completed");
    Completed { test, key, envelope, documents }
}

impl Completed {
    async fn bytes(&self, path: &str) -> Vec<u8> {
        let path = format!("/v1/envelopes/{}{path}", self.envelope);
        let response = self.test.get(&self.key, &path).await;
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.bytes().await.unwrap().to_vec()
    }

    async fn sealed(&self, index: usize) -> Vec<u8> {
        self.bytes(&format!("/documents/{}/sealed", self.documents[index].0)).await
    }

    async fn log_key(&self) -> Vec<Verifier> {
        let key = self.test.get(&self.key, "/log/key").await.text().await.unwrap();
        vec![key.trim().parse().unwrap()]
    }
}

/// What poppler reads in a PDF, without white space.
fn text_of(file: &Path) -> String {
    let done = Command::new("pdftotext").args(["-raw".as_ref(), file.as_os_str(), "-".as_ref()]).output();
    let done = done.expect("apt-get install poppler-utils");
    assert!(done.status.success());
    String::from_utf8(done.stdout).unwrap().split_whitespace().collect()
}

/// Whether this machine has a font for a language.
fn has_font_for(language: &str) -> bool {
    let done = Command::new("fc-list").arg(format!(":lang={language}")).output();
    !done.expect("apt-get install fontconfig").stdout.is_empty()
}

/// pyHanko (strict) and qpdf accept every file.
fn judged(root: &Path, files: &[PathBuf]) {
    let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pdf/tests/fixtures/judge.py");
    let done = Command::new(python()).arg(judge).arg(root).args(files).output();
    let done = done.expect("cargo xtask test prepares the Python environment");
    let verdicts = String::from_utf8(done.stdout).unwrap();
    assert_eq!(verdicts.lines().count(), files.len(), "{verdicts}{}", String::from_utf8_lossy(&done.stderr));
    for line in verdicts.lines() {
        let verdict: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&verdict["pyhanko"], &verdict["qpdf"]), (&json!("ok"), &json!("ok")), "{verdict}");
    }
}

/// D-5, D-6, E-4: every sealed file begins with the upload, satisfies pyHanko and qpdf, and tells who did what.
#[tokio::test]
async fn a_sealed_envelope_satisfies_strict_judges_and_tells_who_did_what() {
    let done = completed().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let root = write("root.der", done.test.app.seal.key.certificate_chain().last().unwrap());
    let mut files = Vec::new();
    for (index, (_, original)) in done.documents.iter().enumerate() {
        let sealed = done.sealed(index).await;
        assert!(sealed.starts_with(original), "D-5: the original is the prefix");
        files.push(write(&format!("sealed-{index}.pdf"), &sealed));
    }
    files.push(write("certificate.pdf", &done.bytes("/certificate").await));
    judged(&root, &files);

    let read = done.test.get_json(&done.key, &format!("/v1/envelopes/{}", done.envelope)).await;
    let texts: Vec<String> = files.iter().map(|file| text_of(file)).collect();
    for text in &texts {
        for needle in [
            "AdaLovelace",
            ADA,
            "BobApprover",
            "VeraViewer",
            "CarlCopy",
            "127.0.0.1",
            "Mozilla/5.0",
            "byaone-timecode",
            "andbynothingelse",
            "Agreedtodobusinesselectronically",
            "Approved",
            "Confirmedhavingread",
            "Receivesthesealeddocuments",
            "HarbourMills",
            read["documents"][0]["sha256"].as_str().unwrap(),
            read["documents"][1]["sha256"].as_str().unwrap(),
        ] {
            assert!(text.contains(needle), "{needle} is not in {text}");
        }
    }
    for text in &texts {
        assert!(text.contains("intothesandbox'smailbox") && !text.contains("mailserver"), "{text}");
        assert!(!text.contains("))"), "a zone is named once: {text}");
    }
    assert!(texts[0].contains("Sandbox:AdaLovelace,"), "the small print says it: {}", texts[0]);
    for needle in ["AnalyticalEnginesLtd", "Countess", "1234.50", "Bank", "Firstremark", "Secondremark"] {
        assert!(texts[0].contains(needle), "{needle} is not in {}", texts[0]);
    }
    assert!(texts[1].contains("HeadofMills"));
    for (language, name) in [("he", "שרה"), ("zh", "王小明")] {
        // Poppler may give right-to-left words in the order of the page.
        let reversed: String = name.chars().rev().collect();
        let appears = texts[1].contains(name) || texts[1].contains(&reversed);
        assert_eq!(appears, has_font_for(language), "{name} in {}", texts[1]);
    }
    done.test.finish().await;
}

/// E-4, E-6: what the server hands out is genuine to the verifier that knows nothing but the log's public key, and a
/// changed byte anywhere is not.
#[tokio::test]
async fn the_evidence_verifies_with_the_public_key_alone_and_a_changed_byte_does_not() {
    let done = completed().await;
    let keys = done.log_key().await;
    let package = done.bytes("/evidence").await;
    let report = verify_package(&package, &keys);
    assert_eq!(report.verdict(), Verdict::GenuineSandbox, "{}", report.to_text());
    let sealed = done.sealed(0).await;
    let report = verify_sealed_pdf(&sealed, &keys);
    assert_eq!(report.verdict(), Verdict::GenuineSandbox, "{}", report.to_text());
    for place in [100, done.documents[0].1.len() + 50, sealed.len() - 60_000, sealed.len() - 30_000] {
        let mut changed = sealed.clone();
        changed[place] ^= 1;
        assert_eq!(verify_sealed_pdf(&changed, &keys).verdict(), Verdict::Failed, "byte {place}");
    }
    let other = TestApp::start_with(crate::app::Options { seed: 9, ..Default::default() }).await;
    let stranger: Vec<Verifier> = vec![other.app.log.verifier_key().parse().unwrap()];
    assert_eq!(verify_package(&package, &stranger).verdict(), Verdict::Failed);
    done.test.finish().await;
    other.finish().await;
}

/// E-5, E-7: the package holds originals, sealed files, certificate, events and consent; each act is bound to what was
/// shown; and fetching it is itself an event.
#[tokio::test]
async fn each_act_is_bound_to_what_was_shown_and_the_package_holds_it_all() {
    let done = completed().await;
    let path = format!("/v1/envelopes/{}/events", done.envelope);
    let events = done.test.get_json(&done.key, &path).await;
    let acts: Vec<&Value> = events["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| {
            ["recipient.signed", "recipient.approved", "recipient.read"]
                .contains(&event["type"].as_str().unwrap())
        })
        .collect();
    assert_eq!(acts.len(), 5);
    let read = done.test.get_json(&done.key, &format!("/v1/envelopes/{}", done.envelope)).await;
    let mut nonces = std::collections::BTreeSet::new();
    for act in acts {
        let text = act["chained"].to_string();
        for document in read["documents"].as_array().unwrap() {
            assert!(text.contains(document["sha256"].as_str().unwrap()), "{text}");
        }
        assert!(text.contains("page_count") && text.contains("consent") && text.contains("label"), "{text}");
        let start = text.split_once("\"nonce\":\"").unwrap().1;
        nonces.insert(start.split_once('"').unwrap().0.to_owned());
    }
    assert_eq!(nonces.len(), 5, "every act has a nonce of its own");
    let package = done.bytes("/evidence").await;
    let names = String::from_utf8_lossy(&package).into_owned();
    for needle in ["original", "sealed", "certificate", "consent"] {
        assert!(names.contains(needle), "{needle}");
    }
    let told = types(&done.test, &done.key, &done.envelope).await;
    assert_eq!(told.last().unwrap(), "evidence.exported", "{told:?}");
    assert_eq!(told.iter().filter(|one| *one == "document.opened").count(), 10, "{told:?}");
    done.test.finish().await;
}

/// Another server over the same data, with some of it otherwise.
async fn beside(test: &TestApp, change: impl FnOnce(&mut App)) -> Arc<App> {
    let dice = Arc::new(TestDice::new(77));
    let started = App::open(test.app.config.clone(), Arc::clone(&test.clock) as _, dice).await.unwrap();
    let mut app = started.app;
    change(Arc::get_mut(&mut app).unwrap());
    app
}

/// An envelope that everybody has signed, and that waits for its seal.
async fn in_sealing(test: &TestApp) -> (Key, String) {
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let mut body = envelope_of(&document);
    body["recipients"][0]["factor"] = "link".into();
    let envelope = test.create(&key, &body).await;
    test.send(&key, &envelope).await;
    sign(test, &key, &envelope, &Human::typing(ADA, "Ada Lovelace")).await.unwrap();
    assert_eq!(status(test, &key, &envelope).await, "sealing");
    // This server writes the log, whichever seals.
    test.app.log.sequence().await.unwrap();
    (key, envelope)
}

/// The envelope stays in `sealing` with this server, says why, and is sealed by the right one.
async fn waits(test: TestApp, wrong: Arc<App>, key: &Key, envelope: &str, sentence: &str) {
    jobs::run_due(&wrong).await.unwrap();
    assert_eq!(status(&test, key, envelope).await, "sealing", "visibly");
    let lines = logged();
    assert!(lines.iter().any(|line| line.contains(sentence)), "{sentence} is not logged");
    test.clock.forward_s(4);
    test.work().await;
    assert_eq!(status(&test, key, envelope).await, "completed");
    let package = test.get(key, &format!("/v1/envelopes/{envelope}/evidence")).await.bytes().await.unwrap();
    let vkey: Vec<Verifier> = vec![test.app.log.verifier_key().parse().unwrap()];
    let report = verify_package(&package, &vkey);
    assert_eq!(report.verdict(), Verdict::GenuineSandbox, "{}", report.to_text());
    test.finish().await;
}

/// E-4: the seal is made with the certificate that `envelope.sealing` names, or not at all.
#[tokio::test]
async fn an_envelope_waits_for_the_certificate_that_its_events_name() {
    let test = TestApp::start().await;
    let (key, envelope) = in_sealing(&test).await;
    let stranger = TestApp::start_with(crate::app::Options { seed: 9, ..Default::default() }).await;
    let wrong = beside(&test, |app| {
        app.seal.key = stranger.app.seal.key.clone();
        app.seal.certificate_sha256 = stranger.app.seal.certificate_sha256;
    })
    .await;
    let right = test.app.seal.certificate_sha256;
    let sentence = format!("put the key and the certificate {right} back");
    waits(test, wrong, &key, &envelope, &sentence).await;
    stranger.finish().await;
}

/// E-4: nobody's last act binds an envelope to a certificate that has ended; acts before the last go on.
#[tokio::test]
async fn the_last_act_waits_while_the_certificate_that_seals_is_not_valid() {
    let test = TestApp::start().await;
    let days_s = |days: i64| days * 24 * 3_600;
    let ends_in_s = test.app.seal.ends_at().since_ms(test.app.now()) / 1_000;
    test.clock.forward_s(ends_in_s - days_s(10));
    let (key, _) = in_sealing(&test).await;
    test.work().await;
    assert!(logged().iter().any(|line| line.contains("the certificate that seals ends soon")));

    test.clock.forward_s(days_s(10) + 2);
    let document = test.upload(&key, "lease.pdf", pdf(1)).await;
    let mut body = envelope_of(&document);
    body["recipients"] = json!([
        { "name": "Ada Lovelace", "email": ADA, "role": "signer", "order": 1, "factor": "link" },
        { "name": "Bob Boole", "email": BOB, "role": "approver", "order": 2, "factor": "link" },
    ]);
    let envelope = test.create(&key, &body).await;
    test.send(&key, &envelope).await;
    sign(&test, &key, &envelope, &Human::typing(ADA, "Ada Lovelace")).await.unwrap();
    let Err(refused) = sign(&test, &key, &envelope, &Human::typing(BOB, "Bob Boole")).await else {
        panic!("it was bound to a certificate that has ended")
    };
    assert!(refused.to_string().contains("seal_unavailable"), "{refused}");
    assert!(logged().iter().any(|line| line.contains("nobody can act last until it is renewed")));
    assert_eq!(status(&test, &key, &envelope).await, "sent");
    test.work().await;
    // The doctor would find the certificate.
    test.clock.forward_s(-60);
    test.finish().await;
}

/// The right key, whose certificates are exchanged once it has signed: what it sealed bears others than it has.
struct Exchanged {
    key: SharedSealKey,
    others: Vec<Vec<u8>>,
    has_signed: AtomicBool,
}

impl SealKey for Exchanged {
    fn certificate_chain(&self) -> &[Vec<u8>] {
        if self.has_signed.load(Ordering::SeqCst) { &self.others } else { self.key.certificate_chain() }
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, KeyFault> {
        self.has_signed.store(true, Ordering::SeqCst);
        self.key.sign(digest)
    }
}

/// D-6: what does not verify is never recorded as sealed.
#[tokio::test]
async fn a_seal_that_does_not_verify_is_never_recorded() {
    let test = TestApp::start().await;
    let (key, envelope) = in_sealing(&test).await;
    let stranger = TestApp::start_with(crate::app::Options { seed: 9, ..Default::default() }).await;
    let wrong = beside(&test, |app| {
        let others = [&app.seal.key, &stranger.app.seal.key].map(|key| key.certificate_chain()[0].clone());
        let (key, has_signed) = (app.seal.key.clone(), AtomicBool::new(false));
        app.seal.key = SharedSealKey::new(Exchanged { key, others: others.to_vec(), has_signed }).unwrap();
    })
    .await;
    waits(test, wrong, &key, &envelope, "what was sealed does not verify (seal-broken-chain)").await;
    stranger.finish().await;
}

/// S-2, E-5: a package holds the consent text that was shown then, whatever is shown today.
#[tokio::test]
async fn an_old_envelope_s_package_holds_the_text_that_was_shown() {
    let test = TestApp::start().await;
    let (key, envelope) = in_sealing(&test).await;
    test.work().await;
    let id = envelope.parse().unwrap();
    let newer = ConsentVersion { version: "en-v2", text: "Another text." };
    let package = |texts: Vec<ConsentVersion>| {
        let (app, tenant) = (Arc::clone(&test.app), key.tenant);
        async move { evidence::package_with(&app, &tenant, id, &texts).await }
    };
    let (_, bytes) = package(vec![newer, consent::CURRENT]).await.unwrap();
    let vkey: Vec<Verifier> = vec![test.app.log.verifier_key().parse().unwrap()];
    assert_eq!(verify_package(&bytes, &vkey).verdict(), Verdict::GenuineSandbox);
    let holds = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(holds("consent/en-v1.txt") && holds(consent::TEXT) && !holds("en-v2"));
    let changed = ConsentVersion { text: "Another text.", ..consent::CURRENT };
    for texts in [vec![newer], vec![changed]] {
        let refusal = package(texts).await.unwrap_err().to_string();
        assert!(refusal.contains("the consent text en-v1 with the SHA-256"), "{refusal}");
    }
    test.finish().await;
}
