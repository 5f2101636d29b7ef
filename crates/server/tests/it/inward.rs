//! Names and literals that lead inside (W-8): none of them gets a packet to a listener that counts, whichever part of the server
//! is told to go there.

pub(crate) mod addresses;
mod deliveries;
pub(crate) mod name_server;

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use countersign_server::config::Config;
use name_server::{Said, name_server, records};

/// Has a server ask the name server of the tests.
pub(crate) fn asking(config: &mut Config) {
    config.egress.name_servers = vec![name_server().address];
}

/// Listeners on one port of addresses that the loopback interface has.
pub(crate) struct Counting {
    pub(crate) port: u16,
    count: Arc<AtomicUsize>,
}

impl Counting {
    pub(crate) fn start() -> Self {
        Self::at(countersign_store::testing::free_port().unwrap(), &["127.0.0.1", "127.255.255.254", "::1"])
    }

    fn at(port: u16, addresses: &[&str]) -> Self {
        let count: Arc<AtomicUsize> = Arc::default();
        for address in addresses {
            let listener = match TcpListener::bind((*address, port)) {
                Ok(listener) => listener,
                // A machine without IPv6 has nothing that a packet could come to.
                Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable && *address == "::1" => {
                    continue;
                }
                Err(error) => panic!("{address}: {error}"),
            };
            let count = Arc::clone(&count);
            thread::spawn(move || {
                // It is counted before it is closed, which whoever connected sees.
                while let Ok(_connection) = listener.accept() {
                    count.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        Self { port, count }
    }

    /// How many came so far.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

/// Why a name does not lead anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// The guard refused where it leads.
    Refused,
    /// The name has no address.
    Nowhere,
}

/// A name that leads inside in its own way, made known to the name server.
pub(crate) struct Lure {
    pub(crate) name: String,
    pub(crate) why: Why,
}

impl Lure {
    fn new(name: &str, why: Why, said: &[Said]) -> Self {
        let name = format!("{name}.inward.test");
        name_server().says(&name, said);
        Self { name, why }
    }
}

/// Ways that are not a question of the address alone: what somebody who owns a domain can have its servers say. `whose` keeps the
/// names of one test apart from another's.
pub(crate) fn crafted(whose: &str) -> Vec<Lure> {
    let lure = |name: &str, why, said: &[Said]| Lure::new(&format!("{name}.{whose}"), why, said);
    let of = |name: &str| format!("{name}.{whose}.inward.test");
    let said = |texts: &[String]| [Said::Records(texts.to_vec())];
    // As many as fit into one message.
    let mut many = vec!["8.8.8.8".to_owned(); 4_000];
    many.push("127.0.0.1".to_owned());
    let chain = |count: usize| -> Vec<Lure> {
        let link =
            |at: usize| lure(&format!("link{at}"), Why::Refused, &said(&[of(&format!("link{}", at + 1))]));
        (0..count).map(link).collect()
    };
    let mut lures = vec![
        lure("private", Why::Refused, &[records(&["127.0.0.1"])]),
        lure("mixed", Why::Refused, &[records(&["8.8.8.8", "127.0.0.1"])]),
        lure("mixed-last", Why::Refused, &[records(&["127.0.0.1", "8.8.8.8", "1.1.1.1"])]),
        lure("mixed-kinds", Why::Refused, &[records(&["8.8.8.8", "::1"])]),
        lure("mixed-kinds-too", Why::Refused, &[records(&["2606:4700:4700::1111", "127.0.0.1"])]),
        lure("many", Why::Refused, &said(&many)),
        lure("whole-chain", Why::Refused, &said(&[of("end"), format!("{}=127.0.0.1", of("end"))])),
        lure("to-private", Why::Refused, &said(&[of("private")])),
        lure("to-mixed", Why::Refused, &said(&[of("mixed")])),
        lure("to-localhost", Why::Refused, &[records(&["localhost"])]),
        lure("two-aliases", Why::Refused, &said(&[of("mixed"), of("private")])),
        lure("itself", Why::Nowhere, &said(&[of("itself")])),
        lure("round", Why::Nowhere, &said(&[of("about")])),
        lure("about", Why::Nowhere, &said(&[of("round")])),
        lure("none", Why::Nowhere, &[records(&[])]),
        lure("of-another", Why::Nowhere, &said(&[format!("{}=127.0.0.1", of("elsewhere"))])),
    ];
    lures.extend(chain(4));
    lures.push(lure("link4", Why::Refused, &[records(&["::ffff:127.0.0.1"])]));
    lures.push(Lure { name: format!("nobody.{whose}.inward.test"), why: Why::Nowhere });
    for name in ["localhost", "LOCALHOST", "localhost.", "anything.localhost"] {
        lures.push(Lure { name: name.to_owned(), why: Why::Refused });
    }
    lures
}

/// A name for each address of the registries.
pub(crate) fn special(whose: &str) -> Vec<Lure> {
    let all = addresses::IPV4.iter().chain(addresses::IPV6).enumerate();
    all.map(|(at, address)| Lure::new(&format!("special{at}.{whose}"), Why::Refused, &[records(&[address])]))
        .collect()
}
