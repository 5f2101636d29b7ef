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
    slot::Slot,
    types::AuthPin,
};
use p256::ecdsa::Signature;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{config::Seal, fault::Fault};

/// A P-256 key on a token, with one session that signs one digest at a time.
pub struct TokenKey {
    token: Token,
    connection: Mutex<Connection>,
    chain: Vec<Vec<u8>>,
}

/// Where the key is.
struct Token {
    pkcs11: Pkcs11,
    slot: Slot,
    pin_file: PathBuf,
    label: String,
}

/// The way to the token.
enum Connection {
    Open(Open),
    Lost,
    /// The PIN was refused, which is not tried again.
    Refused,
}

/// Why there is no session.
enum NotOpen {
    Pin(Error),
    Other(Fault),
}

impl From<Error> for NotOpen {
    fn from(error: Error) -> Self {
        match error {
            Error::Pkcs11(
                RvError::PinIncorrect | RvError::PinInvalid | RvError::PinExpired | RvError::PinLocked,
                _,
            ) => Self::Pin(error),
            error => Self::Other(fault(&error)),
        }
    }
}

impl From<NotOpen> for Fault {
    fn from(not_open: NotOpen) -> Self {
        match not_open {
            NotOpen::Pin(error) => fault(&error),
            NotOpen::Other(fault) => fault,
        }
    }
}

/// Whether another session may do what this one cannot any more.
fn is_lost(error: &Error) -> bool {
    use RvError as R;
    matches!(
        error,
        Error::Pkcs11(
            R::SessionHandleInvalid
                | R::SessionClosed
                | R::UserNotLoggedIn
                | R::KeyHandleInvalid
                | R::ObjectHandleInvalid
                | R::DeviceError
                | R::DeviceRemoved
                | R::TokenNotPresent
                | R::TokenNotRecognized
                | R::GeneralError
                | R::FunctionFailed,
            _
        )
    )
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
        let slots = pkcs11.get_slots_with_initialized_token().map_err(|error| fault(&error))?;
        let slot = match seal.slot {
            Some(wanted) => slots.into_iter().find(|slot| slot.id() == wanted),
            None => slots.into_iter().next(),
        };
        let slot = slot.ok_or_else(|| Fault::Key("the PKCS#11 module has no such token".to_owned()))?;
        let token = Token { pkcs11, slot, pin_file, label };
        let connection = Mutex::new(Connection::Open(token.connect()?));
        Ok(Self { token, connection, chain: chain.iter().map(|der| der.to_vec()).collect() })
    }
}

impl Token {
    fn connect(&self) -> Result<Open, NotOpen> {
        let session = self.pkcs11.open_ro_session(self.slot)?;
        let pin = super::secret_file::read(&self.pin_file).map_err(NotOpen::Other)?;
        match session.login(UserType::User, Some(&AuthPin::new(pin.trim_end().into()))) {
            // All sessions of a process with a token are logged in, or none (PKCS#11 §5.6.8).
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let label = self.label.clone().into_bytes();
        let wanted = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Label(label)];
        let found = session.find_objects(&wanted)?;
        let [key] = found.as_slice() else {
            let (count, label) = (found.len(), &self.label);
            let reason = format!("the token has {count} private keys with the label “{label}”, not one");
            return Err(NotOpen::Other(Fault::Key(reason)));
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
        let told = |detail: String| KeyFault { detail };
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = match &*connection {
            Connection::Open(open) => match open.sign(digest) {
                Err(error) if is_lost(&error) => Err(error.to_string()),
                signed => Ok(signed.map_err(|error| told(error.to_string()))?),
            },
            Connection::Lost => Err("it was lost before".to_owned()),
            Connection::Refused => {
                return Err(told("the token refused its PIN: mend seal.pin_file and start again".to_owned()));
            }
        };
        let fixed = match signed {
            Ok(fixed) => fixed,
            Err(lost) => {
                tracing::warn!(
                    event_type = "seal",
                    event_result = "token_session_lost",
                    "opened anew: {lost}"
                );
                // The old one ends before its number may be given again.
                *connection = Connection::Lost;
                match self.token.connect() {
                    Ok(open) => {
                        let fixed = open.sign(digest).map_err(|error| told(error.to_string()))?;
                        *connection = Connection::Open(open);
                        fixed
                    }
                    Err(NotOpen::Pin(error)) => {
                        // A token counts wrong PINs, and locks.
                        *connection = Connection::Refused;
                        return Err(told(error.to_string()));
                    }
                    Err(NotOpen::Other(fault)) => return Err(told(fault.to_string())),
                }
            }
        };
        // CMS wants DER.
        let signature =
            Signature::from_slice(&fixed).map_err(|error| KeyFault { detail: error.to_string() })?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
