//! What the server says about itself: as an authorization server (RFC 8414), for OpenID Connect Discovery, and as a
//! protected resource (RFC 9728). What is not offered is not there.

use serde_json::{Value, json};

use crate::{
    level::Level,
    oauth::{
        authorize::OPENID,
        claims::Claims,
        client::{GrantType, Method},
        details,
        jose::Algorithm,
    },
    scope::Scope,
};

/// The paths of the endpoints, behind the issuer.
pub mod path {
    /// Pushed authorization requests (RFC 9126).
    pub const PAR: &str = "/oauth/par";
    /// Where browsers come.
    pub const AUTHORIZE: &str = "/oauth/authorize";
    /// Tokens.
    pub const TOKEN: &str = "/oauth/token";
    /// Revocation (RFC 7009).
    pub const REVOKE: &str = "/oauth/revoke";
    /// Introspection (RFC 7662).
    pub const INTROSPECT: &str = "/oauth/introspect";
    /// Public keys (RFC 7517).
    pub const JWKS: &str = "/oauth/jwks";
    /// Metadata of the authorization server (RFC 8414 §3).
    pub const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";
    /// Metadata for OpenID Connect (OpenID Connect Discovery §4).
    pub const OPENID_METADATA: &str = "/.well-known/openid-configuration";
    /// Metadata of the API; the path of its identifier follows (RFC 9728 §3.1).
    pub const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";
}

/// What the metadata depends on.
#[derive(Clone, Copy, Debug)]
pub struct Server<'a> {
    /// The issuer: an https URL without a path and without a slash at its end.
    pub issuer: &'a str,
    /// The same server where it asks for client certificates (RFC 8705 §5), if it does so anywhere.
    pub mtls: Option<&'a str>,
    /// The algorithms of its active signing keys.
    pub signs_with: &'a [Algorithm],
    /// Whether there are sandboxes, whose clients may have secrets.
    pub has_sandboxes: bool,
}

impl Server<'_> {
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.issuer)
    }

    /// The methods with which clients prove who they are here.
    fn methods(&self, fits: impl Fn(Method) -> bool) -> Vec<&'static str> {
        let is_offered = |method: &Method| match method {
            Method::TlsClientAuth | Method::SelfSignedTlsClientAuth => self.mtls.is_some(),
            Method::ClientSecretBasic => self.has_sandboxes,
            Method::PrivateKeyJwt | Method::None => true,
        };
        let methods = Method::ALL.into_iter().filter(is_offered).filter(|method| fits(*method));
        methods.map(Method::text).collect()
    }

    fn signing(&self) -> Vec<&'static str> {
        self.signs_with.iter().map(|algorithm| algorithm.text()).collect()
    }
}

fn algorithms() -> Vec<&'static str> {
    Algorithm::ALL.map(Algorithm::text).to_vec()
}

fn scopes() -> Vec<&'static str> {
    Scope::ALL.iter().map(|scope| scope.text()).collect()
}

