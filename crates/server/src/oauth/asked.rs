//! A request to an endpoint of the authorization server: a form, each parameter once, and what came with it.

use axum::{
    extract::Request,
    http::{HeaderMap, header},
};
use countersign_core::{
    limits,
    oauth::{
        dpop::{self, Proof},
        error::OAuthError,
        form::Parameters,
    },
};

use super::answer::Denied;
use crate::{
    app::App,
    fault::Fault,
    http::{
        client_certificate::PeerCertificates, edge::RequestContext, limits::read_body,
        media_type::check_content_type,
    },
    keys::Signatures,
};

/// A request with its form.
pub struct Asked {
    /// From where, and which request it is.
    pub context: RequestContext,
    /// Its headers.
    pub headers: HeaderMap,
    /// What the connection showed, where it was asked for certificates.
    pub certificates: Option<PeerCertificates>,
    /// The form.
    pub parameters: Parameters,
    path: &'static str,
}

impl Asked {
    /// Reads a POST to `path`.
    pub async fn read(request: Request, path: &'static str) -> Result<Self, Denied> {
        let (parts, body) = request.into_parts();
        let context = parts.extensions.get::<RequestContext>().cloned();
        let context = context.ok_or_else(|| Fault::Missing("the context of a request".to_owned()))?;
        let refused = |refusal: countersign_core::refusal::Refusal| OAuthError::request(refusal.sentence);
        check_content_type(&parts.headers, Some("application/x-www-form-urlencoded")).map_err(refused)?;
        let form = read_body(body, limits::OAUTH_FORM_BYTES).await.map_err(refused)?;
        let certificates = parts.extensions.get::<PeerCertificates>().cloned();
        Ok(Self {
            context,
            certificates,
            parameters: Parameters::parse(&form)?,
            headers: parts.headers,
            path,
        })
    }

    /// The proof of possession of this request, where there is one. It is not spent yet.
    pub fn proof(&self, app: &App) -> Result<Option<Proof>, Denied> {
        let headers = dpop_headers(&self.headers)?;
        if headers.is_empty() {
            return Ok(None);
        }
        let url = format!("{}{}", base(app, self.certificates.as_ref()), self.path);
        let request = dpop::Request { method: "POST", url: &url, token: None };
        let proof = dpop::check(&headers, &request, Some(&app.oauth.nonces), app.now(), &Signatures);
        Ok(Some(proof.map_err(OAuthError::from)?))
    }

    /// The credentials of the `Authorization` header, which is there once at most.
    pub fn authorization(&self) -> Result<Option<&str>, OAuthError> {
        let mut values = self.headers.get_all(header::AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => {
                let text = value.to_str();
                text.map(Some).map_err(|_| OAuthError::request("the Authorization header is not ASCII"))
            }
            (Some(_), Some(_)) => Err(OAuthError::request("there is more than one Authorization header")),
        }
    }
}

/// What callers reach this server under on the way that they came.
pub fn base<'a>(app: &'a App, certificates: Option<&PeerCertificates>) -> &'a str {
    let mutual = certificates.and(app.config.oauth.mtls_url.as_deref());
    mutual.unwrap_or(&app.config.server.public_url)
}

/// The values of all `DPoP` headers.
pub fn dpop_headers(headers: &HeaderMap) -> Result<Vec<&str>, OAuthError> {
    let text = |value: &'_ axum::http::HeaderValue| value.to_str().ok().map(str::len);
    if headers.get_all("dpop").iter().any(|value| text(value).is_none()) {
        return Err(dpop::BadProof::Several.into());
    }
    Ok(headers.get_all("dpop").iter().filter_map(|value| value.to_str().ok()).collect())
}
