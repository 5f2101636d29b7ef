//! Sessions of users: a cookie of which only the hash is kept, half an hour without activity, twelve hours in all, and
//! another cookie at every sign-in and step-up.

use axum::http::{HeaderMap, HeaderValue, header};
use countersign_core::{
    canonical,
    id::{ProviderId, SignInId, UserId},
    level::Level,
    limits,
    refusal::{Code, Refusal},
    secret::{HashedToken, Personal, PlainToken, TokenKind},
    time::Time,
};
use countersign_store::access_rows::{Change, Ending, MemberRow, SignInRow};
use serde::{Deserialize, Serialize};

use super::{
    people::{self, User},
    provider,
};
use crate::{app::Records, fault::Fault, keys::Binding, signer::strict::Caller};

/// The cookie of a session. The prefix makes browsers refuse it from anywhere but this host over TLS.
pub const COOKIE: &str = "__Host-cs-session";
/// The end of a session is moved when it is off by this much: not at every request.
const TOUCH_MS: i64 = 60_000;

/// Somebody with a session.
#[derive(Clone)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// The session.
    pub row: SignInRow,
    /// Where the user is a member now, as far as this session opens it.
    pub memberships: Vec<MemberRow>,
    /// Who is told what happens in it: also organizations that it does not open.
    pub told: Vec<MemberRow>,
}

impl SignedIn {
    /// Who.
    pub fn user_id(&self) -> UserId {
        self.user.id()
    }

    /// In which session.
    pub fn sign_in(&self) -> SignInId {
        self.row.sign_in
    }

    /// How surely.
    pub fn level(&self) -> Level {
        self.row.authenticated.0
    }

    /// Whether another session of the user is shown and ended in this one: in one that a provider opened only those of
    /// the same provider.
    pub fn sees(&self, other: &SignInRow) -> bool {
        self.row.provider.is_none() || self.row.provider == other.provider
    }

    /// When the user proved last who it is.
    pub fn authenticated_at(&self) -> Time {
        self.row.authenticated.1
    }

    /// Whether the user proved it lately enough for a dangerous act.
    pub fn is_fresh(&self, now: Time) -> bool {
        now.since_ms(self.authenticated_at()) <= limits::STEP_UP_S * 1_000
    }

    /// Refuses what belongs to the person alone in a session that an organization's provider opened: whoever runs that
    /// provider could open it, too.
    pub fn check_own(&self) -> Result<(), Refusal> {
        if self.row.provider.is_none() {
            return Ok(());
        }
        let sentence = "your organization's provider opened this session: sign in with a passkey or a password of your own \
                        to change how you sign in";
        Err(Refusal::new(Code::Invalid, sentence))
    }

    /// Refuses a dangerous act of somebody who proved it longer ago.
    pub fn check_fresh(&self, now: Time) -> Result<(), Refusal> {
        if self.is_fresh(now) {
            return Ok(());
        }
        Err(Refusal::new(Code::StepUpRequired, "confirm that it is you, then do this again"))
    }
}

/// Where a session began, under the user's key.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The address.
    pub ip: String,
    /// The user agent.
    #[serde(default)]
    pub user_agent: Option<String>,
    /// What was shown: `passkey`, `password`, `totp`, `recovery_code`, `provider`.
    pub methods: Vec<String>,
}

fn origin_binding(user: UserId, sign_in: SignInId) -> Binding {
    Binding::new("sign-in-origin", &[user.as_bytes(), sign_in.as_bytes()])
}

/// Where a session of this user began.
pub fn origin(user: &User, row: &SignInRow) -> Result<Origin, Fault> {
    let plain = user.key.open(&origin_binding(row.user, row.sign_in), &row.sealed_origin)?;
    serde_json::from_slice(&plain).map_err(|_| Fault::Sealed("the origin of a session".to_owned()))
}

fn sealed_origin(
    app: &Records,
    user: &User,
    sign_in: SignInId,
    caller: &Caller,
    methods: &[&str],
) -> Result<Vec<u8>, Fault> {
    let agent = caller.origin.user_agent.as_ref().map(Personal::disclose);
    let origin = Origin {
        ip: caller.origin.ip.disclose().clone(),
        user_agent: agent.map(|agent| agent.chars().take(limits::USER_AGENT_CHARS).collect()),
        methods: methods.iter().map(|method| (*method).to_owned()).collect(),
    };
    let plain = canonical::to_vec(&origin).map_err(|error| Fault::Task(error.to_string()))?;
    user.key.seal(&*app.random, &origin_binding(user.id(), sign_in), &plain)
}

/// When a session ends in which something is done at `now`.
fn end(created_at: Time, now: Time) -> Time {
    now.plus_s(limits::SIGN_IN_IDLE_S).min(created_at.plus_s(limits::SIGN_IN_S))
}

/// When something was done in a session last, at the earliest.
pub fn used_at(row: &SignInRow) -> Time {
    row.expires_at.plus_s(-limits::SIGN_IN_IDLE_S).max(row.created_at)
}

/// Whether a session holds at `now`.
pub fn is_open(row: &SignInRow, user: &User, now: Time) -> bool {
    let is_of_now = row.created_at >= user.row.valid_from;
    row.ended_at.is_none() && row.expires_at > now && is_of_now && user.row.ended_at.is_none()
}

/// A cookie's value.
pub(crate) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// The header that sets a cookie for so many seconds; 0 removes it.
pub(crate) fn set_cookie(name: &str, value: &str, max_age_s: i64) -> Result<HeaderValue, Fault> {
    let text = format!("{name}={value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={max_age_s}");
    let mut header =
        HeaderValue::from_str(&text).map_err(|error| Fault::Task(format!("a cookie: {error}")))?;
    header.set_sensitive(true);
    Ok(header)
}

