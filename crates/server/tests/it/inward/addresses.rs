//! Addresses that are not of the public Internet: IANA's registries of special-purpose addresses (RFC 6890), first and last ones
//! of ranges among them, and the forms of IPv6 that carry an address of IPv4.

pub(crate) const IPV4: &[&str] = &[
    "0.0.0.0",         // this host
    "0.255.255.255",   // this network
    "10.0.0.1",        // private
    "10.255.255.255",  // private
    "100.64.0.1",      // carrier-grade NAT
    "100.127.255.255", // carrier-grade NAT
    "127.0.0.1",       // loopback
    "127.255.255.254", // loopback
    "169.254.0.1",     // link-local
    "169.254.169.254", // metadata of clouds
    "172.16.0.1",      // private
    "172.31.255.255",  // private
    "192.0.0.1",       // protocol assignments
    "192.0.0.9",       // port control anycast
    "192.0.0.170",     // discovery of NAT64
    "192.0.2.1",       // documentation
    "192.31.196.1",    // AS112
    "192.52.193.1",    // AMT
    "192.88.99.1",     // 6to4 relays
    "192.168.0.1",     // private
    "192.168.255.255", // private
    "192.175.48.1",    // AS112
    "198.18.0.1",      // benchmarks
    "198.19.255.255",  // benchmarks
    "198.51.100.1",    // documentation
    "203.0.113.255",   // documentation
    "224.0.0.1",       // multicast
    "239.255.255.255", // multicast
    "240.0.0.1",       // reserved
    "255.255.255.255", // broadcast
];

pub(crate) const IPV6: &[&str] = &[
    "::",                           // unspecified
    "::1",                          // loopback
    "::127.0.0.1",                  // IPv4-compatible
    "::10.0.0.1",                   // IPv4-compatible
    "::ffff:127.0.0.1",             // IPv4-mapped
    "::ffff:10.0.0.1",              // IPv4-mapped
    "::ffff:169.254.169.254",       // IPv4-mapped
    "::ffff:0:127.0.0.1",           // IPv4-translated
    "64:ff9b::127.0.0.1",           // NAT64
    "64:ff9b::10.0.0.1",            // NAT64
    "64:ff9b::169.254.169.254",     // NAT64
    "64:ff9b:1::127.0.0.1",         // local NAT64
    "64:ff9b:1:ffff::8.8.8.8",      // local NAT64
    "100::1",                       // discard
    "100:0:0:1::1",                 // dummy
    "2001::1",                      // Teredo
    "2001:0:7f00:1::1",             // Teredo, its server the loopback
    "2001:0:808:808:0:0:80ff:fffe", // Teredo, its client the loopback
    "2001:1::1",                    // port control anycast
    "2001:2::1",                    // benchmarks
    "2001:3::1",                    // AMT
    "2001:4:112::1",                // AS112
    "2001:10::1",                   // ORCHID
    "2001:20::1",                   // ORCHIDv2
    "2001:30::1",                   // remote identification of drones
    "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
    "2001:db8::1",           // documentation
    "2002:7f00:1::1",        // 6to4 of the loopback
    "2002:a00:1::1",         // 6to4 of a private one
    "2002:a9fe:a9fe::1",     // 6to4 of the metadata of clouds
    "2620:4f:8000::1",       // AS112
    "3fff::1",               // documentation
    "3fff:fff:ffff:ffff::1", // documentation
    "4000::1",               // not given to anybody
    "5f00::1",               // segment routing
    "fc00::1",               // unique local
    "fdff:ffff:ffff::1",     // unique local
    "fe80::1",               // link-local
    "febf::1",               // link-local
    "fec0::1",               // site-local
    "feff::1",               // site-local
    "ff02::1",               // multicast
    "ff0e::1",               // multicast
];

/// The host of a URL in forms that readers of URLs take for an address, or for this machine.
pub(crate) const ODD: &[&str] = &[
    "2130706433",
    "0x7f000001",
    "017700000001",
    "0177.0.0.1",
    "0x7f.1",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "0",
    "0x0",
    "127。0。0。1",
    "①②⑦.⓪.⓪.①",
    "%31%32%37.0.0.1",
    "2852039166",
    "[::1%25lo]",
    "[::1%lo]",
    "[fe80::1%25eth0]",
    "[0:0:0:0:0:ffff:7f00:1]",
    "[0000:0000:0000:0000:0000:0000:0000:0001]",
    "256.0.0.1",
    "127.0.0.1.1",
    "someone@127.0.0.1",
];
