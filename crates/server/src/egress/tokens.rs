//! Tokens for deliveries (W-7): asked for at the authorization server that the endpoint's owner named (RFC 6749 §4.4), through
//! the guard, by one request at a time, and kept until shortly before they end. They are in no log and no record.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::{
    digest::Digest,
    secret::Secret,
    time::Time,
    webhook::{endpoint::host_of, oauth::OAuth},
};
use serde::Deserialize;

use super::guard::{Guard, NotFetched};

/// Places whose tokens are kept. The one that was used least lately makes room for another.
const PLACES: usize = 1_000;
/// Bytes of an answer.
const ANSWER_BYTES: usize = 64 * 1_024;
/// Letters of a token.
const TOKEN_BYTES: usize = 16 * 1_024;
/// So many of its first bytes are taken for a token that was cut off: fewer tell little, and many a text ends with them.
const TELLING_BYTES: usize = 4;
/// A token is not used in the last seconds of its life: it has to arrive.
const MARGIN_S: i64 = 30;
/// So long a token is used of which nobody says how long it lives.
const UNKNOWN_S: i64 = 60;
/// So long one is used at most.
const LONGEST_S: i64 = 24 * 3_600;
/// A place that failed is not asked again for so long, however many deliveries wait.
const AGAIN_MS: i64 = 5_000;

/// A token.
#[derive(Clone)]
pub(super) struct Token {
    text: Secret<String>,
    /// Which it is, of those of its place.
    pub(super) number: u64,
    until: Time,
}

impl Token {
    /// As it is sent (RFC 6750 §2.1).
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.text.expose())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// What a receiver said, without the token where it repeats it, be it cut off by the end. In one pass, whatever both are
    /// (Knuth, Morris and Pratt): whoever owns the endpoint chooses them.
    pub(super) fn hidden(&self, said: &[u8]) -> Vec<u8> {
        let token = self.text.expose().as_bytes();
        let again = again(token);
        let (mut shown, mut begun) = (Vec::with_capacity(said.len()), 0);
        let hide = |shown: &mut Vec<u8>, begun: usize| {
            shown.truncate(shown.len() - begun);
            shown.extend_from_slice(b"[token]");
        };
        for byte in said {
            shown.push(*byte);
            begun = begun_with(token, &again, begun, *byte);
            if begun == token.len() {
                hide(&mut shown, begun);
                begun = 0;
            }
        }
        if begun >= TELLING_BYTES {
            hide(&mut shown, begun);
        }
        shown
    }
}

/// For each beginning of a token: how many of its last bytes, but not all, begin the token again.
fn again(token: &[u8]) -> Vec<usize> {
    let mut again = Vec::with_capacity(token.len());
    let mut begun = 0;
    for (at, byte) in token.iter().enumerate() {
        if at > 0 {
            begun = begun_with(token, &again, begun, *byte);
        }
        again.push(begun);
    }
    again
}

/// How many of the last bytes begin the token, after `byte` came where it was `begun`.
fn begun_with(token: &[u8], again: &[usize], mut begun: usize, byte: u8) -> usize {
    while token.get(begun) != Some(&byte) {
        let Some(last) = begun.checked_sub(1) else { return 0 };
        begun = again.get(last).copied().unwrap_or(0);
    }
    begun + 1
}

/// What is known of a place.
#[derive(Default)]
struct Known {
    token: Option<Token>,
    failed: Option<(Time, String)>,
    /// How many tokens it gave.
    count: u64,
}

#[derive(Default)]
struct Place {
    /// When it was asked for last, of all that were.
    last_use: AtomicU64,
    known: Mutex<Known>,
    /// Held by the one request that asks.
    asking: Arc<tokio::sync::Mutex<()>>,
}

impl Place {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What needs no question: a token, or why there is none for now.
    fn settled(&self, now: Time) -> Option<Result<Token, String>> {
        let known = self.known();
        if let Some(token) = known.token.as_ref().filter(|token| now < token.until) {
            return Some(Ok(token.clone()));
        }
        let failed = known.failed.as_ref().filter(|(at, _)| now.since_ms(*at) < AGAIN_MS);
        failed.map(|(_, why)| Err(why.clone()))
    }
}

/// Tokens by who they are for, and where.
#[derive(Default)]
pub(super) struct Tokens {
    places: Mutex<HashMap<Digest, Arc<Place>>>,
    /// How often a place was asked for so far.
    uses: AtomicU64,
}

