//! How long a refusal takes tells nothing: unknown, locked and wrong look alike to a rank test, and the same test sees a
//! difference that is planted (A-11).

use countersign_core::{
    accounts::lockout::Kind,
    envelope::{command::OriginNow, event::IpSource},
    id::CorrelationId,
    secret::{Personal, Secret},
    security::FailureReason,
};
use countersign_server::{
    accounts::{passwords::Cost, sign_in, tries},
    signer::strict::Caller,
};

use super::person::OTHER_PASSWORD;
use crate::{
    app::{Options, TestApp},
    timing::{Samples, timed},
};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

fn caller(test: &TestApp, number: usize) -> Caller {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&number.to_be_bytes());
    Caller {
        origin: OriginNow {
            ip: Personal::new("192.0.2.7".to_owned()),
            ip_source: IpSource::Connection,
            user_agent: Some(Personal::new("Mozilla/5.0 (Test)".to_owned())),
            time_zone: None,
        },
        correlation: CorrelationId::new(test.app.now(), random),
        headers: axum::http::HeaderMap::new(),
    }
}

async fn refusal_ns(test: &TestApp, email: &str, number: usize) -> u64 {
    let (caller, password) = (caller(test, number), Secret::new(OTHER_PASSWORD.to_owned()));
    let (taken, answer) = timed(sign_in::password(&test.app, &caller, email, &password)).await;
    assert!(answer.is_err());
    taken
}

/// The same as somebody would write it who makes no hash where there is nothing to verify.
async fn careless_refusal_ns(test: &TestApp, number: usize) -> u64 {
    let caller = caller(test, number);
    let careless = async {
        assert!(tries::count(&test.app, &caller, None, None, Kind::Password).await.unwrap().is_none());
        let wrong = FailureReason::WrongCredential;
        tries::failed(&test.app, &caller, None, "password", wrong).await.unwrap();
    };
    timed(careless).await.0
}

/// A-11: 2,000 tries each. The hash is a tenth of the real one: what is seen of the rest beside it is ten times what a
/// stranger could see.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_locked_and_wrong_take_as_long() {
    let test = TestApp::start_with(Options { cost: Cost::of(4_096, 1), ..Options::default() }).await;
    test.owner("Harbour Mills", ADA).await;
    test.owner("Copper Works", BOB).await;
    test.set_failures(BOB, r#"{"strangers":{"password":{"at":[],"in_a_row":100}}}"#).await;
    let ask = async |kind: Option<usize>, number: usize| match kind {
        Some(0) => {
            test.set_failures(ADA, "{}").await;
            refusal_ns(&test, ADA, number).await
        }
        Some(1) => refusal_ns(&test, BOB, number).await,
        Some(_) => refusal_ns(&test, &format!("nobody{number}@example.com"), number).await,
        None => careless_refusal_ns(&test, number).await,
    };
    Samples::take(["wrong", "locked", "unknown"], ask).await.are_alike();
    test.work().await;
    test.finish().await;
}
