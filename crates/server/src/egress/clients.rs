//! The clients of HTTP that are kept, one for each identity: who shows another certificate, or pinned another key, has other connections and other
//! sessions of TLS, at the same host, too.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use countersign_core::{digest::Digest, webhook::channel::Channel};

use crate::fault::Fault;

/// Identities whose connections are kept. Those of the one that was used least lately make room for another.
const IDENTITIES: usize = 500;

/// Clients by who they are.
#[derive(Default)]
pub(super) struct Clients(Mutex<Known>);

#[derive(Default)]
struct Known {
    clients: HashMap<Digest, (reqwest::Client, u64)>,
    /// How often one was asked for so far.
    uses: u64,
}

impl Clients {
    /// The client of a channel, which is made if there is none: while others get theirs.
    pub(super) fn get(
        &self,
        channel: &Channel,
        make: impl FnOnce() -> Result<reqwest::Client, Fault>,
    ) -> Result<reqwest::Client, Fault> {
        let identity = identity(channel);
        if let Some(client) = self.known().find(&identity) {
            return Ok(client);
        }
        let made = make()?;
        let mut known = self.known();
        // Somebody else may have made it meanwhile: its connections are taken.
        if let Some(client) = known.find(&identity) {
            return Ok(client);
        }
        known.keep(identity, made.clone());
        Ok(made)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn find(&mut self, identity: &Digest) -> Option<reqwest::Client> {
        self.uses += 1;
        let (client, last_use) = self.clients.get_mut(identity)?;
        *last_use = self.uses;
        Some(client.clone())
    }

    fn keep(&mut self, identity: Digest, client: reqwest::Client) {
        if self.clients.len() >= IDENTITIES {
            let oldest = self.clients.iter().min_by_key(|(_, (_, last_use))| *last_use).map(|(one, _)| *one);
            oldest.and_then(|oldest| self.clients.remove(&oldest));
        }
        self.clients.insert(identity, (client, self.uses));
    }
}

/// What distinguishes connections: each part behind its length.
fn identity(channel: &Channel) -> Digest {
    let mut parts: Vec<&[u8]> = Vec::new();
    if let Some(certificate) = &channel.certificate {
        parts.extend(certificate.chain.iter().map(Vec::as_slice));
        parts.push(certificate.key.expose());
    }
    // Nothing else has no bytes.
    parts.push(&[]);
    parts.extend(channel.pins.iter().map(|pin| pin.digest().0.as_slice()));
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let parts: Vec<&[u8]> =
        lengths.iter().zip(&parts).flat_map(|(length, part)| [length.as_slice(), *part]).collect();
    Digest::of_parts(&parts)
}

#[cfg(test)]
mod tests {
    use countersign_core::{
        secret::Secret,
        time::Time,
        webhook::{channel::ClientCertificate, pin::Pin},
    };

    use super::*;

    fn channel(chain: &[&[u8]], key: &[u8]) -> Channel {
        let certificate = ClientCertificate {
            chain: chain.iter().map(|part| part.to_vec()).collect(),
            key: Secret::new(key.to_vec()),
            begins_at: Time::from_unix_ms(0),
            expires_at: Time::from_unix_ms(0),
        };
        Channel { certificate: Some(certificate), ..Channel::default() }
    }

    fn made(clients: &Clients, channel: &Channel) -> bool {
        let mut is_made = false;
        let make = || {
            is_made = true;
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
            reqwest::Client::builder().build().map_err(|error| Fault::Task(error.to_string()))
        };
        clients.get(channel, make).unwrap();
        is_made
    }

    /// W-7: a client takes long to be made, and nobody waits for another's; of two that make the same one, both get the first.
    #[test]
    fn a_client_is_made_beside_others() {
        let clients = Clients::default();
        let wanted = channel(&[b"a"], b"k");
        clients
            .get(&wanted, || {
                assert!(clients.0.try_lock().is_ok(), "others get theirs");
                assert!(made(&clients, &channel(&[b"b"], b"k")) && made(&clients, &wanted));
                reqwest::Client::builder().build().map_err(|error| Fault::Task(error.to_string()))
            })
            .unwrap();
        assert_eq!(clients.0.lock().unwrap().clients.len(), 2);
        assert!(!made(&clients, &wanted));
    }

    /// W-7: what is shown decides whose connections are taken, and nothing else does.
    #[test]
    fn each_identity_has_a_client_of_its_own() {
        let clients = Clients::default();
        let all = [
            Channel::default(),
            channel(&[b"a"], b"k"),
            channel(&[b"a"], b"l"),
            channel(&[b"b"], b"k"),
            channel(&[b"a", b"k"], b""),
            channel(&[b"ak"], b""),
            Channel { pins: vec![Pin::of(b"a")], ..Channel::default() },
            Channel { pins: vec![Pin::of(b"b")], ..Channel::default() },
            Channel { pins: vec![Pin::of(b"a"), Pin::of(b"b")], ..Channel::default() },
            Channel { pins: vec![Pin::of(b"a")], ..channel(&[b"a"], b"k") },
        ];
        assert!(all.iter().all(|channel| made(&clients, channel)));
        assert!(!all.iter().any(|channel| made(&clients, channel)));
        for number in 0..IDENTITIES - 1 {
            made(&clients, &channel(&[number.to_string().as_bytes()], b"many"));
            made(&clients, &all[0]);
        }
        assert_eq!(clients.0.lock().unwrap().clients.len(), IDENTITIES);
        assert!(!made(&clients, &all[0]) && made(&clients, &all[1]), "the one that was used lately stays");
    }
}
