//! Every bound of the product in one place; `server/http/limits.rs` enforces those of HTTP.

use std::num::NonZeroU32;

/// Documents in one envelope.
pub const DOCUMENTS_PER_ENVELOPE: usize = 10;
/// Recipients in one envelope.
pub const RECIPIENTS_PER_ENVELOPE: usize = 50;
/// Fields in one envelope.
pub const FIELDS_PER_ENVELOPE: usize = 500;
/// Options of one dropdown.
pub const OPTIONS_PER_DROPDOWN: usize = 200;
/// Characters of a title, a document's name, a person's name, a label or an option.
pub const LINE_CHARS: usize = 200;
/// Characters of an e-mail address (RFC 5321 §4.5.3.1.3).
pub const EMAIL_CHARS: usize = 254;
/// Characters of a message, a reason, or the value of a text field.
pub const TEXT_CHARS: usize = 4_000;
/// Bytes of a drawn signature's strokes as JSON.
pub const DRAWN_MARK_BYTES: usize = 60_000;
/// Characters of a user agent that are kept.
pub const USER_AGENT_CHARS: usize = 400;
/// Bytes of an uploaded document.
pub const UPLOAD_BYTES: usize = 25 * 1024 * 1024;
/// Bytes of all uploads that are read, inspected or encrypted at the same time; more wait for their turn.
pub const UPLOADS_BYTES: usize = 12 * UPLOAD_BYTES;
/// Pages of an uploaded document.
pub const UPLOAD_PAGES: usize = 1_000;
/// Bytes of any other request body.
pub const BODY_BYTES: usize = 512 * 1024;
/// Bytes of a form of a signer's page: they are read before a session is looked for.
pub const FORM_BYTES: usize = 8 * 1024;
/// Bytes of the form with a reason, where every character may be four bytes, each written as `%xx`.
pub const REASON_FORM_BYTES: usize = FORM_BYTES + 12 * TEXT_CHARS;
/// Forms of signers' pages that one address (of IPv6, one /64) may be sending at the same time.
pub const FORMS_PER_ADDRESS: usize = 64;
/// Bytes of such forms, of one address.
pub const FORMS_BYTES_PER_ADDRESS: usize = 4 * 1024 * 1024;
/// Bytes of all such forms that are on their way, each with its headers at their largest.
pub const FORMS_BYTES: usize = 64 * 1024 * 1024;
/// Bytes of all request headers.
pub const HEADER_BYTES: usize = 16 * 1024;
/// Request headers.
pub const HEADER_COUNT: usize = 64;
/// Default time for a request from its headers until its answer begins.
pub const REQUEST_S: u32 = 30;
/// Requests in work at the same time; more are answered 503 with `Retry-After`.
pub const CONCURRENT_REQUESTS: usize = 512;
/// Characters of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_CHARS: usize = 128;
/// How long an `Idempotency-Key` is remembered.
pub const IDEMPOTENCY_S: i64 = 24 * 3_600;
/// Entries of one page of a list.
pub const PAGE_SIZE: usize = 100;
/// Longest life of an API key.
pub const API_KEY_S: i64 = 90 * 24 * 3_600;
/// Longest time that an API key still works beside the one it was rotated to.
pub const API_KEY_OVERLAP_S: i64 = 7 * 24 * 3_600;
/// Overlap of a rotation that names none.
pub const API_KEY_OVERLAP_DEFAULT_S: i64 = 24 * 3_600;
/// Networks that an API key may be bound to.
pub const API_KEY_NETWORKS: usize = 32;
/// API keys of one environment that have not ended.
pub const API_KEYS: usize = 1_000;
/// The last use of an API key is noted so often at most, by each server.
pub const API_KEY_NOTED_S: i64 = 60;
/// An address and agent that uses an API key is an event again after so long.
pub const API_KEY_TOLD_S: i64 = 24 * 3_600;
/// Addresses and agents of one API key that a server knows again.
pub const API_KEY_ORIGINS: usize = 64;
/// Life of an access token unless the operator sets another.
pub const ACCESS_TOKEN_S: i64 = 10 * 60;
/// How many tokens one resource server may ask about in a minute unless the operator sets another number.
pub const INTROSPECTIONS_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(5_999);
/// Longest life of an access token that the operator can set.
pub const ACCESS_TOKEN_LONGEST_S: i64 = 60 * 60;
/// Life of an access token that a resource server verifies by itself, and that nobody can take back until then (RFC 9068);
/// a shorter setting holds for it too.
pub const JWT_ACCESS_TOKEN_S: i64 = 5 * 60;
/// Life of an access token with an admin scope; a shorter setting holds for it too.
pub const ADMIN_TOKEN_S: i64 = 5 * 60;
/// Life of an authorization code.
pub const AUTHORIZATION_CODE_S: i64 = 60;
/// Life of a pushed authorization request until a browser comes with it.
pub const PUSHED_REQUEST_S: i64 = 90;
/// Life of an authorization request after a browser came with it: time to sign in and to read.
pub const AUTHORIZATION_S: i64 = 15 * 60;
/// Life of a grant with refresh tokens, however often they are used.
pub const GRANT_S: i64 = 90 * 24 * 3_600;
/// Time without a refresh after which a grant ends.
pub const GRANT_IDLE_S: i64 = 30 * 24 * 3_600;
/// Until when after a rotation the refresh token before it counts as the retry of a lost response.
pub const REFRESH_RETRY_S: i64 = 60;
/// Before this time after a rotation nobody can have given up waiting for its response: what comes then is a second use
/// at the same moment, of which only one wins.
pub const REFRESH_RACE_S: i64 = 1;
/// How far the `iat` of a DPoP proof may be from the server's time (RFC 9449 §11.1).
pub const DPOP_PROOF_S: i64 = 60;
/// Step of the server's DPoP nonces; one of the last two steps is good (RFC 9449 §8).
pub const DPOP_NONCE_S: i64 = 60;
/// Longest life of a client assertion from `iat` or now to `exp`.
pub const ASSERTION_S: i64 = 5 * 60;
/// How far a client's clock may be ahead (RFC 7519 §4.1.5).
pub const CLOCK_SKEW_S: i64 = 10;
/// Life of an ID token.
pub const ID_TOKEN_S: i64 = 5 * 60;
/// How long ago a person may have authenticated for a dangerous act.
pub const STEP_UP_S: i64 = 10 * 60;
/// Idle time after which a user's session on the console ends.
pub const SIGN_IN_IDLE_S: i64 = 30 * 60;
/// How far the clock of an OpenID provider may be off.
pub const PROVIDER_SKEW_S: i64 = 30;
/// Time to sign in at an OpenID provider and come back.
pub const PROVIDER_S: i64 = 10 * 60;
/// How long ago somebody may have signed in at an OpenID provider that is asked again before a dangerous act.
pub const PROVIDER_STEP_UP_S: i64 = 60;
/// Bytes of an answer of an OpenID provider.
pub const PROVIDER_BYTES: usize = 64 * 1_024;
/// Bytes of the form with an OpenID provider's settings.
pub const PROVIDER_FORM_BYTES: usize = 16 * 1_024;
/// Values of an OpenID provider that are mapped to levels.
pub const PROVIDER_RULES: usize = 20;
/// Events of people who came back from an OpenID provider and were not let in, at once; then there is one a minute.
pub const PROVIDER_FAILURES: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);
/// E-mail domains that lead to an OpenID provider.
pub const PROVIDER_DOMAINS: usize = 10;
/// Time after which a user's session on the console ends, however much is done in it.
pub const SIGN_IN_S: i64 = 12 * 3_600;
/// Life of the link with which the first owner begins.
pub const FIRST_OWNER_S: i64 = 15 * 60;
/// Life of an invitation.
pub const INVITATION_S: i64 = 72 * 3_600;
/// Invitations of one organization that can be open at the same time.
pub const INVITATIONS_OPEN: usize = 200;
/// Invitations that one organization mails in a day (UTC).
pub const INVITATIONS_A_DAY: usize = 200;
/// Invitations that one organization mails to one address in a day (UTC).
pub const INVITATIONS_OF_ADDRESS_A_DAY: usize = 5;
/// Life of a link to reset a password.
pub const RESET_S: i64 = 15 * 60;
/// Time between a right password and the second factor.
pub const SECOND_FACTOR_S: i64 = 10 * 60;
/// Fewest characters of a password (NIST SP 800-63B-4 §3.1.1.2 asks for 8 beside a second factor, and 15 alone).
pub const PASSWORD_LEAST_CHARS: usize = 12;
/// Most characters of a password.
pub const PASSWORD_CHARS: usize = 128;
/// Bytes of a form with a passkey's answer and the state of its challenge.
pub const PASSKEY_FORM_BYTES: usize = 32 * 1024;
/// Passkeys of one user.
pub const PASSKEYS: usize = 20;
/// Devices of one user whose tries strangers cannot use up.
pub const KNOWN_DEVICES: usize = 12;
/// How long a device is known after it signed in.
pub const KNOWN_DEVICE_S: i64 = 180 * 24 * 3_600;
/// Links to reset one user's password that can be open at the same time.
pub const RESETS_OPEN: usize = 3;
/// Life of a challenge of WebAuthn.
pub const CHALLENGE_S: i64 = 5 * 60;
/// A signing key of the authorization server is published so long before it signs, so that caches have it.
pub const SIGNING_KEY_PUBLISHED_S: i64 = 24 * 3_600;
/// A signing key of the authorization server signs for so long.
pub const SIGNING_KEY_ACTIVE_S: i64 = 30 * 24 * 3_600;
/// A signing key that no longer signs is published for so long, so that what it signed is verified to its end.
pub const SIGNING_KEY_GRACE_S: i64 = 24 * 3_600;
/// How long anybody may keep the public keys: far shorter than a key is published before it signs.
pub const JWKS_KEPT_S: i64 = 15 * 60;
/// Characters of a token request's or an authorization request's parameter.
pub const PARAMETER_CHARS: usize = 8 * 1_024;
/// Bytes of a form of the authorization server.
pub const OAUTH_FORM_BYTES: usize = 32 * 1_024;
/// Redirect URIs of one client.
pub const REDIRECT_URIS: usize = 20;
/// Keys in one JWK set.
pub const JWKS_KEYS: usize = 20;
/// Bytes of a JWK set.
pub const JWKS_BYTES: usize = 32 * 1_024;
/// Characters of a webhook endpoint's URL.
pub const WEBHOOK_URL_BYTES: usize = 1_000;
/// Characters of each part of the credentials that deliveries are sent with (W-7).
pub const WEBHOOK_OAUTH_BYTES: usize = 1_000;
/// Bytes of the form of a webhook endpoint, which takes a certificate with its chain and its key (W-7).
pub const WEBHOOK_FORM_BYTES: usize = 64 * 1_024;
/// Pins of a webhook endpoint (W-7).
pub const WEBHOOK_PINS: usize = 8;
/// Bytes of a message's body (W-1).
pub const WEBHOOK_BODY_BYTES: usize = 256 * 1_024;
/// Webhook endpoints of an environment that have not ended: each event looks at all of them.
pub const WEBHOOK_ENDPOINTS: usize = 100;
/// Deliveries of an endpoint that are released in a second, when it was blocked or is recovered.
pub const WEBHOOK_RELEASED_PER_S: usize = 200;
/// The same of all endpoints together, on one server: when everything is released at once, it does not drown in it.
pub const WEBHOOK_RELEASED_IN_ALL_PER_S: usize = 2_000;
/// Time for which deliveries that are over, and attempts, are kept.
pub const WEBHOOK_KEPT_S: i64 = 30 * 24 * 3_600;
/// Longest time back from which events can be sent again: what is kept of them must still be there.
pub const WEBHOOK_REPLAYED_S: i64 = 29 * 24 * 3_600;
/// Recoveries and replays of one endpoint in a day (UTC), together: each may send all of 29 days again.
pub const WEBHOOK_AGAIN_A_DAY: usize = 12;
/// Longest wait that a receiver can ask for in `Retry-After`.
pub const WEBHOOK_RETRY_AFTER_S: i64 = 3_600;
/// So often a delivery waits as its receiver asked, and not as the schedule says.
pub const WEBHOOK_RETRIES_AFTER: u32 = 24;
/// Time without a success, failing throughout, after which an endpoint is disabled.
pub const WEBHOOK_FAILING_S: i64 = 5 * 24 * 3_600;
/// Longest time without an attempt within which an endpoint still counts as failing throughout: the longest wait of the
/// schedule, and half of it.
pub const WEBHOOK_FAILING_GAP_S: i64 = 36 * 3_600;
/// Longest time that a webhook key still signs beside the one that replaced it (W-2).
pub const WEBHOOK_KEY_OVERLAP_S: i64 = 30 * 24 * 3_600;
/// Overlap of a rotation that names none.
pub const WEBHOOK_KEY_OVERLAP_DEFAULT_S: i64 = 24 * 3_600;
/// Most deliveries to one endpoint at the same time.
pub const WEBHOOK_CONCURRENCY: u8 = 32;
/// Deliveries at the same time with which an endpoint begins.
pub const WEBHOOK_CONCURRENCY_FIRST: u8 = 8;
/// An answer that takes so long counts against more at the same time.
pub const WEBHOOK_SLOW_MS: i64 = 5_000;
/// Deliveries that one server has in work at the same time.
pub const WEBHOOK_SLOTS: usize = 256;
/// Default life of a signing link.
pub const LINK_S: i64 = 72 * 3_600;
/// Idle time after which a signer's session ends.
pub const SESSION_IDLE_S: i64 = 30 * 60;
/// Time after which a signer's session ends, however much is done in it.
pub const SESSION_S: i64 = 12 * 3_600;
/// Life of a mailed code.
pub const CODE_S: i64 = 10 * 60;
/// Digits of a mailed code.
pub const CODE_DIGITS: usize = 6;
/// Fewest characters of an access code.
pub const ACCESS_CODE_FEWEST_CHARS: usize = 6;
/// Most characters of an access code.
pub const ACCESS_CODE_CHARS: usize = 64;
/// Bytes of the id of a passkey (Web Authentication §4).
pub const CREDENTIAL_ID_BYTES: usize = 1_023;
/// Bytes of each part of what a passkey answers: data, client's data, signature.
pub const PASSKEY_PART_BYTES: usize = 2_048;
/// Wrong codes after which the factor is locked.
pub const CODE_TRIES: u32 = 5;
/// Codes that one session may ask for.
pub const CODES_PER_SESSION: u32 = 5;
/// Sessions that one link may open.
pub const SESSIONS_PER_LINK: usize = 50;
/// Events that one envelope can have: what is accepted can be sealed, and what was sealed can be checked.
pub const EVENTS_PER_ENVELOPE: u64 = 20_000;
/// Events of one envelope that all share. After them nothing that was only read is recorded any more.
pub const EVENTS_IN_COMMON: u64 = 12_000;
/// Events after those that each recipient has for itself: its links, mails, sessions and codes, and what it does up to
/// its act. The act, and what ends the envelope, is never refused for want of room.
pub const EVENTS_RESERVED_PER_RECIPIENT: u32 = 150;
/// Those of them that new links and the mails about them may use, so that the sender leaves room to sign.
pub const EVENTS_RESERVED_FOR_LINKS: u32 = 75;
/// Reports of pages and downloads that are recorded of all recipients, in equal parts.
pub const RECORDS_OF_RECIPIENTS: u32 = 9_000;
/// Reports of pages and downloads that are recorded of one recipient at most.
pub const RECORDS_PER_RECIPIENT: u32 = 1_000;
/// Downloads and exports that are recorded of the sender.
pub const RECORDS_OF_SENDER: u32 = 1_000;
/// Events in the timeline of a certificate of completion, which fits into the pages of one PDF.
pub const CERTIFICATE_ROWS: usize = 2_000;
/// Bytes of an envelope's events with their openings: ten thousand reports of a thousand pages, as many other events and
/// all values of fields are fewer.
pub const TRAIL_BYTES: usize = 128 * 1024 * 1024;
/// Default and longest life of an envelope after it was sent.
pub const ENVELOPE_DEFAULT_S: i64 = 30 * 24 * 3_600;
/// Longest life of an envelope after it was sent.
pub const ENVELOPE_LONGEST_S: i64 = 365 * 24 * 3_600;
/// Tries of a use case that meets another writer of the same stream.
pub const CONFLICT_TRIES: usize = 20;

/// Room for what is never refused: an adopted mark, the act, two links and a lock of each recipient; the envelope's own.
const NEVER_REFUSED: u64 = 8;
const _: () = {
    let reserved = EVENTS_RESERVED_PER_RECIPIENT as u64 + NEVER_REFUSED;
    let most = EVENTS_IN_COMMON + RECIPIENTS_PER_ENVELOPE as u64 * reserved + NEVER_REFUSED;
    assert!(most <= EVENTS_PER_ENVELOPE, "no stream may outgrow what can be sealed and checked");
    assert!(
        ((RECORDS_OF_RECIPIENTS + RECORDS_OF_SENDER) as u64) < EVENTS_IN_COMMON,
        "records leave room for acts"
    );
};

/// Reports of pages and downloads that are recorded of one of so many recipients.
pub fn records_of_one(recipient_count: usize) -> u32 {
    let share = usize::try_from(RECORDS_OF_RECIPIENTS).unwrap_or(0) / recipient_count.max(1);
    u32::try_from(share).unwrap_or(u32::MAX).min(RECORDS_PER_RECIPIENT)
}
