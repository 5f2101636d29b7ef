//! What the configuration says of senders, checked: proofs with their keys, and where messages go.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use countersign_webhooks::{KeySet, Place, Verifier, Window};
use reqwest::{Certificate, Client, Url, redirect::Policy};
use sha2::{Digest as _, Sha256};

use super::checked::{Outlet, Reader, Sender, is_same_place};
use super::{Accept, Format, Forward, Key, Pull, SenderFile, defaults, pem};
use crate::fault::with_causes;
use crate::mac::MacKey;
use crate::sender::{Countersign, KeySource, Proof};

/// The longest token of a program that asks for messages.
const TOKEN_BYTES_MAX: usize = 1_024;

impl Reader<'_> {
    pub(super) fn sender(&mut self, name: &str, file: SenderFile) -> Option<Sender> {
        let place = format!("senders.{name}");
        let is_name = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
        if !is_name {
            self.refuse(&place, "a name has 1 to 64 characters of a-z, 0-9 and -");
        }
        self.within(&format!("{place}.messages_per_s"), file.messages_per_s.into(), 1, 1 << 24);
        if file.client_certificate && !self.around.has_client_ca {
            self.refuse(&format!("{place}.client_certificate"), "it needs listen.client_ca_file");
        }
        let outlet = match (&file.forward, &file.pull) {
            (Some(forward), None) => self.forward(&format!("{place}.forward"), forward, file.format),
            (None, Some(pull)) => self.pull(&format!("{place}.pull"), pull),
            _ => {
                self.refuse(&place, "set either a table `forward` or a table `pull`");
                None
            }
        };
        let proof = if file.format == Format::Countersign {
            self.countersign(&place, &file).map(|one| Proof::Countersign(Box::new(one)))
        } else {
            self.preset(&place, &file)
        };
        Some(Sender {
            name: name.into(),
            proof: proof?,
            networks: file.networks,
            client_certificate: file.client_certificate,
            messages_per_s: file.messages_per_s,
            outlet: outlet?,
        })
    }

    fn preset(&mut self, place: &str, file: &SenderFile) -> Option<Proof> {
        let is_countersigns = !file.keys.is_empty()
            || file.accept.is_some()
            || file.url.is_some()
            || file.jwks_url.is_some()
            || file.jwks_ca_file.is_some();
        if is_countersigns {
            self.refuse(
                place,
                "`accept`, `keys`, `url`, `jwks_url` and `jwks_ca_file` are for the format countersign: remove them",
            );
        }
        if file.secret_envs.is_empty() {
            self.refuse(&format!("{place}.secret_envs"), "there is none: name the variable with the secret");
        }
        let mut keys = Vec::new();
        for variable in &file.secret_envs {
            let place = format!("{place}.secret_envs");
            let Some(secret) = self.secret(&place, variable) else { continue };
            if file.format == Format::Stripe
                && ["sk_", "rk_", "pk_"].iter().any(|start| secret.starts_with(start))
            {
                self.refuse(
                    &place,
                    &format!(
                        "what is in {variable} is a key of Stripe's API: put the signing secret of the endpoint there, `whsec_…`"
                    ),
                );
            }
            if secret.len() < 16 {
                self.refuse(
                    &place,
                    &format!("what is in {variable} is shorter than 16 characters: make a longer one"),
                );
            }
            keys.push(MacKey::of_text(&secret));
        }
        if file.format == Format::Stripe {
            self.window(place, file.window_s);
        } else if file.window_s != defaults::window_s() {
            self.doubt(
                &format!("{place}.window_s"),
                "messages of this format have no signed time of sending, and so no window: remove it",
            );
        }
        self.distinct(&format!("{place}.secret_envs"), &file.secret_envs);
        match file.format {
            Format::Stripe => Some(Proof::Stripe(keys, file.window_s)),
            Format::Github => Some(Proof::Github(keys)),
            Format::Docusign => Some(Proof::Docusign(keys, self.around.remember_s)),
            Format::Countersign => None,
        }
    }

    fn window(&mut self, place: &str, window_s: u32) -> Window {
        match window_s {
            120 => Window::TwoMinutes,
            300 => Window::FiveMinutes,
            _ => {
                self.refuse(&format!("{place}.window_s"), "set it to 300 or to 120");
                Window::FiveMinutes
            }
        }
    }

    /// A variable that is named twice is one secret, where two were meant.
    fn distinct(&mut self, place: &str, variables: &[String]) {
        let mut seen = BTreeSet::new();
        if !variables.iter().all(|variable| seen.insert(variable)) {
            self.doubt(place, "one variable is named twice: name each once");
        }
    }

    fn countersign(&mut self, place: &str, file: &SenderFile) -> Option<Countersign> {
        if !file.secret_envs.is_empty() {
            self.refuse(
                &format!("{place}.secret_envs"),
                "the format countersign has `keys`, each with its id",
            );
        }
        let accept = match file.accept {
            Some(Accept::V1) | None => countersign_webhooks::Accept::V1,
            Some(Accept::V1a) => countersign_webhooks::Accept::V1a,
            Some(Accept::V1OrV1a) => countersign_webhooks::Accept::V1OrV1a,
            Some(Accept::MessageSignature) => countersign_webhooks::Accept::MessageSignature,
        };
        let mut keys = KeySet::new();
        for (number, key) in file.keys.iter().enumerate() {
            keys = self.key(&format!("{place}.keys[{number}]"), key, keys);
        }
        self.use_of_keys(place, accept, file);
        let mut seen = BTreeSet::new();
        if !file.keys.iter().all(|key| seen.insert((&key.id, key.public_key.is_some()))) {
            self.doubt(
                &format!("{place}.keys"),
                "two have the same id: give each the id that its page shows",
            );
        }
        if file.keys.is_empty() && file.jwks_url.is_none() {
            self.refuse(place, "there is no key: set `keys` or `jwks_url`");
        }
        if accept == countersign_webhooks::Accept::V1 && file.jwks_url.is_some() {
            self.refuse(
                &format!("{place}.jwks_url"),
                "`v1` is verified with a secret, which is in no JWK set: set accept = \"v1a\" or \"message-signature\"",
            );
        }
        if file.jwks_ca_file.is_some() && file.jwks_url.is_none() {
            self.doubt(&format!("{place}.jwks_ca_file"), "it is for jwks_url: remove it");
        }
        if file.url.is_some() && accept != countersign_webhooks::Accept::MessageSignature {
            self.doubt(
                &format!("{place}.url"),
                "only an HTTP Message Signature covers it: set accept = \"message-signature\", or remove it",
            );
        }
        let url = file.url.clone().unwrap_or_else(|| "https://localhost/".to_owned());
        if file.url.is_none() && accept == countersign_webhooks::Accept::MessageSignature {
            self.refuse(
                &format!("{place}.url"),
                "an HTTP Message Signature covers it: set the endpoint's URL",
            );
        }
        if let Err(error) = Place::of_url(&url) {
            self.refuse(&format!("{place}.url"), &error.to_string());
        }
        let window = self.window(place, file.window_s);
        let source = match &file.jwks_url {
            Some(url) => {
                let of_url = format!("{place}.jwks_url");
                let url = self.url(&of_url, url, true)?;
                let ca = (format!("{place}.jwks_ca_file"), file.jwks_ca_file.as_deref());
                let client = self.client(&of_url, &url, &ca, Duration::from_secs(5))?;
                Some(KeySource::new(url, client))
            }
            None => None,
        };
        let verifier = Verifier::new(accept).with_window(window).with_body_bytes_max(self.around.body_bytes);
        Some(Countersign { verifier, keys, source, url })
    }

    /// What proves nothing here was meant for something: that is asked now, and not at the first message. Beside another key it is
    /// without effect; alone it refuses every message.
    fn use_of_keys(&mut self, place: &str, accept: countersign_webhooks::Accept, file: &SenderFile) {
        let wanted = |key: &Key| match accept {
            countersign_webhooks::Accept::V1 if key.public_key.is_some() => Some(
                "`v1` is verified with the secret: set `secret_env`, or accept = \"v1a\" for a public key",
            ),
            countersign_webhooks::Accept::V1a | countersign_webhooks::Accept::MessageSignature
                if key.secret_env.is_some() =>
            {
                Some(
                    "what is accepted here is verified with a public key: set `public_key`, or accept = \"v1\" for a secret",
                )
            }
            _ => None,
        };
        let proves_some = file.jwks_url.is_some() || file.keys.iter().any(|key| wanted(key).is_none());
        for (number, key) in file.keys.iter().enumerate() {
            let place = format!("{place}.keys[{number}]");
            match wanted(key) {
                Some(sentence) if proves_some => self.doubt(&place, sentence),
                Some(sentence) => self.refuse(&place, sentence),
                None => {}
            }
        }
    }

    fn key(&mut self, place: &str, key: &Key, keys: KeySet) -> KeySet {
        let id = match key.id.parse() {
            Ok(id) => id,
            Err(error) => {
                self.wrong.push(format!("{place}.id: {error}"));
                return keys;
            }
        };
        match (&key.secret_env, &key.public_key) {
            (Some(variable), None) => {
                let place = format!("{place}.secret_env");
                let Some(secret) = self.secret(&place, variable) else { return keys };
                match secret.parse() {
                    Ok(secret) => return keys.with_secret(id, secret),
                    Err(error) => self.wrong.push(format!("{place}: {variable}: {error}")),
                }
            }
            (None, Some(public)) => match public.parse() {
                Ok(public) => return keys.with_public_key(id, public),
                Err(error) => self.wrong.push(format!("{place}.public_key: {error}")),
            },
            _ => self.refuse(place, "set either `secret_env` or `public_key`"),
        }
        keys
    }

    fn forward(&mut self, place: &str, forward: &Forward, format: Format) -> Option<Outlet> {
        self.within(&format!("{place}.concurrency"), forward.concurrency.into(), 1, 1_024);
        self.within(&format!("{place}.attempt_s"), forward.attempt_s.into(), 1, 300);
        self.within(&format!("{place}.gap_s"), forward.gap_s.into(), 0, 3_600);
        if forward.ordered && format != Format::Countersign {
            self.refuse(
                &format!("{place}.ordered"),
                "only messages of Countersign say their order: remove it",
            );
        }
        if forward.gap_s != defaults::gap_s() && !forward.ordered {
            self.doubt(&format!("{place}.gap_s"), "it is for ordered = true: set that too, or remove it");
        }
        self.distinct(&format!("{place}.secret_envs"), &forward.secret_envs);
        if forward.secret_envs.len() > 2 {
            self.refuse(&format!("{place}.secret_envs"), "two are enough to change one: remove the others");
        }
        let mut keys = Vec::new();
        for variable in &forward.secret_envs {
            let place = format!("{place}.secret_envs");
            let Some(secret) = self.secret(&place, variable) else { continue };
            match MacKey::of_standard(&secret) {
                Some(key) => keys.push(key),
                None => self.refuse(
                    &place,
                    &format!(
                        "what is in {variable} is no secret: it is `whsec_` and base64 of 24 to 64 bytes, as \
                         `countersign-relay secret` makes it"
                    ),
                ),
            }
        }
        let attempt = Duration::from_secs(forward.attempt_s.into());
        let of_url = format!("{place}.url");
        let url = self.url(&of_url, &forward.url, false)?;
        if self.around.own.iter().any(|own| is_at(&url, *own)) {
            self.refuse(&of_url, "the relay itself listens there: give the address of your system");
        }
        let ca = (format!("{place}.ca_file"), forward.ca_file.as_deref());
        let client = self.client(&of_url, &url, &ca, attempt)?;
        Some(Outlet::Forward {
            url,
            client,
            keys,
            concurrency: forward.concurrency,
            attempt,
            gap: forward.ordered.then(|| Duration::from_secs(forward.gap_s.into())),
        })
    }

    fn pull(&mut self, place: &str, pull: &Pull) -> Option<Outlet> {
        self.within(&format!("{place}.lease_s"), pull.lease_s.into(), 1, 24 * 3_600);
        let of_token = format!("{place}.token_env");
        let token = self.secret(&of_token, &pull.token_env)?;
        if token.len() < 32 {
            self.refuse(&of_token, "the token is shorter than 32 characters: make a longer one, at random");
        }
        if token.len() > TOKEN_BYTES_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.refuse(
                &of_token,
                "no header can carry the token: it has at most 1024 letters, digits and signs of ASCII, without spaces",
            );
        }
        let lease = Duration::from_secs(pull.lease_s.into());
        Some(Outlet::Pull { token: Sha256::digest(token.as_bytes()).into(), lease })
    }

    /// A URL to ask. Keys come over TLS, or from this machine.
    fn url(&mut self, place: &str, text: &str, needs_tls: bool) -> Option<Url> {
        let url = text.parse::<Url>().ok().filter(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
                && url.host_str().is_some()
        });
        let Some(url) = url else {
            self.refuse(place, "it is no URL: give https://host/path, without user, password and fragment");
            return None;
        };
        let is_here = url.host_str().is_some_and(|host| {
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            host == "localhost" || address.is_ok_and(|address| address.is_loopback())
        });
        if needs_tls && url.scheme() != "https" && !is_here {
            self.refuse(place, "keys are fetched over https");
        }
        Some(url)
    }

    /// A client for a URL, and for no other: over plain text it needs no CA.
    fn client(
        &mut self,
        of_url: &str,
        url: &Url,
        (of_ca, ca_file): &(String, Option<&Path>),
        deadline: Duration,
    ) -> Option<Client> {
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(deadline)
            .tcp_nodelay(true)
            .user_agent("Countersign-Relay/1");
        if url.scheme() == "http" {
            if ca_file.is_some() {
                self.doubt(of_ca, "it is for https, and the URL says http: change one of them");
            }
            builder = builder.tls_certs_only([]);
        } else if let Some(path) = ca_file {
            builder = builder.tls_certs_merge(self.authorities(of_ca, path)?);
        } else if rustls_native_certs::load_native_certs().certs.is_empty() {
            self.refuse(
                of_url,
                &format!("this machine knows no CA to check the certificate with: install ca-certificates, or set {of_ca}"),
            );
            return None;
        }
        let place = if ca_file.is_some() { of_ca } else { of_url };
        builder.build().map_err(|error| self.refuse(place, &with_causes(&error))).ok()
    }

    fn authorities(&mut self, place: &str, path: &Path) -> Option<Vec<Certificate>> {
        let read = pem::certificates(path).and_then(|found| {
            let usable = found.iter().map(|one| Certificate::from_der(one)).collect::<Result<Vec<_>, _>>();
            usable.map_err(|error| format!("{}: {}", path.display(), with_causes(&error)))
        });
        read.map_err(|sentence| self.refuse(place, &sentence)).ok()
    }
}

/// Whether a URL leads to an address, as far as that can be known without asking for names.
fn is_at(url: &Url, own: SocketAddr) -> bool {
    let port = url.port_or_known_default().unwrap_or_default();
    let address = match url.host_str().unwrap_or_default() {
        "localhost" => Some(own.ip()).filter(IpAddr::is_loopback).or(Some(Ipv4Addr::LOCALHOST.into())),
        host => host.trim_matches(['[', ']']).parse().ok(),
    };
    address.is_some_and(|address| is_same_place(SocketAddr::new(address, port), own))
}
