//! One envelope from upload to seal, through the API and the pages' own requests, with two signers in order.

use std::{pin::Pin, sync::Arc, time::Duration};

use countersign_core::{
    access::Tenant,
    envelope::Body,
    id::{EnvelopeId, LinkId},
};
use countersign_server::{
    app::App,
    config::Config,
    demo::{
        DemoFault,
        api::{Api, id_of, key_of},
        ceremony::{Person, ReadCode, sign},
    },
    envelopes::{self, link_secret},
};
use reqwest::{Certificate, Client};
use serde_json::{Value, json};

use crate::Failure;

/// Wait between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(200);
/// Looks before something is wrong.
const LOOKS: u32 = 300;

const SIGNERS: [(&str, &str); 2] =
    [("Clara Weber", "clara.weber@example.com"), ("Jonas Okafor", "jonas.okafor@example.com")];

/// Where the links to sign come from.
pub(crate) enum Links {
    /// Out of the application in this process, which costs less than to search the mailbox.
    App(Arc<App>, Tenant),
    /// Out of the sandbox's mailbox.
    Mailbox,
}

/// Those who use a server: an integrator on one connection, and signers, each on a connection of their own.
pub(crate) struct Users {
    pub(crate) api: Api,
    public_url: String,
    ca: Certificate,
    config: Config,
    links: Links,
}

/// A client that trusts the server's development CA, with a cookie jar of its own.
fn client(config: &Config, ca: &Certificate) -> Result<Client, Failure> {
    let builder = Client::builder().tls_certs_only([ca.clone()]).cookie_store(true).no_proxy();
    Ok(builder.resolve(&config.public_host()?, config.server.listen).build()?)
}

impl Users {
    /// Users of the server with this configuration.
    pub(crate) fn new(config: &Config, token: &str, links: Links) -> Result<Self, Failure> {
        // A provider that is installed already is the same one.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ca = Certificate::from_pem(&std::fs::read(config.development_ca_file())?)?;
        let public_url = config.server.public_url.clone();
        let api = Api::new(client(config, &ca)?, &public_url, token);
        Ok(Self { api, public_url, ca, config: config.clone(), links })
    }

    /// Sends `pdf` to two people, signs as both, waits for the seal. Keys of requests are made from `run`.
    pub(crate) async fn live(&self, run: &[u8], pdf: Vec<u8>) -> Result<EnvelopeId, Failure> {
        let document = self.api.upload("agreement.pdf", &key_of(run, "upload"), pdf).await?;
        let body = envelope(&document);
        let id = id_of(&self.api.post_json("/v1/envelopes", &key_of(run, "create"), &body).await?)?;
        self.api.post(&format!("/v1/envelopes/{id}/send"), &key_of(run, "send")).await?;
        let envelope: EnvelopeId = id.parse().map_err(|_| "the envelope's id is none")?;
        for (index, (name, address)) in SIGNERS.iter().enumerate() {
            let link = self.link(envelope, index, address).await?;
            let http = client(&self.config, &self.ca)?;
            let mark = ("typed", (*name).to_owned());
            let values = [("Title", "Head of Engineering")];
            let person = Person { http: &http, public_url: &self.public_url, values: &values, mark };
            let read_code: ReadCode<'_> = &no_code;
            sign(&person, &link, read_code).await?;
        }
        let path = format!("/v1/envelopes/{id}");
        for _ in 0..LOOKS {
            tokio::time::sleep(LOOK_AGAIN).await;
            let read = self.api.get_json(&path).await?;
            if read.get("status").and_then(Value::as_str) == Some("completed") {
                return Ok(envelope);
            }
        }
        Err("the seal did not come".into())
    }

    async fn link(&self, envelope: EnvelopeId, signer: usize, address: &str) -> Result<String, Failure> {
        let start = format!("{}/s/{envelope}#", self.public_url);
        for _ in 0..LOOKS {
            let secret = match &self.links {
                Links::App(app, tenant) => secret(app, tenant, envelope, signer).await?,
                Links::Mailbox => mailed_secret(&self.api, address, &start).await?,
            };
            if let Some(secret) = secret {
                return Ok(format!("{start}{secret}"));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        Err("the link did not come".into())
    }
}

/// The secret of the link that a signer was given last; `None` while it is not the signer's turn.
async fn secret(
    app: &App,
    tenant: &Tenant,
    envelope: EnvelopeId,
    signer: usize,
) -> Result<Option<String>, Failure> {
    let opened = envelopes::read(app, tenant, envelope).await?;
    let contents = opened.folded.state.contents().ok_or("the envelope is empty")?;
    let wanted = contents.recipients.get(signer).ok_or("the envelope has too few recipients")?.id;
    let issued = opened.events.iter().rev().find_map(|recorded| match &recorded.event.body {
        Body::LinkIssued { recipient, link, .. } if *recipient == wanted => Some(*link),
        _ => None,
    });
    let Some(link): Option<LinkId> = issued else { return Ok(None) };
    let Some(row) = app.store.link_by_id(tenant, link).await? else { return Ok(None) };
    Ok(Some(link_secret(&opened, &row)?.expose().to_owned()))
}

async fn mailed_secret(api: &Api, address: &str, start: &str) -> Result<Option<String>, Failure> {
    let mail = api.mail(address, &[start]).await?;
    let end = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    Ok(mail.and_then(|mail| {
        let (_, rest) = mail.split_once(start)?;
        rest.split(end).next().map(str::to_owned)
    }))
}

fn no_code<'a>() -> Pin<Box<dyn Future<Output = Result<String, DemoFault>> + Send + 'a>> {
    Box::pin(async { Err(DemoFault::Unexpected("a link is enough here".to_owned())) })
}

/// An envelope with a signature, a date, a name and a title for each of two signers in order.
fn envelope(document: &str) -> Value {
    let mut fields = Vec::new();
    for (recipient, x) in [(0, 74.0), (1, 329.0)] {
        for (kind, label, y, height) in [
            ("signature", "Signature", 212.0, 44.0),
            ("date_signed", "Date", 294.0, 18.0),
            ("name", "Name", 334.0, 18.0),
            ("title", "Title", 356.0, 18.0),
        ] {
            fields.push(json!({
                "document": 0, "recipient": recipient, "kind": kind, "label": label, "page": 1,
                "rect": { "x": x, "y": y, "width": 190.0, "height": height },
            }));
        }
    }
    let recipients: Vec<Value> = (1..)
        .zip(SIGNERS)
        .map(|(order, (name, email))| {
            json!({ "name": name, "email": email, "role": "signer", "order": order, "factor": "link" })
        })
        .collect();
    json!({
        "title": "Agreement",
        "message": "Please read the agreement and sign on its first page.",
        "documents": [{ "id": document }],
        "recipients": recipients,
        "fields": fields,
    })
}
