//! GitHub's signatures: `X-Hub-Signature-256: sha256=…`, HMAC-SHA256 over the body alone. Neither a time nor the id of the
//! delivery (`X-GitHub-Delivery`) is signed: so the bytes themselves are remembered along with the id.

use hyper::header::HeaderMap;
use sha2::{Digest as _, Sha256};

use super::{Nonce, Refusal, Verified, bad_signature, is_name, malformed, passed_on, required};
use crate::mac::MacKey;

pub(super) fn check(keys: &[MacKey], headers: &HeaderMap, body: &[u8]) -> Result<Verified, Refusal> {
    let id = required(headers, "x-github-delivery")?;
    if !is_name(id) || id.len() > 64 {
        return Err(malformed("the header x-github-delivery is no id"));
    }
    let digits = required(headers, "x-hub-signature-256")?.strip_prefix("sha256=");
    let code = digits.and_then(|digits| hex::decode(digits).ok());
    let code = code.ok_or_else(|| malformed("the header x-hub-signature-256 is not sha256= and digits"))?;
    if !keys.iter().any(|key| key.is_right(&[body], &code)) {
        return Err(bad_signature());
    }
    Ok(Verified {
        id: id.to_owned(),
        nonce: Nonce::Bytes(hex::encode(Sha256::digest(body))),
        place: None,
        headers: passed_on(headers, &["x-github-event", "x-github-delivery"]),
    })
}

#[cfg(test)]
mod tests {
    use super::super::headers_of;
    use super::*;

    /// The example of GitHub's page "Validating webhook deliveries".
    #[test]
    fn githubs_own_example_is_right() {
        let keys = [MacKey::of_text("It's a Secret to Everybody")];
        let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let judged = |signature: &str, id: &str, body: &[u8]| {
            let headers = headers_of(&[
                ("x-hub-signature-256", signature),
                ("x-github-delivery", id),
                ("x-github-event", "ping"),
            ]);
            check(&keys, &headers, body).map_err(|refusal| refusal.code)
        };
        let verified = judged(right, "72d3162e-cc78-11e3-81ab-4c9367dc0958", b"Hello, World!").unwrap();
        assert_eq!(verified.id, "72d3162e-cc78-11e3-81ab-4c9367dc0958");
        assert_eq!(verified.headers[0], ("x-github-event".into(), "ping".into()));
        assert_eq!(judged(right, "1", b"Hello, World"), Err("bad_signature"));
        assert_eq!(judged(&right.replace("sha256", "sha1"), "1", b"Hello, World!"), Err("malformed"));
        assert_eq!(judged(right, "", b"Hello, World!"), Err("malformed"));
        assert_eq!(judged("sha256=", "1", b"Hello, World!"), Err("bad_signature"));
    }
}