/// The header that removes the session's cookie.
pub fn no_cookie() -> Result<HeaderValue, Fault> {
    set_cookie(COOKIE, "", 0)
}

/// Who calls, in a session of any level: also after a password alone, which opens nothing but the page to add a factor.
pub async fn of_any_level(app: &Records, headers: &HeaderMap) -> Result<Option<SignedIn>, Fault> {
    let token = cookie(headers, COOKIE).and_then(|text| PlainToken::parse(TokenKind::SignIn, text).ok());
    let Some(hash) = token.map(|token| token.hash()) else { return Ok(None) };
    let Some((mut row, user)) = app.store.sign_in(&hash).await? else { return Ok(None) };
    let user = people::open(app, user)?;
    let now = app.now();
    if row.cookie != hash || !is_open(&row, &user, now) {
        return Ok(None);
    }
    let expires_at = end(row.created_at, now);
    if expires_at.since_ms(row.expires_at) >= TOUCH_MS {
        app.store.touch_sign_in(row.sign_in, now, expires_at).await?;
        row.expires_at = expires_at;
    }
    tracing::Span::current().record("user_id", user.id().to_string());
    let Some((memberships, told)) = provider::opened_by(app, &user, &row).await? else { return Ok(None) };
    Ok(Some(SignedIn { user, row, memberships, told }))
}

/// Who calls, in a session that two factors opened.
pub async fn current(app: &Records, headers: &HeaderMap) -> Result<Option<SignedIn>, Fault> {
    let found = of_any_level(app, headers).await?;
    Ok(found.filter(|signed_in| signed_in.level() >= Level::Aal2))
}

/// A session that begins, and its cookie.
pub struct Begun {
    /// The session.
    pub row: SignInRow,
    /// The header that sets its cookie.
    pub cookie: HeaderValue,
}

fn new_cookie(app: &Records) -> Result<(HashedToken, HeaderValue), Fault> {
    let token = PlainToken::new(TokenKind::SignIn, &app.draw());
    let header = set_cookie(COOKIE, token.expose(), limits::SIGN_IN_S)?;
    Ok((token.hash(), header))
}

/// A new session of a user who proved it like this.
pub fn begin(
    app: &Records,
    user: &User,
    memberships: &[MemberRow],
    authenticated: (Level, Time),
    methods: &[&str],
    caller: &Caller,
) -> Result<Begun, Fault> {
    begin_through(app, user, memberships, authenticated, methods, caller, None)
}

/// The same for a session that an organization's provider opens, where one does.
pub fn begin_through(
    app: &Records,
    user: &User,
    memberships: &[MemberRow],
    authenticated: (Level, Time),
    methods: &[&str],
    caller: &Caller,
    provider: Option<ProviderId>,
) -> Result<Begun, Fault> {
    let now = app.now();
    // Right after a change of factors the new session begins when the others have ended.
    let created_at = now.max(user.row.valid_from);
    let sign_in = SignInId::new(created_at, app.draw());
    let (hash, cookie) = new_cookie(app)?;
    let only = match memberships {
        [member] => Some(people::tenant_of(member, countersign_core::access::Environment::Live)),
        _ => None,
    };
    let row = SignInRow {
        sign_in,
        user: user.id(),
        cookie: hash,
        tenant: only,
        authenticated,
        sealed_origin: sealed_origin(app, user, sign_in, caller, methods)?,
        created_at,
        expires_at: end(created_at, now),
        ended_at: None,
        version: 1,
        provider,
    };
    Ok(Begun { row, cookie })
}

/// A session in which the user proved again who it is: it goes on under another cookie.
pub fn raise(app: &Records, row: &SignInRow, authenticated: (Level, Time)) -> Result<Begun, Fault> {
    let (hash, cookie) = new_cookie(app)?;
    let expires_at = end(row.created_at, app.now());
    let row = SignInRow { cookie: hash, authenticated, expires_at, version: row.version + 1, ..row.clone() };
    Ok(Begun { row, cookie })
}

/// The end of a session, whatever is confirmed in it meanwhile; one that ended before is as good.
pub fn ending(sign_in: SignInId, now: Time) -> Change {
    Change::End { what: Ending::SignIn(sign_in), at: now, once: false }
}

/// A device in words, from its user agent: enough for its owner to know it again.
pub fn device_words(user_agent: Option<&str>) -> String {
    let Some(agent) = user_agent else { return "Unknown device".to_owned() };
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(part, _)| agent.contains(part)).map(|(_, words)| *words)
    };
    // The first that fits: browsers name those whose pages they want to be shown.
    let browser = find(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = find(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Macintosh", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "Unknown device".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_told_in_words() {
        let words = |agent| device_words(Some(agent));
        assert_eq!(
            words(
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36"
            ),
            "Chrome on Linux"
        );
        assert_eq!(
            words("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140 Safari/537.36 Edg/140"),
            "Edge on Windows"
        );
        assert_eq!(
            words("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Version/19 Mobile Safari/604.1"),
            "Safari on iPhone"
        );
        assert_eq!(words("curl/8"), "Unknown device");
        assert_eq!(device_words(None), "Unknown device");
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, "x__Host-cs-session=no; __Host-cs-session=yes".parse().unwrap());
        assert_eq!(cookie(&headers, COOKIE), Some("yes"));
        assert_eq!(cookie(&headers, "cs-session"), None);
    }
}
