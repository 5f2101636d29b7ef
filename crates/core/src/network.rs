//! Networks in CIDR notation (RFC 4632 §3.1, RFC 4291 §2.3), each in one canonical text.

use std::{fmt, net::IpAddr, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    limits,
    refusal::{Code, Refusal},
};

/// A network of IPv4 or IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

/// Why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotANetwork {
    /// Neither an address nor a network.
    #[error("`{0}` is not an address or a network like 10.0.0.0/8 or 2001:db8::/32")]
    Unreadable(String),
    /// An address within a network, with the network's length.
    #[error(
        "`{text}` names an address within a network: write `{network}` for the network, or `{address}` for the address"
    )]
    Within {
        /// What was written.
        text: String,
        /// The network.
        network: Network,
        /// The address alone.
        address: IpAddr,
    },
    /// IPv4 as IPv6 (RFC 4291 §2.5.5.2).
    #[error("`{0}` is IPv4 written as IPv6: write it as IPv4")]
    Mapped(String),
}

impl Network {
    /// The network of this length around an address; `None` for a length that its family does not have.
    fn around(address: IpAddr, prefix_bits: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) => {
                let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix_bits.into())?).unwrap_or(0);
                IpAddr::V4((v4.to_bits() & mask).into())
            }
            IpAddr::V6(v6) => {
                let mask = u128::MAX.checked_shl(128_u32.checked_sub(prefix_bits.into())?).unwrap_or(0);
                IpAddr::V6((v6.to_bits() & mask).into())
            }
        };
        Some(Self { address, prefix_bits })
    }

    /// Whether it is every address of its family.
    pub fn is_everything(&self) -> bool {
        self.prefix_bits == 0
    }

    /// Whether `address` is in it. IPv4 written as IPv6 is IPv4; otherwise the two are never mixed.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && Self::around(address, self.prefix_bits) == Some(*self)
    }
}

impl FromStr for Network {
    type Err = NotANetwork;

    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let unreadable = || NotANetwork::Unreadable(text.to_owned());
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| unreadable())?;
        if address.to_canonical() != address {
            return Err(NotANetwork::Mapped(text.to_owned()));
        }
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            // One text for each length: no sign, no zeros before it.
            Some(digits) => digits.parse::<u8>().ok().filter(|bits| bits.to_string() == digits),
            None => Some(longest),
        };
        let network = prefix_bits.and_then(|bits| Self::around(address, bits)).ok_or_else(unreadable)?;
        if network.address != address {
            return Err(NotANetwork::Within { text: text.to_owned(), network, address });
        }
        Ok(network)
    }
}

impl TryFrom<String> for Network {
    type Error = NotANetwork;

    fn try_from(text: String) -> Result<Self, NotANetwork> {
        text.parse()
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

/// The networks that something is taken from, each once and in order; from everywhere if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// Reads a list, and says of the first wrong entry which it is.
    pub fn read(texts: &[String]) -> Result<Self, Refusal> {
        if texts.len() > limits::API_KEY_NETWORKS {
            let sentence = format!("name at most {} networks", limits::API_KEY_NETWORKS);
            return Err(Refusal::at(Code::Invalid, "/networks", sentence));
        }
        let mut networks = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let network = text.parse::<Network>();
            let at = format!("/networks/{index}");
            networks.push(network.map_err(|wrong| Refusal::at(Code::Invalid, at, wrong.to_string()))?);
        }
        networks.sort_unstable();
        networks.dedup();
        Ok(Self(networks))
    }

    /// Whether a caller at `address` may come.
    pub fn allow(&self, address: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|network| network.contains(address))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether every address is allowed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Their texts.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(Network::to_string).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn network(text: &str) -> Result<Network, NotANetwork> {
        text.parse()
    }

    fn has(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    proptest! {
        /// a network has one text, and holds exactly the addresses that share its first bits.
        #[test]
        fn a_network_holds_what_shares_its_first_bits(v4: u32, v6: u128, other4: u32, other6: u128, bits in 0_u8..=128) {
            let four = Network::around(IpAddr::V4(v4.into()), bits % 33).unwrap();
            let six = Network::around(IpAddr::V6(v6.into()), bits).unwrap();
            let is_mapped = |v6: u128| std::net::Ipv6Addr::from(v6).to_ipv4_mapped().is_some();
            prop_assume!(!is_mapped(v6) && !is_mapped(other6));
            prop_assert_eq!(network(&four.to_string()), Ok(four));
            let shared4 = (v4 ^ other4).leading_zeros() >= u32::from(bits % 33);
            prop_assert_eq!(four.contains(IpAddr::V4(other4.into())), shared4);
            let shared6 = (v6 ^ other6).leading_zeros() >= u32::from(bits);
            prop_assert_eq!(six.contains(IpAddr::V6(other6.into())), shared6);
            prop_assert!(!four.contains(IpAddr::V6(other6.into())) && !six.contains(IpAddr::V4(other4.into())));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9a-f:./ ]{0,24}") {
            if let Ok(network) = network(&text) {
                prop_assert_eq!(network.to_string().parse(), Ok(network));
            }
        }
    }

    /// what can be read in two ways is refused with the text that was meant.
    #[test]
    fn a_network_has_one_text() {
        assert_eq!(network("192.0.2.7").unwrap().to_string(), "192.0.2.7/32");
        assert_eq!(network("2001:DB8:0::/32").unwrap().to_string(), "2001:db8::/32");
        assert_eq!(network("0.0.0.0/0").unwrap().to_string(), "0.0.0.0/0");
        let within = network("10.1.2.3/8").unwrap_err().to_string();
        assert!(within.contains("`10.0.0.0/8`") && within.contains("`10.1.2.3`"), "{within}");
        let mapped = network("::ffff:10.0.0.0/104").unwrap_err();
        assert_eq!(mapped, NotANetwork::Mapped("::ffff:10.0.0.0/104".to_owned()));
        for wrong in [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/+8",
            "10.0.0.0/08",
            "10.0.0/8",
            "010.0.0.0/8",
            "10.0.0.0/255.0.0.0",
            " 10.0.0.0/8",
            "fe80::1%eth0",
            "example.com",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(network(wrong), Err(NotANetwork::Unreadable(wrong.to_owned())));
        }
    }

    #[test]
    fn ipv4_is_ipv4_however_it_is_written() {
        assert!(has("10.0.0.0/8", "10.255.0.1") && has("10.0.0.0/8", "::ffff:10.0.0.1"));
        assert!(
            !has("10.0.0.0/8", "11.0.0.0") && !has("::/0", "10.0.0.1") && !has("0.0.0.0/0", "2001:db8::1")
        );
    }

    #[test]
    fn a_list_says_which_entry_is_wrong() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let read = Networks::read(&texts(&["192.0.2.1", "10.0.0.0/8", "10.0.0.0/8"])).unwrap();
        assert_eq!(read.texts(), ["10.0.0.0/8", "192.0.2.1/32"]);
        assert!(read.allow("10.2.0.1".parse().unwrap()) && !read.allow("192.0.2.2".parse().unwrap()));
        assert!(Networks::default().allow("192.0.2.2".parse().unwrap()));
        let wrong = Networks::read(&texts(&["10.0.0.0/8", "x"])).unwrap_err();
        assert_eq!(wrong.pointer.as_deref(), Some("/networks/1"));
        let many = vec!["10.0.0.0/8".to_owned(); limits::API_KEY_NETWORKS + 1];
        assert_eq!(Networks::read(&many).unwrap_err().pointer.as_deref(), Some("/networks"));
    }
}
