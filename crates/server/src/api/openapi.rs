//! `GET /v1/openapi.json`: OpenAPI 3.1, generated from the handlers.

use std::borrow::Cow;

use axum::{Json, response::IntoResponse as _, response::Response};
use countersign_core::scope::Scope;
use utoipa::{
    Modify, OpenApi, PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type,
        security::{ClientCredentials, Flow, HttpAuthScheme, HttpBuilder, OAuth2, Scopes, SecurityScheme},
    },
};

use super::{
    activate_webhook_endpoint, block_webhook_endpoint, block_webhooks, cancel_invitation, change_client,
    change_key, change_member, change_webhook_endpoint, create_client, create_envelope, create_key,
    create_webhook_endpoint, disable_webhook_endpoint, end_client, end_grant, end_key, end_webhook_endpoint,
    invite_member, join_webhook_key, list_clients, list_deliveries, list_envelopes, list_events, list_grants,
    list_invitations, list_keys, list_mailbox, list_members, list_security_events, list_webhook_blocks,
    list_webhook_endpoints, promote_webhook_key, prove_webhook_endpoint, pull_events, read_certificate,
    read_client, read_delivery, read_document, read_envelope, read_evidence, read_key, read_original,
    read_sealed, read_webhook_endpoint, read_webhook_proof, recover_webhook_endpoint,
    release_webhook_endpoint, release_webhooks, remove_member, replay_webhook_endpoint, resend_delivery,
    resend_envelope, resend_invitation, revoke_webhook_key, rotate_key, send_envelope, stage_webhook_key,
    test_webhook_endpoint, upload_document, void_envelope,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Countersign",
        description = "Send documents, have them signed, and get evidence that anyone can verify.",
    ),
    paths(
        upload_document::upload,
        read_document::read,
        create_envelope::create,
        list_envelopes::list,
        read_envelope::read,
        send_envelope::send,
        resend_envelope::resend,
        void_envelope::void,
        list_events::list,
        read_original::original,
        read_sealed::sealed,
        read_certificate::certificate,
        read_evidence::package,
        list_mailbox::list,
        list_clients::list,
        create_client::create,
        read_client::read,
        change_client::change,
        end_client::end,
        list_members::list,
        change_member::run,
        remove_member::run,
        list_invitations::list,
        invite_member::run,
        resend_invitation::run,
        cancel_invitation::run,
        list_grants::list,
        end_grant::run,
        list_security_events::list,
        list_keys::list,
        create_key::create,
        read_key::read,
        change_key::change,
        rotate_key::rotate,
        end_key::end,
        create_webhook_endpoint::create,
        list_webhook_endpoints::list,
        read_webhook_endpoint::read,
        change_webhook_endpoint::change,
        activate_webhook_endpoint::activate,
        disable_webhook_endpoint::disable,
        end_webhook_endpoint::end,
        block_webhook_endpoint::block,
        release_webhook_endpoint::release,
        list_webhook_blocks::list,
        block_webhooks::block,
        release_webhooks::release,
        prove_webhook_endpoint::prove,
        read_webhook_proof::read,
        test_webhook_endpoint::test,
        recover_webhook_endpoint::recover,
        replay_webhook_endpoint::replay,
        stage_webhook_key::stage,
        join_webhook_key::join,
        promote_webhook_key::promote,
        revoke_webhook_key::revoke,
        list_deliveries::list,
        read_delivery::read,
        resend_delivery::resend,
        pull_events::pull,
    ),
    modifiers(&Credentials),
)]
struct Document;

struct Credentials;

/// A body that is a PDF file.
pub(super) enum PdfBytes {}

/// A body that is a ZIP archive.
pub(super) enum ZipBytes {}

/// Bytes as they are, of a media type (JSON Schema 2020-12, validation, §8.4).
fn bytes_of(media_type: &str) -> RefOr<Schema> {
    let bytes = ObjectBuilder::new().schema_type(Type::String).content_media_type(media_type);
    bytes.format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary))).into()
}

impl PartialSchema for PdfBytes {
    fn schema() -> RefOr<Schema> {
        bytes_of("application/pdf")
    }
}

impl ToSchema for PdfBytes {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("PdfBytes")
    }
}

impl PartialSchema for ZipBytes {
    fn schema() -> RefOr<Schema> {
        bytes_of("application/zip")
    }
}

impl ToSchema for ZipBytes {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ZipBytes")
    }
}

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("csk_…")
            .description(Some("An API key. Each operation names the one scope that it needs."))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
        let scopes: Scopes = Scope::ALL.iter().map(|scope| (scope.text(), scope.words())).collect();
        let flow = Flow::ClientCredentials(ClientCredentials::new("/oauth/token", scopes));
        components.add_security_scheme("oauth2", SecurityScheme::OAuth2(OAuth2::new([flow])));
    }
}

/// The document.
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// The document as JSON.
pub async fn serve() -> Response {
    Json(document()).into_response()
}