/// The document of RFC 8414 §2, which is also that of OpenID Connect Discovery §3.
pub fn authorization_server(server: &Server<'_>) -> Value {
    let mut named = scopes();
    named.push(OPENID);
    let endpoints = Claims::default()
        .with("issuer", server.issuer)
        .with("authorization_endpoint", server.at(path::AUTHORIZE))
        .with("pushed_authorization_request_endpoint", server.at(path::PAR))
        .with("token_endpoint", server.at(path::TOKEN))
        .with("revocation_endpoint", server.at(path::REVOKE))
        .with("introspection_endpoint", server.at(path::INTROSPECT))
        .with("jwks_uri", server.at(path::JWKS));
    let requests = endpoints
        .with("scopes_supported", named)
        .with("response_types_supported", json!(["code"]))
        .with("response_modes_supported", json!(["query"]))
        .with("grant_types_supported", GrantType::ALL.map(GrantType::text).to_vec())
        .with("code_challenge_methods_supported", json!(["S256"]))
        .with("authorization_response_iss_parameter_supported", true)
        .with("require_pushed_authorization_requests", false)
        .with("authorization_details_types_supported", json!([details::TYPE]))
        .with("acr_values_supported", Level::ALL.map(Level::text).to_vec())
        .with("prompt_values_supported", json!(["none", "login", "consent", "select_account"]))
        .with("claims_parameter_supported", false)
        .with("request_parameter_supported", false)
        .with("request_uri_parameter_supported", false)
        .with("subject_types_supported", json!(["public"]))
        .with("id_token_signing_alg_values_supported", server.signing());
    let clients = requests
        .with("token_endpoint_auth_methods_supported", server.methods(|_| true))
        .with("token_endpoint_auth_signing_alg_values_supported", algorithms())
        .with("revocation_endpoint_auth_methods_supported", server.methods(|_| true))
        .with("revocation_endpoint_auth_signing_alg_values_supported", algorithms())
        .with("introspection_endpoint_auth_methods_supported", server.methods(Method::has_key))
        .with("introspection_endpoint_auth_signing_alg_values_supported", algorithms())
        .with("introspection_signing_alg_values_supported", server.signing())
        .with("dpop_signing_alg_values_supported", algorithms())
        .with("tls_client_certificate_bound_access_tokens", server.mtls.is_some());
    clients.maybe("mtls_endpoint_aliases", server.mtls.map(aliases)).into_value()
}

/// The endpoints that clients with certificates use (RFC 8705 §5).
fn aliases(base: &str) -> Value {
    let at = |path: &str| format!("{base}{path}");
    json!({
        "pushed_authorization_request_endpoint": at(path::PAR),
        "token_endpoint": at(path::TOKEN),
        "revocation_endpoint": at(path::REVOKE),
        "introspection_endpoint": at(path::INTROSPECT),
    })
}

/// The document of RFC 9728 §2 about the API. `resource` is its identifier, an https URL.
pub fn protected_resource(server: &Server<'_>, resource: &str) -> Value {
    Claims::default()
        .with("resource", resource)
        .with("resource_name", "Countersign API")
        .with("authorization_servers", json!([server.issuer]))
        .with("scopes_supported", scopes())
        .with("bearer_methods_supported", json!(["header"]))
        .with("authorization_details_types_supported", json!([details::TYPE]))
        .with("dpop_signing_alg_values_supported", algorithms())
        .with("dpop_bound_access_tokens_required", false)
        .with("tls_client_certificate_bound_access_tokens", server.mtls.is_some())
        .into_value()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server<'static> {
        Server {
            issuer: "https://sign.test",
            mtls: Some("https://mtls.sign.test"),
            signs_with: &[Algorithm::Es256],
            has_sandboxes: true,
        }
    }

    /// only what is supported, and all of it.
    #[test]
    fn the_authorization_server_says_what_it_offers() {
        insta::assert_json_snapshot!(authorization_server(&server()));
    }

    /// the API names its authorization server (RFC 9728).
    #[test]
    fn the_api_says_who_issues_its_tokens() {
        insta::assert_json_snapshot!(protected_resource(&server(), "https://sign.test/v1"));
    }

    /// no password and nothing implicit, not even in metadata.
    #[test]
    fn what_is_not_offered_is_not_there() {
        let text = authorization_server(&server()).to_string();
        for absent in [
            "password",
            "implicit",
            "\"token\"",
            "id_token\"",
            "plain",
            "RS256",
            "HS256",
            "userinfo",
            "fragment",
        ] {
            assert!(!text.contains(absent), "{absent}");
        }
        let bare = Server { mtls: None, has_sandboxes: false, ..server() };
        let bare = authorization_server(&bare);
        assert!(bare.get("mtls_endpoint_aliases").is_none());
        assert_eq!(bare["tls_client_certificate_bound_access_tokens"], false);
        assert_eq!(bare["token_endpoint_auth_methods_supported"], json!(["private_key_jwt", "none"]));
    }
}
