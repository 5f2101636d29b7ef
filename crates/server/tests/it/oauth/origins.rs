//! Where programs call from, in the organization's security events.

use countersign_core::{digest::Digest, envelope::event::Origin, security::SecurityActor};
use countersign_store::rows::security_stream;

use super::{
    client::{Answered, Client, security_events},
    keys::ClientKey,
};
use crate::app::TestApp;

fn commitments(origin: &Origin) -> (Digest, Option<Digest>) {
    (origin.ip.sha256, origin.user_agent.as_ref().map(|agent| agent.sha256))
}

/// L-4: a program's address and agent are sealed once an hour, anew for another agent; one that proved nothing has a veil of
/// its own for each failure. Every one can be opened.
#[tokio::test]
async fn a_program_s_address_is_sealed_once_an_hour() {
    let test = TestApp::start().await;
    let organization = test.organization("Acme").await;
    let mut client = Client::register(&test, organization, "one").await;
    let own = [("grant_type", "client_credentials"), ("scope", "envelopes:status")];
    let ask = async |agent: &str, status: u16, client: &Client<'_>| {
        let proof = client.dpop.proof(&client.proof_claims());
        let request = client.post("/oauth/token", &client.form(&own)).header("DPoP", proof);
        let request = request.header("User-Agent", agent);
        assert_eq!(Answered::of(request).await.status.as_u16(), status);
    };
    for agent in ["robot/1", "robot/1", "robot/2"] {
        ask(agent, 200, &client).await;
    }
    test.clock.forward_s(3_600);
    ask("robot/1", 200, &client).await;
    client.key = ClientKey::new("thief");
    for _ in 0..2 {
        ask("robot/1", 401, &client).await;
    }

    let events = security_events(&test, &client.tenant).await;
    let origins: Vec<_> = events
        .iter()
        .filter(|event| event.actor != SecurityActor::Operator)
        .map(|event| event.origin.as_ref().unwrap())
        .collect();
    let [first, same, other_agent, later, failed, failed_again] = origins[..] else { panic!("{events:?}") };
    assert_eq!(commitments(first), commitments(same));
    for (left, right) in [(first, other_agent), (first, later), (later, failed), (failed, failed_again)] {
        assert_ne!(commitments(left), commitments(right));
    }
    let stream = security_stream(&client.tenant);
    for origin in origins {
        let (ip, agent) = commitments(origin);
        let asked = [(stream, ip), (stream, agent.unwrap())];
        assert_eq!(test.app.store.openings(&client.tenant, &asked).await.unwrap().len(), 2);
    }
    test.finish().await;
}
