//! The servers that are measured: each by itself, over the same PostgreSQL, with the same clients.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    Failure,
    auth::{
        CONNECTIONS,
        client::Client,
        cluster::free_port,
        connection::{Connection, Endpoint},
    },
    cpu,
};

/// The scope that clients ask for.
pub(crate) const SCOPE: &str = "envelopes:read";
/// Users that gave the first client a refresh token each.
const USERS: usize = 16 * CONNECTIONS;

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
        Ok(Self { integrator: Client::new("integrator")?, resource_server: Client::new("resource-server")? })
    }

    /// How they are registered (RFC 7591 §2).
    pub(crate) fn metadata(&self) -> [Value; 2] {
        let Self { integrator, resource_server } = self;
        [
            json!({
                "client_id": integrator.id,
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
                "client_id": resource_server.id,
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

/// A server at work, stopped when it is dropped.
pub(crate) struct Subject {
    server: Child,
    // Closed, it would be written to in vain.
    _output: BufReader<ChildStdout>,
    /// What its metadata says.
    pub(crate) issuer: String,
    pub(crate) token: Endpoint,
    pub(crate) introspection: Endpoint,
    /// One for each user, each of a grant of its own.
    pub(crate) refresh_tokens: Vec<String>,
}

impl Subject {
    /// Waits for the line of JSON in which a server says its `issuer` and the users' `refresh_tokens`, and reads its
    /// metadata (RFC 8414 §3).
    fn begin(mut server: Child) -> Result<Self, Failure> {
        let mut output = BufReader::new(server.stdout.take().ok_or("the server has no output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let said: Value =
            serde_json::from_str(&line).map_err(|_| "the server did not start; it says why above")?;
        let issuer = text(&said, "issuer")?;
        let refresh_tokens = serde_json::from_value(said.get("refresh_tokens").cloned().unwrap_or_default())?;
        let place = Endpoint::parse(&format!("{issuer}/.well-known/oauth-authorization-server"))?;
        let metadata = Connection::open(&place)?.ask(&place.get())?;
        let metadata: Value = serde_json::from_slice(&metadata.body)?;
        if text(&metadata, "issuer")? != issuer {
            return Err(format!("the metadata of {issuer} are of another issuer").into());
        }
        let endpoint = |name: &str| Endpoint::parse(&text(&metadata, name)?);
        Ok(Self {
            token: endpoint("token_endpoint")?,
            introspection: endpoint("introspection_endpoint")?,
            server,
            _output: output,
            issuer,
            refresh_tokens,
        })
    }

    /// Processor time of the server in ns, without its database's.
    pub(crate) fn cpu_ns(&self) -> Result<u64, Failure> {
        cpu::of_process_ns(self.server.id())
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // It is ours, and there is nobody to tell if it has ended already.
        let _ = self.server.kill().and_then(|()| self.server.wait());
    }
}

fn text(value: &Value, name: &str) -> Result<String, Failure> {
    let found = value.get(name).and_then(Value::as_str);
    Ok(found.ok_or_else(|| format!("the server does not say its {name}"))?.to_owned())
}

/// oidc-provider, in the folder where its program is and finds its packages.
pub(crate) struct Peer<'a>(pub(crate) &'a Path);

impl Peer<'_> {
    /// Starts it over an empty database.
    pub(crate) fn start(&self, database: &str, clients: &Clients) -> Result<Subject, Failure> {
        let wish = json!({
            "database": database,
            "port": free_port()?,
            "connections": CONNECTIONS,
            "clients": clients.metadata(),
            "scope": SCOPE,
            "users": USERS,
        });
        let mut command = Command::new("node");
        command.arg(self.0.join("server.mjs")).arg(wish.to_string()).env("NODE_ENV", "production");
        Subject::begin(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?)
    }
}

/// Our own server.
pub(crate) struct Ours;

impl Ours {
    /// Starts it over an empty database, with both clients and [`USERS`] grants of the first.
    pub(crate) fn start(_database: &str, _clients: &Clients) -> Result<Subject, Failure> {
        Err("our own server is not measured: it has no /oauth/token yet".into())
    }
}
