//! The disclosure and the agreement to it (ESIGN Act § 101(c)): a versioned text, whose digest is in every signature.

use std::sync::{Arc, LazyLock};

use askama::Template;
use axum::{Json, extract::State, http::StatusCode, response::IntoResponse as _, response::Response};
use countersign_core::{
    digest::Digest,
    envelope::Command,
    id::{EnvelopeId, SessionId},
};
use serde::Deserialize;

use super::{
    answer::{Unshown, elsewhere, enter, page},
    assets::Assets,
    ceremony::Ceremony,
    code::Plain,
    frame::Frame,
    step::Step,
    strict::{self, Caller, Id},
};
use crate::{app::App, http::problem::Problem};

/// A text as it is or was shown.
#[derive(Clone, Copy, Debug)]
pub struct ConsentVersion {
    /// Its version.
    pub version: &'static str,
    /// The text, exactly as it is shown.
    pub text: &'static str,
}

/// The version that is shown.
pub const CURRENT: ConsentVersion =
    ConsentVersion { version: "en-v1", text: include_str!("../../consent/en-v1.txt") };
/// Every version that was ever shown: evidence of old envelopes holds the text that they name. None is ever removed.
pub const EVER_SHOWN: &[ConsentVersion] = &[CURRENT];
/// Version of the text.
pub const VERSION: &str = CURRENT.version;
/// The text, exactly as it is shown.
pub const TEXT: &str = CURRENT.text;

static SHA256: LazyLock<Digest> = LazyLock::new(|| Digest::of(TEXT.as_bytes()));

/// SHA-256 of the text.
pub fn sha256() -> Digest {
    *SHA256
}

/// A heading or a paragraph of the text.
struct Part {
    is_heading: bool,
    text: &'static str,
}

/// The text in parts: headings are those that do not end with a full stop.
fn parts() -> Vec<Part> {
    let parts = TEXT.split("\n\n").map(str::trim_end);
    parts.map(|text| Part { is_heading: !text.ends_with('.'), text }).collect()
}

/// The page.
#[derive(Template)]
#[template(path = "signer/consent.html")]
struct ConsentPage {
    assets: Assets,
    frame: Frame,
    parts: Vec<Part>,
    version: &'static str,
    sha256: Digest,
}

/// `GET /s/{envelope}/consent`
pub async fn show(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
) -> Result<Response, Unshown> {
    let ceremony = enter(&app, &caller, envelope).await?;
    if ceremony.step != Step::Consent {
        return Ok(elsewhere(&ceremony));
    }
    let frame = ceremony.frame()?;
    let template = ConsentPage { assets: Assets, frame, parts: parts(), version: VERSION, sha256: sha256() };
    Ok(page(&template, StatusCode::OK)?)
}

/// `POST /s/{envelope}/consent/shown`: the text came into view.
pub async fn shown(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Json(report): strict::Json<Plain>,
) -> Result<Response, Problem> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, report.session).await?;
    let (recipient, session) = (ceremony.session.recipient, report.session);
    let (version, sha256) = (VERSION.to_owned(), sha256());
    ceremony.act(&app, Command::ShowDisclosure { recipient, session, version, sha256 }).await?;
    Ok(Json(serde_json::json!({})).into_response())
}

/// The agreement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    session: SessionId,
    version: String,
    #[serde(default)]
    agree: Option<String>,
}

/// `POST /s/{envelope}/consent`
pub async fn give(
    State(app): State<Arc<App>>,
    Id(envelope): Id<EnvelopeId>,
    caller: Caller,
    strict::Form(form): strict::Form<Agreement>,
) -> Result<Response, Unshown> {
    let mut ceremony = Ceremony::enter_as(&app, &caller, envelope, form.session).await?;
    let agrees = form.agree.as_deref() == Some("yes") && form.version == VERSION;
    if ceremony.step == Step::Consent && agrees && ceremony.open()?.disclosure_shown {
        let (recipient, session) = (ceremony.session.recipient, form.session);
        let (version, sha256) = (VERSION.to_owned(), sha256());
        ceremony.act(&app, Command::GiveConsent { recipient, session, version, sha256 }).await?;
    }
    Ok(elsewhere(&ceremony))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S-2: the text is versioned; a changed text needs a new version, so that old consents keep their text.
    #[test]
    fn the_text_of_a_version_never_changes() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("consent");
        let mut pinned: Vec<(String, String)> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|file| file.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "sha256"))
            .map(|path| {
                let digest = std::fs::read_to_string(&path).unwrap().trim().to_owned();
                (path.file_stem().unwrap().to_str().unwrap().to_owned(), digest)
            })
            .collect();
        pinned.sort();
        let digest = |one: &ConsentVersion| Digest::of(one.text.as_bytes()).to_string();
        let mut shown: Vec<_> = EVER_SHOWN.iter().map(|one| (one.version.to_owned(), digest(one))).collect();
        shown.sort();
        assert_eq!(shown, pinned, "add a new version, with its digest, instead of changing or removing one");
        assert!(EVER_SHOWN.iter().any(|one| one.version == VERSION));
    }

    /// What is promised is what happens: mails have no way back to the sender, and links end.
    #[test]
    fn the_disclosure_promises_only_what_the_product_does() {
        for words in ["answering the mail", "the sender is told", "foot of any page"] {
            assert!(!TEXT.contains(words), "{words}");
        }
        let hours = countersign_core::limits::LINK_S / 3_600;
        assert!(TEXT.contains(&format!("It works for {hours} hours")));
    }

    /// What the ESIGN Act § 101(c)(1) asks a disclosure to say.
    #[test]
    fn the_disclosure_says_what_the_law_asks() {
        let words = [
            "paper copy",
            "fee",
            "Withdrawing your consent",
            "documents of this request only",
            "address changes",
            "web browser",
        ];
        for words in words {
            assert!(TEXT.contains(words), "{words}");
        }
        assert!(parts().iter().any(|part| part.is_heading) && parts().iter().any(|part| !part.is_heading));
    }
}
