//! People send programs that know less: `requests_oauth2client` with PAR and DPoP, `authlib` with neither.

use serde_json::json;

use super::{input, resource_server, run, server, steps};
use crate::oauth::{
    client::Client,
    flow::{Scene, registration},
    keys::ClientKey,
};

/// A new way after the first was given back; the reused token comes last, because it ends the session of the person, too.
const WHOLE: [&str; 7] = ["authorize", "resource", "introspect", "refresh", "revoke", "authorize", "reuse"];

fn asking(client: &Client<'_>) -> serde_json::Value {
    json!({ "id": client.id.to_string(), "method": "private_key_jwt", "jwk": client.key.private("1") })
}

/// `requests_oauth2client` pushes with PKCE and DPoP, redeems, validates the ID token with its `at_hash`,
/// calls, introspects, refreshes, revokes, and sees a reused refresh token end everything.
#[tokio::test(flavor = "multi_thread")]
async fn requests_oauth2client_goes_the_whole_way() {
    let test = server().await;
    let scene = Scene::new(&test, "standard").await;
    let asker = resource_server(&test, &scene).await;
    let more =
        json!({ "steps": WHOLE, "scope": "openid envelopes:status", "resource_server": asking(&asker) });
    let judge = "requests_oauth2client_judge.py";
    let found = run(judge, &input(&scene.client, more), Some(&scene), &test).await.unwrap();
    assert_eq!(steps(&found), WHOLE);
}

/// `authlib`, with PKCE and without PAR and DPoP, does the same with a client of the standard profile.
#[tokio::test(flavor = "multi_thread")]
async fn authlib_goes_the_whole_way_without_par() {
    let test = server().await;
    let key = ClientKey::new("authlib");
    let mut registration = registration("standard", &key, "envelopes:status");
    registration["dpop_bound_access_tokens"] = json!(false);
    registration["require_pushed_authorization_requests"] = json!(false);
    let scene = Scene::with(&test, key, &registration).await;
    let asker = resource_server(&test, &scene).await;
    let more =
        json!({ "steps": WHOLE, "scope": "openid envelopes:status", "resource_server": asking(&asker) });
    let found = run("authlib_judge.py", &input(&scene.client, more), Some(&scene), &test).await.unwrap();
    assert_eq!(steps(&found), WHOLE);
}
