//! The way to a provider and back: what the browser carries meanwhile, and what must fit when it returns. A state is good
//! once, in the browser that began, for ten minutes.

use axum::http::HeaderValue;
use countersign_core::{
    accounts::provider::{Asked, Reason},
    digest::Digest,
    id::{ProviderId, SignInId},
    level::Level,
    limits,
    refusal::{Code, Refusal},
    time::Time,
};
use countersign_store::{Batch, CommitError, access_rows::Spend};
use serde::{Deserialize, Serialize};

use super::{
    Provider, by_id,
    openid::{self, Secrets, Trouble},
};
use crate::{
    accounts::{sealed, session},
    app::App,
    fault::{Failure, Fault},
    signer::strict::Caller,
};

/// The cookie of somebody who is on the way.
pub const COOKIE: &str = "__Host-cs-provider";
const STEP: &str = "provider";

/// What somebody goes to the provider for.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    /// A new session.
    SignIn,
    /// To confirm it in a session that this provider opened.
    Again(SignInId),
    /// To connect the account of this session with the provider.
    Link(SignInId),
    /// To become a member with the invitation of this secret, under this name.
    Join {
        /// The secret of the link.
        secret: String,
        /// The name that was typed.
        name: String,
    },
}

/// What the browser carries, encrypted.
#[derive(Clone, Serialize, Deserialize)]
pub struct Flow {
    provider: ProviderId,
    secrets: Secrets,
    at: Time,
    max_age_s: i64,
    level: Option<Level>,
    /// Whether the answer must name its issuer (RFC 9207 §2.4).
    names_issuer: bool,
    /// What for.
    pub aim: Aim,
    /// Where to go on.
    pub return_to: String,
}

/// Somebody who leaves for the provider.
pub struct Leaving {
    /// Where to.
    pub address: String,
    /// The cookie to carry.
    pub cookie: HeaderValue,
}

/// Somebody who came back.
pub struct Returned {
    /// From which provider.
    pub provider: Provider,
    /// What was begun.
    pub flow: Flow,
    /// Who, as the issuer names it.
    pub subject: String,
    /// How surely, if the provider said something that is mapped.
    pub level: Option<Level>,
    /// When the person signed in at the provider.
    pub at: Time,
}

/// What a provider sends the browser back with. What is not known is left alone (RFC 6749 §4.1.2).
#[derive(Default)]
pub struct Parameters {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

fn refused(sentence: &str) -> Refusal {
    Refusal::new(Code::SignInRefused, sentence)
}

/// What somebody is told who did not come in through the provider.
pub fn not_let_in() -> Refusal {
    refused(
        "your organization's sign-in gave an answer that is not taken here; try again, and if it stays so, ask whoever \
         looks after it in your organization",
    )
}

fn silent() -> Refusal {
    Refusal::new(
        Code::NotReady,
        "your organization's sign-in does not answer at this moment; nothing is lost: try again in a while",
    )
}

fn not_this_browser() -> Refusal {
    refused("this sign-in began in another browser, was finished, or took too long; begin again")
}

impl Parameters {
    /// Reads a query; a known parameter that stands there twice is refused.
    pub fn read(query: &str) -> Result<Self, Refusal> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).map_err(|_| not_let_in())?;
        let mut read = Self::default();
        for (name, value) in pairs {
            let place = match name.as_str() {
                "code" => &mut read.code,
                "state" => &mut read.state,
                "iss" => &mut read.iss,
                "error" => &mut read.error,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(not_let_in());
            }
        }
        Ok(read)
    }
}

