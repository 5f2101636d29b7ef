//! Receivers that are proven before live events go to them, and careless ones that are not.

use countersign_core::{
    access::{Environment, Tenant},
    id::EndpointId,
    scope::{Scope, Scopes},
    security::SecurityActor,
    webhook::{
        channel::Channel,
        class::{Class, Classes, Payload},
        containment::Holder,
        endpoint::{Profile, Settings},
        proof::Probe,
        standing::BlockReason,
    },
};
use countersign_server::{
    security::Circumstances,
    webhooks::{
        act::Act,
        containment,
        endpoints::{self, Edit},
        proof::{self, Report},
        rotating,
    },
};
use countersign_store::webhook_rows::BlockKey;
use countersign_webhooks::Accept;
use serde_json::Value;

use crate::{
    app::{Options, TestApp},
    receivers::{
        careless::{Held, Manner, Receiver},
        processes::Process,
        trusting,
    },
};

struct House {
    app: TestApp,
    tenant: Tenant,
}

impl House {
    async fn start(environment: Environment, postgres: bool) -> Self {
        let app = TestApp::start_with(Options { postgres, configure: trusting, ..Options::default() }).await;
        let organization = app.organization("Harbour Mills").await;
        Self { app, tenant: Tenant::of_stored_row(organization, environment) }
    }

    fn by(&self) -> Circumstances {
        let correlation = self.app.app.new_correlation();
        Circumstances { actor: SecurityActor::System, origin: None, correlation }
    }

    async fn endpoint(&self, url: &str, profile: Profile) -> (EndpointId, Held) {
        let settings = Settings {
            url: url.to_owned(),
            description: "The tests".to_owned(),
            classes: Classes::of(&[Class::Envelope]),
            scopes: Scopes::of(&[Scope::EnvelopesStatus]),
            payload: Payload::Thin,
            profile,
            is_ordered: false,
            channel: Channel::default(),
        };
        let app = &self.app.app;
        let made =
            endpoints::create(app, &self.tenant, &self.by(), Scopes::ALL, &settings, None).await.unwrap();
        let rows = app.store.webhook_keys(made.endpoint).await.unwrap();
        let jwks = format!("{{\"keys\":{}}}", rows[0].public);
        let secret = made.secret.expose().parse().unwrap();
        (made.endpoint, Held { id: made.key.to_string(), secret, jwks })
    }

    async fn prove(&self, endpoint: EndpointId) -> Report {
        self.try_prove(endpoint).await.unwrap()
    }

    async fn try_prove(&self, endpoint: EndpointId) -> Result<Report, String> {
        let act = Act { tenant: &self.tenant, circumstances: &self.by(), keep: None };
        let done = proof::prove(&self.app.app, &act, endpoint, None).await;
        done.map_err(|failure| failure.to_string())
    }

    async fn activate(&self, endpoint: EndpointId) -> Result<(), String> {
        let act = Act { tenant: &self.tenant, circumstances: &self.by(), keep: None };
        let done = endpoints::activate(&self.app.app, &act, endpoint).await;
        done.map(drop).map_err(|failure| failure.to_string())
    }

    async fn change(&self, endpoint: EndpointId, edit: Edit) {
        let act = Act { tenant: &self.tenant, circumstances: &self.by(), keep: None };
        endpoints::change(&self.app.app, &act, Scopes::ALL, endpoint, &edit).await.unwrap();
    }

    async fn end(&self, endpoint: EndpointId) {
        let act = Act { tenant: &self.tenant, circumstances: &self.by(), keep: None };
        endpoints::end(&self.app.app, &act, endpoint).await.unwrap();
    }

    async fn last(&self, endpoint: EndpointId) -> Option<Report> {
        proof::last(&self.app.app, &self.tenant, endpoint).await.unwrap()
    }

    /// What the stream of security events tells of probes.
    async fn told(&self) -> Vec<Value> {
        self.app.work().await;
        let rows = self.app.app.store.security_events(&self.tenant, None, 100).await.unwrap();
        let events = rows.iter().map(|row| serde_json::from_slice::<Value>(&row.bytes).unwrap());
        let bodies = events.map(|event| event["event"]["body"].clone());
        bodies.filter(|body| body["type"] == "webhook.probed").map(|body| body["value"].clone()).collect()
    }

    async fn finish(self) {
        self.app.work().await;
        self.app.finish().await;
    }
}

