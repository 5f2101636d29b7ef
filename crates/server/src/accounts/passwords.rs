//! Passwords: argon2id in a pool of two, because each hash takes 46 MiB and a core. Whatever is asked, one hash is
//! made, so that its time tells nothing.

use std::sync::Arc;

use argon2::{
    Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version,
    password_hash::phc::{Output, PasswordHash, Salt},
};
use countersign_core::{accounts::password, refusal::Refusal, secret::Secret};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::people::User;
use crate::{
    app::{Records, draw},
    fault::{Failure, Fault},
    http::limits::overloaded,
    keys::Binding,
    vault::on_blocking_thread,
};

/// Hashes at the same time.
const AT_ONCE: usize = 2;
/// Hashes that wait for their turn; who comes then is told to come again.
const WAITING: usize = 64;

/// What a hash costs.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    memory_kib: u32,
    passes: u32,
}

impl Cost {
    /// What every server takes: 46 MiB and one pass (OWASP Password Storage Cheat Sheet, first choice).
    pub const STANDARD: Self = Self { memory_kib: 46 * 1_024, passes: 1 };

    /// Another cost, for tests: a server is not configured with one.
    pub fn of(memory_kib: u32, passes: u32) -> Self {
        Self { memory_kib, passes }
    }

    fn hasher(self) -> Result<Argon2<'static>, Fault> {
        let params = Params::new(self.memory_kib, self.passes, 1, None).map_err(broken)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

fn broken(error: impl std::fmt::Display) -> Fault {
    Fault::Task(format!("a password hash: {error}"))
}

/// Hashes and verifies.
pub struct Hashing {
    cost: Cost,
    turns: Arc<Semaphore>,
    queue: Arc<Semaphore>,
}

impl Hashing {
    /// With this cost.
    pub fn new(cost: Cost) -> Self {
        Self {
            cost,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            queue: Arc::new(Semaphore::new(AT_ONCE + WAITING)),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Failure> {
        let place = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| overloaded())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|e| Fault::Task(e.to_string()))?;
        // The turn stays with the work, which nothing cuts short.
        let done = on_blocking_thread(move || {
            let _held = (place, turn);
            work()
        });
        Ok(done.await??)
    }

    /// The hash of a normalized password as a PHC string.
    pub async fn hash(&self, app: &Records, password: &Secret<String>) -> Result<Zeroizing<String>, Failure> {
        let (cost, password, salt) = (self.cost, password.clone(), app.draw());
        self.run(move || hash(cost, password.expose().as_bytes(), &salt).map(Zeroizing::new)).await
    }

    /// Whether a normalized password is the one of this hash.
    pub async fn verify(
        &self,
        password: &Secret<String>,
        stored: Zeroizing<String>,
    ) -> Result<bool, Failure> {
        let password = password.clone();
        self.run(move || {
            let parsed = PasswordHash::new(&stored).map_err(broken)?;
            // The parameters are those of the stored hash.
            Ok(Argon2::default().verify_password(password.expose().as_bytes(), &parsed).is_ok())
        })
        .await
    }
}

/// The hash of a password that there is none of: verified where there is none to verify, at the same cost. It is drawn, since
/// to make one takes the memory of a hash, which a server that nobody signs in at would hold from its start.
pub(super) fn of_nobody(app: &Records, cost: Cost) -> Result<String, Fault> {
    drawn(cost, &draw(&*app.random), &draw(&*app.random))
}

fn drawn(cost: Cost, salt: &[u8; 16], output: &[u8; Params::DEFAULT_OUTPUT_LEN]) -> Result<String, Fault> {
    let hasher = cost.hasher()?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: hasher.params().try_into().map_err(broken)?,
        salt: Some(Salt::new(salt).map_err(broken)?),
        hash: Some(Output::new(output).map_err(broken)?),
    };
    Ok(hash.to_string())
}

fn hash(cost: Cost, password: &[u8], salt: &[u8; 16]) -> Result<String, Fault> {
    let hashed = cost.hasher()?.hash_password_with_salt(password, salt).map_err(broken)?;
    Ok(hashed.to_string())
}

/// Refuses a new password that is too short, known, or easy to guess; gives its normal form.
pub fn check_new(password: &Secret<String>, own: &[&str]) -> Result<Secret<String>, Refusal> {
    let normal = password::normalized(password);
    password::check_new(&normal, own, |text| {
        // The estimate takes long for long texts, and what is longer than this is not worse for it.
        let beginning: String = text.chars().take(64).collect();
        u8::from(zxcvbn::zxcvbn(&beginning, own).score())
    })?;
    Ok(normal)
}

fn binding(user: &User) -> Binding {
    Binding::new("user-password", &[user.row.user.as_bytes()])
}

/// Puts a hash into a user's row.
pub fn put(app: &Records, user: &mut User, hash: &str) -> Result<(), Fault> {
    user.row.sealed_password = Some(user.key.seal(&*app.random, &binding(user), hash.as_bytes())?);
    Ok(())
}

/// The hash in a user's row.
pub fn stored(user: &User) -> Result<Option<Zeroizing<String>>, Fault> {
    let Some(sealed) = &user.row.sealed_password else { return Ok(None) };
    let plain = user.key.open(&binding(user), sealed)?;
    let text = String::from_utf8(plain.to_vec()).map_err(|_| Fault::Sealed("a password".to_owned()))?;
    Ok(Some(Zeroizing::new(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// argon2id with 46 MiB and one pass.
    #[test]
    fn a_hash_costs_what_it_should() {
        let made = hash(Cost::STANDARD, b"x", &[1; 16]).unwrap();
        assert!(made.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"), "{made}");
    }

    /// the hash of nobody has all the parts of somebody's, so that as much is computed for it, and no password fits.
    #[test]
    fn the_hash_of_nobody_is_verified_like_any_other() {
        let cost = Cost::of(64, 2);
        let (nobodys, somebodys) =
            (drawn(cost, &[1; 16], &[7; 32]).unwrap(), hash(cost, b"x", &[1; 16]).unwrap());
        let before_output = somebodys.rfind('$').unwrap();
        assert_eq!(nobodys.split_at(before_output).0, somebodys.split_at(before_output).0);
        assert_eq!(nobodys.len(), somebodys.len());
        let refused = Argon2::default().verify_password(b"x", &PasswordHash::new(&nobodys).unwrap());
        assert_eq!(refused, Err(argon2::password_hash::Error::PasswordInvalid));
    }

    /// what is guessed by rules is refused, a few words in a row are not.
    #[test]
    fn the_estimate_knows_easy_ones() {
        let check = |text: &str| check_new(&Secret::new(text.to_owned()), &["ada@example.com"]).is_ok();
        assert!(!check("aaaaaaaaaaaaaaaa"));
        assert!(!check("December2026"));
        assert!(check("wheel harbour copper eleven"));
        assert!(check("Tr8!vXq2#LmP9z"));
    }
}
