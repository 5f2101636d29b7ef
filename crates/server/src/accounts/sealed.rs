//! What a browser carries for the server between two steps, encrypted, bound to its step and with an end: the secret of a
//! one-time code that is being set up, the state of a challenge.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use countersign_core::time::Time;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use zeroize::Zeroizing;

use crate::{
    app::Records,
    fault::Fault,
    keys::{Binding, WrappingKey},
};

#[derive(Serialize, Deserialize)]
struct Carried<T> {
    until: Time,
    value: T,
}

fn key(app: &Records) -> WrappingKey {
    app.root().derive("account-states")
}

/// Encrypts `value` for the step `step`, good until `until`.
pub fn seal<T: Serialize>(
    app: &Records,
    step: &'static str,
    until: Time,
    value: &T,
) -> Result<String, Fault> {
    let broken = |error: serde_json::Error| Fault::Task(format!("a state of a browser: {error}"));
    let plain = Zeroizing::new(serde_json::to_vec(&Carried { until, value }).map_err(broken)?);
    let sealed = key(app).seal(&*app.random, &Binding::new("account-state", &[step.as_bytes()]), &plain)?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// Decrypts what [`seal`] made for the same step, if its time is not over.
pub fn open<T: DeserializeOwned>(app: &Records, step: &'static str, text: &str) -> Option<T> {
    let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
    let plain = key(app).open(&Binding::new("account-state", &[step.as_bytes()]), &sealed).ok()?;
    let carried: Carried<T> = serde_json::from_slice(&plain).ok()?;
    (carried.until > app.now()).then_some(carried.value)
}
