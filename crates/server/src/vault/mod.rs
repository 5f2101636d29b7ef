//! The vault: documents and what is made of them, encrypted each under a key of its own (D-2), and hashed again
//! whenever they are read (D-1).

pub mod chunked;
pub mod folder;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use countersign_core::{access::Tenant, digest::Digest};

use crate::{
    app::Records,
    fault::Fault,
    keys::{Binding, WrappingKey},
};

/// Something in the vault: what is needed to read it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Name of its blob.
    pub blob: String,
    /// Its key, wrapped by the organization's key.
    pub wrapped_key: Vec<u8>,
}

fn key_binding(tenant: &Tenant, blob: &str) -> Binding {
    let environment = tenant.environment().text().as_bytes();
    Binding::new("document-key", &[tenant.organization().as_bytes(), environment, blob.as_bytes()])
}

fn context(tenant: &Tenant, blob: &str) -> Vec<u8> {
    format!("countersign/blob/v1/{}/{}/{blob}", tenant.organization(), tenant.environment().text())
        .into_bytes()
}

impl Records {
    /// Encrypts `bytes` under a new key and writes them durably as the blob `blob`, a name that is never used again.
    pub async fn keep(
        &self,
        tenant: &Tenant,
        blob: String,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(Kept, WrappingKey), Fault> {
        let organization = self.organization(tenant.organization()).await?;
        let key = WrappingKey::generate(&*self.random);
        let wrapped_key = organization.key.wrap(&*self.random, &key_binding(tenant, &blob), &key)?;
        let mut salt = [0; chunked::SALT_BYTES];
        self.random.fill(&mut salt);
        let (input_key, context) = (key.clone(), context(tenant, &blob));
        let sealed =
            on_blocking_thread(move || chunked::encrypt(input_key.expose(), &salt, &context, bytes.as_ref()))
                .await?
                .map_err(|error| Fault::Sealed(error.to_string()))?;
        self.blobs.put(&blob, sealed).await?;
        Ok((Kept { blob, wrapped_key }, key))
    }

    /// The key of something in the vault.
    pub async fn key_of(&self, tenant: &Tenant, kept: &Kept) -> Result<WrappingKey, Fault> {
        let organization = self.organization(tenant.organization()).await?;
        organization.key.unwrap(&key_binding(tenant, &kept.blob), &kept.wrapped_key)
    }

    /// Reads and decrypts something, with the SHA-256 that it has now. Whether that is the one it should have is
    /// for the caller to decide; see [`Self::fetch`].
    pub async fn fetch_as_found(&self, tenant: &Tenant, kept: &Kept) -> Result<(Vec<u8>, Digest), Fault> {
        let key = self.key_of(tenant, kept).await?;
        let sealed = self.blobs.get(&kept.blob).await?;
        let sealed = sealed.ok_or_else(|| Fault::Missing(format!("the blob {}", kept.blob)))?;
        let (context, blob) = (context(tenant, &kept.blob), kept.blob.clone());
        on_blocking_thread(move || {
            let bytes = chunked::decrypt(key.expose(), &context, &sealed)
                .map_err(|error| Fault::Sealed(format!("the blob {blob} ({error})")))?;
            let digest = Digest::of(&bytes);
            Ok((bytes, digest))
        })
        .await?
    }

    /// Reads, decrypts and hashes something again (D-1).
    pub async fn fetch(&self, tenant: &Tenant, kept: &Kept, sha256: Digest) -> Result<Vec<u8>, Fault> {
        let (bytes, found) = self.fetch_as_found(tenant, kept).await?;
        if found != sha256 {
            return Err(Fault::Digest(kept.blob.clone()));
        }
        Ok(bytes)
    }
}

/// Runs work that takes the processor for long on a thread of its own.
pub async fn on_blocking_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Fault> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Fault::Task(error.to_string()))
}

/// Writes a file with these permissions, whole or not at all, and durably. One that exists is never replaced.
pub(crate) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Fault> {
    let write = || {
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        // A process of the same id may have been killed here before.
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        linked?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|error| Fault::file(path, error))
}
