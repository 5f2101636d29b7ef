//! HTTP Message Signatures (RFC 9421) as far as webhooks use them: what is covered, and the text that is signed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sfv::{BareItem, Dictionary, InnerList, ListEntry, ListSerializer, Parser};

use crate::headers::{self, Headers};
use crate::ids::{AttemptId, KeyId};
use crate::incoming::{Incoming, printable};
use crate::public::Algorithm;
use crate::refused::{Problem, Refused};

pub(crate) const INPUT: &str = "signature-input";
pub(crate) const SIGNATURE: &str = "signature";
pub(crate) const DIGEST: &str = "content-digest";

/// What every signature covers, in the order in which the sender lists it.
const COMPONENTS: [&str; 12] = [
    "@method",
    "@authority",
    "@path",
    "@query",
    "content-type",
    "content-digest",
    "webhook-id",
    "webhook-timestamp",
    "webhook-attempt-id",
    "webhook-key-id",
    "webhook-event-class",
    "correlation-id",
];
const TAG: &str = "countersign-webhook";
/// How long after its making the sender says that a signature ends.
const LIFETIME_S: i64 = 300;
/// Room for two signatures of RSA keys of 4096 bits, and for those of a proxy.
const FIELD_BYTES_MAX: usize = 8192;
const COMPONENTS_MAX: usize = 32;
/// One of the key, and one of the next while it is rotated.
const SIGNATURES_MAX: usize = 2;

/// What one signature covers, and its parameters: a member of `signature-input`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureInput {
    components: Vec<String>,
    /// The member's value in its one canonical spelling: the last line of the signature base repeats it.
    text: String,
}

impl SignatureInput {
    /// The input that the sender makes: `created` is `webhook-timestamp`, `nonce` is `webhook-attempt-id`, and
    /// `webhook-sequence` is covered where it is sent.
    pub fn new(
        timestamp_s: i64,
        key_id: &KeyId,
        algorithm: Algorithm,
        attempt_id: &AttemptId,
        has_sequence: bool,
    ) -> Self {
        let mut components: Vec<String> = COMPONENTS.map(str::to_owned).to_vec();
        if has_sequence {
            components.insert(COMPONENTS.len().saturating_sub(1), headers::SEQUENCE.to_owned());
        }
        let expires_s = timestamp_s.saturating_add(LIFETIME_S);
        let text = format!(
            "(\"{}\");created={timestamp_s};expires={expires_s};keyid=\"{key_id}\";alg=\"{algorithm}\";nonce=\"{attempt_id}\";tag=\"{TAG}\"",
            components.join("\" \"")
        );
        Self { components, text }
    }

    /// The input as it stands in the header, after the label and `=`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text that is signed (RFC 9421 §2.5). It fails if the request lacks what is covered.
    pub fn base(&self, incoming: &Incoming<'_>) -> Result<String, Refused> {
        let mut base = String::new();
        for component in &self.components {
            let value = value_of(component, incoming)?;
            base.extend(["\"", component.as_str(), "\": ", value.as_str(), "\n"]);
        }
        base.extend(["\"@signature-params\": ", self.text.as_str()]);
        Ok(base)
    }

    /// Whether everything is covered that has to be.
    fn is_complete(&self, incoming: &Incoming<'_>) -> bool {
        let covers = |name: &str| self.components.iter().any(|component| component == name);
        let is_sequence_covered =
            incoming.lines(headers::SEQUENCE).next().is_none() || covers(headers::SEQUENCE);
        COMPONENTS.iter().all(|name| covers(name)) && is_sequence_covered
    }
}

/// One of our signatures as it was received, in form and complete. Nothing of it is verified.
pub(crate) struct Received {
    pub(crate) key_id: KeyId,
    /// What the message says of the algorithm.
    pub(crate) algorithm: String,
    pub(crate) expires_s: Option<i64>,
    /// The text that is signed, made of the request as it is here.
    pub(crate) base: String,
    pub(crate) signature: Vec<u8>,
}

/// The values of the headers `signature-input` and `signature` for one signature over its
/// [`base`](SignatureInput::base), or for two while a key is rotated.
pub fn message_signature_headers(
    first: (&SignatureInput, &[u8]),
    next: Option<(&SignatureInput, &[u8])>,
) -> (String, String) {
    let member = |label: &str, (input, signature): (&SignatureInput, &[u8])| {
        (format!("{label}={}", input.as_str()), format!("{label}=:{}:", STANDARD.encode(signature)))
    };
    let (inputs, signatures) = member("countersign", first);
    let Some(next) = next else { return (inputs, signatures) };
    let (next_input, next_signature) = member("countersign-next", next);
    (format!("{inputs}, {next_input}"), format!("{signatures}, {next_signature}"))
}

