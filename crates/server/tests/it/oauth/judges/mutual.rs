//! Mutual TLS with clients of others, which find their way by `mtls_endpoint_aliases` (RFC 8705 §5).

use reqwest::Url;
use serde_json::{Value, json};

use super::{input, resource_server, run, steps};
use crate::{
    app::{Options, TestApp},
    oauth::{
        certificates::{Authority, Shown, Wish, authority, with_mutual_tls},
        client::Client,
        flow::{REDIRECT, Scene},
        keys::ClientKey,
        mutual_tls::{by_itself, by_subject, registration},
    },
};

const WHOLE: [&str; 7] = ["authorize", "resource", "introspect", "refresh", "revoke", "authorize", "reuse"];

/// A server with a port of its own in both of its URLs.
async fn server() -> TestApp {
    let options =
        Options { has_own_port: true, clock_goes: true, configure: with_mutual_tls, ..Options::default() };
    TestApp::start_with(options).await
}

/// Somebody who uses a program that shows certificates.
async fn scene<'a>(test: &'a TestApp, profile: &str, proved: &Value) -> Scene<'a> {
    let mut members = json!({
        "profile": profile,
        "redirect_uris": [REDIRECT],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "scope": "envelopes:status",
        "require_pushed_authorization_requests": true,
    });
    members.as_object_mut().unwrap().extend(proved.as_object().unwrap().clone());
    Scene::with(test, ClientKey::new("mutual"), &registration(&members)).await
}

/// How a judge is told of a client and what it shows.
fn described(client: &Client<'_>, method: &str, shown: Option<&Shown>) -> Value {
    let mut described = json!({ "id": client.id.to_string(), "method": method });
    if let Some(shown) = shown {
        let (certificate, key) = shown.files(client.test.folder.path(), &shown.thumbprint());
        described["certificate"] = json!(certificate);
        described["key"] = json!(key);
    }
    described
}

/// What a judge is told besides: the second way to the server, and the API there.
async fn told(scene: &Scene<'_>, described: Value, more: Value) -> Value {
    let test = scene.client.test;
    let asker = resource_server(test, scene).await;
    let place = |url: &str| {
        let url = Url::parse(url).unwrap();
        (
            format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()),
            format!("127.0.0.1:{}", url.port().unwrap()),
        )
    };
    let ((host, at), (mutual, mutual_at)) = (place(&test.url), place(test.mutual_url()));
    let mut members = json!({
        "client": described,
        "dpop": false,
        "algorithm": "oidc",
        "scope": "openid envelopes:status",
        "resource": format!("{}/v1/envelopes", test.mutual_url()),
        "resolve": { host: at, mutual: mutual_at },
        "resource_server": {
            "id": asker.id.to_string(), "method": "private_key_jwt", "jwk": asker.key.private("1"),
        },
    });
    members.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    input(&scene.client, members)
}

/// `tls_client_auth` with a registered subject and FAPI 2.0: pushed request, code, a token that is bound to
/// the certificate, introspection that says so, refresh, revocation, by both libraries of npm.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_authority_goes_the_whole_way() {
    let test = server().await;
    let wish = Wish::of("robot");
    let scene = scene(&test, "fapi2", &by_subject(&wish)).await;
    let shown = authority().certify(&wish);
    let wanted = ["authorize", "resource", "introspect", "introspect_jwt", "refresh", "resource", "revoke"];
    for judge in ["oauth4webapi.mjs", "openid-client.mjs"] {
        let wanted: Vec<&str> = wanted
            .into_iter()
            .filter(|step| *step != "introspect_jwt" || judge == "oauth4webapi.mjs")
            .collect();
        let described = described(&scene.client, "tls_client_auth", Some(&shown));
        let input = told(&scene, described, json!({ "steps": wanted, "rotates": false })).await;
        let found =
            run(judge, &input, Some(&scene), &test).await.unwrap_or_else(|found| panic!("{judge}: {found}"));
        assert_eq!(steps(&found), wanted, "{judge}");
    }
}

/// `self_signed_tls_client_auth` and the standard profile, whose refresh tokens rotate: one that is reused
/// ends everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_by_itself_goes_the_whole_way() {
    for judge in ["oauth4webapi.mjs", "openid-client.mjs"] {
        let test = server().await;
        let shown = Wish::of("robot").alone();
        let scene = scene(&test, "standard", &by_itself(&[&shown])).await;
        let described = described(&scene.client, "self_signed_tls_client_auth", Some(&shown));
        let input = told(&scene, described, json!({ "steps": WHOLE })).await;
        let found =
            run(judge, &input, Some(&scene), &test).await.unwrap_or_else(|found| panic!("{judge}: {found}"));
        assert_eq!(steps(&found), WHOLE, "{judge}");
    }
}

/// a program acts for itself with a DNS name in its certificate; with another certificate, with none, one that has expired
/// or one of a foreign authority it gets nothing. `authlib` does it the same way.
#[tokio::test(flavor = "multi_thread")]
async fn clients_of_others_get_nothing_with_a_wrong_certificate() {
    let test = server().await;
    let proved = json!({
        "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_dns": "robot.acme.test",
    });
    let scene = scene(&test, "fapi2", &proved).await;
    let wish = Wish::dns("robot.acme.test");
    let wanted = ["client_credentials", "resource", "introspect"];
    for judge in ["oauth4webapi.mjs", "openid-client.mjs", "authlib_judge.py"] {
        for (what, shown) in [
            ("right", Some(authority().certify(&wish))),
            ("another name", Some(authority().certify(&Wish::dns("robot2.acme.test")))),
            ("expired", Some(authority().certify(&Wish { has_expired: true, ..wish.clone() }))),
            ("a foreign authority", Some(Authority::new("Test CA").certify(&wish))),
            ("none", None),
        ] {
            let described = described(&scene.client, "tls_client_auth", shown.as_ref());
            let more = json!({ "steps": wanted, "scope": "envelopes:status" });
            let input = told(&scene, described, more).await;
            match run(judge, &input, Some(&scene), &test).await {
                Ok(found) => {
                    assert_eq!((what, steps(&found).as_slice()), ("right", wanted.as_slice()), "{judge}");
                }
                Err(complaint) => {
                    assert_ne!(what, "right", "{judge}: {complaint}");
                    assert!(complaint.contains("client_credentials: "), "{judge}, {what}: {complaint}");
                    // oauth4webapi tells the challenge of a 401 and not its body.
                    let is_told =
                        complaint.contains("invalid_client") || complaint.contains("\"scheme\":\"basic\"");
                    assert!(is_told, "{judge}, {what}: {complaint}");
                }
            }
        }
    }
}
