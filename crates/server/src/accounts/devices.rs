//! Devices that somebody signed in from: a cookie bound to one account, signed, and another after every sign-in. It opens
//! nothing; its owner's tries are counted apart from those of strangers (G-4).

use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::{digest::Digest, limits, secret::equal_in_constant_time};

use super::session::{cookie, set_cookie};
use crate::{app::Records, fault::Fault};

const RANDOM_BYTES: usize = 16;

/// The cookie's name: one for each account, found without knowing whether there is one.
fn name(app: &Records, lookup: &Digest) -> String {
    let tag = app.root().derive("device-cookie").mac(&[b"name\0", &lookup.0]);
    format!("__Host-cs-device-{}", hex::encode(tag.0.first_chunk::<6>().copied().unwrap_or_default()))
}

fn signature(app: &Records, lookup: &Digest, random: &[u8]) -> Digest {
    app.root().derive("device-cookie").mac(&[b"value\0", &lookup.0, random])
}

/// The device that asks, if its cookie is one that this server made for this account.
pub fn of(app: &Records, headers: &HeaderMap, lookup: &Digest) -> Option<Digest> {
    let text = cookie(headers, &name(app, lookup))?;
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (random, signed) = bytes.split_at_checked(RANDOM_BYTES)?;
    let is_ours = equal_in_constant_time(&signature(app, lookup, random).0, signed);
    is_ours.then(|| Digest::of(random))
}

/// A new identity for the device that asks: how it is known, and its cookie.
pub fn renewed(app: &Records, lookup: &Digest) -> Result<(Digest, HeaderValue), Fault> {
    let random: [u8; RANDOM_BYTES] = app.draw();
    let value = [random.as_slice(), &signature(app, lookup, &random).0].concat();
    let header = set_cookie(&name(app, lookup), &URL_SAFE_NO_PAD.encode(value), limits::KNOWN_DEVICE_S)?;
    Ok((Digest::of(&random), header))
}