/// Leaves for a provider. `level` is the least that is needed; `None` where it does not matter.
pub async fn leave(
    app: &App,
    provider: &Provider,
    aim: Aim,
    level: Option<Level>,
    return_to: &str,
) -> Result<Leaving, Failure> {
    let max_age_s = match aim {
        Aim::SignIn | Aim::Join { .. } => limits::SIGN_IN_S,
        Aim::Again(_) | Aim::Link(_) => limits::PROVIDER_STEP_UP_S,
    };
    let known = match app.accounts.providers.of(app, provider).await {
        Ok(known) => known,
        Err(trouble) => return Err(complain(provider, &trouble)),
    };
    let secrets = Secrets::draw(app);
    let classes = level.map(|level| provider.settings.classes_for(level)).unwrap_or_default();
    let address = known.address(app, provider, &secrets, max_age_s, &classes);
    let address = address.map_err(|trouble| complain(provider, &trouble))?;
    let flow = Flow {
        provider: provider.row.provider,
        secrets,
        at: app.now(),
        max_age_s,
        level,
        names_issuer: known.names_issuer(),
        aim,
        return_to: return_to.to_owned(),
    };
    let value = sealed::seal(app, STEP, app.now().plus_s(limits::PROVIDER_S), &flow)?;
    Ok(Leaving { address, cookie: session::set_cookie(COOKIE, &value, limits::PROVIDER_S)? })
}

/// Tells the log what was wrong, and gives what the person is told.
fn complain(provider: &Provider, trouble: &Trouble) -> Failure {
    let reason = trouble.to_string();
    tracing::warn!(event_type = "openid_provider", event_result = "failed", provider_id = %provider.row.provider, reason);
    match trouble {
        Trouble::Silent(_) | Trouble::Fault(_) => silent().into(),
        Trouble::Wrong(_) => not_let_in().into(),
    }
}

/// The header that forgets who was on the way.
pub fn no_cookie() -> Result<HeaderValue, Fault> {
    session::set_cookie(COOKIE, "", 0)
}

/// What this browser began, if it is not too long ago.
pub fn begun(app: &App, caller: &Caller) -> Option<Flow> {
    session::cookie(&caller.headers, COOKIE).and_then(|text| sealed::open(app, STEP, text))
}

/// Comes back from a provider: the state is used up first, then the response is judged, and only for one that has a code the
/// provider is asked anything. Whatever does not fit ends here.
pub async fn come_back(
    app: &App,
    caller: &Caller,
    from: ProviderId,
    parameters: Parameters,
) -> Result<Returned, Failure> {
    let flow = begun(app, caller).ok_or_else(not_this_browser)?;
    let given = parameters.state.as_deref().unwrap_or_default();
    let is_same = Digest::of(given.as_bytes()) == Digest::of(flow.secrets.state.as_bytes());
    if !is_same || flow.provider != from {
        return Err(not_this_browser().into());
    }
    let provider = by_id(app, from).await?.ok_or_else(not_this_browser)?;
    let hash = Digest::of_parts(&[b"countersign/provider-state/v1\0", flow.secrets.state.as_bytes()]);
    let spend = Spend { hash, expires_at: flow.at.plus_s(2 * limits::PROVIDER_S) };
    match app.store.commit(Batch { spends: vec![spend], ..Batch::default() }).await {
        Ok(_) => {}
        Err(CommitError::Spent) => return Err(not_this_browser().into()),
        Err(error) => return Err(Fault::of_commit(error).into()),
    }
    match redeem(app, &provider, &flow, parameters).await {
        Ok((subject, level, at)) => Ok(Returned { provider, flow, subject, level, at }),
        Err(trouble) => {
            app.accounts.provider_failures.tell(app, caller, &provider, trouble.reason()).await?;
            Err(complain(&provider, &trouble))
        }
    }
}

async fn redeem(
    app: &App,
    provider: &Provider,
    flow: &Flow,
    parameters: Parameters,
) -> Result<(String, Option<Level>, Time), Trouble> {
    match &parameters.iss {
        Some(iss) if *iss == provider.settings.issuer => {}
        None if !flow.names_issuer => {}
        _ => return Err(Trouble::Wrong(Reason::Issuer)),
    }
    if let Some(error) = &parameters.error {
        return Err(Trouble::Wrong(Reason::registered(error)));
    }
    let code = parameters.code.ok_or(Trouble::Wrong(Reason::NoCode))?;
    let found = openid::redeem(app, provider, &flow.secrets, code).await?;
    let asked = Asked { at: flow.at, max_age_s: flow.max_age_s, level: flow.level };
    let judged = found.judged(|answer| provider.settings.judge(answer, &asked, app.now()));
    let (level, at) = judged.map_err(|unfit| Trouble::Wrong(unfit.into()))?;
    Ok((found.subject().to_owned(), level, at))
}
