//! Values that stand as text in the file, with errors that show how they are written and repeat nothing: it may be a secret.

use std::net::SocketAddr;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer, Error};

pub(super) fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong =
        |_| D::Error::custom("this is no address with a port: write one like 127.0.0.1:8440 or [::1]:8440");
    text.parse().map_err(wrong)
}

pub(super) fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let network = |(number, text): (usize, &String)| {
        let wrong = |_| {
            D::Error::custom(format!(
                "[{number}] is no network: write one like 203.0.113.0/24, and one address like 203.0.113.7/32"
            ))
        };
        text.parse().map_err(wrong)
    };
    texts.iter().enumerate().map(network).collect()
}
