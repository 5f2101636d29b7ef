//! Keys: the root key's file and what start-up refuses, and a seal key that lives on a token.

use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Command, sync::Arc};

use countersign_core::{digest::Digest, time::Time};
use countersign_pdf::{
    inspect::{Limits, Original},
    objects::NewObjects,
    seal::{SealKey as _, SealRequest, SignerText, UtcTime},
};
use countersign_server::{
    app::{App, Clock, SystemClock},
    config::{Config, Seal},
    fault::Fault,
    keys::TokenKey,
};
use cryptoki::context::Pkcs11;

use crate::app::TestDice;

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.server.data_dir = folder.join("data");
    config
}

async fn start(config: &Config, seed: u64) -> Result<Vec<String>, Fault> {
    let started = App::open(config.clone(), Arc::new(SystemClock), Arc::new(TestDice::new(seed))).await?;
    Ok(started.announcements)
}

#[tokio::test]
async fn the_first_start_makes_a_root_key_for_its_owner_alone_and_announces_it() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let said = start(&config, 1).await.unwrap();
    let path = config.root_key_file().display().to_string();
    assert!(said[0].contains(&path) && said[0].contains("Back it up"), "{said:?}");
    let mode = std::fs::metadata(config.root_key_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(start(&config, 2).await.unwrap().is_empty(), "the second start finds it");
}

#[tokio::test]
async fn data_without_its_root_key_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    start(&config, 1).await.unwrap();
    std::fs::rename(config.root_key_file(), folder.path().join("elsewhere")).unwrap();
    let refusal = start(&config, 2).await.unwrap_err().to_string();
    assert!(refusal.contains("root key") && refusal.contains("is missing"), "{refusal}");
    assert!(!config.root_key_file().exists(), "no new key is made");
}

#[tokio::test]
async fn a_wrong_or_readable_root_key_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    start(&config, 1).await.unwrap();
    let path = config.root_key_file();
    let right = std::fs::read_to_string(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(start(&config, 2).await.unwrap_err().to_string().contains("chmod 600"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let digits = right.trim_end().rsplit(':').next().unwrap();
    std::fs::write(&path, right.replace(digits, &"7".repeat(64))).unwrap();
    let refusal = start(&config, 3).await.unwrap_err().to_string();
    assert!(refusal.contains("is not the root key of this data"), "{refusal}");
}

#[tokio::test]
async fn a_data_folder_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    start(&config, 1).await.unwrap();
    std::fs::set_permissions(&config.server.data_dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert!(start(&config, 2).await.unwrap_err().to_string().contains("chmod 700"));
}

/// A certificate for the key: for ever, and to sign documents if its `purposes` are not other ones.
fn seal_certificate(
    pair: &rcgen::KeyPair,
    purposes: &[rcgen::ExtendedKeyUsagePurpose],
) -> rcgen::Certificate {
    let mut params = rcgen::CertificateParams::default();
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let document_signing = rcgen::ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 36]);
    params.extended_key_usages = match purposes {
        [] => vec![rcgen::ExtendedKeyUsagePurpose::EmailProtection, document_signing],
        others => others.to_vec(),
    };
    params.self_signed(pair).unwrap()
}

/// The seal key can live on a token: SoftHSM2 seals a PDF, and the seal verifies.
#[test]
fn a_key_on_a_pkcs11_token_signs() {
    let module = ["/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"]
        .into_iter()
        .map(Path::new)
        .find(|path| path.exists());
    let module = module.expect("install the Debian package softhsm2");
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let conf = folder.path().join("softhsm2.conf");
    std::fs::write(&conf, format!("directories.tokendir = {}\n", tokens.display())).unwrap();

    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = seal_certificate(&pair, &[]);
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("key.pem"), pair.serialize_pem()).unwrap();
    std::fs::write(at("chain.pem"), certificate.pem()).unwrap();
    crate::app::write_secret(&at("pin"), "1234\n");
    let softhsm = |arguments: &[&str]| {
        let output = Command::new("softhsm2-util")
            .args(arguments)
            .env("SOFTHSM2_CONF", &conf)
            .output()
            .expect("install the Debian package softhsm2");
        assert!(output.status.success(), "{output:?}");
    };
    softhsm(&["--init-token", "--free", "--label", "seal", "--so-pin", "1234", "--pin", "1234"]);
    let key_file = at("key.pem");
    let key_file = key_file.to_str().unwrap();
    softhsm(&["--import", key_file, "--token", "seal", "--label", "sealing", "--id", "01", "--pin", "1234"]);

    // The module reads its configuration from the environment, so that it is loaded in a process of its own.
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "keys::in_the_child_a_token_signs", "--include-ignored"])
        .env("SOFTHSM2_CONF", &conf)
        .env("TOKEN_TEST_MODULE", module)
        .env("TOKEN_TEST_FOLDER", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success() && said.contains("1 passed"), "{said}");
}

