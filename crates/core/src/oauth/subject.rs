//! The subject of a client's certificate, registered as RFC 4514 writes it and compared by what it says, not by how it is
//! spelled (RFC 8705 §2.1.2).

use thiserror::Error;

/// Attribute types that have a name: RFC 4514 §3, and what certificates of programs have besides.
const NAMED: [(&str, &str); 12] = [
    ("C", "2.5.4.6"),
    ("CN", "2.5.4.3"),
    ("DC", "0.9.2342.19200300.100.1.25"),
    ("L", "2.5.4.7"),
    ("O", "2.5.4.10"),
    ("OU", "2.5.4.11"),
    ("ST", "2.5.4.8"),
    ("STREET", "2.5.4.9"),
    ("UID", "0.9.2342.19200300.100.1.1"),
    ("emailAddress", "1.2.840.113549.1.9.1"),
    ("organizationIdentifier", "2.5.4.97"),
    ("serialNumber", "2.5.4.5"),
];

/// A distinguished name, the most particular part first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(Vec<Vec<Attribute>>);

/// One attribute: its object identifier in digits, and its value.
type Attribute = (String, String);

/// Text that is no distinguished name as RFC 4514 writes it.
#[derive(Debug, Error, PartialEq, Eq)]
#[error(
    "a subject is written like CN=name,O=organization (RFC 4514), as `openssl x509 -noout -subject -nameopt RFC2253` prints it"
)]
pub struct NotASubject;

impl Subject {
    /// Reads what RFC 4514 §3 writes. Values in hexadecimal (`#04024869`) are not taken.
    pub fn parse(text: &str) -> Result<Self, NotASubject> {
        let mut parts = vec![Vec::new()];
        let mut rest = text;
        loop {
            let (attribute, after) = attribute(rest)?;
            if let Some(part) = parts.last_mut() {
                part.push(attribute);
            }
            let mut characters = after.chars();
            match characters.next() {
                None => return Ok(Self::of(parts)),
                Some(',') => parts.push(Vec::new()),
                Some(_) => {}
            }
            rest = characters.as_str();
        }
    }

    /// The subject of these parts, the most particular one first.
    pub fn of(mut parts: Vec<Vec<Attribute>>) -> Self {
        // A part is a set (X.501 §9.3).
        for part in &mut parts {
            part.sort_unstable();
        }
        Self(parts)
    }
}

/// The first attribute of a text, and what follows it: nothing, or a separator and more.
fn attribute(text: &str) -> Result<(Attribute, &str), NotASubject> {
    let (name, text) = text.split_once('=').ok_or(NotASubject)?;
    let named = NAMED.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let kind = named.map_or(name, |(_, digits)| digits);
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !kind.contains('.') || !kind.split('.').all(is_digits) {
        return Err(NotASubject);
    }
    let (value, rest) = value(text)?;
    Ok(((kind.to_owned(), value), rest))
}

/// The value at the beginning of a text, without its escapes (RFC 4514 §2.4).
fn value(text: &str) -> Result<(String, &str), NotASubject> {
    let mut bytes = Vec::new();
    let mut characters = text.chars();
    let mut rest = text;
    // How many bytes there are up to the last that is no space by itself.
    let mut end = 0;
    while let Some(character) = characters.next() {
        match character {
            ',' | '+' => break,
            '\\' => {
                bytes.push(escaped(&mut characters)?);
                end = bytes.len();
            }
            '"' | ';' | '<' | '>' | '\0' => return Err(NotASubject),
            ' ' | '#' if bytes.is_empty() => return Err(NotASubject),
            _ => {
                bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                end = if character == ' ' { end } else { bytes.len() };
            }
        }
        rest = characters.as_str();
    }
    if end < bytes.len() {
        return Err(NotASubject);
    }
    String::from_utf8(bytes).map(|value| (value, rest)).map_err(|_| NotASubject)
}

