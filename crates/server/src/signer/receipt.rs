//! The receipt, and the copies that are downloaded from it.

use std::sync::Arc;

use askama::Template;
use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use countersign_core::{
    digest::Digest,
    envelope::{
        Command, State as Envelope,
        event::{Download, Factor, Recipient, Role},
    },
    id::{DocumentId, EnvelopeId},
    refusal::Refusal,
    time::Time,
};

use super::{
    answer::{Unshown, elsewhere, enter, page},
    assets::Assets,
    ceremony::Ceremony,
    code::Plain,
    frame::{Frame, masked_email},
    step::Step,
    strict::{self, Caller, Id},
};
use crate::{
    app::App,
    documents,
    fault::{Failure, Fault},
};

/// A moment, for machines and for people.
struct Moment {
    machine: String,
    people: String,
}

impl Moment {
    fn new(at: Time) -> Self {
        Self { machine: at.to_string(), people: at.in_utc() }
    }
}

/// A document on the receipt.
struct ReceiptDocument {
    name: String,
    sha256: Digest,
    action: String,
}

/// The page.
#[derive(Template)]
#[template(path = "signer/receipt.html")]
struct ReceiptPage {
    assets: Assets,
    frame: Frame,
    /// Status of the envelope, for programs that read the page.
    state: &'static str,
    heading: &'static str,
    text: String,
    acted_name: &'static str,
    acted_at: Option<Moment>,
    identified: String,
    sealed_at: Option<Moment>,
    documents: Vec<ReceiptDocument>,
    closing: &'static str,
}

/// `GET /s/{envelope}/receipt`
pub async fn show(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
) -> Result<Response, Unshown> {
    let ceremony = enter(&app, &caller, envelope).await?;
    if ceremony.step != Step::Receipt {
        return Ok(elsewhere(&ceremony));
    }
    Ok(page(&receipt(&ceremony)?, StatusCode::OK)?)
}

fn receipt(ceremony: &Ceremony) -> Result<ReceiptPage, Fault> {
    let state = &ceremony.opened.folded.state;
    let (recipient, progress) = (ceremony.recipient()?, ceremony.progress()?);
    let email = recipient.email.value().map(|email| masked_email(email.disclose())).unwrap_or_default();
    let sealed_at = match state {
        Envelope::Completed(_, outcome) => Some(Moment::new(outcome.sealed_at)),
        _ => None,
    };
    let (heading, acted_name) = match (recipient.role, progress.status.is_done()) {
        (Role::Signer, true) => ("You have signed", "Signed"),
        (Role::Approver, true) => ("You have approved", "Approved"),
        (Role::Viewer | Role::Copy, true) => ("You have confirmed", "Confirmed"),
        (_, false) => ("Your copy", "Done"),
    };
    Ok(ReceiptPage {
        assets: Assets,
        frame: ceremony.frame()?,
        state: state.status_text(),
        heading,
        text: match state {
            Envelope::Completed(..) => {
                "Everybody has acted and the documents are sealed. Keep your copy: anyone can check it, without us."
                    .to_owned()
            }
            Envelope::Sealing(..) => {
                "Everybody has acted. The documents are being sealed; a mail brings you a link to your copy, which \
                 works for 72 hours."
                    .to_owned()
            }
            _ => waiting(still_to_act(state)),
        },
        acted_name,
        acted_at: progress.acted_at.map(Moment::new),
        identified: match recipient.factor {
            Factor::Link => format!("the link mailed to {email}"),
            Factor::EmailCode => format!("a code mailed to {email}"),
            Factor::AccessCode => format!("the link mailed to {email}, and the access code from the sender"),
            Factor::Totp => format!("the link mailed to {email}, and a code of your authenticator app"),
            Factor::Passkey => format!("your passkey, made after a code mailed to {email}"),
        },
        sealed_at,
        documents: copies(ceremony)?,
        closing: "You can open this page again with the link from your newest mail.",
    })
}

/// How many have not acted yet.
fn still_to_act(state: &Envelope) -> usize {
    let Some(underway) = state.underway() else { return 0 };
    let is_waited_for = |recipient: &&Recipient| {
        let progress = underway.progress_of(recipient.id);
        recipient.role != Role::Copy && !progress.is_some_and(|progress| progress.status.is_done())
    };
    underway.contents.recipients.iter().filter(is_waited_for).count()
}

/// What comes next, without naming anybody.
fn waiting(count: usize) -> String {
    let others = match count {
        1 => "1 other person has".to_owned(),
        more => format!("{more} other people have"),
    };
    format!(
        "It is recorded. {others} still to act. Then a mail brings you a link to the sealed copy, which works for 72 hours."
    )
}

