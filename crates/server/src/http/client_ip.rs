//! The client's address: the other end of the connection or, when that is a trusted proxy, what the proxy says (G-11).

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use countersign_core::envelope::event::IpSource;

use crate::config::Network;

/// The other end of the connection, put into every request by the accept loop.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The client's address and how it was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// The address.
    pub ip: IpAddr,
    /// How it was learnt.
    pub source: IpSource,
}

/// Finds the client's address. Of `X-Forwarded-For`, which anybody can begin, only the end is believed: from the
/// right, the first address that is not itself a trusted proxy.
pub fn client_address(peer: SocketAddr, headers: &HeaderMap, trusted: &[Network]) -> ClientAddress {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(ip));
    let peer_ip = peer.ip().to_canonical();
    let of_connection = ClientAddress { ip: peer_ip, source: IpSource::Connection };
    if !is_trusted(peer_ip) {
        return of_connection;
    }
    let named: Vec<&str> = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for text in named.iter().rev() {
        // A trusted proxy that writes nonsense is not believed any further.
        let Ok(ip) = text.parse::<IpAddr>() else { return of_connection };
        let ip = ip.to_canonical();
        if !is_trusted(ip) {
            return ClientAddress { ip, source: IpSource::TrustedProxy };
        }
    }
    of_connection
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: &str, forwarded: &[&str]) -> (String, IpSource) {
        let trusted = ["10.0.0.0/8", "::1"].map(|text| Network::try_from(text.to_owned()).unwrap());
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        let address = client_address(peer.parse().unwrap(), &headers, &trusted);
        (address.ip.to_string(), address.source)
    }

    /// G-11: a stranger's header is worth nothing.
    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(found("192.0.2.1:5", &["203.0.113.9"]), ("192.0.2.1".into(), IpSource::Connection));
    }

    /// G-11: of a trusted proxy's header the right-most address that is no proxy counts.
    #[test]
    fn behind_a_trusted_proxy_the_right_most_stranger_is_the_client() {
        let by_proxy = |ip: &str| (ip.to_owned(), IpSource::TrustedProxy);
        assert_eq!(found("10.0.0.1:5", &["1.2.3.4, 203.0.113.9, 10.9.9.9"]), by_proxy("203.0.113.9"));
        assert_eq!(found("10.0.0.1:5", &["1.2.3.4", "203.0.113.9"]), by_proxy("203.0.113.9"));
        assert_eq!(found("[::ffff:10.0.0.1]:5", &["::ffff:203.0.113.9"]), by_proxy("203.0.113.9"));
        assert_eq!(found("10.0.0.1:5", &["1.2.3.4, unknown"]), ("10.0.0.1".into(), IpSource::Connection));
        assert_eq!(found("10.0.0.1:5", &[]), ("10.0.0.1".into(), IpSource::Connection));
    }
}
