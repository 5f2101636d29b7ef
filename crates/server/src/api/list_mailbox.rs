//! `GET /v1/mailbox`: the mails of a sandbox. A live environment has no mailbox.

use std::sync::Arc;

use axum::response::Response;
use countersign_core::{access::Operation, id::MailId, refusal::Refusal};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    json,
    paging::{limit_of, position_of},
};
use crate::{
    app::App,
    fault::Fault,
    http::{
        gate::{Call, Endpoint, Method, Takes},
        problem::Problem,
    },
    keys::Binding,
};

pub(super) const ENDPOINT: Endpoint = Endpoint {
    method: Method::Get,
    path: "/v1/mailbox",
    operation: Operation::ListMailbox,
    takes: Takes::Nothing,
    query: &["cursor", "limit"],
    run: |app, call| Box::pin(list(app, call)),
};

/// Where a mail of the mailbox belongs: encrypted so under the organization's key.
pub fn mail_binding(mail: MailId) -> Binding {
    Binding::new("mailbox-mail", &[mail.as_bytes()])
}

/// A page of the mailbox.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MailboxBody {
    /// Newest first.
    mails: Vec<MailBody>,
    /// For the next page; null on the last.
    next_cursor: Option<String>,
}

/// A mail.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MailBody {
    /// Its id.
    id: String,
    /// When it was put there (RFC 3339, UTC).
    at: String,
    /// The message as it would have been sent (RFC 5322).
    message: String,
}

/// Read the sandbox mailbox.
#[utoipa::path(
    get,
    path = "/v1/mailbox",
    operation_id = "list_mailbox",
    tag = "sandbox",
    params(
        ("cursor" = Option<String>, Query, pattern = "^[0-9]{1,18}$", description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 100, description = "Most entries, 100 by default and at most"),
    ),
    responses(
        (status = 200, description = "A page", body = MailboxBody),
        (status = "default", description = "Refused", content_type = "application/problem+json", body = crate::http::problem::ProblemBody),
    ),
    security(("oauth2" = ["mailbox:read"]), ("api_key" = ["mailbox:read"])),
)]
pub(super) async fn list(app: Arc<App>, call: Call) -> Result<Response, Problem> {
    if !app.mails_to_mailbox(call.tenant()) {
        return Err(Refusal::not_found().into());
    }
    let page = app.store.mailbox(call.tenant(), position_of(&call)?, limit_of(&call)?).await?;
    let organization = app.organization(call.tenant().organization()).await?;
    let next_cursor = page.rows.last().filter(|_| page.more).map(|(position, _)| position.to_string());
    let mail = |row: &countersign_store::rows::MailboxRow| {
        let plain = organization.key.open(&mail_binding(row.mail), &row.sealed)?;
        Ok(MailBody {
            id: row.mail.to_string(),
            at: row.at.to_string(),
            message: String::from_utf8_lossy(&plain).into_owned(),
        })
    };
    let mails = page.rows.iter().map(|(_, row)| mail(row)).collect::<Result<_, Fault>>()?;
    Ok(json(&MailboxBody { mails, next_cursor }))
}
