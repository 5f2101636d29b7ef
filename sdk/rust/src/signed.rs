//! The text that `v1` and `v1a` sign, and how their signatures stand in the header.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

use crate::ids::MessageId;

/// What `v1` and `v1a` sign: id, full stop, time in seconds since 1970, full stop, and the body byte for byte.
pub fn signed_text(id: &MessageId, timestamp_s: i64, body: &[u8]) -> Vec<u8> {
    let mut text = format!("{id}.{timestamp_s}.").into_bytes();
    text.extend_from_slice(body);
    text
}

/// `v1a,…`: a signature with Ed25519 over the [`signed_text`], as it stands in `webhook-signature`. That of `v1` is
/// made by [`Secret::sign`](crate::Secret::sign).
pub fn v1a(signature: &[u8; 64]) -> String {
    let mut text = String::from("v1a,");
    STANDARD.encode_string(signature, &mut text);
    text
}

/// The value of `content-digest` (RFC 9530 §2) for a body.
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_signed_byte_for_byte() {
        let id = "msg_01kb1x8a9wh5t0c8m2q4r6s7vw".parse().unwrap();
        let text = signed_text(&id, 1_795_342_830, b"\xff\r\n ");
        assert_eq!(text, b"msg_01kb1x8a9wh5t0c8m2q4r6s7vw.1795342830.\xff\r\n ");
    }

    /// RFC 9530 §B.1.
    #[test]
    fn the_rfcs_own_digest_is_right() {
        let digest = content_digest(b"{\"hello\": \"world\"}\n");
        assert_eq!(digest, "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:");
    }
}
