//! Every lifetime has a test that moves the clock over its end: the table says which, and a lifetime that is not
//! in it fails. What no other file tests is here.

use std::{collections::BTreeSet, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{limits, oauth::token};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    app::{TestApp, envelope_of, pdf},
    oauth::{
        client::{Answered, Client},
        flow::{Scene, query},
        keys::{assertion_claims, proof_claims},
    },
};

/// Lifetime, file, test. Files are of these tests, or of the rules where a rule alone decides.
const TABLE: &[(&str, &str, &str)] = &[
    ("ACCESS_TOKEN_LONGEST_S", "lifetimes.rs", "no_setting_makes_tokens_live_longer_than_an_hour"),
    ("ACCESS_TOKEN_S", "oauth/tokens.rs", "an_access_token_ends_in_its_time"),
    ("ADMIN_TOKEN_S", "oauth/tokens.rs", "an_access_token_ends_in_its_time"),
    ("API_KEY_NOTED_S", "api_keys/uses.rs", "the_last_use_is_known_to_the_minute"),
    ("API_KEY_OVERLAP_DEFAULT_S", "api_keys/acts.rs", "a_rotation_overlaps_and_then_ends_the_old_key"),
    ("API_KEY_OVERLAP_S", "api_keys/acts.rs", "a_rotation_overlaps_and_then_ends_the_old_key"),
    ("API_KEY_TOLD_S", "api_keys/uses.rs", "the_last_use_is_known_to_the_minute"),
    ("API_KEY_S", "states.rs", "an_api_key_ends_after_ninety_days"),
    ("ASSERTION_S", "lifetimes.rs", "a_client_assertion_lives_five_minutes_at_most"),
    ("AUTHORIZATION_CODE_S", "oauth/flow.rs", "a_code_is_good_once_for_whom_it_was_given"),
    ("AUTHORIZATION_S", "lifetimes.rs", "a_person_has_a_quarter_of_an_hour_to_decide"),
    ("CHALLENGE_S", "accounts/passkeys.rs", "a_challenge_is_good_once_and_in_its_time"),
    ("CLOCK_SKEW_S", "lifetimes.rs", "a_client_assertion_lives_five_minutes_at_most"),
    ("CODE_S", "states.rs", "a_code_works_for_ten_minutes"),
    ("DPOP_NONCE_S", "lifetimes.rs", "a_proof_and_a_nonce_end_after_their_minutes"),
    ("DPOP_PROOF_S", "lifetimes.rs", "a_proof_and_a_nonce_end_after_their_minutes"),
    ("ENVELOPE_DEFAULT_S", "lifetimes.rs", "an_envelope_ends_after_thirty_days"),
    (
        "ENVELOPE_LONGEST_S",
        "../../../core/tests/it/bounds.rs",
        "g_8_a_full_envelope_still_ends_in_every_way_and_is_read_without_a_record",
    ),
    ("FIRST_OWNER_S", "accounts/welcome.rs", "the_first_owners_link_ends_with_its_time_and_with_an_owner"),
    ("GRANT_IDLE_S", "lifetimes.rs", "a_grant_ends_after_thirty_days_without_a_use"),
    ("GRANT_S", "lifetimes.rs", "a_grant_ends_after_ninety_days_however_often_it_is_used"),
    ("IDEMPOTENCY_S", "lifetimes.rs", "an_idempotency_key_is_remembered_for_a_day"),
    ("ID_TOKEN_S", "lifetimes.rs", "an_id_token_says_that_it_ends_after_five_minutes"),
    ("INVITATION_S", "accounts/welcome.rs", "an_invitation_makes_a_member_of_its_address_once"),
    ("JWKS_KEPT_S", "oauth/rotation.rs", "on_sqlite_keys_rotate_under_load"),
    ("JWT_ACCESS_TOKEN_S", "oauth/audiences.rs", "a_signed_token_is_for_its_audience_alone"),
    ("KNOWN_DEVICE_S", "../../../core/src/accounts/lockout.rs", "a_device_is_known_by_its_newest_cookie"),
    ("LINK_S", "states.rs", "a_link_works_for_72_hours_and_resending_mails_a_new_one_to_the_same_address"),
    ("PUSHED_REQUEST_S", "oauth/flow.rs", "a_request_belongs_to_one_browser_and_is_decided_once"),
    ("REFRESH_RACE_S", "lifetimes.rs", "a_lost_response_is_asked_for_again_within_a_minute"),
    ("REFRESH_RETRY_S", "lifetimes.rs", "a_lost_response_is_asked_for_again_within_a_minute"),
    ("RESET_S", "accounts/reset.rs", "a_link_to_reset_ends_with_its_time"),
    ("PROVIDER_SKEW_S", "accounts/provider/way.rs", "a_step_up_goes_back_to_the_provider"),
    ("PROVIDER_STEP_UP_S", "accounts/provider/way.rs", "a_step_up_goes_back_to_the_provider"),
    ("PROVIDER_S", "accounts/provider/answers.rs", "a_response_is_good_once_and_in_the_browser_that_began"),
    ("SECOND_FACTOR_S", "accounts/sign_in.rs", "a_password_alone_opens_nothing"),
    ("SESSION_IDLE_S", "states.rs", "a_session_ends_after_half_an_hour_without_activity"),
    ("SESSION_S", "states.rs", "a_session_ends_after_half_a_day_however_much_is_done_in_it"),
    ("SIGNING_KEY_ACTIVE_S", "oauth/rotation.rs", "on_sqlite_keys_rotate_under_load"),
    ("SIGNING_KEY_GRACE_S", "oauth/rotation.rs", "on_sqlite_keys_rotate_under_load"),
    ("SIGNING_KEY_PUBLISHED_S", "oauth/rotation.rs", "on_sqlite_keys_rotate_under_load"),
    ("SIGN_IN_IDLE_S", "accounts/sessions.rs", "a_session_ends_when_idle_and_after_twelve_hours"),
    ("SIGN_IN_S", "accounts/sessions.rs", "a_session_ends_when_idle_and_after_twelve_hours"),
    ("STEP_UP_S", "accounts/sessions.rs", "a_dangerous_act_asks_for_a_fresh_proof"),
    ("WEBHOOK_FAILING_GAP_S", "../../../core/src/webhook/health.rs", "silence_is_no_failure"),
    (
        "WEBHOOK_FAILING_S",
        "../../../core/src/webhook/health.rs",
        "an_endpoint_that_fails_for_five_days_is_warned_of_and_disabled",
    ),
    (
        "WEBHOOK_KEY_OVERLAP_DEFAULT_S",
        "../../../core/src/webhook/rotation.rs",
        "a_rotation_goes_step_by_step",
    ),
    ("WEBHOOK_KEPT_S", "webhooks/moving.rs", "deliveries_are_kept_for_thirty_days"),
    ("WEBHOOK_REPLAYED_S", "webhooks/api.rs", "what_failed_is_recovered_and_what_was_missed_is_replayed"),
    ("WEBHOOK_KEY_OVERLAP_S", "../../../core/src/webhook/rotation.rs", "an_overlap_has_its_bounds"),
    (
        "WEBHOOK_RETRY_AFTER_S",
        "../../../core/src/webhook/schedule.rs",
        "retry_after_is_honoured_within_an_hour",
    ),
];

