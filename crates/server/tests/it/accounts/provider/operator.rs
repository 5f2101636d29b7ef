//! `countersign providers`: the way out for an organization that only a dead provider opens.

use countersign_core::{role::Role, security::SecurityActor};
use reqwest::StatusCode;
use serde_json::json;

use super::{
    super::person::{PASSWORD, Person, secret_of},
    BOB, Scene,
    bounds::{invite, join},
    issuer::How,
};
use crate::operator::{printed, run, said};

/// an owner who has nothing but a provider that is gone gets in by mail after the operator ended it; the list
/// shows no secret, the event says who it was, and the name is free again.
#[tokio::test]
async fn the_operator_ends_a_provider_that_nobody_can_end() {
    let scene = Scene::start().await;
    let test = &scene.test;
    let folder = test.folder.path();
    scene.set(&[("authentication", "client_secret"), ("client_secret", super::issuer::SECRET)]).await;
    let link = invite(test, scene.organization, BOB, Role::Owner).await;
    let bob = Person::new(test, BOB);
    assert_eq!(join(&scene, &bob, &link).await.url().path(), "/account");
    scene.issuer.answer_like(How::Broken);
    let id = test.app.store.provider(scene.organization).await.unwrap().unwrap().provider.to_string();

    let line = format!("{id}  Harbour Mills  harbour-mills  optional  {}\n", scene.issuer.url());
    assert_eq!(printed(&run(folder, &["providers", "list"])), line);
    assert_eq!(printed(&run(folder, &["providers", "list", "--organization", "Harbour Mills"])), line);
    assert!(!run(folder, &["providers", "list", "--organization", "Nobody"]).status.success());

    let ended = run(folder, &["providers", "end", &id]);
    assert!(ended.status.success(), "{}", said(&ended));
    assert!(said(&ended).contains("https://sign.test/reset"), "{}", said(&ended));
    assert_eq!(printed(&ended), "");
    assert!(!bob.is_in(test).await, "in a server that runs");
    assert_eq!(printed(&run(folder, &["providers", "list"])), "");
    for wrong in [id.as_str(), "prv_00000000000000000000000000", "harbour-mills"] {
        let refused = run(folder, &["providers", "end", wrong]);
        assert!(!refused.status.success() && printed(&refused).is_empty(), "{wrong}");
        assert!(said(&refused).contains("providers list") || said(&refused).contains(wrong), "{wrong}");
    }

    bob.form(test, "/reset", &[("email", BOB)]).await;
    let key = test.mailbox_key(scene.organization).await;
    let letters = test.letters(&key, BOB).await;
    let mut words = letters.iter().flat_map(|letter| letter.text.split_whitespace());
    let link = words.find(|word| word.contains("/reset/password#")).unwrap();
    let form = json!({ "secret": secret_of(link), "password": PASSWORD });
    let (status, next) = bob.post(test, "/reset/password", &form).await;
    assert_eq!((status, &next["next"]), (StatusCode::OK, &json!("/account/codes")), "{next}");
    assert!(test.app.store.provider_by_name("harbour-mills").await.unwrap().is_none());

    let events = scene.events().await;
    let removed = events.iter().find(|event| event.body.kind() == "provider.removed").unwrap();
    assert_eq!(removed.actor, SecurityActor::Operator);
    let unlinked = events.iter().find(|event| event.body.kind() == "factor.removed").unwrap();
    assert_eq!(unlinked.correlation, removed.correlation);
    scene.finish().await;
}
