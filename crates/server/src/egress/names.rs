//! Looks up the names of hosts that strangers give (W-8): once for each connection, without a thread that waits, and the whole
//! answer is refused for one address in it that is not allowed. What is given is what is connected to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    system_conf::parse_resolv_conf,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{broken::NoAddress, guard::NotFetched};
use crate::{config::Egress, fault::Fault};

/// Time for one question to one name server, which is asked again as `resolv.conf` says.
const QUESTION: Duration = Duration::from_secs(2);
/// Where the machine names its own (resolv.conf(5)).
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// So many addresses of one name are tried: a name with thousands would have this server knock at thousands of doors.
const ADDRESSES: usize = 8;
/// Questions that one TCP connection to a name server carries at the same time.
const QUESTIONS: usize = 1_024;

/// The names, as the guard lets them through.
pub(super) struct Names {
    resolver: TokioResolver,
    allowed: Arc<Egress>,
}

impl Names {
    /// Asks the operator's name servers, or else those of the machine.
    pub(super) fn new(allowed: Arc<Egress>) -> Result<Self, Fault> {
        let provider = TokioRuntimeProvider::default();
        let servers: Vec<_> = allowed.name_servers.iter().map(name_server).collect();
        let mut builder = if servers.is_empty() {
            let (config, options, doubt) = of_machine(std::fs::read(RESOLV_CONF));
            if let Some(doubt) = doubt {
                tracing::warn!(event_type = "start", event_result = "doubtful", "{doubt}");
            }
            TokioResolver::builder_with_config(config, provider).with_options(options)
        } else {
            TokioResolver::builder_with_config(ResolverConfig::from_name_servers(servers), provider)
        };
        let options = builder.options_mut();
        options.timeout = QUESTION;
        options.max_active_requests = QUESTIONS;
        // Both kinds, so that both are judged.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // An answer can be large, and strangers choose how many there are: the name server keeps them, and connections are kept.
        options.cache_size = 0;
        let failed = |error| Fault::Task(format!("the resolver of names cannot be made: {error}"));
        Ok(Self { resolver: builder.build().map_err(failed)?, allowed })
    }
}

/// What is wrong with the machine's own list of name servers, where the operator names none.
pub(crate) fn doubt(allowed: &Egress) -> Option<String> {
    if allowed.name_servers.is_empty() { of_machine(std::fs::read(RESOLV_CONF)).2 } else { None }
}

/// The name servers of the machine as its file names them, and what is wrong with that. A machine that has no such file, or names none,
/// has one of its own, or none (resolv.conf(5)); one whose file cannot be read is asked there as well, but not silently.
fn of_machine(file: io::Result<Vec<u8>>) -> (ResolverConfig, ResolverOpts, Option<String>) {
    let own = |doubt: Option<String>| {
        let own = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        let doubt = doubt.map(|doubt| {
            format!("{doubt}; 127.0.0.1 is asked for names: mend {RESOLV_CONF}, or set egress.name_servers")
        });
        (ResolverConfig::from_name_servers(vec![own]), ResolverOpts::default(), doubt)
    };
    let bytes = match file {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return own(None),
        Err(error) => return own(Some(format!("{RESOLV_CONF} cannot be read: {error}"))),
    };
    let text = String::from_utf8_lossy(&bytes);
    let named = text.lines().filter(|line| line.split_whitespace().next() == Some("nameserver")).count();
    match parse_resolv_conf(&bytes) {
        Ok((config, options)) => {
            let taken = config.name_servers().len();
            let doubt = (taken < named).then(|| {
                format!("{RESOLV_CONF} names {named} name servers, of which {taken} can be read: mend it, or set egress.name_servers")
            });
            (config, options, doubt)
        }
        Err(_) if named == 0 => own(None),
        Err(error) => own(Some(format!("{RESOLV_CONF} cannot be understood: {error}"))),
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let at = |mut connection: ConnectionConfig| {
        connection.port = address.port();
        connection
    };
    let connections = vec![at(ConnectionConfig::udp()), at(ConnectionConfig::tcp())];
    NameServerConfig::new(address.ip(), true, connections)
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, allowed) = (self.resolver.clone(), Arc::clone(&self.allowed));
        Box::pin(async move {
            let host = name.as_str();
            // The search list of the machine is for names of the operator's own.
            let asked =
                if allowed.names(host) || host.ends_with('.') { host.to_owned() } else { format!("{host}.") };
            let said = resolver.lookup_ip(asked).await;
            let no_address = |error: NetError| {
                if error.is_no_records_found() { NoAddress::None } else { NoAddress::Unknown }
            };
            let found: Vec<IpAddr> = said.map_err(no_address)?.iter().collect();
            Ok(Box::new(let_through(&allowed, host, &found)?.into_iter()) as Addrs)
        })
    }
}

