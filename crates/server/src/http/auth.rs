//! Authentication: the only place that makes a `Principal`, from an API key, an access token, a session on the console or a
//! signer's session cookie.

use std::fmt::Display;

use axum::http::{HeaderMap, header, request::Parts};
use countersign_core::{
    access::{Behind, ClientIdentity, Environment, Identity, MemberIdentity, Principal},
    digest::Digest,
    id::{EnvelopeId, OrganizationId},
    level::Level,
    oauth::{
        challenge::Scheme,
        dpop::{self, BadProof, Proof},
        jwt_access,
        presented::{self, Shown, Standing, UserStanding},
    },
    refusal::{Code, Refusal},
    secret::{HashedToken, PlainToken, TokenKind},
    security::{FailureReason, Fingerprint, SecurityActor, SecurityBody},
};
use countersign_store::{
    Batch, CommitError,
    access_rows::{Binding, MemberRow, Spend, TokenView},
    rows::SessionRow,
};

use super::{client_certificate::PeerCertificates, edge::RequestContext};
use crate::{
    accounts::session::SignedIn,
    api_keys::uses,
    app::App,
    fault::{Failure, Fault},
    keys::Signatures,
    oauth, organizations,
    security::{self, Circumstances},
};

/// What a request to the API shows of its caller.
pub struct Credential {
    /// The scheme of its `Authorization` header.
    pub scheme: Scheme,
    token: PlainToken,
    kind: TokenKind,
    proof: Option<Proof>,
    certificate: Option<Digest>,
}

impl Credential {
    /// Whether the caller is to be given the newest nonce for its next proof.
    pub fn has_old_nonce(&self) -> bool {
        self.proof.is_some_and(|proof| proof.has_old_nonce)
    }
}

fn unauthenticated() -> Refusal {
    Refusal::new(
        Code::Unauthenticated,
        "send an access token as `Authorization: DPoP cst_…` with a proof, or as `Bearer` if it is bound to your \
         certificate or to nobody; or an API key as `Authorization: Bearer csk_…`",
    )
}

fn unknown() -> Refusal {
    // The same words for a key that is taken from other networks alone: who stole it does not learn that it is one.
    let sentence = "this API key is not known here: it is mistyped, of another server, not for the network that you call \
                    from, or gone; create another with `countersign keys create`";
    Refusal::new(Code::Unauthenticated, sentence)
}

fn invalid_token() -> Refusal {
    let sentence = "this access token is not valid here: it has ended, or is for others; ask for another one";
    Refusal::new(Code::TokenInvalid, sentence)
}

fn bad_proof(bad: BadProof) -> Refusal {
    let code = if bad == BadProof::Nonce { Code::NonceNeeded } else { Code::ProofInvalid };
    Refusal::new(code, bad.to_string())
}

/// The scheme that a request uses, for what it is told; `Bearer` where it uses none that is known.
pub fn scheme(headers: &HeaderMap) -> Scheme {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let named = value.split(' ').next().unwrap_or_default();
    if named.eq_ignore_ascii_case("dpop") { Scheme::Dpop } else { Scheme::Bearer }
}

/// Reads the credential of a request to the API. A mistyped token and a proof that does not fit are refused before any
/// look-up.
pub fn credential(app: &App, parts: &Parts) -> Result<Credential, Refusal> {
    let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(unauthenticated()) };
    let text = value.to_str().map_err(|_| unauthenticated())?;
    let (scheme, text) = text.split_once(' ').ok_or_else(unauthenticated)?;
    let scheme = match scheme {
        scheme if scheme.eq_ignore_ascii_case("bearer") => Scheme::Bearer,
        scheme if scheme.eq_ignore_ascii_case("dpop") => Scheme::Dpop,
        _ => return Err(unauthenticated()),
    };
    let kinds = [
        TokenKind::SandboxApiKey,
        TokenKind::LiveApiKey,
        TokenKind::SandboxAccessToken,
        TokenKind::LiveAccessToken,
    ];
    let parsed = kinds.iter().find_map(|kind| Some((PlainToken::parse(*kind, text).ok()?, *kind)));
    let (token, kind) = parsed.ok_or_else(|| if is_of_us(text) { invalid_token() } else { unknown() })?;
    if is_key(kind) && scheme == Scheme::Dpop {
        return Err(Refusal::new(
            Code::Unauthenticated,
            "API keys are sent as `Authorization: Bearer csk_…`",
        ));
    }
    let certificates = parts.extensions.get::<PeerCertificates>();
    let proof = match scheme {
        Scheme::Bearer => None,
        Scheme::Dpop => Some(proof_of(app, parts, text)?),
    };
    Ok(Credential {
        scheme,
        token,
        kind,
        proof,
        certificate: certificates.and_then(PeerCertificates::sha256),
    })
}

