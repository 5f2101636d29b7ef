//! What the browser tests play with: an envelope with every kind of field, its links, and its codes.

use std::fmt::Write as _;

use countersign_core::{
    envelope::{Body, State, event::Factor},
    id::{EnvelopeId, RecipientId},
};
use countersign_server::envelopes::{self, Opened};
use serde_json::{Value, json};

use super::{
    ceremony::{open_reader, review},
    driver::Browser,
};
use crate::app::{Key, Options, TestApp};

/// A test app with one envelope that was sent.
pub(crate) struct Scene {
    pub(crate) test: TestApp,
    pub(crate) key: Key,
    pub(crate) envelope: EnvelopeId,
}

/// A PDF with text on each page, in a standard font that is not embedded.
pub(crate) fn lease(page_count: usize) -> Vec<u8> {
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!(
            "<< /Type /Pages /Count {page_count} /Kids [{}] >>",
            (0..page_count).map(|page| format!("{} 0 R", 4 + 2 * page)).collect::<Vec<_>>().join(" ")
        ),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >>".to_owned(),
    ];
    for page in 0..page_count {
        let content_id = 5 + 2 * page;
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {content_id} 0 R \
             /Resources << /Font << /F1 3 0 R >> >> >>"
        ));
        let mut content =
            format!("BT /F1 20 Tf 72 760 Td (Lease of the old mill, page {}) Tj ET\n", page + 1);
        for line in 0..24 {
            let (y, clause) = (720 - 20 * line, page + 1);
            let words = format!("The tenant keeps the wheel in good repair, clause {clause}.{line}.");
            writeln!(content, "BT /F1 11 Tf 72 {y} Td ({words}) Tj ET").unwrap();
        }
        objects.push(format!("<< /Length {} >>\nstream\n{content}endstream", content.len()));
    }
    let mut file = "%PDF-1.7\n".to_owned();
    let mut offsets = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        write!(file, "{} 0 obj\n{object}\nendobj\n", index + 1).unwrap();
    }
    let xref = file.len();
    write!(file, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).unwrap();
    for offset in offsets {
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    let size = objects.len() + 1;
    write!(file, "trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n").unwrap();
    file.into_bytes()
}

fn field(kind: &str, page: u32, x: f64, y: f64, width: f64, label: &str, more: Value) -> Value {
    let height = if ["checkbox", "radio"].contains(&kind) { 16.0 } else { 24.0 };
    let mut field = json!({
        "document": 0, "recipient": 0, "kind": kind, "page": page, "label": label, "required": true,
        "rect": { "x": x, "y": y, "width": if height < 20.0 { 16.0 } else { width }, "height": height },
    });
    field.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    field
}

/// Every kind of field, on two pages of the first document.
pub(crate) fn all_fields() -> Vec<Value> {
    vec![
        field("company", 1, 72.0, 640.0, 180.0, "Company", json!({})),
        field("checkbox", 1, 300.0, 644.0, 16.0, "I have seen the mill", json!({})),
        field("initials", 1, 400.0, 640.0, 60.0, "Initials", json!({})),
        field("number", 2, 72.0, 640.0, 80.0, "Rent", json!({ "decimals": 2 })),
        field("dropdown", 2, 180.0, 640.0, 120.0, "Pays by", json!({ "options": ["Bank", "Card"] })),
        field("radio", 2, 330.0, 644.0, 16.0, "Quarterly", json!({ "group": "How often" })),
        field("radio", 2, 370.0, 644.0, 16.0, "Yearly", json!({ "group": "How often" })),
        field(
            "text",
            2,
            72.0,
            680.0,
            200.0,
            "Remarks",
            json!({ "required": false, "max_chars": 100, "multiline": true }),
        ),
        field("signature", 2, 72.0, 730.0, 160.0, "Signature of the tenant", json!({})),
        field("date_signed", 2, 260.0, 730.0, 90.0, "Date", json!({})),
        field("name", 2, 370.0, 730.0, 120.0, "Name", json!({})),
        field("email", 2, 370.0, 760.0, 160.0, "E-mail", json!({})),
    ]
}

/// Only a signature.
pub(crate) fn one_signature() -> Vec<Value> {
    vec![field("signature", 1, 72.0, 600.0, 160.0, "Signature", json!({}))]
}

