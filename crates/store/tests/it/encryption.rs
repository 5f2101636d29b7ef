//! D-4: TLS between the server and its database.

use countersign_store::{Fault, Postgres, Store as _, testing, testing::Cluster};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

// A CA, and a certificate of it for `db.test`.
fn certificates() -> (String, String, String) {
    let ca_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let ca = params.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(params, ca_key);
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["db.test".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    (ca.pem(), certificate.pem(), key.serialize_pem())
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn d_4_all_connections_are_under_tls_with_the_server_that_the_ca_names() {
    let (ca, certificate, key) = certificates();
    let cluster = Cluster::start_with_tls(&certificate, &key).unwrap();
    let url = |host: &str| {
        format!("host={host} hostaddr=127.0.0.1 port={} user=countersign dbname=postgres", cluster.port())
    };
    let ca = file(&ca);
    // The server's rules refuse every connection without TLS: of readers, writers and the listener alike.
    let store = Postgres::open(&url("db.test"), Some(ca.path())).await.unwrap();
    store.ping().await.unwrap();
    store.lead_log().await.unwrap();
    let other = file(&certificates().0);
    for (host, ca) in [("db.test", other.path()), ("other.test", ca.path())] {
        let refused = Postgres::open(&url(host), Some(ca)).await.map(drop).unwrap_err();
        assert!(matches!(refused, Fault::Unavailable(_)), "{refused}");
        assert!(refused.to_string().contains("invalid peer certificate"), "{refused}");
    }
}

/// A server without TLS that is not this machine gets nothing, not even a name.
#[tokio::test(flavor = "multi_thread")]
async fn d_4_a_server_without_tls_is_not_fallen_back_to() {
    let cluster = testing::cluster().unwrap();
    let url = format!("host=db.test hostaddr=127.0.0.1 port={} user=countersign", cluster.port());
    let ca = file(&certificates().0);
    let refused = Postgres::open(&url, Some(ca.path())).await.map(drop).unwrap_err();
    assert!(refused.to_string().contains("does not support TLS"), "{refused}");
}