/// no lifetime without a test of its end.
#[test]
fn every_lifetime_has_a_test() {
    let source = include_str!("../../../core/src/limits.rs");
    let names = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(": i64"));
    let lifetimes: BTreeSet<&str> = names.map(|(name, _)| name).filter(|name| name.ends_with("_S")).collect();
    let tested: BTreeSet<&str> = TABLE.iter().map(|(name, ..)| *name).collect();
    assert_eq!(lifetimes, tested);
    for (name, file, test) in TABLE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(file);
        let source = fs::read_to_string(&path).unwrap();
        assert!(source.contains(&format!("fn {test}(")), "{name}: no test {test} in {file}");
    }
}

/// whatever the operator sets.
#[test]
fn no_setting_makes_tokens_live_longer_than_an_hour() {
    use countersign_core::scope::{Scope, Scopes};
    let own = Scopes::of(&[Scope::EnvelopesStatus]);
    assert_eq!(token::lifetime_s(own, 10 * limits::ACCESS_TOKEN_LONGEST_S), limits::ACCESS_TOKEN_LONGEST_S);
    let admin = Scopes::of(&[Scope::AdminClients]);
    assert_eq!(token::lifetime_s(admin, limits::ACCESS_TOKEN_LONGEST_S), limits::ADMIN_TOKEN_S);
}

fn refresh_token(answered: &Answered) -> String {
    answered.body["refresh_token"].as_str().unwrap_or_else(|| panic!("{}", answered.body)).to_owned()
}

/// a grant that nobody uses ends after thirty days, and a use in time moves that.
#[tokio::test]
async fn a_grant_ends_after_thirty_days_without_a_use() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "standard").await;
    let mut refresh = refresh_token(&scene.redeem(&scene.code().await).await);
    for _ in 0..2 {
        test.clock.forward_s(limits::GRANT_IDLE_S - 1);
        refresh = refresh_token(&scene.refresh(&refresh).await);
    }
    test.clock.forward_s(limits::GRANT_IDLE_S);
    assert_eq!(scene.refresh(&refresh).await.error(), (400, "invalid_grant"));
    test.finish().await;
}