/// The byte that an escape stands for: a character that means something else by itself, or two hexadecimal digits.
fn escaped(characters: &mut std::str::Chars<'_>) -> Result<u8, NotASubject> {
    let first = characters.next().ok_or(NotASubject)?;
    if " \"#+,;<=>\\".contains(first) {
        return u8::try_from(first).map_err(|_| NotASubject);
    }
    let second = characters.next().ok_or(NotASubject)?;
    let digit = |character: char| character.to_digit(16).ok_or(NotASubject);
    u8::try_from(digit(first)? * 16 + digit(second)?).map_err(|_| NotASubject)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(parts: &[&[(&str, &str)]]) -> Subject {
        let own = |(kind, value): &(&str, &str)| ((*kind).to_owned(), (*value).to_owned());
        Subject::of(parts.iter().map(|part| part.iter().map(own).collect()).collect())
    }

    /// A-6: the examples of RFC 4514 §4, and what OpenSSL prints.
    #[test]
    fn a_subject_is_read_as_it_is_written() {
        let (cn, o, dc) = ("2.5.4.3", "2.5.4.10", "0.9.2342.19200300.100.1.25");
        for (text, means) in [
            (
                "UID=jsmith,DC=example,DC=net",
                parts(&[&[("0.9.2342.19200300.100.1.1", "jsmith")], &[(dc, "example")], &[(dc, "net")]]),
            ),
            ("CN=J.  Smith+OU=Sales,O=A", parts(&[&[("2.5.4.11", "Sales"), (cn, "J.  Smith")], &[(o, "A")]])),
            (
                r#"CN=James \"Jim\" Smith\, III,O=A"#,
                parts(&[&[(cn, "James \"Jim\" Smith, III")], &[(o, "A")]]),
            ),
            (r"CN=Before\0dAfter", parts(&[&[(cn, "Before\rAfter")]])),
            (r"cn=Lu\C4\8Di\C4\87", parts(&[&[(cn, "Lučić")]])),
            ("CN=Lučić", parts(&[&[(cn, "Lučić")]])),
            (r"CN=\ a\ ,o=b=c", parts(&[&[(cn, " a ")], &[(o, "b=c")]])),
            (
                "2.5.4.3=a,emailaddress=b@c.test",
                parts(&[&[(cn, "a")], &[("1.2.840.113549.1.9.1", "b@c.test")]]),
            ),
            ("CN=,O=a", parts(&[&[(cn, "")], &[(o, "a")]])),
        ] {
            assert_eq!(Subject::parse(text), Ok(means), "{text}");
        }
        for text in [
            "",
            "a",
            "=a",
            "CN",
            "XX=a",
            "CN=a,",
            "CN=a+",
            "CN = a",
            "CN= a",
            "CN=a ",
            "CN=a, O=b",
            "CN=#0402",
            "CN=a;O=b",
            "CN=\"a\"",
            r"CN=a\",
            r"CN=\4",
            r"CN=\zz",
            r"CN=\ff",
            "1=a",
            "1..2=a",
            "/CN=a",
            ".=a",
        ] {
            assert_eq!(Subject::parse(text), Err(NotASubject), "{text}");
        }
    }

    /// A-6: order and number of parts, and every letter of a value, matter; the order within one part does not.
    #[test]
    fn another_subject_is_another_one() {
        let one = Subject::parse("CN=a,O=b,C=c").unwrap();
        for other in [
            "O=b,CN=a,C=c",
            "CN=a,O=b",
            "CN=A,O=b,C=c",
            "CN=a+O=b,C=c",
            "CN=a,O=b,C=c,C=c",
            "CN=a\\,O\\=b,C=c",
        ] {
            assert_ne!(Subject::parse(other).unwrap(), one, "{other}");
        }
        assert_eq!(Subject::parse("CN=a+O=b"), Subject::parse("O=b+CN=a"));
    }

    proptest! {
        /// A-6: whatever a value is, it can be written, and it is itself then.
        #[test]
        fn any_value_can_be_written(value in any::<String>(), next in any::<String>()) {
            let written = |value: &str| {
                let escapes: Vec<String> = value.bytes().map(|byte| format!("\\{byte:02x}")).collect();
                escapes.concat()
            };
            let text = format!("CN={},O={}", written(&value), written(&next));
            prop_assert_eq!(Subject::parse(&text), Ok(parts(&[&[("2.5.4.3", &value)], &[("2.5.4.10", &next)]])));
        }

        /// G-8: no text is a panic.
        #[test]
        fn no_text_breaks_it(text in any::<String>()) {
            let _ = Subject::parse(&text);
        }
    }
}
