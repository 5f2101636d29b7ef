//! The servers that are measured: each by itself, under the same load. Here the peer's, and what is known of all.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    Failure,
    auth::{CONNECTIONS, client::Client},
    cluster::free_port,
    connection::{Connection, Endpoint},
    cpu,
    house::Folder,
};

/// The scope that clients ask for.
pub(crate) const SCOPE: &str = "envelopes:read";
/// Users that gave the first client a refresh token each.
pub(crate) const USERS: usize = 4 * CONNECTIONS;

/// Who asks.
pub(crate) struct Clients {
    /// Asks for tokens, bound to its key by DPoP (RFC 9449 §5.2).
    pub(crate) integrator: Client,
    /// Asks what tokens are worth (RFC 7662).
    pub(crate) resource_server: Client,
}

impl Clients {
    /// Two, with new keys.
    pub(crate) fn new() -> Result<Self, Failure> {
        Ok(Self { integrator: Client::new()?, resource_server: Client::new()? })
    }
}

/// An API of the server that is measured.
pub(crate) struct Api {
    /// An API key that may read envelopes.
    pub(crate) key: String,
    /// An envelope that there is not.
    pub(crate) envelope: Endpoint,
    /// A route that there is not.
    pub(crate) nowhere: Endpoint,
}

/// What a server says of itself when it serves.
pub(crate) struct Introduction {
    /// Where it listens in plain, where that is not its URL's place.
    pub(crate) address: Option<String>,
    pub(crate) issuer: String,
    /// What it calls the two clients.
    pub(crate) client_ids: [String; 2],
    /// One for each user, each of a grant of its own.
    pub(crate) refresh_tokens: Vec<String>,
    /// An API key, where the server has an API.
    pub(crate) api_key: Option<String>,
}

/// A server at work, stopped when it is dropped.
pub(crate) struct Subject {
    server: Child,
    // Closed, it would be written to in vain.
    _output: Option<BufReader<ChildStdout>>,
    _folder: Option<Folder>,
    pub(crate) issuer: String,
    pub(crate) client_ids: [String; 2],
    pub(crate) refresh_tokens: Vec<String>,
    pub(crate) token: Endpoint,
    pub(crate) introspection: Endpoint,
    pub(crate) revocation: Endpoint,
    pub(crate) api: Option<Api>,
}

impl Subject {
    /// Reads the metadata of a server that serves (RFC 8414 §3).
    pub(crate) fn begin(
        server: Child,
        output: Option<BufReader<ChildStdout>>,
        folder: Option<Folder>,
        said: Introduction,
    ) -> Result<Self, Failure> {
        let Introduction { address, issuer, client_ids, refresh_tokens, api_key } = said;
        let at = |url: &str| match &address {
            Some(address) => Endpoint::behind(url, address),
            None => Endpoint::parse(url),
        };
        let place = at(&format!("{issuer}/.well-known/oauth-authorization-server"))?;
        let metadata = Connection::open(&place)?.ask(&place.get(""))?;
        let metadata: Value = serde_json::from_slice(&metadata.body)?;
        if text(&metadata, "issuer")? != issuer {
            return Err(format!("the metadata of {issuer} are of another issuer").into());
        }
        let endpoint = |name: &str| at(&text(&metadata, name)?);
        let api = |key| {
            let envelope = at(&format!("{issuer}/v1/envelopes/none"))?;
            Ok::<_, Failure>(Api { key, envelope, nowhere: at(&format!("{issuer}/v1/nowhere/none"))? })
        };
        Ok(Self {
            token: endpoint("token_endpoint")?,
            introspection: endpoint("introspection_endpoint")?,
            revocation: endpoint("revocation_endpoint")?,
            api: api_key.map(api).transpose()?,
            server,
            _output: output,
            _folder: folder,
            issuer,
            client_ids,
            refresh_tokens,
        })
    }

    /// Processor time of the server in ns, with its workers' and without its database's.
    pub(crate) fn cpu_ns(&self) -> Result<u64, Failure> {
        cpu::of_process_and_children_ns(self.server.id())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It is ours, and there is nobody to tell if it has ended already. The workers of a server end with it.
        let _ = self.server.kill().and_then(|()| self.server.wait());
    }
}

fn text(value: &Value, name: &str) -> Result<String, Failure> {
    let found = value.get(name).and_then(Value::as_str);
    Ok(found.ok_or_else(|| format!("the server does not say its {name}"))?.to_owned())
}

/// oidc-provider, in the folder where its program is and finds its packages.
pub(crate) struct Peer<'a> {
    pub(crate) folder: &'a Path,
    /// Processes that share the work.
    pub(crate) workers: u32,
}

impl Peer<'_> {
    /// Connections to the database of each of its processes: PostgreSQL takes 100 in all.
    const POOL: usize = 32;
    /// What it calls the two clients.
    const CLIENT_IDS: [&'static str; 2] = ["integrator", "resource-server"];

    /// Starts it over an empty database.
    pub(crate) fn start(&self, database: &str, clients: &Clients) -> Result<Subject, Failure> {
        let wish = json!({
            "database": database,
            "port": free_port()?,
            "connections": Self::POOL,
            "clients": Self::metadata(clients),
            "scope": SCOPE,
            "users": USERS,
            "workers": self.workers,
        });
        let mut command = Command::new("node");
        command.arg(self.folder.join("server.mjs")).arg(wish.to_string()).env("NODE_ENV", "production");
        let mut server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(server.stdout.take().ok_or("the server has no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let said: Value =
            serde_json::from_str(&line).map_err(|_| "the server did not start; it says why above")?;
        let introduction = Introduction {
            address: None,
            issuer: text(&said, "issuer")?,
            client_ids: Self::CLIENT_IDS.map(str::to_owned),
            refresh_tokens: serde_json::from_value(said.get("refresh_tokens").cloned().unwrap_or_default())?,
            api_key: None,
        };
        Subject::begin(server, Some(output), None, introduction)
    }

    /// How the clients are registered (RFC 7591 §2).
    fn metadata(clients: &Clients) -> [Value; 2] {
        let Clients { integrator, resource_server } = clients;
        let [integrator_id, resource_server_id] = Self::CLIENT_IDS;
        [
            json!({
                "client_id": integrator_id,
                "jwks": integrator.jwks(),
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": "ES256",
                "grant_types": ["authorization_code", "client_credentials", "refresh_token"],
                "redirect_uris": ["https://integrator.example/back"],
                "response_types": ["code"],
                "scope": format!("offline_access {SCOPE}"),
                "dpop_bound_access_tokens": true,
            }),
            json!({
                "client_id": resource_server_id,
                "jwks": resource_server.jwks(),
                "token_endpoint_auth_method": "private_key_jwt",
                "token_endpoint_auth_signing_alg": "ES256",
                "grant_types": [],
                "redirect_uris": [],
                "response_types": [],
            }),
        ]
    }
}
