//! The few lines at the head of each example that say how it is used, put into a server and asked over HTTP.

use std::{
    fmt::Write as _,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    process::{Child, Stdio},
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::languages::Language;

const KEY_ID: &str = "whk_01kb1x8a9wh5t0c8m2q4r6s7vw";
const KEY: [u8; 32] = *b"a secret that only the tests use";
const BODY: &str = r#"{"type":"envelope.sent","timestamp":"2026-11-22T10:20:30.456Z","data":{}}"#;

/// A language's server around the lines: it says where it listens on its standard error, and `act on` writes to a file.
pub(super) struct Frame {
    pub(super) program: &'static str,
    /// Where the lines are in the example: what is before each of them, and what is before and behind all.
    pub(super) lines: (&'static str, &'static str, &'static str),
    /// Whether the store of one request is there at the next.
    pub(super) remembers: bool,
}

pub(super) const GO: Frame = Frame {
    lines: ("//\t", "\n//\n", "\npackage "),
    remembers: true,
    program: include_str!("../../../../vectors/servers/main.go"),
};

pub(super) const JAVA: Frame = Frame {
    lines: (" * ", "<pre>{@code\n", "\n * }</pre>"),
    remembers: true,
    program: include_str!("../../../../vectors/servers/Main.java"),
};

pub(super) const RUBY: Frame = Frame {
    lines: ("#   ", "\n#\n", "\nrequire "),
    remembers: true,
    program: include_str!("../../../../vectors/servers/main.rb"),
};

pub(super) const PHP: Frame = Frame {
    lines: (" *     ", "\n *\n", "\n */"),
    remembers: false,
    program: include_str!("../../../../vectors/servers/main.php"),
};

impl Frame {
    /// The server with the example's own lines in it.
    fn around(&self, source: &str) -> String {
        let (each, before, behind) = self.lines;
        let (_, rest) = source.split_once(before).unwrap();
        let (lines, _) = rest.split_once(behind).unwrap();
        let lines: Vec<&str> = lines.lines().filter_map(|line| line.strip_prefix(each)).collect();
        assert!(lines.len() > 2, "the lines that say how it is used: {source}");
        let lines = format!("{}\n", lines.join("\n"));
        let secret = format!("whsec_{}", STANDARD.encode(KEY));
        let program = self.program.replace("# LINES\n", &lines).replace("// LINES\n", &lines);
        program.replace("KEY_ID", KEY_ID).replace("SECRET", &secret)
    }
}

/// A server that ends with its test.
struct Server {
    child: Child,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Server {
    fn start(mut child: Child) -> Self {
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut all = String::new();
        while said.read_line(&mut all).unwrap() > 0 {
            if let Some((_, port)) = all.split_once("http://127.0.0.1:") {
                let port = port.split(|character: char| !character.is_ascii_digit()).next().unwrap();
                let port = port.parse().unwrap();
                child.stderr = Some(said.into_inner());
                return Self { child, port };
            }
        }
        panic!("the server did not start: {all}");
    }

    /// Sends a request, and gives the status of the answer.
    fn answers(&self, headers: &[(&str, String)], body: &[u8]) -> u16 {
        let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).unwrap();
        let mut head = String::from("POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "content-length: {}\r\n\r\n", body.len()).unwrap();
        connection.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
    }
}

#[expect(clippy::disallowed_methods, reason = "the servers run by the real clock")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The headers of a message of this moment, or of as many seconds before it.
fn headers(number: u8, age_s: u64) -> Vec<(&'static str, String)> {
    let id = format!("msg_{number:026}");
    let timestamp = now_s() - age_s;
    let mut mac = Hmac::<Sha256>::new_from_slice(&KEY).unwrap();
    mac.update(format!("{id}.{timestamp}.{BODY}").as_bytes());
    let signature = STANDARD.encode(mac.finalize().into_bytes());
    vec![
        ("webhook-id", id),
        ("webhook-timestamp", timestamp.to_string()),
        ("webhook-signature", format!("v1,{signature}")),
        ("webhook-key-id", KEY_ID.into()),
        ("webhook-attempt-id", format!("att_{number:026}")),
    ]
}

/// W-11, W-3: the lines accept over HTTP what is right, once, and answer what is wrong as the page says.
pub(super) fn is_as_its_head_says(language: &Language, frame: &Frame) {
    let source = language.source();
    let folder = language.folder(&source, &frame.around(&source));
    let child = (language.serve)(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let server = Server::start(child);
    let body = BODY.as_bytes();
    let (first, retry) = (headers(1, 9), headers(1, 0));
    assert_eq!(server.answers(&first, body), 200);
    let (again, once_more) =
        if frame.remembers { (409, "") } else { (200, "msg_00000000000000000000000001\n") };
    assert_eq!(server.answers(&first, body), again, "a replay");
    assert_eq!(server.answers(&retry, &body.to_ascii_uppercase()), 401, "a forged body");
    assert_eq!(server.answers(&headers(2, 400), body), 408, "a stale one");
    for name in 0..retry.len() {
        let mut twice = headers(3, 0);
        twice.push(twice[name].clone());
        assert_eq!(server.answers(&twice, body), 400, "{} twice", retry[name].0);
        let mut less = headers(3, 0);
        less.remove(name);
        assert_eq!(server.answers(&less, body), 400, "no {}", retry[name].0);
    }
    let packed = [headers(4, 0), vec![("content-encoding", "gzip".into())]].concat();
    assert_eq!(server.answers(&packed, body), 415, "a packed body");
    assert_eq!(server.answers(&headers(5, 0), &vec![b' '; 256 * 1024 + 1]), 413, "a large body");
    assert_eq!(server.answers(&headers(6, 0), body), 200, "another message");
    if frame.remembers {
        assert_eq!(server.answers(&retry, body), 200, "a retry of the first");
    }
    let acted = fs::read_to_string(folder.path().join("acted")).unwrap();
    let expected = format!("msg_00000000000000000000000001\n{once_more}msg_00000000000000000000000006\n");
    assert_eq!(acted, expected);
}
