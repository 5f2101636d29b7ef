//! People in tests: they read their mail, open their links, and sign as the pages' scripts would.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_server::demo::{
    DemoFault,
    ceremony::{self, Person},
};
use serde_json::{Value, json};

use crate::app::{Key, TestApp};

/// The public URL of every server under test.
pub(crate) const PUBLIC_URL: &str = "https://sign.test";

/// Somebody who acts on an envelope.
pub(crate) struct Human<'a> {
    pub(crate) email: &'a str,
    pub(crate) values: &'a [(&'a str, &'a str)],
    pub(crate) mark: (&'a str, String),
}

impl<'a> Human<'a> {
    /// Somebody who types a name to sign, and nothing else.
    pub(crate) fn typing(email: &'a str, name: &str) -> Self {
        Self { email, values: &[], mark: ("typed", name.to_owned()) }
    }
}

/// A drawn signature, as its value holds it.
pub(crate) fn drawing() -> String {
    let strokes = json!([[[20, 70], [45, 20], [52, 18], [48, 60]], [[60, 55], [75, 42], [88, 50]]]);
    json!({ "width": 300, "height": 100, "strokes": strokes }).to_string()
}

/// A mail as a mail program reads it.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) head: String,
    pub(crate) text: String,
    pub(crate) html: String,
}

impl Letter {
    /// Reads a message of two parts, text and HTML (RFC 2045, RFC 2046).
    pub(crate) fn read(message: &str) -> Self {
        let (head, body) = message.split_once("\r\n\r\n").unwrap();
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let (_, boundary) = head.split_once("boundary=\"").unwrap();
        let boundary = format!("--{}", boundary.split_once('"').unwrap().0);
        let mut parts = body.split(&boundary).skip(1).map(part);
        let (text, html) = (parts.next().unwrap(), parts.next().unwrap());
        assert!(text.0.contains("text/plain") && html.0.contains("text/html"), "{} {}", text.0, html.0);
        Self { head, text: text.1, html: html.1 }
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> &str {
        let start = format!("{name}: ");
        let found = self.head.lines().find_map(|line| line.strip_prefix(&start));
        found.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }

    /// The link in it to an envelope.
    pub(crate) fn link(&self, envelope: &str) -> Option<String> {
        let start = format!("{PUBLIC_URL}/s/{envelope}#");
        let (_, rest) = self.text.split_once(&start)?;
        let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        Some(format!("/s/{envelope}#{}", rest.split(end).next()?))
    }

    /// The code in it.
    pub(crate) fn code(&self) -> Option<String> {
        let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
        self.text.lines().map(str::trim).find(is_code).map(str::to_owned)
    }
}

fn part(part: &str) -> (String, String) {
    let (head, body) = part.split_once("\r\n\r\n").unwrap();
    let body = if head.contains("base64") {
        let compact: String = body.split_whitespace().collect();
        String::from_utf8(STANDARD.decode(compact).unwrap()).unwrap()
    } else if head.contains("quoted-printable") {
        quoted_printable(body)
    } else {
        body.to_owned()
    };
    (head.to_owned(), body)
}

fn quoted_printable(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first == b'=' {
            let (code, after) = rest.split_at(2);
            bytes.extend(hex::decode(code).unwrap());
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The mails to an address in what `/v1/mailbox` answered, newest first.
pub(crate) fn letters_to(mailbox: &Value, email: &str) -> Vec<Letter> {
    let mails = mailbox["mails"].as_array().unwrap().iter();
    let letters = mails.map(|mail| Letter::read(mail["message"].as_str().unwrap()));
    letters.filter(|letter| letter.header("To").contains(email)).collect()
}

/// The mails to an address in the sandbox's mailbox, newest first.
pub(crate) async fn letters(test: &TestApp, key: &Key, email: &str) -> Vec<Letter> {
    letters_to(&test.get_json(key, "/v1/mailbox").await, email)
}

/// The newest link that was mailed to an address.
pub(crate) async fn link(test: &TestApp, key: &Key, envelope: &str, email: &str) -> String {
    let letters = letters(test, key, email).await;
    let found = letters.iter().find_map(|letter| letter.link(envelope));
    format!("{}{}", test.url, found.unwrap_or_else(|| panic!("no link for {email}")))
}

/// Goes from the newest mail to the receipt.
pub(crate) async fn sign(
    test: &TestApp,
    key: &Key,
    envelope: &str,
    human: &Human<'_>,
) -> Result<String, DemoFault> {
    test.work().await;
    let link = link(test, key, envelope, human.email).await;
    let http = test.browser();
    sign_with(test, key, &link, human, &http).await
}

/// The same in a browser that is open already.
pub(crate) async fn sign_with(
    test: &TestApp,
    key: &Key,
    link: &str,
    human: &Human<'_>,
    http: &reqwest::Client,
) -> Result<String, DemoFault> {
    let person = Person { http, public_url: PUBLIC_URL, values: human.values, mark: human.mark.clone() };
    let read_code = || -> std::pin::Pin<Box<dyn Future<Output = Result<String, DemoFault>> + Send + '_>> {
        Box::pin(async {
            test.work().await;
            let letters = letters(test, key, human.email).await;
            Ok(letters.iter().find_map(Letter::code).unwrap())
        })
    };
    ceremony::sign(&person, link, &read_code).await
}

/// The types of an envelope's events, in order.
pub(crate) async fn types(test: &TestApp, key: &Key, envelope: &str) -> Vec<String> {
    let events = test.get_json(key, &format!("/v1/envelopes/{envelope}/events")).await;
    let events = events["events"].as_array().unwrap().iter();
    events.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

/// The status of an envelope.
pub(crate) async fn status(test: &TestApp, key: &Key, envelope: &str) -> String {
    let read = test.get_json(key, &format!("/v1/envelopes/{envelope}")).await;
    read["status"].as_str().unwrap().to_owned()
}