/// The second half of the test above; by itself it has nothing to do.
#[test]
fn in_the_child_a_token_signs() {
    let (Some(module), Some(folder)) =
        (std::env::var_os("TOKEN_TEST_MODULE"), std::env::var_os("TOKEN_TEST_FOLDER"))
    else {
        return;
    };
    let at = |name: &str| Path::new(&folder).join(name);
    let seal = Seal {
        pkcs11_module: Some(module.clone().into()),
        slot: None,
        pin_file: Some(at("pin")),
        label: Some("sealing".to_owned()),
        certificates: Some(at("chain.pem")),
    };
    let key = TokenKey::open(Path::new(&module), &seal).unwrap();
    let digest = Digest::of(b"a document").0;
    let signature = key.sign(&digest).unwrap();
    let pair = rcgen::KeyPair::from_pem(&std::fs::read_to_string(at("key.pem")).unwrap()).unwrap();
    let public = aws_lc_rs::signature::UnparsedPublicKey::new(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1,
        rcgen::PublicKeyData::der_bytes(&pair).to_vec(),
    );
    public.verify(b"a document", &signature).unwrap();
    // All sessions of a process are logged out together: the key's own is of no use any more.
    let beside = Pkcs11::new(Path::new(&module)).unwrap();
    let slot = beside.get_slots_with_initialized_token().unwrap()[0];
    beside.open_ro_session(slot).unwrap().logout().unwrap();
    public.verify(b"a document", &key.sign(&digest).unwrap()).unwrap();
    assert_eq!(key.certificate_chain().len(), 1);
    let bytes = crate::app::pdf(2);
    let original = Original::open(&bytes, &Limits::default()).unwrap();
    let signer = SignerText { name: "A token".to_owned(), reason: String::new(), location: String::new() };
    let request = SealRequest {
        overlays: &[],
        extra_pages: &[],
        objects: NewObjects::new(original.first_free_object()),
        attachments: &[],
        signer: &signer,
        signed_at: UtcTime { year: 2026, month: 11, day: 22, hour: 1, minute: 2, second: 3 },
        certificate_chain: key.certificate_chain(),
    };
    let sealed = countersign_pdf::seal::seal(&original, request, &key).unwrap();
    let verified = countersign_pdf::verify::verify(&sealed, &Limits::for_sealed()).unwrap();
    assert_eq!(verified.certificate_chain, key.certificate_chain());
    the_server_tries_the_token(&folder, &seal);
    let wrong = Seal { label: Some("another".to_owned()), ..seal };
    let refusal = TokenKey::open(Path::new(&module), &wrong).err().map(|fault| fault.to_string());
    assert!(refusal.is_some_and(|refusal| refusal.contains("0 private keys with the label")));
}

/// Start-up signs with the token and refuses, in words, a certificate that does not fit the key or may not seal.
fn the_server_tries_the_token(folder: &std::ffi::OsStr, seal: &Seal) {
    let folder = Path::new(folder);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let refusal = |name: &str, chain: String, days: i64| {
        let place = folder.join(name);
        std::fs::create_dir(&place).unwrap();
        std::fs::write(place.join("chain.pem"), chain).unwrap();
        let mut config = config(&place);
        config.seal = Seal { certificates: Some(place.join("chain.pem")), ..seal.clone() };
        let clock = Arc::new(LateClock(days));
        let started = runtime.block_on(App::open(config, clock, Arc::new(TestDice::new(1))));
        started.err().map(|fault| fault.to_string()).unwrap_or_default()
    };
    let pair = rcgen::KeyPair::from_pem(&std::fs::read_to_string(folder.join("key.pem")).unwrap()).unwrap();
    let other = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let large = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let tls = [rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(refusal("right", seal_certificate(&pair, &[]).pem(), 0), "");
    for (name, certificate) in
        [("other", seal_certificate(&other, &[])), ("large", seal_certificate(&large, &[]))]
    {
        let sentence = refusal(name, certificate.pem(), 0);
        assert!(
            sentence.contains("does not belong to its certificate, or is not on P-256"),
            "{name}: {sentence}"
        );
    }
    let sentence = refusal("tls", seal_certificate(&pair, &tls).pem(), 0);
    assert!(sentence.contains("may not be used to seal documents"), "{sentence}");
    let sentence = refusal("late", seal_certificate(&pair, &[]).pem(), 365 * 3_000);
    assert!(sentence.contains("was not valid"), "{sentence}");
    assert!(refusal("none", String::new(), 0).contains("has no certificate"));
    let stranger = [seal_certificate(&pair, &[]).pem(), seal_certificate(&other, &[]).pem()].concat();
    let sentence = refusal("stranger", stranger, 0);
    assert!(sentence.contains("each is followed by the one that issued it"), "{sentence}");
}

/// The machine's clock, so many days ahead.
struct LateClock(i64);

impl Clock for LateClock {
    fn now(&self) -> Time {
        SystemClock.now().plus_s(self.0 * 24 * 3_600)
    }
}