/// What is connected to, of what was found: a few of each family, if all are allowed.
fn let_through(allowed: &Egress, host: &str, found: &[IpAddr]) -> Result<Vec<SocketAddr>, NotFetched> {
    if found.is_empty() || !found.iter().all(|address| allowed.allows(Some(host), *address)) {
        return Err(NotFetched::NotPublic);
    }
    let (old, new): (Vec<&IpAddr>, Vec<&IpAddr>) = found.iter().partition(|address| address.is_ipv4());
    // Half of them are kept for the family that would else find no room behind the other.
    let of_old = ADDRESSES - new.len().min(ADDRESSES / 2);
    let chosen = old.into_iter().take(of_old).chain(new);
    Ok(chosen.take(ADDRESSES).map(|address| SocketAddr::new(*address, 0)).collect())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    /// W-8: of ten thousand addresses a few are tried, and one that is not allowed is one too many wherever it stands.
    #[test]
    fn of_many_addresses_all_are_judged_and_few_are_tried() {
        let allowed = Egress::default();
        let mut found: Vec<IpAddr> =
            (0..10_000_u32).map(|at| Ipv4Addr::from_bits(0x0808_0000 + at).into()).collect();
        assert_eq!(let_through(&allowed, "example.com", &found).unwrap().len(), ADDRESSES);
        for at in [0, 5_000, 9_999] {
            let public = std::mem::replace(&mut found[at], Ipv4Addr::LOCALHOST.into());
            assert_eq!(let_through(&allowed, "example.com", &found), Err(NotFetched::NotPublic), "{at}");
            found[at] = public;
        }
        assert_eq!(let_through(&allowed, "example.com", &[]), Err(NotFetched::NotPublic));
    }

    /// W-8: a list of name servers that cannot be read is not passed over in silence; none at all is how a machine says that it has its
    /// own (resolv.conf(5)).
    #[test]
    fn a_list_of_name_servers_that_cannot_be_read_is_told() {
        let own = ["127.0.0.1"].as_slice();
        for (text, asked, told) in [
            ("nameserver 10.0.0.53\nsearch example.com\n", ["10.0.0.53"].as_slice(), None),
            ("nameserver 10.0.0.53\nnameserver 2001:db8::53\n", &["10.0.0.53", "2001:db8::53"], None),
            ("", own, None),
            ("# nameserver 10.0.0.53\noptions edns0\n", own, None),
            ("nameserver ten\n", own, Some("127.0.0.1 is asked")),
            ("nameserver 10.0.0.53\nsearch a..b\n", own, Some("127.0.0.1 is asked")),
            ("nameserver 10.0.0.53\nnameserver 10.0.0.530\n", &["10.0.0.53"], Some("of which 1 can")),
        ] {
            let (config, _, doubt) = of_machine(Ok(text.as_bytes().to_vec()));
            let found: Vec<String> =
                config.name_servers().iter().map(|server| server.ip.to_string()).collect();
            assert_eq!(found, asked, "{text}");
            assert_eq!(doubt.is_some(), told.is_some(), "{text}: {doubt:?}");
            assert!(doubt.unwrap_or_default().contains(told.unwrap_or_default()), "{text}");
        }
        assert_eq!(of_machine(Err(io::ErrorKind::NotFound.into())).2, None);
        assert!(
            of_machine(Err(io::ErrorKind::PermissionDenied.into())).2.unwrap().contains("cannot be read")
        );
    }

    /// W-8: neither family hides the other, and neither is judged less for it.
    #[test]
    fn of_both_families_some_are_tried() {
        let allowed = Egress::default();
        let old = |count: u32| (0..count).map(|at| IpAddr::from(Ipv4Addr::from_bits(0x0808_0000 + at)));
        let new =
            |count: u16| (0..count).map(|at| IpAddr::from(Ipv6Addr::new(0x2606, 0x4700, 0, 0, 0, 0, 1, at)));
        for (of_old, of_new, chosen_old, chosen_new) in [
            (8, 2, 6, 2),
            (20, 20, 4, 4),
            (2, 20, 2, 6),
            (0, 20, 0, 8),
            (20, 0, 8, 0),
            (1, 1, 1, 1),
            (3, 5, 3, 5),
        ] {
            for is_new_first in [false, true] {
                let mut found: Vec<IpAddr> = old(of_old).chain(new(of_new)).collect();
                if is_new_first {
                    found.reverse();
                }
                let chosen = let_through(&allowed, "example.com", &found).unwrap();
                let count = |is_old: bool| chosen.iter().filter(|one| one.is_ipv4() == is_old).count();
                assert_eq!((count(true), count(false)), (chosen_old, chosen_new), "{of_old} and {of_new}");
            }
        }
        let hidden: Vec<IpAddr> = old(8).chain(new(8)).chain([Ipv6Addr::LOCALHOST.into()]).collect();
        assert_eq!(let_through(&allowed, "example.com", &hidden), Err(NotFetched::NotPublic));
    }
}