/// a grant ends after ninety days, and the last access token with it.
#[tokio::test]
async fn a_grant_ends_after_ninety_days_however_often_it_is_used() {
    for profile in ["standard", "fapi2"] {
        let test = TestApp::start().await;
        let scene = Scene::new(&test, profile).await;
        let mut refresh = refresh_token(&scene.redeem(&scene.code().await).await);
        let mut gone_s = 0;
        let mut last = None;
        for step_s in [29, 29, 29].map(|days| days * 24 * 3_600) {
            test.clock.forward_s(step_s);
            gone_s += step_s;
            let answered = scene.refresh(&refresh).await;
            assert!(scene.is_taken(&answered.token()).await, "{profile}");
            if let Some(next) = answered.body["refresh_token"].as_str() {
                next.clone_into(&mut refresh);
            }
        }
        test.clock.forward_s(limits::GRANT_S - gone_s - 2);
        let answered = scene.refresh(&refresh).await;
        let token = answered.token();
        assert_eq!(answered.body["expires_in"], 2, "{profile}: no token outlives its grant");
        last.replace(answered.body["refresh_token"].as_str().map_or(refresh, str::to_owned));
        assert!(scene.is_taken(&token).await);
        test.clock.forward_s(2);
        assert!(!scene.is_taken(&token).await, "{profile}");
        assert_eq!(scene.refresh(&last.unwrap()).await.error(), (400, "invalid_grant"), "{profile}");
        test.finish().await;
    }
}

/// from the first second to the end of the first minute, the old token asks for the lost response; after that it is a
/// stolen one.
#[tokio::test]
async fn a_lost_response_is_asked_for_again_within_a_minute() {
    for (later_s, is_retry) in [
        (limits::REFRESH_RACE_S, true),
        (limits::REFRESH_RETRY_S, true),
        (limits::REFRESH_RETRY_S + 1, false),
    ] {
        let test = TestApp::start().await;
        let scene = Scene::new(&test, "standard").await;
        let old = refresh_token(&scene.redeem(&scene.code().await).await);
        let lost = scene.refresh(&old).await;
        assert_eq!(scene.refresh(&old).await.error(), (400, "invalid_grant"), "at the same moment");
        assert!(scene.is_taken(&lost.token()).await);
        test.clock.forward_s(later_s);
        let again = scene.refresh(&old).await;
        assert_eq!(again.status == StatusCode::OK, is_retry, "{later_s} s: {}", again.body);
        assert!(!scene.is_taken(&lost.token()).await);
        assert_eq!(scene.person.is_in(&test).await, is_retry, "{later_s} s");
        test.work().await;
        test.finish().await;
    }
}

/// a pushed request waits ninety seconds for its browser, and then a quarter of an hour for the decision.
#[tokio::test]
async fn a_person_has_a_quarter_of_an_hour_to_decide() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "standard").await;
    let mut pages = Vec::new();
    for _ in 0..2 {
        let pushed = scene.push(&Scene::parameters()).await;
        test.clock.forward_s(limits::PUSHED_REQUEST_S - 1);
        pages.push(scene.bring(pushed.body["request_uri"].as_str().unwrap()).await);
    }
    // The first browser came so much before the second.
    test.clock.forward_s(limits::AUTHORIZATION_S - limits::PUSHED_REQUEST_S);
    let back = scene.decide(&pages[0], "agree").await;
    assert!(query(&back, "code").is_some(), "{back}");
    test.clock.forward_s(limits::PUSHED_REQUEST_S);
    let late = scene.person.form(&test, &pages[1], &[("decision", "agree")]).await;
    assert_eq!(late.status(), StatusCode::NOT_FOUND);
    test.finish().await;
}

/// a proof is good for a minute either side of the server's time; a nonce for one minute at least and two at most.
#[tokio::test]
async fn a_proof_and_a_nonce_end_after_their_minutes() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let token = client.own_token("envelopes:status").await;
    let path = "/v1/envelopes";
    let send = async |issued_s: i64, nonce: &str| {
        let at = test.app.now().plus_s(issued_s);
        let claims = proof_claims("GET", &client.url(path), &client.jti(), at, Some(nonce), Some(&token));
        let request = test.request(Method::GET, path).header("Authorization", format!("DPoP {token}"));
        let answered = Answered::of(request.header("DPoP", client.dpop.proof(&claims))).await;
        let code = answered.body["code"].as_str().unwrap_or("taken").to_owned();
        (answered.status.as_u16(), code)
    };
    let refused = (401, "dpop_proof_invalid".to_owned());
    let taken = (200, "taken".to_owned());
    for (issued_s, expected) in [
        (-limits::DPOP_PROOF_S, &taken),
        (-limits::DPOP_PROOF_S - 1, &refused),
        (limits::DPOP_PROOF_S, &taken),
        (limits::DPOP_PROOF_S + 1, &refused),
    ] {
        assert_eq!(send(issued_s, &client.nonce()).await, *expected, "{issued_s} s");
    }
    let nonce = client.nonce();
    test.clock.forward_s(limits::DPOP_NONCE_S);
    assert_eq!(send(0, &nonce).await, taken);
    test.clock.forward_s(limits::DPOP_NONCE_S);
    let wants_another = send(0, &nonce).await;
    assert_eq!(wants_another, (401, "dpop_nonce_needed".to_owned()));
    test.finish().await;
}