fn of_finding<'a>(report: &'a Report, finding: &str) -> Vec<&'a str> {
    report.probes.iter().filter(|line| line.finding == finding).map(|line| line.probe).collect()
}

fn statuses(report: &Report) -> Vec<Option<u16>> {
    report.probes.iter().map(|line| line.status).collect()
}

const RIGHT: [Option<u16>; 7] = [Some(401), Some(408), Some(401), Some(401), Some(401), Some(200), Some(409)];

/// W-9: a receiver that verifies with our package is proven, by each proof that it may take, and each probe is answered with the
/// status of the wire format; nothing that is sent makes it act.
#[tokio::test(flavor = "multi_thread")]
async fn a_careful_receiver_is_proven_by_each_proof() {
    let house = House::start(Environment::Live, false).await;
    for (accept, profile) in [
        (Accept::V1, Profile::Standard),
        (Accept::V1a, Profile::Standard),
        (Accept::V1, Profile::Ed25519),
        (Accept::MessageSignature, Profile::Ed25519),
        (Accept::MessageSignature, Profile::EcdsaP256Sha256),
        (Accept::MessageSignature, Profile::RsaPssSha512),
    ] {
        let receiver = Receiver::start(Manner::Careful(accept)).await;
        let (endpoint, held) = house.endpoint(&receiver.url, profile).await;
        receiver.hold(held);
        let report = house.prove(endpoint).await;
        assert!(report.is_proven, "{accept:?}: {report:#?}");
        let mut right = RIGHT;
        if accept == Accept::MessageSignature {
            // Its own time is not the one that was signed: that is seen before any signature is.
            right[3] = Some(400);
        }
        assert_eq!(statuses(&report), right, "{accept:?}");
        assert!(report.probes.iter().all(|line| line.advice.is_empty() && line.page.contains(line.probe)));
        for (headers, body) in receiver.came() {
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["type"], "webhook.test");
            assert_eq!(
                (&headers["webhook-event-class"], headers.get("webhook-sequence")),
                (&"test".parse().unwrap(), None)
            );
        }
        house.activate(endpoint).await.unwrap();
    }
    house.finish().await;
}

/// W-9, W-11: the servers that the READMEs of the Python and the TypeScript package show are proven as they stand there, and act on
/// the right message alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_servers_of_the_packages_readmes_are_proven() {
    let house = House::start(Environment::Live, false).await;
    for mut process in [Process::python().await, Process::typescript().await] {
        let (endpoint, held) = house.endpoint(&process.url, Profile::Standard).await;
        process.hold(&held).await;
        let report = house.prove(endpoint).await;
        assert!(report.is_proven, "{report:#?}");
        assert_eq!(statuses(&report), RIGHT);
        assert_eq!(process.acted_on().await, "webhook.test");
    }
    house.finish().await;
}

/// W-9: each carelessness fails its own probes, by name, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn each_careless_receiver_fails_its_own_probes() {
    let all = ["forged", "stale", "tampered", "swapped", "wrong_key_id", "good", "replayed"];
    let but_good = ["forged", "stale", "tampered", "swapped", "wrong_key_id", "replayed"];
    let house = House::start(Environment::Live, false).await;
    let standard = Profile::Standard;
    let table: [(Manner, Profile, &[&str], &[&str]); 13] = [
        (Manner::TakesAll, standard, &but_good, &[]),
        (Manner::TakesNothing, standard, &["good"], &["replayed"]),
        (Manner::AnySignature, standard, &["forged", "tampered", "swapped"], &[]),
        (Manner::AnyTime, standard, &["stale"], &[]),
        (Manner::NoMemory, standard, &["replayed"], &[]),
        (Manner::JsonAnew, standard, &["good"], &["replayed"]),
        (Manner::UnknownKeyPasses, standard, &["wrong_key_id"], &[]),
        (Manner::BlocksSender, standard, &["good"], &["replayed"]),
        (Manner::NoDigest, Profile::Ed25519, &["tampered"], &[]),
        // What an exception, a limit or a redirect says of the message is not known, so nothing is proven by it.
        (Manner::BreaksOnWrong, standard, &[], &but_good),
        (Manner::TooManyWrong, standard, &[], &but_good),
        (Manner::Redirects, standard, &[], &all),
        // Its one key decides, whichever is named: that is as safe.
        (Manner::AnyKeyId, standard, &[], &[]),
    ];
    for (manner, profile, failed, unclear) in table {
        let receiver = Receiver::start(manner).await;
        let (endpoint, held) = house.endpoint(&receiver.url, profile).await;
        receiver.hold(held);
        let report = house.prove(endpoint).await;
        assert_eq!(of_finding(&report, "failed"), failed, "{manner:?}: {report:#?}");
        assert_eq!(of_finding(&report, "unclear"), unclear, "{manner:?}: {report:#?}");
        let is_right = failed.is_empty() && unclear.is_empty();
        assert_eq!(report.is_proven, is_right);
        assert!(report.probes.iter().all(|line| line.advice.is_empty() == (line.finding == "passed")));
        let activated = house.activate(endpoint).await;
        assert_eq!(activated.is_ok(), is_right, "{manner:?}");
        if let Err(refusal) = activated {
            assert!(refusal.starts_with("webhook_unproven"), "{refusal}");
        }
    }
    assert_eq!(house.told().await.len(), table.len());
    house.finish().await;
}

