//! `countersign clients`: make a key, register the program that has it, list, end.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::{Args, Subcommand};
use countersign_core::{
    access::Environment,
    id::ClientId,
    oauth::{
        client::Registration,
        jose::{Jwk, JwkSet, NotJose, PublicKey},
    },
    refusal::{Code, Refusal},
    scope::{Scope, Scopes},
};
use p256::SecretKey;
use serde_json::{Value, json};

use super::{print, print_once};
use crate::{
    app::{Records, SystemRandomness, draw},
    clients::{self, Registered},
    fault::{Failure, Fault},
    organizations::{self, operator},
    vault::write_new,
};

/// OAuth clients: programs that call the API with access tokens.
#[derive(Subcommand)]
pub enum Clients {
    /// Make a key for a program, on the machine where the program runs. The file has the private key (JWK, mode 0600);
    /// what is printed is the public one, for `clients create --jwks`.
    Keygen {
        /// The new file.
        file: PathBuf,
    },
    /// Register a program and print its client id. It proves who it is with its key, and its tokens are bound to a DPoP key
    /// (FAPI 2.0). For anything else give the whole registration as JSON.
    Create(Create),
    /// List clients: id, organization, environment, profile, method, scopes, name.
    List {
        /// Name or id of an organization; without it, the clients of all.
        #[arg(long)]
        organization: Option<String>,
    },
    /// End a client at once, with everything that it was granted, also in a server that runs.
    End {
        /// Its id, `cli_…`.
        client: ClientId,
    },
}

/// What a client is to be.
#[derive(Args)]
pub struct Create {
    /// Name or id of the organization.
    #[arg(long)]
    organization: String,
    /// `sandbox` or `live`.
    #[arg(long, default_value = "sandbox", value_parser = parse_environment)]
    environment: Environment,
    /// What people are shown.
    #[arg(long, required_unless_present = "registration")]
    name: Option<String>,
    /// File with its public keys (JWK set), as `clients keygen` prints it, or with one public JWK; `-` reads standard input.
    #[arg(long, required_unless_present = "registration")]
    jwks: Option<PathBuf>,
    /// A scope; give several by repeating it.
    #[arg(long = "scope", value_parser = parse_scope)]
    scopes: Vec<Scope>,
    /// File with a whole registration (RFC 7591) as JSON, instead of the three above; `-` reads standard input.
    #[arg(long, conflicts_with_all = ["name", "jwks", "scopes"])]
    registration: Option<PathBuf>,
}

/// Reads an environment.
pub fn parse_environment(text: &str) -> Result<Environment, String> {
    Environment::parse(text).ok_or_else(|| "environments are: sandbox, live".to_owned())
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    Scope::parse(text).ok_or_else(|| {
        let known: Vec<&str> = Scope::ALL.iter().map(|scope| scope.text()).collect();
        format!("scopes are: {}", known.join(", "))
    })
}

/// Makes a key: the private part goes into a new file, the public part is given as a JWK set.
pub fn keygen(file: &Path) -> Result<String, Fault> {
    if file.exists() {
        let sentence =
            format!("{} exists, and no key is ever overwritten: choose another name", file.display());
        return Err(Fault::Unsafe(sentence));
    }
    // Nearly every 32 bytes are a key of P-256.
    let drawn = std::iter::repeat_with(|| SecretKey::from_slice(&draw::<32>(&SystemRandomness)));
    let secret = drawn.take(100).find_map(Result::ok);
    let secret = secret.ok_or_else(|| Fault::Key("no key could be drawn".to_owned()))?;
    let point = secret.public_key().to_sec1_bytes();
    let (x, y) = point.get(1..).and_then(|rest| rest.split_at_checked(32)).unwrap_or_default();
    let fixed =
        |part: &[u8]| part.try_into().map_err(|_| Fault::Key("a new key has no public part".to_owned()));
    let mut public = Jwk { key: PublicKey::P256 { x: fixed(x)?, y: fixed(y)? }, kid: None, x5c: Vec::new() };
    let kid = URL_SAFE_NO_PAD.encode(public.thumbprint().0);
    public.kid = Some(kid);
    let mut private = public.to_json();
    if let Value::Object(members) = &mut private {
        members.insert("d".to_owned(), json!(URL_SAFE_NO_PAD.encode(secret.to_bytes())));
    }
    write_new(file, format!("{private}\n").as_bytes(), 0o600)?;
    Ok(json!({ "keys": [public.to_json()] }).to_string())
}

