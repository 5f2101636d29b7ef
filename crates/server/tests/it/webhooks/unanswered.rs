//! What the owner of a receiver is told where no connection to it could be made.

use std::future::pending;

use axum::Router;
use countersign_server::{
    config::Egress,
    egress::{guard::NotFetched, messenger::Messenger},
};
use countersign_store::testing::free_port;
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::{
    inward::name_server::name_server,
    oauth::certificates::{Authority, Wish},
    receivers::{authority, listen_showing, post},
};

async fn listens_showing(wish: &Wish, authority: &Authority) -> u16 {
    listen_showing(Router::new().fallback(async || {}), &authority.certify(wish)).await
}

/// Answers each connection with these bytes at once, and then with nothing, or with its end.
async fn says(bytes: &'static [u8], goes_on: bool) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.write_all(bytes).await;
                if goes_on {
                    pending::<()>().await;
                }
            });
        }
    });
    port
}

/// W-6: each cause has its own sentence, so that it can be mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_connected_to_is_told_why() {
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, authority().pem()).unwrap();
    let messenger = Messenger::new(&Egress {
        allow_hosts: vec!["localhost".to_owned()],
        ca_file: Some(ca_file),
        name_servers: vec![name_server().address],
        ..Egress::default()
    })
    .unwrap();
    let own = Wish::dns("localhost");
    let stranger = Authority::new("nobody's CA");
    for (port, words) in [
        (free_port().unwrap(), "nothing listens at this port"),
        (listens_showing(&Wish { has_expired: true, ..own.clone() }, authority()).await, "has ended"),
        (listens_showing(&Wish::dns("elsewhere.example"), authority()).await, "for another name"),
        (listens_showing(&Wish { is_authority: true, ..own.clone() }, authority()).await, "CA:FALSE"),
        (listens_showing(&own, &stranger).await, "no authority that is known here"),
        (says(b"HTTP/1.1 400 Bad Request\r\n\r\n", true).await, "does not speak TLS"),
        (says(b"", false).await, "before TLS was there"),
    ] {
        let sent = post(&messenger, &format!("https://localhost:{port}/")).await;
        let said = String::from_utf8(sent.answer).unwrap();
        assert!(sent.status.is_none() && said.starts_with("no connection could be made: "), "{said}");
        assert!(said.contains(words), "{words}: {said}");
    }
    let sent = post(&messenger, "https://nobody.unanswered.inward.test/").await;
    assert!(String::from_utf8_lossy(&sent.answer).contains("has no address"), "{sent:?}");
}

/// W-8: a name that is the machine's own by its nature is refused as soon as it is named, not when it is sent to; where the operator
/// allows it, it is taken.
#[test]
fn the_machine_itself_is_not_named() {
    let allowing = |egress: Egress| Messenger::new(&egress).unwrap();
    let nobody = allowing(Egress::default());
    let by_name = allowing(Egress { allow_hosts: vec!["localhost".to_owned()], ..Egress::default() });
    let network = "127.0.0.0/8".to_owned().try_into().unwrap();
    let by_network = allowing(Egress { allow_networks: vec![network], ..Egress::default() });
    for url in
        ["https://localhost/hooks", "https://LOCALHOST:8443/", "https://localhost./", "https://a.localhost/"]
    {
        assert_eq!(nobody.check(url), Err(NotFetched::NotPublic), "{url}");
        assert!(by_network.check(url).is_ok(), "{url}");
    }
    assert!(by_name.check("https://localhost/hooks").is_ok());
    assert_eq!(by_name.check("https://a.localhost/"), Err(NotFetched::NotPublic));
    assert!(nobody.check("https://localhost.example/").is_ok());
}