/// Whether a text looks like an access token: mistyped, or signed for another resource server, which this API never takes.
fn is_of_us(text: &str) -> bool {
    text.starts_with("cst_") || jwt_access::looks_like_one(text)
}

fn is_key(kind: TokenKind) -> bool {
    matches!(kind, TokenKind::SandboxApiKey | TokenKind::LiveApiKey)
}

fn proof_of(app: &App, parts: &Parts, token: &str) -> Result<Proof, Refusal> {
    let base = oauth::base(app, parts.extensions.get::<PeerCertificates>());
    let url = format!("{base}{}", parts.uri.path());
    let headers = oauth::dpop_headers(&parts.headers).map_err(|_| bad_proof(BadProof::Several))?;
    let request = dpop::Request { method: parts.method.as_str(), url: &url, token: Some(token) };
    dpop::check(&headers, &request, Some(&app.oauth.nonces), app.now(), &Signatures).map_err(bad_proof)
}

/// Who calls with this credential.
pub async fn caller(
    app: &App,
    credential: &Credential,
    context: &RequestContext,
) -> Result<Principal, Failure> {
    let hash = credential.token.hash();
    if is_key(credential.kind) {
        api_key(app, credential.kind, &hash, context).await
    } else {
        token(app, credential, &hash, context).await
    }
}

async fn api_key(
    app: &App,
    kind: TokenKind,
    hash: &HashedToken,
    context: &RequestContext,
) -> Result<Principal, Failure> {
    let row = app.store.api_key(hash).await.map_err(Fault::from)?;
    let row = row.filter(|row| row.hash == *hash && row.tenant.environment() == environment(kind));
    let row = row.ok_or_else(unknown)?;
    named(row.key, row.person);
    let expires_at = uses::admit(app, &row, context).await?.ok_or_else(unknown)?;
    let identity = Identity::ApiKey { key: row.key, person: row.person, scopes: row.scopes, expires_at };
    Ok(Principal::authenticated(row.tenant, identity))
}

/// Writes whose credential it is into the log lines of the request: also of one that is refused after this, whose caller is
/// told nothing of it (L-1).
fn named(client: impl Display, user: impl Display) {
    tracing::Span::current().record("client_id", client.to_string()).record("user_id", user.to_string());
}

fn environment(kind: TokenKind) -> Environment {
    match kind {
        TokenKind::LiveApiKey | TokenKind::LiveAccessToken => Environment::Live,
        _ => Environment::Sandbox,
    }
}

/// An access token with all that it hangs on, in one read; then the proof is spent, so that it is good once (G-7).
async fn token(
    app: &App,
    credential: &Credential,
    hash: &HashedToken,
    context: &RequestContext,
) -> Result<Principal, Failure> {
    let view = app.store.access_token(hash).await.map_err(Fault::from)?;
    let view = view.filter(|view| view.token.hash == *hash).ok_or_else(invalid_token)?;
    match view.grant.user {
        Some(user) => named(view.client.client, user),
        None => named(view.client.client, view.client.person),
    }
    let shown = Shown {
        scheme: credential.scheme,
        environment: environment(credential.kind),
        key: credential.proof.map(|proof| proof.thumbprint),
        certificate: credential.certificate,
    };
    if let Err(reason) = presented::judge(&standing(&view), &shown, app.now()) {
        refuse(app, &view, context, reason).await?;
        let is_by_another_key = shown.key.is_some() && matches!(view.token.binding, Some(Binding::Key(_)));
        return Err(refusal_of(reason, is_by_another_key).into());
    }
    if let Some(proof) = credential.proof {
        let spends = vec![Spend { hash: proof.jti_hash, expires_at: proof.expires_at }];
        match app.store.commit(Batch { spends, ..Batch::default() }).await {
            Ok(_) => {}
            Err(CommitError::Spent) => {
                refuse(app, &view, context, FailureReason::Replayed).await?;
                let sentence = "this proof was used before: make one with a new jti for every request";
                return Err(Refusal::new(Code::ProofInvalid, sentence).into());
            }
            Err(error) => return Err(Fault::of_commit(error).into()),
        }
    }
    Ok(principal(view)?)
}

/// The organization learns why; the caller learns that the token is not valid, or that the proof does not fit.
async fn refuse(
    app: &App,
    view: &TokenView,
    context: &RequestContext,
    reason: FailureReason,
) -> Result<(), Fault> {
    if matches!(reason, FailureReason::Expired) {
        // What every program does all day.
        return Ok(());
    }
    let circumstances = Circumstances {
        actor: SecurityActor::Unknown,
        origin: Some((view.client.person, context.origin.clone())),
        correlation: context.correlation,
    };
    let body = SecurityBody::AccessRefused {
        token: Fingerprint::of(&view.token.hash),
        reason,
        key: None,
        client: Some(view.client.client),
        grant: Some(view.grant.grant),
    };
    security::tell(app, &view.grant.tenant, &circumstances, body).await
}

