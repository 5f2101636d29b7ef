//! One connection of HTTP/1.1 that stays, in plain or under TLS: as little of it as the answers of an authorization server need, so that
//! the generator's own work does not hide the server's.

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, StreamOwned};

use crate::Failure;

/// Longer than any answer takes: a server that says nothing ends the measurement.
const PATIENCE: Duration = Duration::from_secs(30);
/// Largest answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// Where requests of one kind go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// The whole URL, as a DPoP proof names it.
    pub(crate) url: String,
    host: String,
    path: String,
    /// Where its server listens.
    address: String,
}

impl Endpoint {
    /// Takes an `http` URL apart.
    pub(crate) fn parse(url: &str) -> Result<Self, Failure> {
        let rest = url.strip_prefix("http://").ok_or_else(|| format!("{url} is not plain HTTP"))?;
        let (host, _) = rest.split_once('/').unwrap_or((rest, ""));
        Self::behind(url, host)
    }

    /// Takes a URL apart whose server listens at `address`, as one does behind a proxy that ends TLS.
    pub(crate) fn behind(url: &str, address: &str) -> Result<Self, Failure> {
        let (_, rest) = url.split_once("://").ok_or_else(|| format!("{url} is no URL"))?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            url: url.to_owned(),
            host: host.to_owned(),
            path: format!("/{path}"),
            address: address.to_owned(),
        })
    }

    /// A request for what is there, with these header lines besides its own.
    pub(crate) fn get(&self, headers: &str) -> Vec<u8> {
        format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n{headers}\r\n",
            self.path, self.host
        )
        .into_bytes()
    }

    /// A form, with these header lines besides its own.
    pub(crate) fn post(&self, headers: &str, form: &str) -> Vec<u8> {
        self.post_of("application/x-www-form-urlencoded", headers, form.as_bytes())
    }

    /// JSON, with these header lines besides its own.
    pub(crate) fn post_json(&self, headers: &str, json: &str) -> Vec<u8> {
        self.post_of("application/json", headers, json.as_bytes())
    }

    /// Bytes of this media type, with these header lines besides its own.
    pub(crate) fn post_of(&self, media_type: &str, headers: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\nContent-Type: {media_type}\r\n\
             {headers}Content-Length: {}\r\n\r\n",
            self.path,
            self.host,
            body.len()
        );
        [head.as_bytes(), body].concat()
    }
}

/// What a server said.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The nonce that the next proof shall hold (RFC 9449 §8).
    pub(crate) nonce: Option<String>,
    pub(crate) body: Vec<u8>,
}

/// A connection to one server.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
}

trait Stream: Read + Write + Send {}

impl<S: Read + Write + Send> Stream for S {}

impl Connection {
    /// Connects to the server of this endpoint, in plain.
    pub(crate) fn open(endpoint: &Endpoint) -> Result<Self, Failure> {
        Ok(Self { stream: Box::new(Self::wire(endpoint)?), buffer: Vec::new() })
    }

    /// The same under TLS.
    pub(crate) fn open_tls(endpoint: &Endpoint, trust: &Arc<ClientConfig>) -> Result<Self, Failure> {
        let name = endpoint.host.split(':').next().unwrap_or_default().to_owned();
        let session = ClientConnection::new(Arc::clone(trust), name.try_into()?)?;
        let stream = StreamOwned::new(session, Self::wire(endpoint)?);
        Ok(Self { stream: Box::new(stream), buffer: Vec::new() })
    }

    fn wire(endpoint: &Endpoint) -> Result<TcpStream, Failure> {
        let stream = TcpStream::connect(&endpoint.address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0; 16_384];
        loop {
            let count = self.stream.read(&mut chunk)?;
            if count == 0 || self.buffer.len() > ANSWER_BYTES {
                return Err("the server closed a connection, or said too much".into());
            }
            self.buffer.extend(chunk.iter().take(count));
            if let Some(answer) = parse(&self.buffer)? {
                return Ok(answer);
            }
        }
    }
}

/// The answer that `bytes` are; `None` while more is to come.
fn parse(bytes: &[u8]) -> Result<Option<Answer>, Failure> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let (head, body) = bytes.split_at(end + 4);
    let mut lines = std::str::from_utf8(head)?.lines();
    let status =
        lines.next().and_then(|line| line.split(' ').nth(1)).ok_or("the answer has no status")?.parse()?;
    let (mut nonce, mut length) = (None, None);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        if name.eq_ignore_ascii_case("dpop-nonce") {
            nonce = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse::<usize>()?);
        }
    }
    let length = length.ok_or("the answer does not say its length")?;
    match body.len().cmp(&length) {
        std::cmp::Ordering::Less => Ok(None),
        std::cmp::Ordering::Equal => Ok(Some(Answer { status, nonce, body: body.to_vec() })),
        std::cmp::Ordering::Greater => Err("the server said more than it was asked".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_when_its_body_is() {
        let text = b"HTTP/1.1 400 Bad Request\r\nDPoP-Nonce: abc\r\nContent-Length: 2\r\n\r\n{}";
        for length in 0..text.len() {
            assert!(parse(&text[..length]).unwrap().is_none(), "{length}");
        }
        let answer = parse(text).unwrap().unwrap();
        assert_eq!(
            (answer.status, answer.nonce.as_deref(), &answer.body[..]),
            (400, Some("abc"), &b"{}"[..])
        );
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}").is_err());
    }

    #[test]
    fn a_url_is_taken_apart() {
        let endpoint = Endpoint::parse("http://127.0.0.1:80/oauth/token").unwrap();
        assert_eq!((endpoint.address.as_str(), endpoint.path.as_str()), ("127.0.0.1:80", "/oauth/token"));
        assert!(Endpoint::parse("https://sign.test/oauth/token").is_err());
        let endpoint = Endpoint::behind("https://sign.test/oauth/token", "127.0.0.1:80").unwrap();
        assert_eq!((endpoint.address.as_str(), endpoint.path.as_str()), ("127.0.0.1:80", "/oauth/token"));
        assert!(endpoint.get("").starts_with(b"GET /oauth/token HTTP/1.1\r\nHost: sign.test\r\n"));
    }
}
