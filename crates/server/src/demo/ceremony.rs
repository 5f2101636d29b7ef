//! A signer without a browser: goes through the pages with the very requests that their scripts and forms send. The
//! demo, the benchmark and the crash tests sign with it.

use countersign_core::digest::Digest;
use reqwest::{Client, Response, header::HeaderMap};
use serde_json::{Value, json};

use super::DemoFault;

/// A person who signs.
pub struct Person<'a> {
    /// HTTP with a cookie jar of its own.
    pub http: &'a Client,
    /// The service, without a slash at its end.
    pub public_url: &'a str,
    /// What the person types into fields, by label; fields that are not named stay empty.
    pub values: &'a [(&'a str, &'a str)],
    /// The adopted signature: its method (`typed` or `drawn`) and its value.
    pub mark: (&'a str, String),
}

/// Gives the code that was mailed to a person.
pub type ReadCode<'a> =
    &'a (dyn Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<String, DemoFault>> + Send + 'a>> + Sync);

/// Where a ceremony is.
struct Step<'a> {
    person: &'a Person<'a>,
    base: String,
}

/// The link in a mail: the page, and the secret in the fragment.
fn parts(link: &str) -> Result<(&str, &str), DemoFault> {
    link.split_once('#').ok_or_else(|| DemoFault::Unexpected("the link has no fragment".to_owned()))
}

/// Signs, from the link to the receipt; the address of the receipt.
pub async fn sign(person: &Person<'_>, link: &str, read_code: ReadCode<'_>) -> Result<String, DemoFault> {
    prepare(person, link, read_code).await?.act().await
}

/// A person before the last button, who has read everything.
pub struct Ready<'a> {
    step: Step<'a>,
    act: Value,
}

impl Ready<'_> {
    /// Presses the button; the address of the receipt. Pressing it again sends the very same act again.
    pub async fn act(&self) -> Result<String, DemoFault> {
        let answer = self.step.post_json("/sign", &self.act).await?;
        let next = answer.get("next").and_then(Value::as_str);
        next.map(|next| format!("{}{next}", self.step.person.public_url))
            .ok_or_else(|| DemoFault::Unexpected("signing gave no receipt".to_owned()))
    }
}

/// Goes from the link up to the last button. A person who was interrupted goes on where the page says.
pub async fn prepare<'a>(
    person: &'a Person<'a>,
    link: &str,
    read_code: ReadCode<'_>,
) -> Result<Ready<'a>, DemoFault> {
    let (base, secret) = parts(link)?;
    let step = Step { person, base: base.to_owned() };
    let key = json!({ "secret": secret, "time_zone": "Europe/Zurich" });
    step.post_json("/open", &json!({ "secret": secret })).await?;
    let entered = step.post_json("/session", &key).await?;
    let (_, next) = text(&entered, "next")?.rsplit_once('/').ok_or_else(|| missing("next"))?;
    let mut page = step.get(&format!("/{next}")).await?;
    if let Some(session) = code_is_asked(&page) {
        step.post_form("/code/send", &[("session", &session)]).await?;
        let code = read_code().await?;
        page = step.post_form("/code", &[("session", &session), ("code", &code)]).await?;
    }
    if let Ok(version) = input(&page, "version") {
        let session = input(&page, "session")?;
        step.post_json("/consent/shown", &json!({ "session": session })).await?;
        let agreement = [("session", session.as_str()), ("version", &version), ("agree", "yes")];
        page = step.post_form("/consent", &agreement).await?;
    }
    let ceremony = ceremony(&page)?;
    let session = text(&ceremony, "session")?;
    let documents = step.read_documents(&ceremony, session).await?;
    let act = step.act(&ceremony, &page, documents)?;
    Ok(Ready { step, act })
}

