//! Parameters as OAuth sends them, in the query or in a form: each at most once, and one without a value is as if it
//! were not there (RFC 6749 §3.1, §3.2, appendix B).

use std::{collections::BTreeMap, fmt};

use zeroize::Zeroizing;

use crate::{
    limits,
    oauth::error::{ErrorCode, OAuthError},
};

/// Most parameters of one request.
const PARAMETER_COUNT: usize = 64;
/// Longest name that an error repeats, in characters.
const NAME_CHARS: usize = 64;

/// The parameters of one request. Secrets and codes are among them: nothing prints their values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Parameters(BTreeMap<String, Zeroizing<String>>);

impl Parameters {
    /// Reads `application/x-www-form-urlencoded`, from a body or from what stands behind the `?`.
    ///
    /// # Errors
    ///
    /// `invalid_request` for a parameter that stands there twice, for bytes that are no UTF-8, for a `%` without two
    /// hexadecimal digits, and for more or longer parameters than fit. A `resource` that is repeated is `invalid_target`:
    /// RFC 8707 §2 allows several, and a token here has one audience.
    pub fn parse(bytes: &[u8]) -> Result<Self, OAuthError> {
        if bytes.len() > limits::OAUTH_FORM_BYTES {
            return Err(OAuthError::request("the parameters are too long together: 32 KiB at most"));
        }
        let mut parameters = BTreeMap::new();
        for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let name = decode(halves.next().unwrap_or_default())?;
            let value = decode(halves.next().unwrap_or_default())?;
            if value.chars().count() > limits::PARAMETER_CHARS {
                return Err(OAuthError::request(format!("the parameter {} is too long", shown(&name))));
            }
            let name = String::clone(&name);
            if parameters.contains_key(&name) {
                return Err(repeated(&name));
            }
            parameters.insert(name, value);
            if parameters.len() > PARAMETER_COUNT {
                return Err(OAuthError::request("there are too many parameters: 64 at most"));
            }
        }
        parameters.retain(|_, value| !value.is_empty());
        Ok(Self(parameters))
    }

    /// A parameter's value; never empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.as_str())
    }

    /// A parameter that must be there.
    pub fn require(&self, name: &str) -> Result<&str, OAuthError> {
        self.get(name).ok_or_else(|| OAuthError::request(format!("the parameter {name} is missing")))
    }

    /// Whether it is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The names of all that are there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn repeated(name: &str) -> OAuthError {
    if name == "resource" {
        let sentence = "one resource only: ask for a token for each of them (RFC 8707 section 2)";
        return OAuthError::new(ErrorCode::InvalidTarget, sentence);
    }
    OAuthError::request(format!("the parameter {} stands there twice", shown(name)))
}

fn shown(name: &str) -> String {
    name.chars().take(NAME_CHARS).collect()
}

/// Text behind its percent encoding, `+` being a space.
pub(super) fn decode(bytes: &[u8]) -> Result<Zeroizing<String>, OAuthError> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut decoded = Zeroizing::new(Vec::with_capacity(bytes.len()));
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (high, low) = (digit(rest.next()), digit(rest.next()));
                let value = high.zip(low).and_then(|(high, low)| u8::try_from(high << 4 | low).ok());
                value.ok_or_else(|| OAuthError::request("a % is followed by two hexadecimal digits"))?
            }
            other => *other,
        });
    }
    let text = std::str::from_utf8(&decoded)
        .map_err(|_| OAuthError::request("the parameters are not UTF-8 (RFC 6749 appendix B)"))?;
    if text.contains(|character: char| character.is_control() && !matches!(character, '\t' | '\r' | '\n')) {
        return Err(OAuthError::request("a parameter holds a control character"));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(bytes: &[u8]) -> (ErrorCode, String) {
        let error = Parameters::parse(bytes).unwrap_err();
        (error.code, error.description)
    }

    #[test]
    fn parameters_are_decoded_once() {
        let parameters = Parameters::parse(b"a=1%202&b=x+y%252B&c=&d&%65=%C3%A9").unwrap();
        assert_eq!(parameters.get("a"), Some("1 2"));
        assert_eq!(parameters.get("b"), Some("x y%2B"));
        assert_eq!((parameters.get("c"), parameters.has("d")), (None, false));
        assert_eq!(parameters.get("e"), Some("é"));
        assert_eq!(parameters.require("c").unwrap_err().description, "the parameter c is missing");
    }

    /// G-7: what a proxy and this server could read differently is refused.
    #[test]
    fn a_repeated_parameter_is_refused_even_without_a_value() {
        assert_eq!(error(b"a=1&a=1").1, "the parameter a stands there twice");
        assert_eq!(error(b"a=&a=1").1, "the parameter a stands there twice");
        assert_eq!(error(b"a=1&%61=2").1, "the parameter a stands there twice");
        assert_eq!(error(b"resource=a&resource=b").0, ErrorCode::InvalidTarget);
    }

    #[test]
    fn bounds_and_encodings_are_kept() {
        assert_eq!(error(b"a=%2").0, ErrorCode::InvalidRequest);
        assert_eq!(error(b"a=%zz").0, ErrorCode::InvalidRequest);
        assert_eq!(error(b"a=%+1").0, ErrorCode::InvalidRequest);
        assert_eq!(error(b"a=%ff").0, ErrorCode::InvalidRequest);
        assert_eq!(error(b"a=%00").0, ErrorCode::InvalidRequest);
        assert_eq!(error(&vec![b'&'; limits::OAUTH_FORM_BYTES + 1]).0, ErrorCode::InvalidRequest);
        let long = format!("a={}", "x".repeat(limits::PARAMETER_CHARS + 1));
        assert_eq!(error(long.as_bytes()).1, "the parameter a is too long");
        let many: Vec<_> = (0..=PARAMETER_COUNT).map(|index| format!("p{index}=1")).collect();
        assert_eq!(error(many.join("&").as_bytes()).0, ErrorCode::InvalidRequest);
    }

    /// L-3: a code or a secret does not reach a log through a debug print.
    #[test]
    fn a_debug_print_shows_names_only() {
        let parameters = Parameters::parse(b"client_secret=hidden").unwrap();
        assert_eq!(format!("{parameters:?}"), "{\"client_secret\"}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_stumble(bytes: Vec<u8>) {
            let _ = Parameters::parse(&bytes);
        }
    }
}
