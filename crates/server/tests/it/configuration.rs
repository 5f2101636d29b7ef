//! Configuration: the example file is the code's, unknown keys are refused, and unsafe settings too.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use countersign_server::{
    config::{Config, SmtpSecurity},
    logs,
};

const EXAMPLE: &str = include_str!("../../../../countersign.example.toml");

fn read(toml: &str, environment: &[(&str, &str)]) -> Result<Config, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("countersign.toml");
    std::fs::write(&file, toml).unwrap();
    let environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    Config::read(Some(&file), environment).map_err(|fault| fault.to_string())
}

/// The example documents every key, and no other, with its default: uncommented it reads as the defaults but for keys
/// that have none.
#[test]
fn the_example_file_and_the_code_know_the_same_keys() {
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.contains(" = ") && !setting.starts_with(' ') => setting,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n");
    let example = read(&uncommented, &[]).unwrap_or_else(|error| panic!("{error}"));
    let shown = serde_json::to_value(&example).unwrap();
    let defaults = serde_json::to_value(Config::default()).unwrap();
    for (section, keys) in defaults.as_object().unwrap() {
        for (key, default) in keys.as_object().unwrap() {
            let value = &shown[section][key];
            assert!(!value.is_null(), "countersign.example.toml lacks {section}.{key}");
            assert!(
                uncommented.contains(&format!("{key} = ")),
                "countersign.example.toml lacks {section}.{key}"
            );
            if !default.is_null() && default != &serde_json::json!([]) {
                assert_eq!(
                    value, default,
                    "countersign.example.toml shows another default for {section}.{key}"
                );
            }
        }
    }
    assert!(read(EXAMPLE, &[]).unwrap().check().is_ok(), "the file as it is starts a server");
}

#[test]
fn unknown_keys_are_refused_in_file_and_environment() {
    assert!(read("[server]\nlisten_on = \"x\"\n", &[]).unwrap_err().contains("listen_on"));
    assert!(read("", &[("COUNTERSIGN_SERVER__LISTEN_ON", "x")]).unwrap_err().contains("listen_on"));
    assert!(read("", &[("COUNTERSIGN_SURPRISE__X", "x")]).unwrap_err().contains("surprise"));
    for typing_error in ["COUNTERSIGN_SERVER_LISTEN", "COUNTERSIGN_LISTEN", "COUNTERSIGN_"] {
        let refusal = read("", &[(typing_error, "127.0.0.1:2")]).unwrap_err();
        assert!(
            refusal.contains(typing_error) && refusal.contains("COUNTERSIGN_SERVER__LISTEN"),
            "{refusal}"
        );
    }
    let right = ("COUNTERSIGN_SERVER__TRUSTED_PROXIES", "[\"10.0.0.0/8\"]");
    for wrong in [
        ("COUNTERSIGN_SERVER__LISTN", "127.0.0.1:2"),
        ("COUNTERSIGN_SERVER__LISTEN", "abc"),
        ("COUNTERSIGN_SERVER__TRUSTED_PROXIES", "10.0.0.1"),
    ] {
        let refusal = read("[log]\nlevel = \"info\"\n", &[right, wrong]).unwrap_err();
        assert!(refusal.contains(&format!("variable {}:", wrong.0)), "{refusal}");
    }
    assert!(read("", &[("COUNTERSIGN_CONFIG", "x"), ("OTHER", "x"), right]).is_ok());
}