impl Scene {
    /// An envelope of two documents for one signer, sent.
    pub(crate) async fn sent(factor: Factor, fields: Vec<Value>) -> Self {
        let recipients = json!([
            { "name": "Ada Lovelace", "email": "ada@example.com", "role": "signer", "factor": factor }
        ]);
        Self::sent_to(recipients, fields).await
    }

    /// One signer with one field to sign, and a browser in which the reader is open.
    pub(crate) async fn at_reader() -> (Self, Browser) {
        let scene = Self::sent(Factor::Link, one_signature()).await;
        let browser = Browser::start(1280, 900).await;
        open_reader(&browser, &scene.link(0).await).await;
        (scene, browser)
    }

    /// The same, with everything filled in: only the button is left to press.
    pub(crate) async fn in_review() -> (Self, Browser) {
        let (scene, browser) = Self::at_reader().await;
        review(&browser).await;
        (scene, browser)
    }

    pub(crate) async fn sent_to(recipients: Value, fields: Vec<Value>) -> Self {
        Self::sent_from(Options::default(), recipients, fields).await
    }

    /// An envelope of a server with these options.
    pub(crate) async fn sent_from(options: Options, recipients: Value, fields: Vec<Value>) -> Self {
        let mut test = TestApp::start_with(options).await;
        let public_url = &test.app.config.server.public_url;
        if !public_url.contains("sign.test") {
            let (_, port) = test.url.rsplit_once(':').unwrap();
            test.url = format!("https://localhost:{port}");
        }
        let key = test.sandbox("Harbour Mills").await;
        let (lease_id, plan_id) =
            (test.upload(&key, "lease.pdf", lease(3)).await, test.upload(&key, "plan.pdf", lease(1)).await);
        let body = json!({
            "title": "Lease of the old mill", "message": "Dear Ada,\nplease sign before Friday.",
            "documents": [{ "id": lease_id }, { "id": plan_id }],
            "recipients": recipients, "fields": fields,
        });
        let envelope = test.create(&key, &body).await;
        test.send(&key, &envelope).await;
        let envelope = envelope.parse().unwrap();
        Self { test, key, envelope }
    }

    /// The address of a page of the ceremony, on the loopback address that the browser knows.
    pub(crate) fn url(&self, path: &str) -> String {
        let port = self.test.url.rsplit_once(':').unwrap().1;
        format!("https://localhost:{port}{path}")
    }

    pub(crate) async fn opened(&self) -> Opened {
        envelopes::read(&self.test.app, &self.key.tenant, self.envelope).await.unwrap()
    }

    pub(crate) async fn recipient(&self, index: usize) -> RecipientId {
        self.opened().await.folded.state.contents().unwrap().recipients[index].id
    }

    /// The link that was mailed to a recipient last.
    pub(crate) async fn link(&self, index: usize) -> String {
        let (opened, recipient) = (self.opened().await, self.recipient(index).await);
        let underway = opened.folded.state.underway().unwrap();
        let link = underway.progress_of(recipient).unwrap().link.as_ref().unwrap().link;
        let row = self.test.app.store.link_by_id(&self.key.tenant, link).await.unwrap().unwrap();
        let secret = envelopes::link_secret(&opened, &row).unwrap();
        self.url(&format!("/s/{}#{}", self.envelope, secret.expose()))
    }

    /// The code that was mailed last.
    pub(crate) async fn code(&self) -> String {
        self.codes().await.pop().expect("a code was issued")
    }

    /// The codes that were mailed, in order.
    pub(crate) async fn codes(&self) -> Vec<String> {
        let opened = self.opened().await;
        let mut codes = Vec::new();
        for recorded in &opened.events {
            let Body::CodeIssued { recipient, code, .. } = &recorded.event.body else { continue };
            let row = self.test.app.store.code(&self.key.tenant, *code).await.unwrap().unwrap();
            codes.push(envelopes::code_digits(&opened, *recipient, &row).unwrap().to_string());
        }
        codes
    }

    /// The types of the envelope's events.
    pub(crate) async fn types(&self) -> Vec<&'static str> {
        self.opened().await.events.iter().map(|recorded| recorded.event.body.type_text()).collect()
    }

    pub(crate) async fn count(&self, event_type: &str) -> usize {
        self.types().await.iter().filter(|found| **found == event_type).count()
    }

    pub(crate) async fn state(&self) -> State {
        self.opened().await.folded.state
    }
}
