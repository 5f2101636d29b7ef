//! A name server of the tests' own, over UDP and TCP (RFC 1035 §4): it answers what a test has it answer, right or wrong.

use std::{
    collections::HashMap,
    io::{Read as _, Write as _},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{Mutex, OnceLock},
    thread,
};

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;
/// More than this is told over TCP.
const DATAGRAM_BYTES: usize = 1_232;

/// What is said of a name.
#[derive(Clone)]
pub(crate) enum Said {
    /// Records of it: an address, or the name that it is an alias of. `owner=…` is a record of another name.
    Records(Vec<String>),
    /// Records of it, in an answer to another question.
    ToAnotherQuestion(Vec<String>),
    /// Nothing at all.
    Silence,
}

#[derive(Default)]
struct Name {
    /// What is said at each question for IPv4, the last again and again.
    said: Vec<Said>,
    asked: usize,
}

/// The name server of this process.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    names: Mutex<HashMap<String, Name>>,
}

/// It goes on until the process ends.
pub(crate) fn name_server() -> &'static NameServer {
    static SERVER: OnceLock<NameServer> = OnceLock::new();
    static STARTED: OnceLock<()> = OnceLock::new();
    let mut sockets = None;
    let server = SERVER.get_or_init(|| {
        let address = SocketAddr::from(([127, 0, 0, 1], countersign_store::testing::free_port().unwrap()));
        sockets = Some((UdpSocket::bind(address).unwrap(), TcpListener::bind(address).unwrap()));
        NameServer { address, names: Mutex::default() }
    });
    STARTED.get_or_init(|| {
        let (udp, tcp) = sockets.unwrap();
        thread::spawn(move || server.serve_udp(&udp));
        thread::spawn(move || server.serve_tcp(&tcp));
    });
    server
}

pub(crate) fn records(texts: &[&str]) -> Said {
    Said::Records(texts.iter().map(|text| (*text).to_owned()).collect())
}

impl NameServer {
    /// What it says of a name: this at the first question, that at the second, and the last from then on.
    pub(crate) fn says(&self, name: &str, said: &[Said]) {
        self.names.lock().unwrap().insert(name.to_owned(), Name { said: said.to_vec(), asked: 0 });
    }

    /// How often it was asked for the IPv4 addresses of a name.
    pub(crate) fn asked(&self, name: &str) -> usize {
        self.names.lock().unwrap()[name].asked
    }

    fn serve_udp(&self, socket: &UdpSocket) {
        let mut question = [0; 4_096];
        while let Ok((count, from)) = socket.recv_from(&mut question) {
            let Some(mut answer) = self.answer(&question[..count]) else { continue };
            if answer.len() > DATAGRAM_BYTES {
                // TC: the rest is had over TCP.
                answer.truncate(end_of_question(&question));
                answer[2] |= 2;
                answer[6..12].fill(0);
            }
            let _ = socket.send_to(&answer, from);
        }
    }

    fn serve_tcp(&'static self, listener: &TcpListener) {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || self.converse(stream));
        }
    }

    fn converse(&self, mut stream: TcpStream) -> Option<()> {
        loop {
            let mut length = [0; 2];
            stream.read_exact(&mut length).ok()?;
            let mut question = vec![0; u16::from_be_bytes(length).into()];
            stream.read_exact(&mut question).ok()?;
            let answer = self.answer(&question)?;
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            stream.write_all(&[&length[..], &answer].concat()).ok()?;
        }
    }

    fn answer(&self, question: &[u8]) -> Option<Vec<u8>> {
        let end = end_of_question(question);
        let name = name_in(&question[12..end - 4]);
        let kind = u16::from_be_bytes([question[end - 4], question[end - 3]]);
        let said = {
            let mut names = self.names.lock().unwrap();
            names.get_mut(&name).map(|name| {
                let said = name.said[name.asked.min(name.said.len() - 1)].clone();
                name.asked += usize::from(kind == A);
                said
            })
        };
        let mut answer = question[..end].to_vec();
        // An answer of a name server that recurses; of a name that nobody made, that it is none.
        (answer[2], answer[3]) = (0x81, if said.is_some() { 0x80 } else { 0x83 });
        answer[6..12].fill(0);
        let texts = match said {
            None => Vec::new(),
            Some(Said::Records(texts)) => texts,
            Some(Said::ToAnotherQuestion(texts)) => {
                answer[13] ^= 1;
                texts
            }
            Some(Said::Silence) => return None,
        };
        let of_kind: Vec<Vec<u8>> = texts.iter().filter_map(|text| record(&name, text, kind)).collect();
        answer[6..8].copy_from_slice(&u16::try_from(of_kind.len()).unwrap().to_be_bytes());
        answer.extend(of_kind.concat());
        Some(answer)
    }
}

fn end_of_question(message: &[u8]) -> usize {
    let mut at = 12;
    while message[at] != 0 {
        at += usize::from(message[at]) + 1;
    }
    at + 5
}

fn name_in(labels: &[u8]) -> String {
    let (mut name, mut at) = (Vec::new(), 0);
    while labels[at] != 0 {
        let end = at + 1 + usize::from(labels[at]);
        name.push(String::from_utf8(labels[at + 1..end].to_ascii_lowercase()).unwrap());
        at = end;
    }
    name.join(".")
}

fn labels(name: &str) -> Vec<u8> {
    let label = |label: &str| [&[u8::try_from(label.len()).unwrap()], label.as_bytes()].concat();
    let labels: Vec<Vec<u8>> = name.split('.').map(label).collect();
    [labels.concat(), vec![0]].concat()
}

/// A record without a life: nobody may keep it.
fn record(asked: &str, text: &str, kind: u16) -> Option<Vec<u8>> {
    let (owner, text) = text.split_once('=').unwrap_or((asked, text));
    let (of, content) = match text.parse() {
        Ok(IpAddr::V4(address)) => (A, address.octets().to_vec()),
        Ok(IpAddr::V6(address)) => (AAAA, address.octets().to_vec()),
        Err(_) => (CNAME, labels(text)),
    };
    // The name of the question is pointed at, as it always is, or four thousand would not fit.
    let owner = if owner == asked { vec![0xc0, 12] } else { labels(owner) };
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = [&of.to_be_bytes()[..], &[0, 1], &[0; 4], &length].concat();
    (of == kind || of == CNAME).then(|| [owner, head, content].concat())
}
