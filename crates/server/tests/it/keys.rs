//! Keys: the root key's file and what start-up refuses, and a seal key that lives on a token.

use std::{os::unix::fs::PermissionsExt as _, path::Path, process::Command, sync::Arc};

use countersign_core::digest::Digest;
use countersign_pdf::seal::SealKey as _;
use countersign_server::{
    app::{App, SystemClock},
    config::{Config, Seal},
    fault::Fault,
    keys::TokenKey,
};

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
    assert!(said[0].contains("root.key") && said[0].contains("Back it up"), "{said:?}");
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

/// The seal key can live on a token: SoftHSM2 signs, and the signature verifies under the token's public key.
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
    let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap();
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
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
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
    assert_eq!(key.certificate_chain().len(), 1);
    let wrong = Seal { label: Some("another".to_owned()), ..seal };
    assert!(TokenKey::open(Path::new(&module), &wrong).is_err(), "a label that is not there is refused");
}
