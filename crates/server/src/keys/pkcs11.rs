//! A seal key on a PKCS#11 token (HSM, smart card, SoftHSM): it never leaves the token, we send it digests.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use countersign_pdf::seal::{KeyFault, SealKey};
use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error, RvError},
    mechanism::Mechanism,
    object::{Attribute, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    types::AuthPin,
};
use p256::ecdsa::Signature;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{config::Seal, fault::Fault};

/// A P-256 key on a token, with one session that signs one digest at a time.
pub struct TokenKey {
    token: Token,
    open: Mutex<Option<Open>>,
    chain: Vec<Vec<u8>>,
}

/// Where the key is.
struct Token {
    pkcs11: Pkcs11,
    slot: Option<u64>,
    pin_file: PathBuf,
    label: String,
}

/// A session that is logged in, and the key in it.
struct Open {
    session: Session,
    key: ObjectHandle,
}

fn needed<'a, T>(value: Option<&'a T>, key: &str) -> Result<&'a T, Fault> {
    value.ok_or_else(|| Fault::Key(format!("[seal] pkcs11_module is set: set {key} as well")))
}

fn fault(error: &Error) -> Fault {
    Fault::Key(format!("PKCS#11 token: {error}"))
}

impl TokenKey {
    /// Loads the module, logs in and finds the private key by its label.
    pub fn open(module: &Path, seal: &Seal) -> Result<Self, Fault> {
        let label = needed(seal.label.as_ref(), "label")?.clone();
        let pin_file = needed(seal.pin_file.as_ref(), "pin_file")?.clone();
        let chain_file = needed(seal.certificates.as_ref(), "certificates")?;
        let chain = CertificateDer::pem_file_iter(chain_file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| Fault::file(chain_file, error))?;

        // Before anything of the module runs.
        super::secret_file::read(&pin_file)?;
        let pkcs11 = Pkcs11::new(module).map_err(|error| fault(&error))?;
        let flags = CInitializeFlags::OS_LOCKING_OK;
        match pkcs11.initialize(CInitializeArgs::new(flags)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(fault(&error)),
        }
        let token = Token { pkcs11, slot: seal.slot, pin_file, label };
        let open = Mutex::new(Some(token.connect()?));
        Ok(Self { token, open, chain: chain.iter().map(|der| der.to_vec()).collect() })
    }
}

impl Token {
    fn connect(&self) -> Result<Open, Fault> {
        let slots = self.pkcs11.get_slots_with_initialized_token().map_err(|error| fault(&error))?;
        let slot = match self.slot {
            Some(wanted) => slots.into_iter().find(|slot| slot.id() == wanted),
            None => slots.into_iter().next(),
        };
        let slot = slot.ok_or_else(|| Fault::Key("the PKCS#11 module has no such token".to_owned()))?;
        let session = self.pkcs11.open_ro_session(slot).map_err(|error| fault(&error))?;
        let pin = super::secret_file::read(&self.pin_file)?;
        match session.login(UserType::User, Some(&AuthPin::new(pin.trim_end().into()))) {
            // All sessions of a process with a token are logged in, or none (PKCS#11 §5.6.8).
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(fault(&error)),
        }
        let label = self.label.clone().into_bytes();
        let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label)];
        let found = session.find_objects(&wanted).map_err(|error| fault(&error))?;
        let [key] = found.as_slice() else {
            let (count, label) = (found.len(), &self.label);
            let reason = format!("the token has {count} private keys with the label “{label}”, not one");
            return Err(Fault::Key(reason));
        };
        Ok(Open { key: *key, session })
    }
}

impl Open {
    /// r and s side by side (PKCS#11 §6.3.1).
    fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Error> {
        self.session.sign(&Mechanism::Ecdsa, self.key, digest)
    }
}

impl SealKey for TokenKey {
    fn certificate_chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    /// A session does not outlive a restart of its HSM, or a break in the line to it: then another is opened, once.
    fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, KeyFault> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = match open.as_ref().map(|open| open.sign(digest)) {
            Some(Ok(fixed)) => fixed,
            lost => {
                let lost =
                    lost.and_then(Result::err).map_or_else(|| "none".to_owned(), |error| error.to_string());
                tracing::warn!(
                    event_type = "seal",
                    event_result = "token_session_lost",
                    "a session is opened anew: {lost}"
                );
                // The old one ends before its number may be given again.
                *open = None;
                let anew = self.token.connect().map_err(|fault| KeyFault { detail: fault.to_string() })?;
                let fixed = anew.sign(digest).map_err(|error| KeyFault { detail: error.to_string() })?;
                *open = Some(anew);
                fixed
            }
        };
        // CMS wants DER.
        let signature =
            Signature::from_slice(&signed).map_err(|error| KeyFault { detail: error.to_string() })?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