/// W-9: live events take the proof; it is kept with its time, and told by events; what was proven is not lost by a later look while
/// events go out, and is once they do not. On both databases.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_goes_live_when_its_receiver_is_mended() {
    for postgres in [false, true] {
        let house = House::start(Environment::Live, postgres).await;
        let app = &house.app.app;
        let receiver = Receiver::start(Manner::AnyTime).await;
        let (endpoint, held) = house.endpoint(&receiver.url, Profile::Standard).await;
        receiver.hold(held);
        assert_eq!(house.last(endpoint).await, None);
        assert!(house.activate(endpoint).await.unwrap_err().starts_with("webhook_unproven"), "not probed");
        let report = house.prove(endpoint).await;
        assert_eq!((report.at, of_finding(&report, "failed")), (app.now(), vec!["stale"]));
        assert_eq!(house.last(endpoint).await, Some(report));
        assert!(house.activate(endpoint).await.unwrap_err().starts_with("webhook_unproven"), "not mended");

        receiver.change(Manner::Careful(Accept::V1));
        house.app.clock.forward_s(5);
        let report = house.prove(endpoint).await;
        assert!(report.is_proven && report.at == app.now());
        house.activate(endpoint).await.unwrap();
        assert_eq!(house.last(endpoint).await, Some(report), "an activation keeps the report");

        receiver.change(Manner::TakesAll);
        let report = house.prove(endpoint).await;
        assert!(!report.is_proven && house.last(endpoint).await == Some(report));
        assert!(house.activate(endpoint).await.unwrap_err().contains("active already"), "it goes on");
        let renamed = Edit { description: Some("The archive".to_owned()), ..Edit::default() };
        house.change(endpoint, renamed).await;
        assert!(house.last(endpoint).await.is_some() && house.activate(endpoint).await.is_err());
        house.change(endpoint, Edit { profile: Some(Profile::Ed25519), ..Edit::default() }).await;
        assert_eq!(house.last(endpoint).await, None, "another profile is another receiver");
        assert!(house.activate(endpoint).await.unwrap_err().starts_with("webhook_unproven"), "not any more");
        let told = house.told().await;
        let failed: Vec<&Value> = told.iter().map(|body| &body["failed"]).collect();
        let proven: Vec<&Value> = told.iter().map(|body| &body["is_proven"]).collect();
        assert!(told.iter().all(|body| body["endpoint"] == endpoint.to_string()));
        assert_eq!(proven.iter().filter(|proven| proven.as_bool() == Some(true)).count(), 1, "{told:?}");
        assert!(failed.contains(&&serde_json::json!(["stale"])), "{told:?}");
        house.finish().await;
    }
}

/// W-9, A-12: nothing is probed for an endpoint of somebody else's, or one that has ended.
#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_ones_own_and_goes_on_is_probed() {
    let house = House::start(Environment::Sandbox, false).await;
    let receiver = Receiver::start(Manner::TakesAll).await;
    let (endpoint, held) = house.endpoint(&receiver.url, Profile::Standard).await;
    receiver.hold(held);
    let stranger = house.app.sandbox("Somebody else").await.tenant;
    let act = Act { tenant: &stranger, circumstances: &house.by(), keep: None };
    let refused = proof::prove(&house.app.app, &act, endpoint, None).await.unwrap_err();
    assert!(refused.to_string().starts_with("not_found"), "{refused}");
    house.end(endpoint).await;
    let refused = house.try_prove(endpoint).await.unwrap_err();
    assert!(refused.starts_with("webhook_state"), "{refused}");
    assert!(receiver.came().is_empty());
    house.finish().await;
}

