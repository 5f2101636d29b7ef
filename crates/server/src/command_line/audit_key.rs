//! The key that `countersign audit-webhook` signs with: out of a secret, a file, or made anew.

use std::path::Path;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use countersign_core::{id::WebhookKeyId, webhook::endpoint::Profile};
use countersign_webhooks::{PublicKey, Secret};
use rustls_pki_types::{PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::{
    app::{Clock, Randomness, draw},
    fault::Fault,
    keys::secret_file,
    vault::write_new,
    webhooks::{
        keys::Signer,
        message_keys::{Kind, MessageKey},
    },
};

/// A private JWK of Ed25519 (RFC 8037 §2).
#[derive(Deserialize)]
struct PrivateJwk {
    kty: String,
    crv: String,
    x: Option<String>,
    d: Zeroizing<String>,
    kid: Option<String>,
}

/// Makes a key for a profile: the private part goes into a new file, the public part is given as a JWK set. One of Ed25519 is
/// kept as a JWK with its id; the others are PEM, as `openssl` has them, whose id is in the set alone.
pub(super) async fn make(
    file: &Path,
    profile: Profile,
    clock: &dyn Clock,
    random: &dyn Randomness,
) -> Result<Made, Fault> {
    if file.exists() {
        let sentence =
            format!("{} exists, and no key is ever overwritten: choose another name", file.display());
        return Err(Fault::Unsafe(sentence));
    }
    let id = WebhookKeyId::new(clock.now(), draw(random));
    let (public, private) = match Kind::of(profile) {
        None => of_ed25519(id, random)?,
        Some(kind) => of_kind(kind).await?,
    };
    let jwk = public.jwk(&id.to_string().parse().map_err(|_| weak())?);
    write_new(file, private.as_bytes(), 0o600)?;
    Ok(Made { id, set: json!({ "keys": [jwk] }).to_string() })
}

/// A key that was made.
pub(super) struct Made {
    pub(super) id: WebhookKeyId,
    /// Its public part.
    pub(super) set: String,
}

fn of_ed25519(id: WebhookKeyId, random: &dyn Randomness) -> Result<(PublicKey, Zeroizing<String>), Fault> {
    let seed = Zeroizing::new(draw::<32>(random));
    let key = pair(&seed)?;
    let bytes = key.public_key().as_ref().try_into().map_err(|_| weak())?;
    let public = PublicKey::ed25519(&bytes).map_err(|_| weak())?;
    let mut jwk = public.jwk(&id.to_string().parse().map_err(|_| weak())?);
    if let Value::Object(members) = &mut jwk {
        members.insert("d".to_owned(), json!(URL_SAFE_NO_PAD.encode(seed.as_slice())));
    }
    Ok((public, Zeroizing::new(format!("{jwk}\n"))))
}

async fn of_kind(kind: Kind) -> Result<(PublicKey, Zeroizing<String>), Fault> {
    let kept = MessageKey::make(kind).await?;
    let public = MessageKey::read(&kept).await?.public().ok_or_else(weak)?;
    let (_, pkcs8) = kept.split_first().ok_or_else(weak)?;
    // RFC 7468 §10: lines of 64 characters.
    let mut pem = Zeroizing::new("-----BEGIN PRIVATE KEY-----\n".to_owned());
    let encoded = Zeroizing::new(STANDARD.encode(pkcs8));
    for line in encoded.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    Ok((public, pem))
}

fn weak() -> Fault {
    Fault::Key("no key could be made: try again".to_owned())
}

fn pair(seed: &[u8; 32]) -> Result<Ed25519KeyPair, Fault> {
    Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| weak())
}

