//! The relay behind the server's own sender, and a system behind the relay.

use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use countersign_core::webhook::{
    class::{Class, Payload},
    endpoint::Profile,
};
use countersign_server::webhooks::{act::Act, proof};
use countersign_store::webhook_rows::DeliveryState;
use serde_json::Value;
use tokio::process::Command;

use super::{House, hostile::until, settings};
use crate::receivers::{
    authority,
    relay::{Relay, System},
};

/// W-6, W-9, W-10: what the server sends goes through the relay to the system behind it, each message once and byte for byte, by each proof
/// that the relay may take; and the relay passes every probe, those of the server and those of the command line.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_comes_through_the_relay_which_passes_every_probe() {
    for accept in ["v1", "v1a", "message-signature"] {
        let (house, system) = (House::start(false).await, System::start().await);
        let port = countersign_store::testing::free_port().unwrap();
        let url = format!("https://localhost:{port}/in/countersign");
        let made = house.endpoint(&settings(&url, &[Class::Envelope], Payload::Full, Profile::Ed25519)).await;
        let key = if accept == "v1" {
            format!("{{ id = \"{}\", secret_env = \"CS_SECRET\" }}", made.key)
        } else {
            let rows = house.app.app.store.webhook_keys(made.endpoint).await.unwrap();
            let jwk: Value = serde_json::from_str::<Value>(&rows[0].public).unwrap()[0].clone();
            let public = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
            format!("{{ id = \"{}\", public_key = \"whpk_{}\" }}", made.key, STANDARD.encode(public))
        };
        let _relay = Relay::start(port, accept, &key, &made.secret.expose(), &system).await;

        let act = Act { tenant: &house.tenant, circumstances: &house.circumstances(), keep: None };
        let report = proof::prove(&house.app.app, &act, made.endpoint, None).await.unwrap();
        assert!(report.is_proven, "{accept}: {report:#?}");
        until(|| system.got().len() == 1).await;

        let envelope = house.sent_envelope().await;
        house.settle().await;
        let states = house.states(made.endpoint).await;
        assert_eq!(states, [DeliveryState::Delivered, DeliveryState::Delivered], "{accept}");
        until(|| system.got().len() == 3).await;
        let mut told = Vec::new();
        for (headers, body) in &system.got()[1..] {
            let event: Value = serde_json::from_slice(body).unwrap();
            assert_eq!(event["data"]["envelope"], envelope.as_str());
            let key = headers["idempotency-key"].to_str().unwrap();
            assert!(key.starts_with("countersign:msg_"), "{key}");
            assert_eq!(headers["relay-attempt"], "1");
            told.push((key.to_owned(), event["type"].as_str().unwrap().to_owned()));
        }
        let mut kinds: Vec<&str> = told.iter().map(|(_, kind)| kind.as_str()).collect();
        kinds.sort_unstable();
        assert_eq!(kinds, ["envelope.created", "envelope.sent"]);
        assert_ne!(told[0].0, told[1].0);

        if accept == "v1" {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("ca.pem"), authority().pem()).unwrap();
            let id = made.key.to_string();
            let done = Command::new(env!("CARGO_BIN_EXE_countersign"))
                .args(["audit-webhook", &url, "--allow-host", "localhost", "--ca", "ca.pem", "--key-id", &id])
                .current_dir(folder.path())
                .env_clear()
                .env("WEBHOOK_SECRET", made.secret.expose().as_str())
                .output()
                .await
                .unwrap();
            let said = String::from_utf8_lossy(&done.stdout);
            assert!(done.status.success() && said.contains("Proven"), "{said}{done:?}");
        }
        house.finish().await;
    }
}
