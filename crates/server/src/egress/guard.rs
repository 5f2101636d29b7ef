//! The guard of addresses that strangers name (W-8): https alone, every answer of the resolver must be public or allowed by
//! the operator, the connection goes to the address that was checked, nothing is followed, and little is read.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::Duration,
};

use countersign_core::{address::is_public, webhook::channel::Channel};
use reqwest::{Url, header, redirect::Policy};
use thiserror::Error;

use super::{broken, clients::Clients, names::Names, tls::Trust};
use crate::{config::Egress, fault::Fault};

/// Time for name, connection, handshake, headers and body together.
const DEADLINE: Duration = Duration::from_secs(5);

/// Why something was not fetched. Told to whoever named the address: it says nothing about what is behind it.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum NotFetched {
    /// Not an address that is taken here.
    #[error("the URL must be https://, with a host name and no user")]
    Url,
    /// It leads to an address that is not public.
    #[error("the host has an address that is not of the public Internet")]
    NotPublic,
    /// It did not answer in time, or not as it should.
    #[error("the host did not answer with status 200 in time")]
    Answer,
    /// Too much.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// Fetches what strangers name.
#[derive(Clone)]
pub struct Guard {
    client: reqwest::Client,
    clients: Arc<Clients>,
    names: Arc<Names>,
    trust: Trust,
    allowed: Arc<Egress>,
}

impl Guard {
    /// A guard with the operator's exceptions.
    pub fn new(egress: &Egress) -> Result<Self, Fault> {
        let (allowed, trust) = (Arc::new(egress.clone()), Trust::new(egress.ca_file.as_deref())?);
        let names = Arc::new(Names::new(Arc::clone(&allowed))?);
        let client = client(&names, &trust, &Channel::default())?;
        Ok(Self { client, clients: Arc::default(), names, trust, allowed })
    }

    /// What connects as this channel says, with connections of its own.
    pub(super) fn client_of(&self, channel: &Channel) -> Result<reqwest::Client, Fault> {
        if channel.certificate.is_none() && channel.pins.is_empty() {
            return Ok(self.client.clone());
        }
        self.clients.get(channel, || client(&self.names, &self.trust, channel))
    }

    /// Whether a URL may be named at all: its form alone, without asking anybody.
    pub fn takes(&self, url: &str) -> Result<Url, NotFetched> {
        let url: Url = url.parse().map_err(|_| NotFetched::Url)?;
        let is_plain = url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
        let host = url.host_str().filter(|_| is_plain && url.fragment().is_none()).ok_or(NotFetched::Url)?;
        // A literal address meets no resolver, so that it is judged here.
        match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(address) if !self.allowed.allows(None, address) => Err(NotFetched::NotPublic),
            Err(_) if is_this_machine(host) && !self.allowed.allows_this_machine(host) => {
                Err(NotFetched::NotPublic)
            }
            _ => Ok(url),
        }
    }

    /// The body of `url`, of at most `most` bytes.
    pub async fn get(&self, url: &str, most: usize) -> Result<Vec<u8>, NotFetched> {
        let url = self.takes(url)?;
        let request = self.client.get(url).header(header::ACCEPT_ENCODING, "identity");
        let response = request.send().await.map_err(|error| told(&error))?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(NotFetched::Answer);
        }
        Self::body(response, most).await
    }

    /// The answer to a request, whatever its status, with a body of at most `most` bytes.
    pub async fn send(
        &self,
        request: axum::http::Request<Vec<u8>>,
        most: usize,
    ) -> Result<axum::http::Response<Vec<u8>>, NotFetched> {
        self.takes(&request.uri().to_string())?;
        let mut request = reqwest::Request::try_from(request).map_err(|_| NotFetched::Url)?;
        request.headers_mut().insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static("identity"));
        let response = self.client.execute(request).await.map_err(|error| told(&error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut answer = axum::http::Response::new(Self::body(response, most).await?);
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok(answer)
    }

    async fn body(mut response: reqwest::Response, most: usize) -> Result<Vec<u8>, NotFetched> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| told(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > most {
                return Err(NotFetched::TooLarge(most));
            }
        }
        Ok(body)
    }
}

/// Whether the guard refused where it led.
pub(super) fn is_refused(error: &reqwest::Error) -> bool {
    broken::found::<NotFetched>(error).is_some()
}

/// Whether a name is one of those of the machine that asks, whatever a resolver says of them (RFC 6761 §6.3).
fn is_this_machine(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    host == "localhost" || host.ends_with(".localhost")
}

fn told(error: &reqwest::Error) -> NotFetched {
    if is_refused(error) { NotFetched::NotPublic } else { NotFetched::Answer }
}

fn client(names: &Arc<Names>, trust: &Trust, channel: &Channel) -> Result<reqwest::Client, Fault> {
    let builder = reqwest::Client::builder()
        .https_only(true)
        .redirect(Policy::none())
        .no_proxy()
        .timeout(DEADLINE)
        .tcp_nodelay(true)
        .tls_backend_preconfigured(trust.config(channel)?)
        .dns_resolver(Arc::clone(names));
    builder.build().map_err(|error| Fault::Task(format!("the client cannot be made: {error}")))
}

impl Egress {
    /// Whether a name is one of those that the operator allows.
    pub(super) fn names(&self, host: &str) -> bool {
        self.allow_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    fn allows_this_machine(&self, host: &str) -> bool {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        loopback.into_iter().any(|address| self.allows(Some(host), address))
    }

    /// Whether a connection to `address` is allowed, under the name that led there.
    pub(super) fn allows(&self, host: Option<&str>, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address)
            || host.is_some_and(|host| self.names(host))
            || self.allow_networks.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Network;

    fn guard(egress: &Egress) -> Guard {
        Guard::new(egress).unwrap()
    }

    /// W-8: what is no plain https URL, or names an address of the operator's own, goes nowhere.
    #[tokio::test]
    async fn what_does_not_lead_outside_is_refused_before_anything_is_sent() {
        let guard = guard(&Egress::default());
        for (url, why) in [
            ("http://example.com/jwks", NotFetched::Url),
            ("https://user@example.com/jwks", NotFetched::Url),
            ("file:///etc/passwd", NotFetched::Url),
            ("https://127.0.0.1/jwks", NotFetched::NotPublic),
            ("https://2130706433/jwks", NotFetched::NotPublic),
            ("https://0x7f.1/jwks", NotFetched::NotPublic),
            ("https://[::1]/jwks", NotFetched::NotPublic),
            ("https://[::ffff:10.0.0.1]/jwks", NotFetched::NotPublic),
            ("https://169.254.169.254/latest", NotFetched::NotPublic),
            ("https://localhost/jwks", NotFetched::NotPublic),
        ] {
            assert_eq!(guard.get(url, 100).await, Err(why), "{url}");
        }
    }

    #[test]
    fn the_operator_allows_hosts_and_networks_by_name() {
        let network = Network::try_from("10.20.0.0/16".to_owned()).unwrap();
        let egress = Egress {
            allow_hosts: vec!["keys.internal".to_owned()],
            allow_networks: vec![network],
            ..Egress::default()
        };
        let address = |text: &str| text.parse().unwrap();
        assert!(egress.allows(Some("keys.internal"), address("127.0.0.1")));
        assert!(!egress.allows(Some("other.internal"), address("127.0.0.1")));
        assert!(
            egress.allows(None, address("10.20.1.1")) && egress.allows(None, address("::ffff:10.20.1.1"))
        );
        assert!(!egress.allows(None, address("10.21.1.1")));
    }
}