/// W-9: what somebody does to an endpoint while its receiver is probed stays done, and what was found is of the receiver all the
/// same.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_may_change_while_it_is_probed() {
    let house = House::start(Environment::Sandbox, false).await;
    let receiver = Receiver::start(Manner::Waits).await;
    let (endpoint, held) = house.endpoint(&receiver.url, Profile::Standard).await;
    receiver.hold(held);
    let activate = async {
        receiver.first_came().await;
        house.activate(endpoint).await.unwrap();
        receiver.go_on();
    };
    let (report, ()) = tokio::join!(house.prove(endpoint), activate);
    assert!(report.is_proven && house.last(endpoint).await == Some(report));
    assert!(house.activate(endpoint).await.unwrap_err().contains("active already"));

    let elsewhere = Receiver::start(Manner::TakesAll).await.url;
    for (is_ended, word) in [(true, "ended"), (false, "run the probes again")] {
        let receiver = Receiver::start(Manner::Waits).await;
        let (endpoint, held) = house.endpoint(&receiver.url, Profile::Standard).await;
        receiver.hold(held);
        let meanwhile = async {
            receiver.first_came().await;
            if is_ended {
                house.end(endpoint).await;
            } else {
                house.change(endpoint, Edit { url: Some(elsewhere.clone()), ..Edit::default() }).await;
            }
            receiver.go_on();
        };
        let (report, ()) = tokio::join!(house.try_prove(endpoint), meanwhile);
        let refused = report.unwrap_err();
        assert!(refused.contains(word), "{refused}");
        assert_eq!(house.last(endpoint).await, None, "what was found is of another receiver, or of none");
    }
    house.finish().await;
}

/// W-9, M-3, W-2: probes that have begun stop when the endpoint is blocked, by whomever, or when its key is revoked; what was found so
/// far proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn probes_that_have_begun_obey_a_block_and_a_revocation() {
    let house = House::start(Environment::Sandbox, false).await;
    let app = &house.app.app;
    for way in 0..4 {
        let receiver = Receiver::start(Manner::Waits).await;
        let (endpoint, held) = house.endpoint(&receiver.url, Profile::Standard).await;
        let (key, by) = (held.id.parse().unwrap(), house.by());
        receiver.hold(held);
        let act = Act { tenant: &house.tenant, circumstances: &by, keep: None };
        let block = |tenant| BlockKey { tenant, class: None, holder: Holder::Operator };
        let everywhere = [block(None)];
        let meanwhile = async {
            receiver.first_came().await;
            match way {
                0 => drop(endpoints::block(app, &act, endpoint, BlockReason::Incident).await.unwrap()),
                1 => containment::set(app, &by, &everywhere, BlockReason::Incident, None).await.unwrap(),
                2 => drop(rotating::revoke(app, &act, endpoint, key).await.unwrap()),
                _ => {}
            }
            receiver.go_on();
        };
        let (report, ()) = tokio::join!(house.try_prove(endpoint), meanwhile);
        if way == 3 {
            assert!(report.unwrap().is_proven && receiver.came().len() == Probe::ALL.len());
            continue;
        }
        let refused = report.unwrap_err();
        assert!(
            refused.starts_with("webhook_state") && refused.contains("run the probes again"),
            "{refused}"
        );
        assert_eq!(receiver.came().len(), 1, "{way}: nothing after the one that was on its way");
        assert_eq!(house.last(endpoint).await, None);
        if way == 1 {
            containment::unset(app, &by, &everywhere, None).await.unwrap();
        }
    }
    house.finish().await;
}

/// W-9, W-8: a receiver that hangs holds the probes for as long as they have all together, and what could not be sent says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_is_not_waited_for_seven_times() {
    let house = House::start(Environment::Live, false).await;
    let receiver = Receiver::start(Manner::Hangs).await;
    let (endpoint, held) = house.endpoint(&receiver.url, Profile::Standard).await;
    receiver.hold(held);
    let report = house.prove(endpoint).await;
    let came: Vec<&str> = report.probes.iter().map(|line| line.came.as_str()).collect();
    assert_eq!(
        came,
        [
            "no answer: there was no whole answer within 15 seconds",
            "no answer: there was no time left to wait for it",
            "not sent",
            "not sent",
            "not sent",
            "not sent",
            "not sent",
        ]
    );
    assert_eq!(receiver.came().len(), 2);
    assert!(house.activate(endpoint).await.unwrap_err().starts_with("webhook_unproven"));
    house.finish().await;
}