/// Our signatures of a request: those with our tag. The ones of others, as of a proxy, are passed over.
pub(crate) fn received(incoming: &Incoming<'_>, headers: &Headers) -> Result<Vec<Received>, Refused> {
    let inputs = dictionary(incoming, INPUT)?;
    let signatures = dictionary(incoming, SIGNATURE)?;
    let mut received = Vec::new();
    for (label, input) in &inputs {
        let ListEntry::InnerList(list) = input else { continue };
        if string(list, "tag") != Some(TAG) {
            continue;
        }
        let signature = signatures.get(label).and_then(byte_sequence).ok_or(not_in_form(SIGNATURE))?;
        let input = SignatureInput {
            components: components(list).ok_or(not_in_form(INPUT))?,
            text: canonical(input).ok_or(not_in_form(INPUT))?,
        };
        if received.len() >= SIGNATURES_MAX {
            return Err(not_in_form(INPUT));
        }
        received.push(one(list, input, signature, incoming, headers)?);
    }
    if received.is_empty() { Err(not_in_form(INPUT)) } else { Ok(received) }
}

fn one(
    list: &InnerList,
    input: SignatureInput,
    signature: &[u8],
    incoming: &Incoming<'_>,
    headers: &Headers,
) -> Result<Received, Refused> {
    let parameter = |name: &str| string(list, name).ok_or(not_in_form(INPUT));
    let key_id = parameter("keyid")?.parse().map_err(|_| not_in_form(INPUT))?;
    let created_s = integer(list, "created")?.ok_or(not_in_form(INPUT))?;
    let agrees = created_s == headers.timestamp_s
        && parameter("nonce")? == headers.attempt_id.as_str()
        && headers.key_ids.contains(&key_id);
    if !agrees {
        return Err(Refused::malformed(INPUT, Problem::Contradiction));
    }
    if !input.is_complete(incoming) {
        return Err(Refused::malformed(INPUT, Problem::Incomplete));
    }
    Ok(Received {
        key_id,
        algorithm: parameter("alg")?.to_owned(),
        expires_s: integer(list, "expires")?,
        base: input.base(incoming)?,
        signature: signature.to_vec(),
    })
}

/// The digest of the body that `content-digest` states (RFC 9530 §2). Those of other algorithms are passed over.
pub(crate) fn stated_digest(incoming: &Incoming<'_>) -> Result<[u8; 32], Refused> {
    let digests = dictionary(incoming, DIGEST)?;
    let digest = digests.get("sha-256").and_then(byte_sequence);
    digest.and_then(|digest| digest.try_into().ok()).ok_or(not_in_form(DIGEST))
}

fn string<'l>(list: &'l InnerList, name: &str) -> Option<&'l str> {
    Some(list.params.get(name)?.as_string()?.as_str())
}

/// A parameter that may be left out; where it is there, it is a number.
fn integer(list: &InnerList, name: &str) -> Result<Option<i64>, Refused> {
    let number = list.params.get(name).map(|value| value.as_integer().ok_or(not_in_form(INPUT)));
    Ok(number.transpose()?.map(i64::from))
}

fn byte_sequence(entry: &ListEntry) -> Option<&[u8]> {
    match entry {
        ListEntry::Item(item) => item.bare_item.as_byte_sequence(),
        ListEntry::InnerList(_) => None,
    }
}

fn dictionary(incoming: &Incoming<'_>, name: &'static str) -> Result<Dictionary, Refused> {
    let text = incoming.required(name, FIELD_BYTES_MAX)?;
    Parser::new(text).parse().map_err(|_| not_in_form(name))
}

fn not_in_form(name: &'static str) -> Refused {
    Refused::malformed(name, Problem::NotInForm)
}

/// The names that are covered: texts without parameters, each once (RFC 9421 §2).
fn components(list: &InnerList) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for item in &list.items {
        let BareItem::String(name) = &item.bare_item else { return None };
        let is_new = !names.iter().any(|known| known == name.as_str());
        if !item.params.is_empty() || !is_new || names.len() >= COMPONENTS_MAX {
            return None;
        }
        names.push(name.as_str().to_owned());
    }
    Some(names)
}

fn canonical(input: &ListEntry) -> Option<String> {
    let mut serializer = ListSerializer::new();
    serializer.members([input]);
    serializer.finish()
}

/// The value of a component (RFC 9421 §2.1 and §2.2).
fn value_of(component: &str, incoming: &Incoming<'_>) -> Result<String, Refused> {
    let place = incoming.place();
    let value = match component {
        "@method" => incoming.method().to_owned(),
        "@scheme" => place.scheme.to_ascii_lowercase(),
        "@authority" => place.normal_authority(),
        "@path" => place.normal_path().to_owned(),
        "@query" => format!("?{}", place.query.unwrap_or_default()),
        name if name.starts_with('@') => return Err(not_in_form(INPUT)),
        name => field(name, incoming)?,
    };
    // A line break would be another line of the base.
    if printable(value.as_bytes()).is_some() { Ok(value) } else { Err(not_in_form(INPUT)) }
}

