//! The sandbox mailbox page: a shell without any mail in it. Its script asks the API for the mails, with a sandbox key
//! that has the scope `mailbox:read` and travels in the fragment, so a live environment shows none.

use askama::Template;
use axum::{http::StatusCode, response::Response};

use super::{
    answer::{Unshown, page},
    assets::Assets,
};

/// The page.
#[derive(Template)]
#[template(path = "signer/mailbox.html")]
struct MailboxPage {
    assets: Assets,
}

/// `GET /mailbox`
pub async fn show() -> Result<Response, Unshown> {
    Ok(page(&MailboxPage { assets: Assets }, StatusCode::OK)?)
}