fn refusal_of(reason: FailureReason, is_by_another_key: bool) -> Refusal {
    match reason {
        FailureReason::WrongBinding if is_by_another_key => bad_proof(BadProof::OtherKey),
        FailureReason::WrongBinding => Refusal::new(
            Code::TokenInvalid,
            "this access token is bound: send it as `DPoP` with a proof by its key, or over mutual TLS with its \
             certificate, as it was issued",
        ),
        _ => invalid_token(),
    }
}

/// What a token hangs on.
pub fn standing(view: &TokenView) -> Standing {
    Standing {
        environment: view.grant.tenant.environment(),
        bound: view.token.binding,
        expires_at: view.token.expires_at,
        is_for_this_api: view.token.audience.is_none(),
        granted_at: view.grant.created_at,
        grant_ended: view.grant.ended_at.is_some(),
        client_ended: view.client.ended_at.is_some(),
        sign_in_ended: view.sign_in_ended,
        user: view.grant.user.map(|_| UserStanding {
            valid_from: view.user_valid_from,
            is_member: view.member.as_ref().is_some_and(|member| member.ended_at.is_none()),
        }),
    }
}

fn principal(view: TokenView) -> Result<Principal, Fault> {
    let tenant = view.grant.tenant;
    let member = match (view.grant.user, &view.member, view.grant.authenticated) {
        (None, _, _) => None,
        (Some(user), Some(member), Some((level, authenticated_at))) => {
            Some(Behind { user, role: member.role, level, authenticated_at })
        }
        _ => return Err(Fault::Missing("the member behind a token".to_owned())),
    };
    let person =
        view.member.as_ref().map_or(view.client.person, |member| member.person(tenant.environment()));
    let identity = Identity::Client(ClientIdentity {
        client: view.client.client,
        person,
        grant: view.grant.grant,
        member,
        scopes: view.token.scopes.and(view.grant.scopes),
        client_ceiling: view.client.scopes,
        details: oauth::issue::terms(&view.grant)?.details,
        expires_at: view.token.expires_at,
    });
    Ok(Principal::authenticated(tenant, identity))
}

/// Who calls in a session on the console that two factors opened, as a member of this organization. What the caller is no
/// member of is not found.
pub fn member(
    signed_in: &SignedIn,
    organization: OrganizationId,
    environment: Environment,
) -> Result<Principal, Refusal> {
    let is_here = |member: &&MemberRow| member.organization == organization && member.ended_at.is_none();
    let member = signed_in.memberships.iter().find(is_here).ok_or_else(Refusal::not_found)?;
    if signed_in.level() < Level::Aal2 {
        return Err(Refusal::not_found());
    }
    let identity = Identity::Member(MemberIdentity {
        sign_in: signed_in.sign_in(),
        person: member.person(environment),
        member: Behind {
            user: signed_in.user_id(),
            role: member.role,
            level: signed_in.level(),
            authenticated_at: signed_in.authenticated_at(),
        },
        is_through_provider: signed_in.row.provider.is_some(),
    });
    Ok(Principal::authenticated(organizations::tenant(organization, environment), identity))
}

/// The cookie of a signer's session. One for each envelope, so that several can be open in one browser; the prefix
/// makes browsers refuse it from anywhere but this host over TLS.
pub fn session_cookie_name(envelope: EnvelopeId) -> String {
    format!("__Host-cs-{envelope}")
}

/// Who calls with a signer's session of this envelope. The row is given along for what only pages need of it.
pub async fn signer(
    app: &App,
    headers: &HeaderMap,
    envelope: EnvelopeId,
) -> Result<(Principal, SessionRow), Failure> {
    let ended =
        || Refusal::new(Code::SessionEnded, "the session has ended; open the link from your mail again");
    let token = session_cookie(headers, envelope)
        .and_then(|text| PlainToken::parse(TokenKind::SigningSession, text).ok());
    let hash = token.ok_or_else(ended)?.hash();
    let row = app.store.session(&hash).await.map_err(Fault::from)?;
    let row = row.filter(|row| row.cookie == hash && row.envelope == envelope && row.expires_at > app.now());
    let row = row.ok_or_else(ended)?;
    let identity = Identity::Signer { session: row.session, envelope, recipient: row.recipient };
    Ok((Principal::authenticated(row.tenant, identity), row))
}

/// Whether a browser once had a session of this envelope, valid or not: for the words on pages, and nothing else.
pub fn has_session_cookie(headers: &HeaderMap, envelope: EnvelopeId) -> bool {
    session_cookie(headers, envelope).is_some()
}

fn session_cookie(headers: &HeaderMap, envelope: EnvelopeId) -> Option<&str> {
    let name = session_cookie_name(envelope);
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}