/// What is signed with: a key with both its parts. A receiver holds one of them, and passes over what the other one signs; so
/// the part that is not given is one that nobody holds.
pub(super) fn signer(
    secret: Option<&str>,
    file: Option<&Path>,
    (id, profile): (Option<WebhookKeyId>, Profile),
    random: &dyn Randomness,
) -> Result<Signer, Fault> {
    let unheld = || pair(&Zeroizing::new(draw(random)));
    let (ed25519, own_id, message_key) = match (file, Kind::of(profile)) {
        (Some(file), None) => {
            let (ed25519, own_id) = read(file)?;
            (ed25519, own_id, None)
        }
        (Some(file), Some(kind)) => (unheld()?, None, Some(message_key(file, kind)?)),
        (None, _) => (unheld()?, None, None),
    };
    let Some(id) = id.or(own_id) else {
        let sentence = "name the key as the receiver does: --key-id whk_… (a JWK may have it as `kid`)";
        return Err(Fault::Unsafe(sentence.to_owned()));
    };
    let secret = match secret {
        Some(text) => text.trim().parse().map_err(|error| Fault::Unsafe(format!("--secret: {error}")))?,
        None => Secret::from_bytes(draw(random)),
    };
    Ok(Signer::with(id, secret, ed25519, message_key))
}

fn read(file: &Path) -> Result<(Ed25519KeyPair, Option<WebhookKeyId>), Fault> {
    let text = secret_file::read(file)?;
    if text.trim_start().starts_with('{') {
        return jwk(&text).map_err(|reason| Fault::file(file, reason));
    }
    let no_key = || {
        Fault::file(file, "this is no private Ed25519 key: give a JWK with `d`, or PEM (`BEGIN PRIVATE KEY`)")
    };
    let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).map_err(|_| no_key())?;
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map_err(|_| no_key())?;
    Ok((pair, None))
}

/// A key of another algorithm, as `openssl genpkey` writes it.
fn message_key(file: &Path, kind: Kind) -> Result<MessageKey, Fault> {
    let text = secret_file::read(file)?;
    let der = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes()).ok();
    let key = der.and_then(|der| MessageKey::of_pkcs8(kind, der.secret_pkcs8_der()));
    let what = match kind {
        Kind::P256 => "this is no private key of P-256 in PEM (`BEGIN PRIVATE KEY`)",
        Kind::Rsa => "this is no private key of RSA, of 2048 to 4096 bits, in PEM (`BEGIN PRIVATE KEY`)",
    };
    key.filter(|key| key.public().is_some()).ok_or_else(|| Fault::file(file, what))
}