/// an assertion lives five minutes at most, ends when it says so, and may be ten seconds ahead.
#[tokio::test]
async fn a_client_assertion_lives_five_minutes_at_most() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let client = Client::register(&test, organization, "one").await;
    let issuer = test.app.oauth.issuer.clone();
    let made = |issued_s: i64, life_s: i64| {
        let mut claims = assertion_claims(&client.id.to_string(), &issuer, &client.jti(), test.app.now());
        let now_s = test.app.now().unix_ms() / 1_000;
        claims["iat"] = json!(now_s + issued_s);
        claims["exp"] = json!(now_s + issued_s + life_s);
        client.key.sign(&json!({ "alg": "ES256", "kid": "1" }), &claims)
    };
    let send = async |assertion: String| {
        let mut form = client.form(&[("grant_type", "client_credentials"), ("scope", "envelopes:status")]);
        form.retain(|(name, _)| name != "client_assertion");
        form.push(("client_assertion".to_owned(), assertion));
        let proof = client.dpop.proof(&client.proof_claims());
        Answered::of(client.post("/oauth/token", &form).header("DPoP", proof)).await.status.as_u16()
    };
    for (issued_s, life_s, expected) in [
        (0, limits::ASSERTION_S, 200),
        (0, limits::ASSERTION_S + 1, 401),
        (limits::CLOCK_SKEW_S, 60, 200),
        (limits::CLOCK_SKEW_S + 1, 60, 401),
        (-60, 60, 401),
        (-60, 61, 200),
    ] {
        assert_eq!(send(made(issued_s, life_s)).await, expected, "{issued_s} s, {life_s} s");
    }
    let late = made(0, limits::ASSERTION_S);
    test.clock.forward_s(limits::ASSERTION_S);
    assert_eq!(send(late).await, 401);
    test.finish().await;
}

/// whoever relies on an ID token reads in it until when.
#[tokio::test]
async fn an_id_token_says_that_it_ends_after_five_minutes() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test, "standard").await;
    let mut parameters = Scene::parameters();
    parameters.retain(|(name, _)| name != "scope");
    parameters.push(("scope".to_owned(), "openid".to_owned()));
    let pushed = scene.push(&parameters).await;
    let page = scene.bring(pushed.body["request_uri"].as_str().unwrap()).await;
    let code = query(&scene.decide(&page, "agree").await, "code").unwrap();
    let answered = scene.redeem(&code).await;
    let id_token = answered.body["id_token"].as_str().unwrap();
    let claims = URL_SAFE_NO_PAD.decode(id_token.split('.').nth(1).unwrap()).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let (issued, ends) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert_eq!((issued, ends - issued), (test.app.now().unix_ms() / 1_000, limits::ID_TOKEN_S));
    test.finish().await;
}

/// G-6: for a day the same key means the same request; then it is free.
#[tokio::test]
async fn an_idempotency_key_is_remembered_for_a_day() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "a.pdf", pdf(1)).await;
    let create = async || {
        let request = test.request(Method::POST, "/v1/envelopes").bearer_auth(&key.token);
        let answered =
            Answered::of(request.header("Idempotency-Key", "one").json(&envelope_of(&document))).await;
        assert_eq!(answered.status, StatusCode::CREATED, "{}", answered.body);
        answered.body["id"].clone()
    };
    let first = create().await;
    test.clock.forward_s(limits::IDEMPOTENCY_S - 1);
    assert_eq!(create().await, first);
    test.clock.forward_s(1);
    assert_ne!(create().await, first);
    test.work().await;
    test.finish().await;
}

/// S-1: an envelope that names no end has one.
#[tokio::test]
async fn an_envelope_ends_after_thirty_days() {
    let test = TestApp::start().await;
    let key = test.sandbox("Acme").await;
    let document = test.upload(&key, "a.pdf", pdf(1)).await;
    let envelope = test.create(&key, &envelope_of(&document)).await;
    test.send(&key, &envelope).await;
    let status = async || {
        test.work().await;
        test.get_json(&key, &format!("/v1/envelopes/{envelope}")).await["status"].clone()
    };
    test.clock.forward_s(limits::ENVELOPE_DEFAULT_S - 1);
    assert_eq!(status().await, "sent");
    test.clock.forward_s(1);
    assert_eq!(status().await, "expired");
    test.finish().await;
}