impl Tokens {
    /// A token, and whether it was asked for just now; or why there is none.
    pub(super) async fn get(&self, guard: &Guard, oauth: &OAuth, now: Time) -> Result<(Token, bool), String> {
        let place = self.place(oauth);
        if let Some(settled) = place.settled(now) {
            return settled.map(|token| (token, false));
        }
        let one = Arc::clone(&place.asking).lock_owned().await;
        // Somebody else may have asked meanwhile.
        if let Some(settled) = place.settled(now) {
            return settled.map(|token| (token, false));
        }
        // Goes on if the delivery is over: what was asked for is not asked for again.
        let (guard, oauth) = (guard.clone(), oauth.clone());
        let asking = tokio::spawn(async move {
            let _one = one;
            let asked = ask(&guard, &oauth, now).await;
            let mut known = place.known();
            match asked {
                Ok((text, until)) => {
                    known.count += 1;
                    let token = Token { text, number: known.count, until };
                    (known.token, known.failed) = (Some(token.clone()), None);
                    Ok(token)
                }
                Err(why) => {
                    let host = host_of(&oauth.token_url);
                    let why = format!("no token could be had for this delivery: {host} {why}");
                    known.failed = Some((now, why.clone()));
                    Err(why)
                }
            }
        });
        let asked = asking.await.unwrap_or_else(|_| Err("no token could be had: try again".to_owned()));
        asked.map(|token| (token, true))
    }

    /// Forgets a token that a receiver refused; any, where it is not said which.
    pub(super) fn forget(&self, oauth: &OAuth, number: Option<u64>) {
        let place = self.place(oauth);
        let mut known = place.known();
        if known.token.as_ref().is_some_and(|token| number.is_none_or(|number| token.number == number)) {
            known.token = None;
        }
    }

    fn place(&self, oauth: &OAuth) -> Arc<Place> {
        let digest = oauth.digest();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if places.len() >= PLACES && !places.contains_key(&digest) {
            let last_use = |place: &Arc<Place>| place.last_use.load(Ordering::Relaxed);
            let oldest = places.iter().min_by_key(|(_, place)| last_use(place)).map(|(one, _)| *one);
            oldest.and_then(|oldest| places.remove(&oldest));
        }
        let place = Arc::clone(places.entry(digest).or_default());
        place.last_use.store(self.uses.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
        place
    }
}

/// An answer (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Granted {
    access_token: Secret<String>,
    token_type: String,
    expires_in: Option<i64>,
}

/// A refusal (RFC 6749 §5.2).
#[derive(Deserialize)]
struct Denied {
    error: String,
}

async fn ask(guard: &Guard, oauth: &OAuth, now: Time) -> Result<(Secret<String>, Time), String> {
    let request = request(oauth).ok_or("cannot be asked: check `token_url` and `client_id`")?;
    let answered = guard.send(request, ANSWER_BYTES).await.map_err(|why| match why {
        NotFetched::Answer => {
            "did not answer in time, or its certificate is not trusted: look whether it is up".to_owned()
        }
        other => format!("was not asked, or answered too much: {other}"),
    })?;
    if answered.status() != StatusCode::OK {
        return Err(refused(answered.status(), answered.body()));
    }
    let granted: Granted = serde_json::from_slice(answered.body())
        .map_err(|_| "answered 200 without a token: check `token_url`".to_owned())?;
    if !granted.token_type.eq_ignore_ascii_case("bearer") {
        return Err("answered with a token that is no bearer token: only those can be sent".to_owned());
    }
    let text = granted.access_token.expose();
    // RFC 6750 §2.1.
    if text.is_empty() || text.len() > TOKEN_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("answered with a token that cannot be sent".to_owned());
    }
    Ok((granted.access_token, now.plus_s(used_s(granted.expires_in))))
}

/// For how long a token is used that lives so long.
fn used_s(expires_in: Option<i64>) -> i64 {
    let lives_s = expires_in.unwrap_or(UNKNOWN_S).clamp(0, LONGEST_S);
    (lives_s - MARGIN_S).max(lives_s / 2)
}

/// Client credentials with HTTP Basic (RFC 6749 §2.3.1 and §4.4.2).
fn request(oauth: &OAuth) -> Option<Request<Vec<u8>>> {
    let form = |name: &str, value: &str| serde_urlencoded::to_string([(name, value)]).ok();
    let encoded = |value: &str| form("x", value)?.strip_prefix("x=").map(str::to_owned);
    let pair = format!("{}:{}", encoded(&oauth.client_id)?, encoded(oauth.client_secret.expose())?);
    let mut basic = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair))).ok()?;
    basic.set_sensitive(true);
    let mut body = form("grant_type", "client_credentials")?;
    if let Some(scope) = &oauth.scope {
        body.push('&');
        body.push_str(&form("scope", scope)?);
    }
    Request::builder()
        .method(Method::POST)
        .uri(&oauth.token_url)
        .header(header::AUTHORIZATION, basic)
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(body.into_bytes())
        .ok()
}

