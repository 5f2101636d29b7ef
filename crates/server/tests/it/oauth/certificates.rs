//! Certificates of clients under test, right ones and any wrong ones, and a server that asks for them.

use std::{
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use countersign_core::digest::Digest;
use countersign_server::config::Config;
use countersign_store::testing;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use reqwest::{Identity, Url, tls};
use rustls_pki_types::CertificateDer;
use serde_json::{Value, json};

use super::keys::base64url;
use crate::app::TestApp;

/// An authority for certificates.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::of(Self::params(name))
    }

    fn of(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Another authority under this one.
    pub(crate) fn under(&self, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let params = Self::params(name);
        let pem = params.signed_by(&key, &self.issuer).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
    }

    /// A certificate by it.
    pub(crate) fn certify(&self, wish: &Wish) -> Shown {
        let key = KeyPair::generate().unwrap();
        let made = wish.params().signed_by(&key, &self.issuer).unwrap();
        Shown { chain: made.pem(), der: made.der().to_vec(), key }
    }

    /// The same with the authority's own certificate behind it.
    pub(crate) fn certify_with_chain(&self, wish: &Wish) -> Shown {
        let shown = self.certify(wish);
        Shown { chain: format!("{}{}", shown.chain, self.pem), ..shown }
    }
}

fn end(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
}

/// What a certificate is to say.
#[derive(Clone, Default)]
pub(crate) struct Wish {
    pub(crate) name: String,
    pub(crate) dns: Vec<String>,
    pub(crate) has_expired: bool,
    /// Whether it says that it is an authority itself.
    pub(crate) is_authority: bool,
    /// The year at whose beginning it ends.
    pub(crate) ends_with: Option<i32>,
    /// When it ends, in seconds since 1970.
    pub(crate) ends_s: Option<u64>,
}

impl Wish {
    pub(crate) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    pub(crate) fn dns(name: &str) -> Self {
        Self { name: "host".to_owned(), dns: vec![name.to_owned()], ..Self::default() }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::new(self.dns.clone()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "DE");
        params.distinguished_name.push(DnType::OrganizationName, "Acme, Ltd");
        params.distinguished_name.push(DnType::CommonName, self.name.as_str());
        if self.has_expired {
            end(&mut params);
        }
        if self.is_authority {
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        }
        if let Some(year) = self.ends_with {
            params.not_after = date_time_ymd(year, 1, 1);
        }
        if let Some(ends_s) = self.ends_s {
            params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(ends_s);
        }
        params
    }

    /// Its subject, as it is registered.
    pub(crate) fn subject(&self) -> String {
        format!("CN={},O=Acme\\, Ltd,C=DE", self.name)
    }

    /// A certificate that nobody else signs.
    pub(crate) fn alone(&self) -> Shown {
        self.alone_with(KeyPair::generate().unwrap())
    }

    /// The same with a key that exists already.
    pub(crate) fn alone_with(&self, key: KeyPair) -> Shown {
        let made = self.params().self_signed(&key).unwrap();
        Shown { chain: made.pem(), der: made.der().to_vec(), key }
    }
}

/// A certificate with its key.
pub(crate) struct Shown {
    chain: String,
    der: Vec<u8>,
    pub(crate) key: KeyPair,
}

impl Shown {
    /// Chain and key.
    pub(crate) fn pem(&self) -> (String, String) {
        (self.chain.clone(), self.key.serialize_pem())
    }

    /// The certificate itself.
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.der.clone().into()
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(format!("{}{}", self.key.serialize_pem(), self.chain).as_bytes()).unwrap()
    }

    /// What tokens are bound to (RFC 8705 §3.1).
    pub(crate) fn thumbprint(&self) -> String {
        base64url(&Digest::of(&self.der).0)
    }

    /// As it is registered for `self_signed_tls_client_auth` (RFC 8705 §2.2.2).
    pub(crate) fn jwk(&self) -> Value {
        // An uncompressed point: 4, x and y (SEC 1 §2.3.3).
        let raw = self.key.public_key_raw();
        let (x, y) = (&raw[1..33], &raw[33..65]);
        json!({
            "kty": "EC", "crv": "P-256", "x": base64url(x), "y": base64url(y), "x5c": [STANDARD.encode(&self.der)],
        })
    }

    /// Files with chain and key, for clients that somebody else wrote.
    pub(crate) fn files(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (chain, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}-key.pem")));
        std::fs::write(&chain, &self.chain).unwrap();
        std::fs::write(&key, self.key.serialize_pem()).unwrap();
        (chain, key)
    }
}

/// The authority that servers of these tests trust.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| Authority::new("Test CA"))
}

/// Another, whose time is over.
pub(crate) fn old_authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = Authority::params("Old CA");
        end(&mut params);
        Authority::of(params)
    })
}

/// A server that asks for certificates on a port and under a name of its own.
pub(crate) fn with_mutual_tls(config: &mut Config) {
    let port = testing::free_port().unwrap();
    let file = config.server.data_dir.parent().unwrap().join("client-ca.pem");
    std::fs::write(&file, format!("{}{}", old_authority().pem, authority().pem)).unwrap();
    config.oauth.mtls_listen = Some((Ipv4Addr::LOCALHOST, port).into());
    config.oauth.mtls_url = Some(format!("https://mtls.sign.test:{port}"));
    config.oauth.client_ca_file = Some(file);
}

impl TestApp {
    /// Where it asks for certificates.
    pub(crate) fn mutual_url(&self) -> &str {
        self.app.config.oauth.mtls_url.as_deref().unwrap()
    }

    /// A program that shows this certificate where it is asked for one. Every request has a connection of its own, so that
    /// sessions of TLS are resumed, too.
    pub(crate) fn showing(&self, shown: Option<&Shown>) -> reqwest::Client {
        self.showing_by(shown, tls::Version::TLS_1_3)
    }

    /// The same by a program that knows no newer version of TLS.
    pub(crate) fn showing_by(&self, shown: Option<&Shown>, most: tls::Version) -> reqwest::Client {
        let ca = std::fs::read(self.app.config.development_ca_file()).unwrap();
        let port = |url: &str| Url::parse(url).unwrap().port().unwrap();
        let at = |url: &str| ([127, 0, 0, 1], port(url)).into();
        let builder = reqwest::Client::builder()
            .tls_certs_only([reqwest::Certificate::from_pem(&ca).unwrap()])
            .resolve("sign.test", at(&self.url))
            .resolve("mtls.sign.test", at(self.mutual_url()))
            .pool_max_idle_per_host(0)
            .tls_version_max(most)
            .no_proxy();
        let builder = match shown {
            Some(shown) => builder.identity(shown.identity()),
            None => builder,
        };
        builder.build().unwrap()
    }
}
