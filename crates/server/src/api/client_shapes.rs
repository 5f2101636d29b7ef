//! How a client is written: what is sent to register one (RFC 7591 §2), and what is shown of it.

use countersign_core::oauth::client::Registration;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::clients::Registered;

/// A registration. Unknown members are refused.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it describes what `Registration` reads, for the API's document")]
pub(super) struct RegistrationBody {
    /// What people are shown, one line of at most 200 characters.
    client_name: String,
    /// `fapi2` (FAPI 2.0 Security Profile) or `standard`, which is the default. Admin scopes are for `fapi2` alone.
    profile: Option<String>,
    /// `private_key_jwt`, `tls_client_auth`, `self_signed_tls_client_auth`, `client_secret_basic` (sandbox only) or `none`
    /// (an application on somebody's machine).
    token_endpoint_auth_method: String,
    /// Its public keys (RFC 7517): P-256, Ed25519, or RSA of 2048 to 4096 bits.
    jwks: Option<Value>,
    /// Where its public keys are, instead of `jwks`: https, on the public Internet.
    jwks_uri: Option<String>,
    /// For `tls_client_auth`: the subject of its certificate (RFC 4514).
    tls_client_auth_subject_dn: Option<String>,
    /// For `tls_client_auth`, instead: the DNS name of its certificate.
    tls_client_auth_san_dns: Option<String>,
    /// Where people are sent back to; compared exactly.
    redirect_uris: Option<Vec<String>>,
    /// Of `authorization_code`, `refresh_token` and `client_credentials`.
    grant_types: Vec<String>,
    /// The most that it may ask for, names with one space between them.
    scope: String,
    /// Its tokens are bound to DPoP keys, always (RFC 9449 §5.2).
    dpop_bound_access_tokens: Option<bool>,
    /// Its tokens are bound to the certificate of its connection, always (RFC 8705 §3.4).
    tls_client_certificate_bound_access_tokens: Option<bool>,
    /// It pushes its authorization requests, always (RFC 9126 §6).
    require_pushed_authorization_requests: Option<bool>,
    /// The resource server that it stands for, as an https URL: it may ask about tokens with this audience.
    resource: Option<String>,
    /// What access tokens for that resource look like: `opaque`, the default, to be introspected; or `jwt` (RFC 9068), bound and
    /// short-lived, to be verified by the resource server itself.
    resource_token_format: Option<String>,
}

/// A client as it is shown.
#[derive(Serialize, ToSchema)]
pub(super) struct ClientBody {
    /// Its id.
    #[schema(pattern = "^cli_[0-9a-hjkmnp-tv-z]{25}[048cgmrw]$")]
    client_id: String,
    /// When it was registered, in seconds since 1970 (RFC 7591 §3.2.1).
    client_id_issued_at: i64,
    /// Its secret, where its method has one: in the answer that makes it, and never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    /// When that secret ends, in seconds since 1970; 0 is never (RFC 7591 §3.2.1).
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret_expires_at: Option<i64>,
    /// Its registration.
    #[serde(flatten)]
    #[schema(value_type = RegistrationBody)]
    registration: Map<String, Value>,
}

impl ClientBody {
    /// A client, with its secret where it was made just now.
    pub(super) fn of(client: &Registered, secret: Option<&str>) -> Self {
        Self {
            client_id: client.row.client.to_string(),
            client_id_issued_at: client.row.created_at.unix_ms() / 1_000,
            client_secret: secret.map(str::to_owned),
            client_secret_expires_at: secret.map(|_| 0),
            registration: members(&client.registration),
        }
    }
}

fn members(registration: &Registration) -> Map<String, Value> {
    match serde_json::to_value(registration) {
        Ok(Value::Object(members)) => members,
        // A registration is strings, lists and booleans: it is an object.
        _ => Map::new(),
    }
}