fn jwk(text: &str) -> Result<(Ed25519KeyPair, Option<WebhookKeyId>), String> {
    let jwk: PrivateJwk =
        serde_json::from_str(text).map_err(|error| format!("this is no private JWK: {error}"))?;
    if (jwk.kty.as_str(), jwk.crv.as_str()) != ("OKP", "Ed25519") {
        return Err(format!(
            "this JWK is of {} {}, and messages are signed with OKP Ed25519",
            jwk.kty, jwk.crv
        ));
    }
    let decoded = |text: &str| {
        let mut bytes = Zeroizing::new([0; 48]);
        let length = URL_SAFE_NO_PAD.decode_slice(text, bytes.as_mut_slice()).ok()?;
        let bytes: [u8; 32] = bytes.get(..length)?.try_into().ok()?;
        Some(Zeroizing::new(bytes))
    };
    let seed = decoded(&jwk.d).ok_or("its `d` is not base64url of 32 bytes")?;
    let pair = pair(&seed).map_err(|fault| fault.to_string())?;
    if jwk.x.is_some_and(|x| URL_SAFE_NO_PAD.encode(pair.public_key()) != x) {
        return Err(
            "its `x` is not the public key of its `d`: a receiver that holds it would refuse everything"
                .to_owned(),
        );
    }
    let id = jwk.kid.map(|kid| kid.parse().map_err(|error| format!("its `kid`: {error}"))).transpose()?;
    Ok((pair, id))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::app::{SystemClock, SystemRandomness};

    const ID: &str = "whk_01kb1x8a9wh5t0c8m2q4r6s7vw";
    /// RFC 8037 §A.1.
    const D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn try_file(text: &str, id: Option<&str>) -> Result<Signer, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let id = id.map(|id| id.parse().unwrap());
        signer(None, Some(&file), (id, Profile::Standard), &SystemRandomness)
            .map_err(|fault| fault.to_string())
    }

    /// W-9: what is made can be read again, and what is printed of it signs nothing.
    #[tokio::test]
    async fn a_key_that_was_made_is_taken_and_its_public_part_is_printed() {
        let folder = tempfile::tempdir().unwrap();
        for profile in Profile::ALL {
            let file = folder.path().join(profile.text());
            let Made { id, set } = make(&file, profile, &SystemClock, &SystemRandomness).await.unwrap();
            let named = Kind::of(profile).map(|_| id);
            let signer = signer(None, Some(&file), (named, profile), &SystemRandomness).unwrap();
            assert_eq!(signer.id(), id, "{profile:?}");
            let keys = countersign_webhooks::KeySet::from_jwks(set.as_bytes()).unwrap();
            assert_eq!(keys.ids().map(ToString::to_string).collect::<Vec<_>>(), [id.to_string()]);
            let private = fs::read_to_string(&file).unwrap();
            assert!(!set.contains("\"d\"") && private.lines().all(|line| !set.contains(line)), "{set}");
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
            let again = make(&file, profile, &SystemClock, &SystemRandomness).await;
            assert!(again.is_err() && fs::read_to_string(&file).unwrap() == private, "never overwritten");
        }
    }

    /// W-9: a profile takes a key of its own algorithm, and no other one.
    #[tokio::test]
    async fn a_profile_takes_a_key_of_its_algorithm() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        let wish = |profile| (Some(ID.parse().unwrap()), profile);
        for (profile, other) in [
            (Profile::EcdsaP256Sha256, Profile::RsaPssSha512),
            (Profile::RsaPssSha512, Profile::EcdsaP256Sha256),
        ] {
            let kept = MessageKey::make(Kind::of(profile).unwrap()).await.unwrap();
            let lines = STANDARD.encode(&kept[1..]);
            let _ = fs::remove_file(&file);
            let pem = format!("-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n");
            fs::write(&file, pem).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(signer(None, Some(&file), wish(profile), &SystemRandomness).is_ok());
            let said = signer(None, Some(&file), wish(other), &SystemRandomness).err().unwrap().to_string();
            assert!(said.contains("no private key of") && !said.contains(&lines), "{said}");
        }
    }

    /// W-9: each wrong key is refused in words.
    #[test]
    fn what_is_no_key_of_ed25519_is_refused() {
        let jwk = |members: Value| members.to_string();
        assert_eq!(
            try_file(&jwk(json!({"kty": "OKP", "crv": "Ed25519", "d": D, "x": X, "kid": ID})), None)
                .unwrap()
                .id()
                .to_string(),
            ID
        );
        let pem = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        assert!(try_file(pem, Some(ID)).is_ok(), "RFC 8410 §10.3");
        for (text, id, word) in [
            (pem.to_owned(), None, "--key-id"),
            (jwk(json!({"kty": "OKP", "crv": "Ed25519", "d": D})), None, "--key-id"),
            (jwk(json!({"kty": "OKP", "crv": "Ed25519", "d": D, "kid": "mine"})), None, "whk_"),
            (jwk(json!({"kty": "OKP", "crv": "Ed25519", "d": D, "x": D})), Some(ID), "`x`"),
            (jwk(json!({"kty": "OKP", "crv": "Ed25519", "d": "AAAA"})), Some(ID), "`d`"),
            (jwk(json!({"kty": "OKP", "crv": "X25519", "d": D})), Some(ID), "X25519"),
            (jwk(json!({"kty": "OKP", "crv": "Ed25519", "x": X})), Some(ID), "`d`"),
            (
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(),
                Some(ID),
                "Ed25519",
            ),
            ("hello".to_owned(), Some(ID), "Ed25519"),
        ] {
            let said = try_file(&text, id).err().unwrap();
            assert!(said.contains(word), "{text}: {said}");
            assert!(!said.contains(D), "{said}");
        }
        let bad = signer(
            Some("whsec_AAAA"),
            None,
            (Some(ID.parse().unwrap()), Profile::Standard),
            &SystemRandomness,
        );
        let said = bad.err().unwrap().to_string();
        assert!(said.contains("whsec_") && !said.contains("AAAA"), "{said}");
    }
}
