//! `docs/webhooks/endpoints.md`: its commands, run as they stand there.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;

use countersign_webhooks::{Accept, KeySet, MemoryStore};

use super::{House, event, verify};
use crate::api_guide::shell;

const GUIDE: &str = include_str!("../../../../../docs/webhooks/endpoints.md");

/// X-1, W-11: who copies the commands has an endpoint, sees what came to it, has it sent again, and pulls the same events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_commands_of_the_guide_make_an_endpoint_and_send_again() {
    let blocks: Vec<&str> =
        GUIDE.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [make, activate, look, again, pull, _rotate] = blocks.as_slice() else { panic!("{blocks:?}") };
    let house = House::start(false).await;
    let folder = tempfile::tempdir().unwrap();
    let before = [("HOOK", house.receiver.url.as_str())];
    let run = async |before: &[(&str, &str)], commands: &str| {
        shell(&house.app, &house.key.token, folder.path(), before, commands).await
    };
    let told = run(&before, &format!("{make}\n{activate}\necho $endpoint; cat key.txt")).await;
    let lines: Vec<&str> = told.lines().collect();
    let ["true", "200", _answer, "active", endpoint, key, secret] = lines.as_slice() else {
        panic!("{told}")
    };
    for file in ["endpoint.json", "key.txt"] {
        let mode = std::fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "the secret is in {file}");
    }
    // The newest delivery is what the guide sends again, and a test is not sent again: it must not be of the same millisecond.
    house.app.clock.forward_s(1);
    house.sent_envelope().await;
    house.settle().await;
    let keys = KeySet::new().with_secret(key.parse().unwrap(), secret.parse().unwrap());
    let store = MemoryStore::new(100);
    let came = house.receiver.came();
    let kinds: BTreeSet<String> =
        came.iter().map(|one| event(verify(one, Accept::V1, &keys, &store, house.now_s())).kind).collect();
    assert!(kinds.contains("webhook.test") && kinds.contains("envelope.sent"), "{kinds:?}");
    let act = activate.lines().next().unwrap();
    let before = [("endpoint", *endpoint)];
    let told = run(&before, &format!("{look}\n{act}\n{again}\necho $message")).await;
    let lines: Vec<&str> = told.lines().collect();
    let [took, resent, "active", "active", message] = lines.as_slice() else { panic!("{told}") };
    assert!(took.starts_with("200 in ") && resent == message, "{told}");
    house.settle().await;
    assert_eq!(house.receiver.came().len(), came.len() + 1, "one message was asked for again");
    let told = run(&[], pull).await;
    assert!(told.contains("envelope.sent") && told.trim().ends_with("\n0"), "{told}");
    house.finish().await;
}