/// Whatever else is in the environment is none of our business, and what is ours is named without its value.
#[test]
fn a_variable_of_ours_that_is_not_text_is_named_and_others_are_left_alone() {
    let bytes = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
    let read = |name: &[u8], value: &[u8]| {
        let variable = (bytes(name), bytes(value));
        Config::read(None, std::iter::once(variable)).map(drop).map_err(|fault| fault.to_string())
    };
    let refusal = read(b"COUNTERSIGN_MAIL__SMTP_USER", b"ren\xe9 secret").unwrap_err();
    assert!(refusal.contains("COUNTERSIGN_MAIL__SMTP_USER is not UTF-8"), "{refusal}");
    assert!(!refusal.contains("secret"), "{refusal}");
    let refusal = read(b"COUNTERSIGN_MAIL__\xe9", b"x").unwrap_err();
    assert!(refusal.contains("COUNTERSIGN_MAIL__") && refusal.contains("is not UTF-8"), "{refusal}");
    for (name, value) in
        [(b"OTHER".as_slice(), b"\xff".as_slice()), (b"\xff", b"x"), (b"COUNTERSIGN_CONFIG", b"\xff")]
    {
        assert_eq!(read(name, value), Ok(()));
    }
}

#[test]
fn the_environment_is_over_the_file() {
    let config = read(
        "[server]\nlisten = \"127.0.0.1:1\"\n",
        &[("COUNTERSIGN_SERVER__LISTEN", "127.0.0.1:2"), ("COUNTERSIGN_SERVER__CONNECTIONS", "7")],
    )
    .unwrap();
    assert_eq!((config.server.listen.port(), config.server.connections), (2, 7));
}

#[test]
fn unsafe_settings_are_refused_with_what_to_do() {
    type Change = fn(&mut Config);
    let cases: [(Change, &str); 19] = [
        (|c| c.server.public_url = "http://sign.example.com".into(), "https://"),
        (|c| c.server.public_url = "https://sign.example.com/".into(), "no slash"),
        (
            |c| {
                c.server.plain_http = true;
                c.server.listen = "0.0.0.0:80".parse().unwrap();
            },
            "not a loopback address",
        ),
        (|c| c.server.tls_key = Some("key.pem".into()), "set both"),
        (
            |c| c.server.trusted_proxies = vec!["0.0.0.0/0".to_owned().try_into().unwrap()],
            "anybody can name any client address",
        ),
        (|c| c.mail.smtp_security = SmtpSecurity::None, "plain text"),
        (|c| c.mail.smtp_host = Some("mail.example.com".into()), "mail.from"),
        (|c| c.mail.dkim_domain = Some("example.com".into()), "dkim_selector"),
        (|c| c.mail.smtp_user = Some("mailer".into()), "mail.smtp_host"),
        (|c| c.seal.certificates = Some("seal.pem".into()), "the development key would seal"),
        (|c| c.seal.slot = Some(0), "seal.pkcs11_module"),
        (|c| c.server.requests = 0, "at least 1"),
        (|c| c.server.idle_s = 0, "at least 1"),
        (|c| c.server.public_url = "https://example.com/sign".into(), "nothing else"),
        (|c| c.server.public_url = "https://me@example.com".into(), "nothing else"),
        (|c| c.server.public_url = "https://example.com?x".into(), "nothing else"),
        (|c| c.mail.from = "nobody".into(), "mail.from"),
        (|c| c.egress.allow_hosts = vec!["localhost:8443".into()], "without scheme, port"),
        (|c| c.egress.allow_hosts = vec!["https://hooks.example.com".into()], "without scheme"),
    ];
    for (change, words) in cases {
        let mut config = Config::default();
        assert!(config.check().is_ok());
        change(&mut config);
        let refusal = config.check().unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    }
}

/// A level that is mistyped would silence the log, faults included.
#[test]
fn a_log_level_that_would_silence_faults_is_refused() {
    for level in ["warning", "loud", "off", "", "countersign_server=debug", "info,debug", "info,h2=loud"] {
        let refusal = logs::checked(level).unwrap_err().to_string();
        assert!(refusal.contains("set it to error, warn, info, debug or trace"), "{level}: {refusal}");
    }
    for level in ["error", "warn", "info", "debug", "trace", "INFO", "info,countersign_server=debug,h2=warn"]
    {
        assert!(logs::checked(level).is_ok(), "{level}");
    }
}