fn copies(ceremony: &Ceremony) -> Result<Vec<ReceiptDocument>, Fault> {
    let (contents, base) = (ceremony.contents()?, ceremony.base());
    let name = |document: DocumentId| {
        let known = contents.document(document).and_then(|document| document.name.value());
        known.map(|name| name.disclose().clone()).unwrap_or_default()
    };
    let Envelope::Completed(_, outcome) = &ceremony.opened.folded.state else {
        let original = contents.documents.iter().map(|document| ReceiptDocument {
            name: name(document.id),
            sha256: document.sha256,
            action: format!("{base}/documents/{}/original", document.id),
        });
        return Ok(original.collect());
    };
    let sealed = outcome.documents.iter().map(|document| ReceiptDocument {
        name: name(document.document),
        sha256: document.sha256,
        action: format!("{base}/documents/{}/sealed", document.document),
    });
    let certificate = ReceiptDocument {
        name: "Certificate of completion".to_owned(),
        sha256: outcome.certificate_sha256,
        action: format!("{base}/certificate"),
    };
    Ok(sealed.chain([certificate]).collect())
}

/// `POST /s/{envelope}/documents/{document}/original`: a copy of what was shown, before all is sealed.
pub async fn original(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    Id(document): Id<DocumentId>,
    caller: Caller,
    strict::Form(form): strict::Form<Plain>,
) -> Result<Response, Unshown> {
    let ceremony = Ceremony::enter_as(&app, &caller, envelope, form.session).await?;
    give(&app, ceremony, Download::Original { document }).await
}

/// `POST /s/{envelope}/documents/{document}/sealed`
pub async fn sealed(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    Id(document): Id<DocumentId>,
    caller: Caller,
    strict::Form(form): strict::Form<Plain>,
) -> Result<Response, Unshown> {
    let ceremony = Ceremony::enter_as(&app, &caller, envelope, form.session).await?;
    give(&app, ceremony, Download::Sealed { document }).await
}

/// `POST /s/{envelope}/certificate`
pub async fn certificate(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Form(form): strict::Form<Plain>,
) -> Result<Response, Unshown> {
    let ceremony = Ceremony::enter_as(&app, &caller, envelope, form.session).await?;
    give(&app, ceremony, Download::Certificate).await
}

/// Gives a copy to keep, which the record shows.
async fn give(app: &App, mut ceremony: Ceremony, what: Download) -> Result<Response, Unshown> {
    if ceremony.step != Step::Receipt {
        return Ok(elsewhere(&ceremony));
    }
    let (bytes, name) = copy(app, &ceremony, what).await?;
    ceremony.act(app, Command::RecordDownload { what }).await?;
    let mut response = bytes.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/pdf"));
    response.headers_mut().insert(header::CONTENT_DISPOSITION, attachment(&name)?);
    Ok(response)
}

async fn copy(app: &App, ceremony: &Ceremony, what: Download) -> Result<(Vec<u8>, String), Failure> {
    let (tenant, envelope) = (&ceremony.asking.tenant, ceremony.session.envelope);
    let known = |document: DocumentId| {
        let document = ceremony.contents().ok()?.document(document)?;
        Some(document.name.value().map(|name| name.disclose().clone()).unwrap_or_default())
    };
    match what {
        Download::Original { document } => {
            let name = known(document).ok_or_else(Refusal::not_found)?;
            Ok((documents::original(app, tenant, document).await?, name))
        }
        Download::Sealed { document } => {
            let name = known(document).ok_or_else(Refusal::not_found)?;
            Ok((documents::artifact(app, tenant, envelope, Some(document)).await?, name))
        }
        Download::Certificate => {
            let bytes = documents::artifact(app, tenant, envelope, None).await?;
            Ok((bytes, "certificate of completion.pdf".to_owned()))
        }
    }
}

/// Names a download: plain ASCII for all, and the whole name in UTF-8 (RFC 6266 §4.3, RFC 8187 §3.2).
fn attachment(name: &str) -> Result<HeaderValue, Fault> {
    let name = if name.to_lowercase().ends_with(".pdf") { name.to_owned() } else { format!("{name}.pdf") };
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() || " .-_".contains(c) { c } else { '_' }).collect();
    let encoded: String = name
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let text = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{encoded}");
    HeaderValue::from_str(&text).map_err(|error| Fault::Task(format!("a file name: {error}")))
}

#[cfg(test)]
mod tests {
    use super::attachment;

    #[test]
    fn a_download_keeps_its_name_and_nothing_of_it_breaks_the_header() {
        let named = |name| attachment(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!(named("a.pdf"), "attachment; filename=\"a.pdf\"; filename*=UTF-8''a.pdf");
        assert_eq!(
            named("Zür\"ich\r\n"),
            "attachment; filename=\"Z_r_ich__.pdf\"; filename*=UTF-8''Z%C3%BCr%22ich%0D%0A.pdf"
        );
    }
}
