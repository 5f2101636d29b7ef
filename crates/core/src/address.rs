//! Which addresses the public Internet can reach: what a stranger names must never lead into the operator's own network
//! (W-8). The ranges are those of the IANA registries of special-purpose addresses (RFC 6890), and the forms of IPv6 that
//! carry an IPv4 address are judged by what they carry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is one of the public Internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// First address and prefix length of each range of IPv4 that is not public.
const SPECIAL_V4: &[([u8; 4], u32)] = &[
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // carrier-grade NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, metadata of clouds
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 31, 196, 0], 24), // AS112
    ([192, 52, 193, 0], 24), // AMT
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([192, 175, 48, 0], 24), // AS112
    ([198, 18, 0, 0], 15),   // benchmarks
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 4),     // multicast
    ([240, 0, 0, 0], 4),     // reserved, broadcast
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(first, prefix)| {
        let mask = u32::MAX << (32 - prefix);
        bits & mask == u32::from_be_bytes(*first)
    })
}

/// First segments and prefix length of each range of 2000::/3 that is not public. All outside of 2000::/3 is not.
const SPECIAL_V6: &[([u16; 4], u32)] = &[
    ([0x2001, 0, 0, 0], 23),         // protocol assignments, Teredo, ORCHID
    ([0x2001, 0xdb8, 0, 0], 32),     // documentation
    ([0x2002, 0, 0, 0], 16),         // 6to4: judged below
    ([0x2620, 0x4f, 0x8000, 0], 48), // AS112
    ([0x3fff, 0, 0, 0], 20),         // documentation
];

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(carried) = carried_v4(address) {
        return is_public_v4(carried);
    }
    let bits = address.to_bits();
    let within = |segments: &[u16; 4], prefix: u32| {
        let [a, b, c, d] = *segments;
        let first = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_bits();
        bits & (u128::MAX << (128 - prefix)) == first
    };
    within(&[0x2000, 0, 0, 0], 3) && !SPECIAL_V6.iter().any(|(first, prefix)| within(first, *prefix))
}

/// The IPv4 address within a mapped (RFC 4291 §2.5.5.2) or NAT64 (RFC 6052 §2.1) address. Other forms that carry one
/// (6to4, Teredo, compatible, local NAT64) are never public here, whatever they carry.
fn carried_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let before = |first: Ipv6Addr| bits >> 32 == first.to_bits() >> 32;
    let is_mapped = before(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0));
    let is_nat64 = before(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0));
    let [_, _, _, _, _, _, _, _, _, _, _, _, carried @ ..] = address.octets();
    (is_mapped || is_nat64).then(|| Ipv4Addr::from(carried))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// W-8: none of these leads outside, in whatever form it is written.
    #[test]
    fn special_addresses_are_not_public() {
        for text in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.1.1.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "100::1",
            "2001::1",
            "2001:0:53aa:64c::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:808:808::1",
            "3fff::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn addresses_of_the_internet_are_public() {
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.1",
            "172.15.255.255",
            "172.32.0.1",
            "192.0.1.1",
            "198.17.255.255",
            "198.20.0.1",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2a00:1450:4001:81b::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }
}