/// Runs a command on the records.
pub async fn run(records: &Records, command: Clients) -> Result<(), Failure> {
    match command {
        Clients::Keygen { file } => print(keygen(&file)?)?,
        Clients::Create(create) => {
            let made = register(records, create).await?;
            let registered = &made.client;
            eprintln!(
                "Registered `{}` in {}. Its token endpoint is {}/oauth/token; this is its client id:",
                registered.registration.client_name,
                registered.row.tenant.environment().text(),
                records.config.server.public_url
            );
            print(registered.row.client)?;
            if let Some(secret) = &made.secret {
                eprintln!("This is its secret, shown once:");
                print_once(secret.expose())?;
            }
        }
        Clients::List { organization } => list(records, organization.as_deref()).await?,
        Clients::End { client } => {
            end(records, client).await?;
            eprintln!("{client} has ended, with everything that it was granted.");
        }
    }
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>, Fault> {
    if file == Path::new("-") {
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut text)
            .map_err(|error| Fault::file(file, error))?;
        return Ok(text);
    }
    std::fs::read(file).map_err(|error| Fault::file(file, error))
}

/// The public keys of a file: a set, or one key alone.
fn public_keys(file: &Path) -> Result<JwkSet, Failure> {
    let refuse = |sentence: String| Refusal::new(Code::Invalid, format!("{}: {sentence}", file.display()));
    let text = read(file)?;
    let parsed = match serde_json::from_slice::<Value>(&text) {
        Ok(Value::Object(members)) if members.contains_key("kty") && !members.contains_key("keys") => {
            // Wrapped as it stands, so that what is strict about a key stays so.
            JwkSet::parse(&[b"{\"keys\":[".as_slice(), &text, b"]}"].concat())
        }
        _ => JwkSet::parse(&text),
    };
    Ok(parsed.map_err(|error| match error {
        NotJose::PrivateKey => refuse(format!(
            "{error}: that is what `clients keygen` printed, and the file that it made stays with the program. If \
             others could read this one, make another key"
        )),
        NotJose::Key("keys") => {
            refuse("this is no JWK set: give what `clients keygen` printed, {\"keys\":[…]}, or one public JWK".to_owned())
        }
        _ => refuse(error.to_string()),
    })?)
}

async fn register(records: &Records, create: Create) -> Result<clients::NewClient, Failure> {
    let organization = organizations::find(records, &create.organization).await?.organization;
    let tenant = organizations::tenant(organization, create.environment);
    let registration = match (&create.registration, &create.jwks) {
        (Some(file), _) => Registration::parse(&read(file)?)?,
        (None, Some(file)) => {
            let keys = public_keys(file)?;
            Registration::of_key(create.name.unwrap_or_default(), keys, Scopes::of(&create.scopes))
        }
        (None, None) => return Err(Refusal::new(Code::Invalid, "give --jwks or --registration").into()),
    };
    clients::register(records, &tenant, &operator(records), Scopes::ALL, registration, None).await
}

async fn list(records: &Records, organization: Option<&str>) -> Result<(), Failure> {
    for (organization, client) in clients::all(records, organization).await? {
        let Registered { row, registration } = client;
        let end = row.ended_at.map(|at| format!("  ended {at}")).unwrap_or_default();
        print(format_args!(
            "{}  {}  {}  {}  {}  {}  {}{end}",
            row.client,
            organization.name,
            row.tenant.environment().text(),
            registration.profile.text(),
            registration.token_endpoint_auth_method.text(),
            registration.scope.to_string().replace(' ', ","),
            registration.client_name,
        ))?;
    }
    Ok(())
}

async fn end(records: &Records, client: ClientId) -> Result<(), Failure> {
    let row = records.store.client(client).await?;
    let row = row.ok_or_else(|| {
        Refusal::new(Code::NotFound, "there is no such client (`countersign clients list` shows all)")
    })?;
    if let Some(at) = row.ended_at {
        let sentence = format!("this client is over already: it has ended at {at}");
        return Err(Refusal::new(Code::NotFound, sentence).into());
    }
    clients::end(records, &row.tenant, &operator(records), client, None).await.map(drop)
}
