//! A seal key on a PKCS#11 token (HSM, smart card, SoftHSM): it never leaves the token, we send it digests.

use std::{path::Path, sync::Mutex};

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
    session: Mutex<Session>,
    key: ObjectHandle,
    chain: Vec<Vec<u8>>,
}

fn needed<'a, T>(value: Option<&'a T>, key: &str) -> Result<&'a T, Fault> {
    value.ok_or_else(|| Fault::Key(format!("[seal] pkcs11_module is set: set {key} as well")))
}

impl TokenKey {
    /// Loads the module, logs in and finds the private key by its label.
    pub fn open(module: &Path, seal: &Seal) -> Result<Self, Fault> {
        let token = |error: Error| Fault::Key(format!("PKCS#11 token: {error}"));
        let label = needed(seal.label.as_ref(), "label")?;
        let pin_file = needed(seal.pin_file.as_ref(), "pin_file")?;
        let chain_file = needed(seal.certificates.as_ref(), "certificates")?;
        let chain = CertificateDer::pem_file_iter(chain_file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| Fault::file(chain_file, error))?;
        let pin = super::secret_file::read(pin_file)?;

        let pkcs11 = Pkcs11::new(module).map_err(token)?;
        let flags = CInitializeFlags::OS_LOCKING_OK;
        match pkcs11.initialize(CInitializeArgs::new(flags)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(token(error)),
        }
        let slots = pkcs11.get_slots_with_initialized_token().map_err(token)?;
        let slot = match seal.slot {
            Some(wanted) => slots.into_iter().find(|slot| slot.id() == wanted),
            None => slots.into_iter().next(),
        };
        let slot = slot.ok_or_else(|| Fault::Key("the PKCS#11 module has no such token".to_owned()))?;
        let session = pkcs11.open_ro_session(slot).map_err(token)?;
        match session.login(UserType::User, Some(&AuthPin::new(pin.trim_end().into()))) {
            // All sessions of a process with a token are logged in, or none (PKCS#11 §5.6.8).
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(token(error)),
        }
        let wanted =
            [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label.clone().into_bytes())];
        let found = session.find_objects(&wanted).map_err(token)?;
        let [key] = found.as_slice() else {
            let reason =
                format!("the token has {} private keys with the label “{label}”, not one", found.len());
            return Err(Fault::Key(reason));
        };
        Ok(Self {
            key: *key,
            session: Mutex::new(session),
            chain: chain.iter().map(|der| der.to_vec()).collect(),
        })
    }
}

impl SealKey for TokenKey {
    fn certificate_chain(&self) -> &[Vec<u8>] {
        &self.chain
    }

    fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, KeyFault> {
        let session = self.session.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let fixed = session
            .sign(&Mechanism::Ecdsa, self.key, digest)
            .map_err(|error| KeyFault { detail: error.to_string() })?;
        // The token gives r and s side by side (PKCS#11 §6.3.1); CMS wants DER.
        let signature =
            Signature::from_slice(&fixed).map_err(|error| KeyFault { detail: error.to_string() })?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