/// What a refusal is told as: of its text the codes alone that the specification knows, because it may repeat what was sent.
fn refused(status: StatusCode, body: &[u8]) -> String {
    let known = [
        ("invalid_client", "check `client_id` and `client_secret`"),
        ("unauthorized_client", "this client may not ask for tokens by itself: ask whoever runs it"),
        ("unsupported_grant_type", "it gives no tokens for client credentials: check `token_url`"),
        ("invalid_scope", "check `scope`"),
        ("invalid_request", "check `token_url` and `scope`"),
        ("invalid_grant", "ask whoever runs it"),
    ];
    let said = serde_json::from_slice::<Denied>(body).ok();
    let code = said.and_then(|said| known.into_iter().find(|(code, _)| *code == said.error));
    match code {
        Some((code, what)) => format!("answered {} ({code}): {what}", status.as_u16()),
        None => format!("answered {}: check `token_url`, and look whether it is up", status.as_u16()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 6749 §2.3.1: identifier and secret are encoded as in a form before they are joined.
    #[test]
    fn a_client_is_named_as_the_specification_says() {
        let oauth = OAuth {
            token_url: "https://as.example/token".to_owned(),
            client_id: "a:b c".to_owned(),
            client_secret: Secret::new("p%ss+".to_owned()),
            scope: Some("hooks:write x".to_owned()),
        };
        let request = request(&oauth).unwrap();
        let basic = request.headers()[header::AUTHORIZATION].to_str().unwrap();
        let pair = STANDARD.decode(basic.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(pair, b"a%3Ab+c:p%25ss%2B");
        assert_eq!(request.body(), b"grant_type=client_credentials&scope=hooks%3Awrite+x");
        assert!(!format!("{request:?}").contains(basic), "L-3");
    }

    /// W-7: however many places there are, those that are used keep their tokens.
    #[test]
    fn the_place_that_was_used_least_lately_makes_room() {
        let oauth = |number: usize| OAuth {
            token_url: format!("https://as.example/{number}"),
            client_id: "x".to_owned(),
            client_secret: Secret::new("y".to_owned()),
            scope: None,
        };
        let (tokens, used, other) = (Tokens::default(), oauth(0), oauth(1));
        let (first, second) = (tokens.place(&used), tokens.place(&other));
        for number in 2..PLACES + 200 {
            tokens.place(&oauth(number));
            assert!(Arc::ptr_eq(&tokens.place(&used), &first), "{number}");
        }
        assert!(!Arc::ptr_eq(&tokens.place(&other), &second));
        assert_eq!(tokens.places.lock().unwrap().len(), PLACES);
    }

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        for (expires_in, used) in [
            (Some(3_600), 3_570),
            (Some(60), 30),
            (Some(40), 20),
            (Some(1), 0),
            (Some(0), 0),
            (Some(-5), 0),
            (Some(i64::MAX), LONGEST_S - MARGIN_S),
            (None, 30),
        ] {
            assert_eq!(used_s(expires_in), used, "{expires_in:?}");
        }
    }

    /// L-3: neither what an authorization server says in its own words, nor a token that a receiver repeats, is kept.
    #[test]
    fn what_others_repeat_is_not_told() {
        let said =
            refused(StatusCode::UNAUTHORIZED, br#"{"error":"invalid_client","error_description":"s3cret"}"#);
        assert!(said.contains("401 (invalid_client)") && !said.contains("s3cret"), "{said}");
        assert!(!refused(StatusCode::BAD_GATEWAY, br#"{"error":"s3cret"}"#).contains("s3cret"));
        let token = token("t0ken");
        for (said, shown) in [
            ("t0kent0ken! t0k", "[token][token]! t0k"),
            ("<t0ke", "<[token]"),
            ("t0ken t0ke", "[token] [token]"),
            ("t0ke t0kex", "t0ke t0kex"),
            ("t0ke", "[token]"),
        ] {
            assert_eq!(token.hidden(said.as_bytes()), shown.as_bytes(), "{said}");
        }
        assert_eq!(token.hidden(b""), b"");
    }

    fn token(text: &str) -> Token {
        Token { text: Secret::new(text.to_owned()), number: 1, until: Time::from_unix_ms(0) }
    }

    /// The same, as one would write it down.
    fn hidden_slowly(mut said: &str, token: &str) -> String {
        let mut shown = String::new();
        while let Some((before, after)) = said.split_once(token) {
            shown = shown + before + "[token]";
            said = after;
        }
        let longest = said.len().min(token.len() - 1);
        let mut begins = (TELLING_BYTES..=longest).rev().filter_map(|length| token.get(..length));
        match begins.find_map(|begin| said.strip_suffix(begin)) {
            Some(rest) => shown + rest + "[token]",
            None => shown + said,
        }
    }

    proptest! {
        /// L-3: tokens that repeat themselves are hidden like others.
        #[test]
        fn a_token_is_hidden_wherever_it_stands(said in "[ab]{0,60}", text in "[ab]{1,9}") {
            prop_assert_eq!(token(&text).hidden(said.as_bytes()), hidden_slowly(&said, &text).into_bytes());
        }
    }

    /// W-8: an owner who chooses the token and the answer chooses no more work than their length. Byte by byte from each place on it
    /// would be 10^12 comparisons or more: this test would not end.
    #[test]
    fn a_token_of_one_letter_is_hidden_in_one_pass() {
        let (length, text) = (1 << 22, "a".repeat(1 << 22));
        for text in [text.clone(), format!("{text}c")] {
            let said = [text.as_bytes(), &text.as_bytes()[..length / 2], b"b"].concat();
            assert!(token(&text).hidden(&said).ends_with(b"ab"));
            assert_eq!(token(&text).hidden(&said[1..length]), b"[token]");
        }
    }
}
