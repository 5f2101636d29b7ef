//! How long a refusal takes tells nobody which clients there are: measured over HTTPS, as strangers see it. API keys and
//! tokens have no names that a stranger could try: each is 256 random bits, looked up by its hash.

use countersign_core::id::ClientId;
use countersign_server::{clients, security::Circumstances};
use reqwest::RequestBuilder;

use super::{
    client::{Answered, Client},
    keys::ClientKey,
};
use crate::{
    app::TestApp,
    timing::{Samples, timed},
};

async fn answer_ns(request: RequestBuilder, expected: u16) -> (u64, Answered) {
    let (taken, answered) = timed(Answered::of(request)).await;
    assert_eq!(answered.status.as_u16(), expected, "{}", answered.body);
    (taken, answered)
}

/// a client that is not there, one that has ended, and a wrong key: 2,000 tries each, in the same words. Planted is a
/// refusal before anything is looked up.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_ended_and_wrong_clients_take_as_long() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let there = Client::register(&test, organization, "there").await;
    let ended = Client::register(&test, organization, "ended").await;
    let circumstances = Circumstances {
        actor: countersign_core::security::SecurityActor::Operator,
        origin: None,
        correlation: test.app.new_correlation(),
    };
    clients::end(&test.app, &ended.tenant, &circumstances, ended.id, None).await.unwrap();
    let (stranger, issuer) = (ClientKey::new("a stranger"), test.app.oauth.issuer.clone());
    let nobody = ClientId::from_bytes([9; 16]);
    let words = std::sync::Mutex::new(std::collections::BTreeSet::new());
    let ask = async |kind: Option<usize>, _| {
        let (client, key) = match kind {
            Some(0) => (there.id, &stranger),
            Some(1) => (ended.id, &ended.key),
            _ => (nobody, &stranger),
        };
        let assertion = key.assertion(&client.to_string(), &issuer, &there.jti(), test.app.now());
        let mut form = there.form(&[("grant_type", "client_credentials"), ("scope", "envelopes:status")]);
        form.retain(|(name, _)| name != "client_assertion");
        let text = if kind.is_some() { assertion } else { "not-an-assertion".to_owned() };
        form.push(("client_assertion".to_owned(), text));
        let (taken, answered) = answer_ns(there.post("/oauth/token", &form), 401).await;
        if kind.is_some() {
            words.lock().unwrap().insert(answered.body.to_string());
        }
        taken
    };
    Samples::take(["a wrong key", "an ended client", "an unknown client"], ask).await.are_alike();
    assert_eq!(words.lock().unwrap().len(), 1, "A-11: the same words");
}

/// the key that stands in where there is none takes as much work as another: it is one with which signatures verify. Its
/// private part is 1.
#[test]
fn the_key_that_stands_in_verifies_like_any_other() {
    use countersign_core::oauth::jose::{Algorithm, VerifySignature as _, decoy};
    use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
    let mut one = [0; 32];
    one[31] = 1;
    let signature: Signature = SigningKey::from_slice(&one).unwrap().sign(b"message");
    let verifies = |message: &[u8]| {
        let key = decoy(Algorithm::Es256);
        countersign_server::keys::Signatures.verify(&key, Algorithm::Es256, message, &signature.to_bytes())
    };
    assert!(verifies(b"message") && !verifies(b"another"));
}
