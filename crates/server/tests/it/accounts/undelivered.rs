//! Mails about accounts on a server without a mail server: no credential reads them, the operator's command prints them.

use countersign_core::scope::Scopes;
use reqwest::StatusCode;
use serde_json::json;

use super::person::{Person, secret_of};
use crate::{
    app::TestApp,
    console::{ADA, BOB, Scene},
    operator::{printed, run, said},
};

/// whoever has a key that may do all that a key may, `mailbox:read` too, sees nothing of invitations and links to set a
/// password. The operator prints them, for all or for one address, and they work.
#[tokio::test]
async fn no_key_reads_a_link_to_an_account_and_the_operator_prints_it() {
    let test = TestApp::start().await;
    let scene = Scene::new(&test).await;
    let (_, page) = scene.invite(&scene.ada, BOB, "developer").await;
    assert!(page.contains("countersign mails"), "whoever invites learns where the link is: {page}");
    scene.ada.form(&test, "/reset", &[("email", ADA)]).await;
    test.work().await;
    let folder = test.folder.path();
    let all = printed(&run(folder, &["mails"]));
    assert_eq!(
        (all.matches("/welcome#csi_").count(), all.matches("/reset/password#csi_").count()),
        (1, 1),
        "{all}"
    );
    for word in [ADA, BOB, "Harbour Mills"] {
        assert!(all.contains(word), "{word}: {all}");
    }
    let to_bob =
        printed(&run(folder, &["mails", "--organization", "Harbour Mills", "--to", "BOB@example.com"]));
    let links: Vec<&str> = to_bob.split_whitespace().filter(|word| word.contains("#csi_")).collect();
    assert_eq!(links.len(), 1, "{to_bob}");
    let newest = printed(&run(folder, &["mails", "--to", BOB, "--last", "1"]));
    assert!(newest.contains(links[0]), "mails to others that came later hide none: {newest}");
    let none = run(folder, &["mails", "--to", "eve@example.com"]);
    assert!(none.status.success() && printed(&none).is_empty());
    assert!(said(&none).contains("smtp_host"), "{}", said(&none));

    let key =
        test.key(scene.organization, countersign_core::access::Environment::Sandbox, Scopes::FOR_KEYS).await;
    let mailbox = test.get_json(&key, "/v1/mailbox").await;
    assert_eq!(mailbox["mails"], json!([]), "the mails about accounts are not there");
    let mut bob = Person::new(&test, BOB);
    bob.welcome(&test, links[0]).await;
    assert!(bob.is_in(&test).await);
    let used = bob.post(&test, "/welcome/open", &json!({ "secret": secret_of(links[0]) })).await;
    assert_eq!(used.0, StatusCode::GONE);
    test.work().await;
    test.finish().await;
}
