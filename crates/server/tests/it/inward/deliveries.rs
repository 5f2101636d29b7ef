//! What the guard itself, and the deliveries of webhooks, do with names and literals that lead inside.

use std::time::{Duration, Instant};

use axum::{Router, http::header, response::IntoResponse as _};
use countersign_core::webhook::{
    class::{Class, Payload},
    endpoint::Profile,
};
use countersign_server::{
    config::{Egress, Network},
    egress::{
        guard::{Guard, NotFetched},
        messenger::Messenger,
    },
};
use countersign_store::webhook_rows::DeliveryState;
use futures_util::future::join_all;
use reqwest::StatusCode;

use super::{
    Counting, Lure, Why, addresses, asking, crafted,
    name_server::{Said, name_server, records},
    special,
};
use crate::{
    app::{Options, TestApp},
    receivers::{self, authority, listen},
    webhooks::{House, settings},
};

fn egress(networks: &[&str]) -> Egress {
    let networks = networks.iter().map(|network| Network::try_from((*network).to_owned()).unwrap());
    Egress {
        allow_networks: networks.collect(),
        name_servers: vec![name_server().address],
        ..Egress::default()
    }
}

/// W-8: no name gets a packet inside, whatever its name servers say, and whoever goes there by it is told no more than that;
/// where the operator allows the address, the same name leads to it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_name_leads_inside() {
    let listener = Counting::start();
    let guard = Guard::new(&egress(&[])).unwrap();
    let messenger = Messenger::new(&egress(&[])).unwrap();
    let lures: Vec<_> = special("guard").into_iter().chain(crafted("guard")).collect();
    for lure in &lures {
        let url = format!("https://{}:{}/", lure.name, listener.port);
        let fetched = match lure.why {
            Why::Refused => NotFetched::NotPublic,
            Why::Nowhere => NotFetched::Answer,
        };
        assert_eq!(guard.get(&url, 100).await, Err(fetched), "{}", lure.name);
        let sent = receivers::post(&messenger, &url).await;
        let said = String::from_utf8(sent.answer).unwrap();
        let expected = match lure.why {
            Why::Refused => "not of the public Internet",
            Why::Nowhere => "no connection could be made",
        };
        assert!(sent.status.is_none() && said.contains(expected), "{}: {said}", lure.name);
    }
    assert_eq!(listener.count(), 0);
    let allowed = Messenger::new(&egress(&["127.0.0.1/32"])).unwrap();
    receivers::post(&allowed, &format!("https://private.guard.inward.test:{}/", listener.port)).await;
    assert_eq!(listener.count(), 1, "the listener is there");
}

/// W-8: a name server that does not answer, or answers something else, takes the time of the fetch and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_server_that_does_not_answer_has_the_time_of_the_fetch() {
    let listener = Counting::start();
    let guard = Guard::new(&egress(&[])).unwrap();
    name_server().says("silent.inward.test", &[Said::Silence]);
    name_server().says(
        "misled.inward.test",
        &[Said::ToAnotherQuestion(vec!["127.0.0.1".to_owned(), "::1".to_owned()])],
    );
    #[expect(clippy::disallowed_methods, reason = "sockets live in real time")]
    let begun = Instant::now();
    let urls = ["silent", "misled"].map(|name| format!("https://{name}.inward.test:{}/", listener.port));
    let all = join_all(urls.iter().map(|url| guard.get(url, 100))).await;
    assert!(all.iter().all(|fetched| *fetched == Err(NotFetched::Answer)), "{all:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert_eq!(listener.count(), 0);
}

/// W-8: a name that changes its mind is connected to where it was checked, and asked once for each connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_leads_elsewhere_the_second_time_is_checked_the_second_time() {
    let port = countersign_store::testing::free_port().unwrap();
    // The tests send nothing outside: an address that the operator allows stands for a public one.
    let (outside, inside) = (Counting::at(port, &["127.0.0.3"]), Counting::at(port, &["127.0.0.1"]));
    let messenger = Messenger::new(&egress(&["127.0.0.3/32"])).unwrap();
    let post = async |name: &str| {
        let sent = receivers::post(&messenger, &format!("https://{name}:{port}/")).await;
        String::from_utf8(sent.answer).unwrap()
    };
    // On a machine that is very busy a question is asked again, and then the first connection was the second one.
    for number in 0..10 {
        let (name, before) = (format!("rebound{number}.inward.test"), outside.count());
        name_server().says(&name, &[records(&["127.0.0.3"]), records(&["127.0.0.1"])]);
        let said = post(&name).await;
        let was_asked_once = name_server().asked(&name) == 1;
        for _ in 0..2 {
            let again = post(&name).await;
            assert!(again.contains("not of the public Internet"), "{again}");
        }
        assert_eq!(inside.count(), 0);
        if was_asked_once {
            assert!(!said.contains("not of the public Internet"), "{said}");
            assert_eq!(outside.count(), before + 1);
            return;
        }
    }
    panic!("a name is asked for more than once for one connection");
}