fn field(name: &str, incoming: &Incoming<'_>) -> Result<String, Refused> {
    let mut values = Vec::new();
    for line in incoming.lines(name) {
        values.push(printable(line.trim_ascii()).ok_or(not_in_form(INPUT))?);
    }
    // Of what a field's name may hold (RFC 9110 §5.6.2), what would not end its line or its quotes, in lower case.
    let is_name = name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
    if values.is_empty() || !is_name {
        return Err(Refused::malformed(INPUT, Problem::Incomplete));
    }
    Ok(values.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::incoming::Place;
    use crate::public::PublicKey;

    const RFC_BODY: &[u8] = br#"{"hello": "world"}"#;
    const RFC_HEADERS: [(&str, &str); 4] = [
        ("Host", "example.com"),
        ("Date", "Tue, 20 Apr 2021 02:07:55 GMT"),
        ("Content-Type", "application/json"),
        ("Content-Length", "18"),
    ];

    fn incoming() -> Incoming<'static> {
        let place = Place::of_url("http://example.com/foo?param=Value&Pet=dog").unwrap();
        Incoming::new("POST", place, RFC_HEADERS, RFC_BODY)
    }

    fn input(text: &str) -> SignatureInput {
        let dictionary: Dictionary = Parser::new(&format!("x={text}")).parse().unwrap();
        let entry = dictionary.get("x").unwrap();
        let ListEntry::InnerList(list) = entry else { panic!("no inner list") };
        SignatureInput { components: components(list).unwrap(), text: canonical(entry).unwrap() }
    }

    /// W-1: RFC 9421 §B.2.6, a request that somebody else signed.
    #[test]
    fn the_rfcs_own_signature_with_ed25519_is_right() {
        let text = r#"("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
        let base = input(text).base(&incoming()).unwrap();
        let key = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs")
            .unwrap();
        let key = PublicKey::ed25519(&key.try_into().unwrap()).unwrap();
        let signature = STANDARD
            .decode(
                "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==",
            )
            .unwrap();
        assert!(key.verify(base.as_bytes(), &signature));
        assert!(!key.verify(base.replace("18\n", "19\n").as_bytes(), &signature));
    }

    #[test]
    fn the_parameters_are_signed_in_one_spelling() {
        let canonical = r#"("date" "@method");created=1;keyid="a""#;
        assert_eq!(input(r#"(  "date"   "@method" );created=01; keyid="a""#).as_str(), canonical);
        assert_eq!(input(canonical).as_str(), canonical);
        let key_id = "whk_01kb1x8a9wh5t0c8m2q4r6s7vw".parse().unwrap();
        let attempt_id = "att_01kb1x8a9wh5t0c8m2q4r6s7vw".parse().unwrap();
        let made = SignatureInput::new(1, &key_id, Algorithm::EcdsaP256Sha256, &attempt_id, true);
        assert_eq!(input(made.as_str()), made);
        insta::assert_snapshot!(made.as_str(), @r#"("@method" "@authority" "@path" "@query" "content-type" "content-digest" "webhook-id" "webhook-timestamp" "webhook-attempt-id" "webhook-key-id" "webhook-event-class" "webhook-sequence" "correlation-id");created=1;expires=301;keyid="whk_01kb1x8a9wh5t0c8m2q4r6s7vw";alg="ecdsa-p256-sha256";nonce="att_01kb1x8a9wh5t0c8m2q4r6s7vw";tag="countersign-webhook""#);
    }

    #[test]
    fn what_is_covered_has_to_be_there_and_known() {
        let refused = |list: &str| input(&format!("({list})")).base(&incoming()).unwrap_err().code();
        for list in [r#""webhook-id""#, r#""@status""#, r#""@query-params""#, r#""Date""#, r#""""#] {
            assert_eq!(refused(list), "malformed", "{list}");
        }
        let twice: Dictionary = Parser::new(r#"a=("date" "date"), b=("date";sf), c=(date)"#).parse().unwrap();
        for label in ["a", "b", "c"] {
            let Some(ListEntry::InnerList(list)) = twice.get(label) else { panic!("no inner list") };
            assert_eq!(components(list), None, "{label}");
        }
    }

    #[test]
    fn lines_of_one_header_are_joined_and_a_line_break_never_gets_in() {
        let headers = [("x", " a "), ("X", "b\t"), ("y", "c\n\"@method\": GET")];
        let place = Place { scheme: "HTTPS", authority: "EXAMPLE.com:443", path: "", query: None };
        let incoming = Incoming::new("POST", place, headers, b"");
        let base = input(r#"("x" "@scheme" "@authority" "@path" "@query")"#).base(&incoming).unwrap();
        assert!(base.starts_with(
            "\"x\": a, b\n\"@scheme\": https\n\"@authority\": example.com\n\"@path\": /\n\"@query\": ?\n"
        ));
        assert_eq!(input(r#"("y")"#).base(&incoming).unwrap_err(), not_in_form(INPUT));
    }
}