impl Step<'_> {
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Ok(origin) = self.person.public_url.parse() {
            headers.insert("origin", origin);
        }
        headers
    }

    async fn checked(&self, what: &str, response: Response) -> Result<Response, DemoFault> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().await.unwrap_or_default();
        Err(DemoFault::Refused { what: what.to_owned(), status: status.as_u16(), body })
    }

    async fn get(&self, path: &str) -> Result<String, DemoFault> {
        let response = self.person.http.get(format!("{}{path}", self.base)).send().await?;
        Ok(self.checked(path, response).await?.text().await?)
    }

    async fn post_json(&self, path: &str, body: &Value) -> Result<Value, DemoFault> {
        let request =
            self.person.http.post(format!("{}{path}", self.base)).headers(self.headers()).json(body);
        Ok(self.checked(path, request.send().await?).await?.json().await?)
    }

    async fn post_form(&self, path: &str, pairs: &[(&str, &str)]) -> Result<String, DemoFault> {
        let request =
            self.person.http.post(format!("{}{path}", self.base)).headers(self.headers()).form(pairs);
        Ok(self.checked(path, request.send().await?).await?.text().await?)
    }

    /// Reads every document, hashes it, and says that its pages were shown.
    async fn read_documents(&self, ceremony: &Value, session: &str) -> Result<Vec<Value>, DemoFault> {
        let mut shown = Vec::new();
        for document in ceremony.get("documents").and_then(Value::as_array).into_iter().flatten() {
            let (id, page_count) =
                (text(document, "id")?, document.get("page_count").and_then(Value::as_u64));
            let page_count = page_count.ok_or_else(|| missing("page_count"))?;
            let url = format!("{}/documents/{id}", self.base);
            let request =
                self.person.http.post(url).headers(self.headers()).json(&json!({ "session": session }));
            let bytes = self.checked("documents", request.send().await?).await?.bytes().await?;
            let sha256 = Digest::of(&bytes);
            let pages: Vec<u64> = (1..=page_count).collect();
            let seen = json!({ "session": session, "document": id, "sha256": sha256, "pages": pages });
            self.post_json("/pages", &seen).await?;
            shown.push(json!({ "document": id, "sha256": sha256, "page_count": page_count }));
        }
        Ok(shown)
    }

    fn act(&self, ceremony: &Value, page: &str, documents: Vec<Value>) -> Result<Value, DemoFault> {
        let mut values = serde_json::Map::new();
        for field in ceremony.get("fields").and_then(Value::as_array).into_iter().flatten() {
            let label = text(field, "label")?;
            if let Some((_, value)) = self.person.values.iter().find(|(known, _)| *known == label) {
                values.insert(text(field, "id")?.to_owned(), json!(value));
            }
        }
        let adopted = (text(ceremony, "role")? == "signer")
            .then(|| json!({ "method": self.person.mark.0, "value": self.person.mark.1 }));
        Ok(json!({
            "session": text(ceremony, "session")?,
            "nonce": text(ceremony, "nonce")?,
            "label": label_of_button(page)?,
            "consent_sha256": text(ceremony, "consent_sha256")?,
            "documents": documents,
            "values": values,
            "adopted": adopted,
            "time_zone": "Europe/Zurich",
        }))
    }
}

/// The session, if the page asks for a code.
fn code_is_asked(page: &str) -> Option<String> {
    page.contains("/code/send\"").then(|| input(page, "session").ok()).flatten()
}

fn missing(name: &str) -> DemoFault {
    DemoFault::Unexpected(format!("the page has no `{name}`"))
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str, DemoFault> {
    value.get(name).and_then(Value::as_str).ok_or_else(|| missing(name))
}

/// The value of a hidden input.
fn input(page: &str, name: &str) -> Result<String, DemoFault> {
    between(page, &format!("name=\"{name}\" value=\""), "\"").ok_or_else(|| missing(name))
}

/// What the page hands its scripts.
fn ceremony(page: &str) -> Result<Value, DemoFault> {
    let json = between(page, "data-ceremony=\"", "\"").ok_or_else(|| missing("ceremony"))?;
    serde_json::from_str(&json).map_err(|error| DemoFault::Unexpected(error.to_string()))
}

/// The label of the one button that acts.
fn label_of_button(page: &str) -> Result<String, DemoFault> {
    let (_, rest) = page.split_once("id=\"act\"").ok_or_else(|| missing("act"))?;
    between(rest, ">", "<").map(|label| label.trim().to_owned()).ok_or_else(|| missing("act"))
}

/// The text between two marks, with the character references that templates write resolved.
fn between(page: &str, before: &str, after: &str) -> Option<String> {
    let (_, rest) = page.split_once(before)?;
    let (found, _) = rest.split_once(after)?;
    let references = [("&#34;", "\""), ("&#39;", "'"), ("&#60;", "<"), ("&#62;", ">"), ("&#38;", "&")];
    Some(references.iter().fold(found.to_owned(), |text, (reference, plain)| text.replace(reference, plain)))
}
