//! RSA-PSS with SHA-512 (RFC 8017 §8.1, RFC 9421 §3.3.1), by aws-lc.

use aws_lc_rs::signature::{RSA_PSS_2048_8192_SHA512, RsaPublicKeyComponents};

use crate::public::KeyError;

/// 65537, the exponent of every RSA key that Countersign makes.
pub(crate) const EXPONENT: [u8; 3] = [1, 0, 1];

/// An RSA key within its bounds.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RsaKey {
    modulus: Vec<u8>,
}

impl RsaKey {
    pub(crate) fn new(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let has_a_size =
            (256..=512).contains(&modulus.len()) && modulus.first().is_some_and(|byte| *byte >= 0x80);
        let is_odd = modulus.last().is_some_and(|byte| byte % 2 == 1);
        if !has_a_size || !is_odd || exponent != EXPONENT {
            return Err(KeyError::BadRsaKey);
        }
        Ok(Self { modulus: modulus.to_vec() })
    }

    pub(crate) fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Whether `signature` is one of this key over `text`: with a salt as long as the hash, and with no other.
    pub(crate) fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents { n: self.modulus.as_slice(), e: EXPONENT.as_slice() };
        key.verify(&RSA_PSS_2048_8192_SHA512, text, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    /// The SubjectPublicKeyInfo of RFC 9421 §B.1.2. Its modulus is the 256 bytes before the exponent's five.
    const RFC_KEY: &str = concat!(
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAr4tmm3r20Wd/PbqvP1s2",
        "+QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct+Lh1GH45x28Rw3Ry53mm+",
        "oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHq",
        "gDsznjPFmTOtCEcN2Z1FpWgchwuYLPL+Wokqltd11nqqzi+bJ9cvSKADYdUAAN5W",
        "Utzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4",
        "aOT9v6d+nb4bnNkQVklLQ3fVAvJm+xdDOp9LCNCN48V2pnDOkFV6+U9nV5oyc6XI",
        "2wIDAQAB",
    );

    fn modulus() -> Vec<u8> {
        let key = STANDARD.decode(RFC_KEY).unwrap();
        key[key.len() - 5 - 256..key.len() - 5].to_vec()
    }

    /// RFC 9421 §B.2.3: a signature with RSA-PSS that somebody else made.
    #[test]
    fn the_rfcs_own_rsa_signature_is_right() {
        let base = concat!(
            "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n",
            "\"@method\": POST\n",
            "\"@path\": /foo\n",
            "\"@query\": ?param=Value&Pet=dog\n",
            "\"@authority\": example.com\n",
            "\"content-type\": application/json\n",
            "\"content-digest\": sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:\n",
            "\"content-length\": 18\n",
            "\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-rsa-pss\"",
        );
        let mut signature = STANDARD
            .decode(concat!(
                "bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768Zr",
                "CUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW",
                "91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJz",
                "SRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==",
            ))
            .unwrap();
        let key = RsaKey::new(&modulus(), &EXPONENT).unwrap();
        assert!(key.verify(base.as_bytes(), &signature));
        assert!(!key.verify(&base.as_bytes()[1..], &signature));
        signature[100] ^= 1;
        assert!(!key.verify(base.as_bytes(), &signature));
        assert!(!key.verify(base.as_bytes(), &[]));
    }

    #[test]
    fn a_key_outside_the_bounds_is_not_taken() {
        let good = modulus();
        let even = [&good[..255], &[2]].concat();
        let padded = [&[0], good.as_slice()].concat();
        let huge = vec![0xff; 513];
        for bad in [&good[..255], &even, &padded, &huge, &[]] {
            assert!(RsaKey::new(bad, &EXPONENT).is_err(), "{} bytes", bad.len());
        }
        for exponent in [&[3][..], &[1], &[], &[0, 1, 0, 1], &[1, 0, 0, 0, 1]] {
            assert!(RsaKey::new(&good, exponent).is_err(), "{exponent:?}");
        }
    }
}