/// W-8: no literal leads inside, in whatever form it is written.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_literal_leads_inside() {
    let listener = Counting::start();
    let guard = Guard::new(&egress(&[])).unwrap();
    let messenger = Messenger::new(&egress(&[])).unwrap();
    let written = addresses::IPV4.iter().chain(addresses::ODD).map(|host| (*host).to_owned());
    let written = written.chain(addresses::IPV6.iter().map(|address| format!("[{address}]")));
    for host in written {
        let url = format!("https://{host}:{}/", listener.port);
        assert!(guard.takes(&url).is_err(), "{host}");
        assert!(guard.get(&url, 100).await.is_err(), "{host}");
        assert_eq!(receivers::post(&messenger, &url).await.status, None, "{host}");
    }
    assert_eq!(listener.count(), 0);
}

/// W-8: what a receiver on the right side of the guard answers leads nowhere else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_redirect_leads_inside() {
    let listener = Counting::start();
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority().pem()).unwrap();
    let egress = Egress { allow_hosts: vec!["localhost".to_owned()], ca_file: Some(ca), ..egress(&[]) };
    let (guard, messenger) = (Guard::new(&egress).unwrap(), Messenger::new(&egress).unwrap());
    for status in [301, 302, 303, 307, 308, 300, 201] {
        for to in
            ["https://127.0.0.1", "https://localhost", "https://[::1]", "http://127.0.0.1", "//127.0.0.1"]
        {
            let location = format!("{to}:{}/", listener.port);
            let code = StatusCode::from_u16(status).unwrap();
            let leads = move || async move { (code, [(header::LOCATION, location)]).into_response() };
            let port = listen(Router::new().fallback(leads)).await;
            let url = format!("https://localhost:{port}/");
            assert_eq!(receivers::post(&messenger, &url).await.status, Some(status), "{to}");
            assert_eq!(guard.get(&url, 100).await, Err(NotFetched::Answer), "{status} {to}");
        }
    }
    assert_eq!(listener.count(), 0);
}

/// W-8: the same from the outbox: an endpoint for each name, and a message for all of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_delivery_leads_inside() {
    let listener = Counting::start();
    let nobody = Messenger::new(&egress(&[])).unwrap();
    for lures in [special("delivery"), crafted("delivery")] {
        let options = Options { configure: asking, ..Options::default() };
        let house = House::on(TestApp::start_with(options).await).await;
        let mut endpoints = Vec::new();
        // What is this machine by its name is refused when it is named.
        let is_own = |lure: &Lure| lure.name.trim_end_matches('.').to_lowercase().ends_with("localhost");
        let (own, lures): (Vec<_>, Vec<_>) = lures.into_iter().partition(is_own);
        for lure in own {
            let url = format!("https://{}:{}/", lure.name, listener.port);
            assert_eq!(nobody.check(&url), Err(NotFetched::NotPublic), "{url}");
        }
        for lure in &lures {
            let url = format!("https://{}:{}/", lure.name, listener.port);
            let wish = settings(&url, &[Class::Envelope], Payload::Thin, Profile::Standard);
            endpoints.push(house.endpoint(&wish).await.endpoint);
        }
        house.queue(house.tenant, 1).await;
        assert_eq!(house.deliver().await, lures.len());
        for (endpoint, lure) in endpoints.into_iter().zip(&lures) {
            let rows = house.deliveries(endpoint).await;
            assert_eq!((rows[0].state, rows[0].attempt_count), (DeliveryState::Due, 1), "{}", lure.name);
        }
        assert_eq!(listener.count(), 0);
        house.app.finish_without_worker().await;
    }
}
