//! What `check` finds: everything that a start or the first message would stumble over, with the setting and what to do.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};

use crate::desk::{KEY_ID, Relay, configuration, forward_to};

const PUBLIC_KEY: &str = "whpk_JrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=";

fn good() -> String {
    configuration("", "", &forward_to("http://127.0.0.1:9/"))
}

/// A sender of another format, in place of Countersign.
fn preset(format: &str) -> String {
    let text = good();
    let keys = text.lines().find(|line| line.starts_with("keys = ")).unwrap();
    text.replace(keys, "secret_envs = [\"CS_SECRET\"]")
        .replace("format = \"countersign\"", &format!("format = \"{format}\""))
}

/// What `check` says of a configuration that it must refuse.
fn refused(relay: &Relay) -> String {
    let output = relay.run(&["check"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success(),
        "{}",
        fs::read_to_string(relay.folder.path().join("relay.toml")).unwrap()
    );
    assert!(output.stdout.is_empty());
    said
}

/// Each row: the text before, what is put into it, and what is said.
fn all_are_refused(good: &str, table: &[(&str, &str, &str)]) {
    let output = Relay::new(good).run(&["check"]);
    assert!(output.status.success(), "{output:?}");
    for (from, to, expected) in table {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let said = refused(&Relay::new(&text));
        assert!(said.contains(expected), "{expected}\n--- was not said of\n{text}\n--- but\n{said}");
    }
}

/// W-10: what is out of form is told with its line, and how it is written.
#[test]
fn what_is_out_of_form_is_told_with_its_line() {
    let line = "line 8: unknown variant, expected one of `countersign`, `stripe`, `github`, `docusign`";
    let text = good().replace("\n\n", "\n");
    all_are_refused(
        &text,
        &[
            ("format = \"countersign\"", "format = \"paypal\"", line),
            (
                "format = \"countersign\"",
                "format = \"countersign\"\naccept = \"any\"",
                "line 9: unknown variant, expected one of `v1`, `v1a`",
            ),
            (
                "[senders.countersign.forward]",
                "[senders.countersign]\n[senders.countersign.forward]",
                "duplicate",
            ),
            (
                "\"127.0.0.1:0\"",
                "\"localhost:8440\"",
                "line 2: this is no address with a port: write one like",
            ),
            (
                "[internal]",
                "trusted_proxies = [\"10.0.0.0\"]\n[internal]",
                "[0] is no network: write one like",
            ),
            (
                "keys =",
                "networks = [\"203.0.113.7/32\", \"203.0.113.7\"]\nkeys =",
                "[1] is no network: write one like",
            ),
            ("[internal]", "request_s = -1\n[internal]", "line 3: invalid value: integer, expected u32"),
            ("[queue]", "[cue]", "unknown field `cue`"),
            ("url = \"http://127.0.0.1:9/\"", "", "missing field `url`"),
        ],
    );
    let said = refused(&Relay::new(&text.replace("keys =", "secret = \"whsec_Bwc=\"\nkeys =")));
    assert!(said.contains("unknown field `secret`"), "{said}");
    assert!(said.contains("countersign-relay init"), "{said}");
}

/// W-10: a secret that stands somewhere in the file by mistake is told with its line, and not repeated.
#[test]
fn no_value_of_the_file_is_repeated() {
    let text = good().replace("\n\n", "\n");
    let keys = text.lines().find(|line| line.starts_with("keys = ")).unwrap();
    for secret in ["whsec_BwcHBwcHBwc=", "a, expected \\\"Bwc\\\", expected `Bwc`", "Bwc"] {
        for (from, to, expected) in [
            (keys, "secret = \"SECRET\"", "line 9: unknown field `secret`"),
            (keys, "\"SECRET\" = 1", "line 9: unknown field, expected one of `format`"),
            (keys, "keys = [\"SECRET\"]", "line 9: invalid type: string, expected struct Key"),
            (keys, "keys = \"SECRET\"", "line 9: invalid type: string, expected a sequence"),
            (keys, "secret_envs = \"SECRET\"", "line 9: invalid type: string, expected a sequence"),
            (keys, "window_s = \"SECRET\"", "line 9: invalid type: string, expected u32"),
            (keys, "networks = [\"SECRET\"]", "line 9: [0] is no network"),
            ("\"countersign\"", "\"SECRET\"", "line 8: unknown variant, expected one of `countersign`"),
            ("\"127.0.0.1:0\"", "\"SECRET\"", "line 2: this is no address with a port"),
        ] {
            let wrong = text.replacen(from, &to.replace("SECRET", secret), 1);
            let said = refused(&Relay::new(&wrong));
            assert!(said.contains(expected) && !said.contains("Bwc"), "{expected}\n{wrong}\n{said}");
        }
    }
}

/// W-10: no bound may be zero, and none without end.
#[test]
fn every_bound_has_a_least_and_a_most() {
    let forward = "[senders.countersign.forward]";
    for (table, name, is_never_zero) in [
        ("[listen]", "connections", true),
        ("[listen]", "connections_per_address", true),
        ("[listen]", "request_s", true),
        ("[listen]", "body_bytes", true),
        ("[listen]", "bodies_bytes", true),
        ("[listen]", "requests_per_address_per_s", true),
        ("[listen]", "drain_s", true),
        ("[queue]", "messages", true),
        ("[queue]", "bytes", true),
        ("[queue]", "remember_days", true),
        ("[queue]", "try_h", true),
        ("[senders.countersign]", "messages_per_s", true),
        (forward, "concurrency", true),
        (forward, "attempt_s", true),
        (forward, "gap_s", false),
    ] {
        let text = good().replace("attempt_s = 2\n", "ordered = true\n");
        let large =
            if name.ends_with("bytes") || name == "messages" { "9000000000000000" } else { "4000000000" };
        for value in ["0", large] {
            if value == "0" && !is_never_zero {
                continue;
            }
            let said = refused(&Relay::new(&text.replace(table, &format!("{table}\n{name} = {value}"))));
            assert!(said.contains(&format!("{name}: {value} is not taken: set it to ")), "{said}");
        }
    }
}

const SENDER: &str = "format = \"countersign\"";

/// W-10: settings that contradict each other, or would be without effect, are refused.
#[test]
fn settings_that_do_not_fit_each_other_are_told() {
    let forward = "[senders.countersign.forward]";
    all_are_refused(
        &good(),
        &[
            (
                "[queue]",
                "[log]\nlevel = \"verbose\"\n[queue]",
                "log.level: set it to off, error, warn, info, debug or trace",
            ),
            (
                "[internal]",
                "behind_proxy = true\ntrusted_proxies = [\"0.0.0.0/0\"]\n[internal]",
                "listen.trusted_proxies: it holds every address",
            ),
            ("[queue]", "[queue]\ntry_h = 841", "queue.try_h: it is longer than queue.remember_days"),
            (
                "[queue]",
                "[queue]\npostgres_ca_file = \"ca.pem\"",
                "queue.postgres_ca_file: it is for queue.postgres_url_env",
            ),
            ("[queue]", "[queue]\npostgres_url_env = \"A\"", "queue: set either `file`"),
            (
                forward,
                "[senders.countersign.pull]\ntoken_env = \"A\"\n[senders.countersign.forward]",
                "set either a table `forward`",
            ),
            (forward, &format!("{forward}\ngap_s = 7"), "forward.gap_s: it is for ordered = true"),
            (forward, &format!("{forward}\nca_file = \"ca.pem\""), "forward.ca_file: it is for https"),
            (
                "[\"FORWARD_SECRET\"]",
                "[\"FORWARD_SECRET\", \"FORWARD_SECRET\"]",
                "forward.secret_envs: one variable is named twice",
            ),
            ("[\"FORWARD_SECRET\"]", "[\"A\", \"B\", \"C\"]", "forward.secret_envs: two are enough"),
            ("http://127.0.0.1:9/", "nonsense", "forward.url: it is no URL"),
            ("http://127.0.0.1:9/", "http://user:word@127.0.0.1:9/", "forward.url: it is no URL"),
        ],
    );
    all_are_refused(
        &preset("github"),
        &[
            ("secret_envs = ", "window_s = 120\nsecret_envs = ", "window_s: messages of this format"),
            ("secret_envs = [\"CS_SECRET\"]", "", "secret_envs: there is none"),
            ("[\"CS_SECRET\"]", "[\"CS_SECRET\", \"CS_SECRET\"]", "secret_envs: one variable is named twice"),
            (
                "secret_envs = ",
                "jwks_ca_file = \"a\"\nsecret_envs = ",
                "are for the format countersign: remove them",
            ),
        ],
    );
}

/// W-10: what is merely without effect is refused by `check`, and keeps no relay that served with it from serving.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_serves_with_settings_that_have_no_effect() {
    let text = good();
    let keys = text.lines().find(|line| line.starts_with("keys = ")).unwrap();
    let (forward, other) = ("[senders.countersign.forward]", "whk_01kb2y9b0xj6v1d9n3r5s7t8wx");
    let twice = "[\"FORWARD_SECRET\", \"FORWARD_SECRET\"]";
    let more = format!(
        "{}, {{ id = \"{other}\", public_key = \"{PUBLIC_KEY}\" }}, {{ id = \"{KEY_ID}\", secret_env = \"CS_SECRET\" }}]",
        keys.trim_end_matches(']')
    );
    let text = text
        .replace(keys, &format!("{more}\nurl = \"https://hooks.example.com/\"\njwks_ca_file = \"ca.pem\""))
        .replace("[queue]", "[log]\nlevel = \"INFO\"\n[queue]\ntry_h = 841\npostgres_ca_file = \"ca.pem\"")
        .replace(forward, &format!("{forward}\ngap_s = 7\nca_file = \"ca.pem\""))
        .replace("[\"FORWARD_SECRET\"]", twice);
    let hooks = "[senders.github]\nformat = \"github\"\nsecret_envs = [\"CS_SECRET\"]\nwindow_s = 120\n";
    let forward = forward_to("http://127.0.0.1:9/").replace("countersign", "github");
    let mut relay = Relay::new(&format!("{text}\n{hooks}{forward}"));
    let checked = refused(&relay);
    relay.start().await;
    let said = relay.said();
    for place in [
        "queue.try_h: ",
        "queue.postgres_ca_file: ",
        "senders.countersign.keys[1]: `v1` is verified with the secret",
        "senders.countersign.keys: two have the same id",
        "senders.countersign.jwks_ca_file: ",
        "senders.countersign.url: ",
        "senders.countersign.forward.gap_s: ",
        "senders.countersign.forward.ca_file: ",
        "senders.countersign.forward.secret_envs: one variable is named twice",
        "senders.github.window_s: ",
    ] {
        assert!(checked.contains(place), "{place}\n{checked}");
        assert!(said.lines().any(|line| line.contains("WARN") && line.contains(place)), "{place}\n{said}");
    }
    assert_eq!(relay.stop().await.code(), Some(0));
    for level in ["off", "Off", "WARN", "trace"] {
        let text = good().replace("[queue]", &format!("[log]\nlevel = \"{level}\"\n[queue]"));
        assert!(Relay::new(&text).run(&["check"]).status.success(), "{level}");
    }
    // Every message would be refused.
    let text = good().replace("secret_env = \"CS_SECRET\"", &format!("public_key = \"{PUBLIC_KEY}\""));
    let output = Relay::new(&text).run(&["serve"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

/// W-10: keys that prove nothing for what is accepted, and what goes with them.
#[test]
fn keys_that_do_not_fit_what_is_accepted_are_told() {
    let public = good().replace("secret_env = \"CS_SECRET\"", &format!("public_key = \"{PUBLIC_KEY}\""));
    let v1a = public.replace(SENDER, &format!("{SENDER}\naccept = \"v1a\""));
    all_are_refused(
        &good(),
        &[
            (
                SENDER,
                &format!("{SENDER}\naccept = \"v1a\""),
                "keys[0]: what is accepted here is verified with a public key",
            ),
            (
                "secret_env = \"CS_SECRET\"",
                &format!("public_key = \"{PUBLIC_KEY}\""),
                "keys[0]: `v1` is verified with the secret",
            ),
            (
                "secret_env = \"CS_SECRET\"",
                "public_key = \"whpk_AA==\"",
                "keys[0].public_key: this is no public key",
            ),
            ("secret_env = \"CS_SECRET\" }", "}", "keys[0]: set either `secret_env` or `public_key`"),
            (
                "secret_env = \"CS_SECRET\" }",
                &format!(
                    "secret_env = \"CS_SECRET\" }}, {{ id = \"{KEY_ID}\", secret_env = \"FORWARD_SECRET\" }}"
                ),
                "senders.countersign.keys: two have the same id",
            ),
            (
                SENDER,
                &format!("{SENDER}\nurl = \"https://x/\""),
                "url: only an HTTP Message Signature covers it",
            ),
            (SENDER, &format!("{SENDER}\njwks_ca_file = \"ca.pem\""), "jwks_ca_file: it is for jwks_url"),
            (
                SENDER,
                &format!("{SENDER}\nsecret_envs = [\"A\"]"),
                "secret_envs: the format countersign has `keys`",
            ),
        ],
    );
    all_are_refused(
        &v1a,
        &[
            ("v1a", "message-signature", "countersign.url: an HTTP Message Signature covers it"),
            ("\"v1a\"", "\"message-signature\"\nurl = \"nonsense\"", "senders.countersign.url: "),
            (
                "\"v1a\"",
                "\"v1a\"\njwks_url = \"http://sign.example.com/jwks.json\"",
                "jwks_url: keys are fetched over https",
            ),
            (
                "\"v1a\"",
                "\"v1a\"\njwks_ca_file = \"a.pem\"\njwks_url = \"https://sign.example.com/jwks.json\"",
                "jwks_ca_file: ",
            ),
        ],
    );
}

/// W-10: what is in a variable is judged before a message comes, and never repeated.
#[test]
fn what_is_in_a_variable_is_judged_and_not_repeated() {
    let pull = "[senders.countersign.pull]\ntoken_env = \"TOKEN\"\n";
    let pulled = configuration("", "", pull);
    let token = "0123456789abcdef0123456789abcdef";
    for (text, variable, value, expected) in [
        (good(), "CS_SECRET", "", "the variable CS_SECRET is not set, or empty"),
        (good(), "CS_SECRET", "BwcHBwcHBwcHBwcHBwcH", "CS_SECRET: this is no secret: it is `whsec_`"),
        (good(), "CS_SECRET", "whsec_!!!!", "CS_SECRET: this is no secret: it is `whsec_`"),
        (good(), "CS_SECRET", "whsec_BwcHBwcHBwc=\n", "what is in CS_SECRET begins or ends with white space"),
        (
            good(),
            "FORWARD_SECRET",
            "whsec_BwcHBwcHBwc=",
            "what is in FORWARD_SECRET is no secret: it is `whsec_`",
        ),
        (
            preset("stripe"),
            "CS_SECRET",
            "sk_live_0123456789abcdef",
            "is a key of Stripe's API: put the signing secret",
        ),
        (preset("github"), "CS_SECRET", "fifteen letters", "is shorter than 16 characters"),
        (preset("docusign"), "CS_SECRET", " 0123456789abcdef", "begins or ends with white space"),
        (
            pulled.clone(),
            "TOKEN",
            token.trim_start_matches('0'),
            "pull.token_env: the token is shorter than 32 characters",
        ),
        (pulled.clone(), "TOKEN", &token.replace('a', "ä"), "pull.token_env: no header can carry the token"),
        (pulled.clone(), "TOKEN", &token.replace('a', " "), "pull.token_env: no header can carry the token"),
        (pulled, "TOKEN", &token.repeat(33), "pull.token_env: no header can carry the token"),
    ] {
        let mut relay = Relay::new(&text);
        relay.set(variable, value);
        let said = refused(&relay);
        assert!(said.contains(expected), "{expected}:\n{said}");
        assert!(value.trim().is_empty() || !said.contains(value.trim()), "{said}");
    }
    // The secret itself, where the name of a variable should be.
    for secret in ["whsec_BwcHBwcHBwcHBwcHBwcHBwcH", "postgres://me:word@host/queue", "1A"] {
        let said = refused(&Relay::new(&good().replace("CS_SECRET", secret)));
        assert!(said.contains("keys[0].secret_env: this is no name of a variable"), "{said}");
        assert!(!said.contains(secret), "{said}");
    }
    // One that could be a name: of a variable with small letters only the setting is told, as long as it is not set.
    for secret in ["badc0ffee0ddf00dbadc0ffee0ddf00d", "sk_live_0123456789abcdef", "Webhook_Secret"] {
        let mut relay = Relay::new(&good().replace("CS_SECRET", secret));
        let said = refused(&relay);
        assert!(
            said.contains("keys[0].secret_env: the variable that is named here is not set, or empty"),
            "{said}"
        );
        assert!(!said.contains(secret), "{said}");
        relay.set(secret, "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        assert!(relay.run(&["check"]).status.success());
    }
}

/// W-10: a certificate that the relay cannot use, or that senders would refuse, is told before they come.
#[test]
fn files_of_tls_are_read_and_compared() {
    let (one, other) = (pair(None), pair(None));
    let ended = pair(Some([2020, 2021]));
    let early = pair(Some([4000, 4001]));
    let with = |certificate: &str, key: &str, ca: Option<&str>| {
        let listen = "tls_certificate_file = \"relay.pem\"\ntls_key_file = \"relay.key\"";
        let line = if ca.is_some() { "client_ca_file = \"ca.pem\"" } else { "" };
        let text = configuration(&format!("{listen}\n{line}"), "", &forward_to("http://127.0.0.1:9/"));
        let relay = Relay::new(&text);
        for (name, content) in
            [("relay.pem", certificate), ("relay.key", key), ("ca.pem", ca.unwrap_or_default())]
        {
            fs::write(relay.folder.path().join(name), content).unwrap();
        }
        relay
    };
    let right = with(&one.0, &one.1, Some(&other.0)).run(&["check"]);
    assert!(right.status.success(), "{right:?}");
    let sealed = one.1.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (relay, expected) in [
        (with("", &one.1, None), "listen.tls_certificate_file: "),
        (with("", &one.1, None), "relay.pem: no certificate is in it: give PEM"),
        (with(broken, &one.1, None), "the first certificate cannot be read"),
        (with(&one.0, "", None), "relay.key: no private key is in it"),
        (
            with(&one.0, &sealed, None),
            "relay.key: no private key is in it (one under a passphrase is not read)",
        ),
        (with(&one.0, &other.1, None), "listen.tls_key_file: it is not the key of the first certificate"),
        (with(&ended.0, &ended.1, None), "the certificate ended at 2021-01-01T00:00:00Z"),
        (with(&early.0, &early.1, None), "the certificate begins at 4000-01-01T00:00:00Z only"),
        (with(&one.0, &one.1, Some("")), "listen.client_ca_file: "),
        (with(&one.0, &one.1, Some(broken)), "ca.pem: "),
    ] {
        let said = refused(&relay);
        assert!(said.contains(expected), "{expected}:\n{said}");
    }
    // Both at once, and neither is there.
    let relay = with(&one.0, &one.1, None);
    fs::remove_file(relay.folder.path().join("relay.pem")).unwrap();
    fs::remove_file(relay.folder.path().join("relay.key")).unwrap();
    let said = refused(&relay);
    for place in ["listen.tls_certificate_file: ", "listen.tls_key_file: "] {
        assert!(said.contains(place) && said.contains("No such file"), "{said}");
    }
}

/// W-10: a certificate that ended keeps no relay from serving, and none of its commands from working: the log says it.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_whose_certificate_ended_serves_and_says_so() {
    let (certificate, key) = pair(Some([2020, 2021]));
    let listen = "tls_certificate_file = \"relay.pem\"\ntls_key_file = \"relay.key\"";
    let mut relay = Relay::new(&configuration(listen, "", &forward_to("http://127.0.0.1:9/")));
    fs::write(relay.folder.path().join("relay.pem"), certificate).unwrap();
    fs::write(relay.folder.path().join("relay.key"), key).unwrap();
    relay.start().await;
    let ended = "listen.tls_certificate_file: ";
    assert!(
        relay.said().lines().any(|line| line.contains("WARN") && line.contains(ended)),
        "{}",
        relay.said()
    );
    assert_eq!(relay.stop().await.code(), Some(0));
    // Neither secrets nor the certificate are needed to look at what was set aside.
    fs::remove_file(relay.folder.path().join("relay.pem")).unwrap();
    let file = relay.folder.path().join("relay.toml");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("CS_SECRET", "NOBODY")).unwrap();
    assert!(relay.run(&["dead", "list"]).status.success());
    assert!(!relay.run(&["check"]).status.success());
}

/// A certificate of its own and its key (PEM), from the first day of a year to that of another.
fn pair(valid: Option<[i32; 2]>) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    if let Some([from, to]) = valid {
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
    }
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// W-10: what a URL needs to be reached is asked: a CA for https, and another place than the relay itself.
#[test]
fn what_is_behind_a_url_is_asked_as_far_as_this_machine_knows() {
    let text = good().replace("http://127.0.0.1:9/", "https://system.example.com/");
    let forward = "[senders.countersign.forward]";
    let with_ca = text.replace(forward, &format!("{forward}\nca_file = \"ca.pem\""));
    for (content, expected) in [
        (None, "ca.pem: No such file"),
        (Some(""), "ca.pem: no certificate is in it"),
        (Some("-----BEGIN CERTIFICATE-----\n"), "ca.pem: it is no PEM: give a file of PEM"),
        (Some("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "forward.ca_file: "),
    ] {
        let relay = Relay::new(&with_ca);
        if let Some(content) = content {
            fs::write(relay.folder.path().join("ca.pem"), content).unwrap();
        }
        let said = refused(&relay);
        assert!(
            said.contains("senders.countersign.forward.ca_file: ") && said.contains(expected),
            "{expected}:\n{said}"
        );
    }
    // A machine without any CA: https needs one, and plain text does not.
    let mut bare = Relay::new(&text);
    bare.set("SSL_CERT_FILE", "/dev/null");
    bare.set("SSL_CERT_DIR", "/dev/null");
    let said = refused(&bare);
    assert!(said.contains("forward.url: this machine knows no CA to check the certificate with"), "{said}");
    fs::write(bare.folder.path().join("relay.toml"), good()).unwrap();
    assert!(bare.run(&["check"]).status.success());
    // It would post to itself for ever.
    for (address, url) in [
        ("127.0.0.1:8440", "http://127.0.0.1:8440/in/countersign"),
        ("127.0.0.1:8440", "http://localhost:8440/"),
        ("127.0.0.1:80", "http://127.0.0.1/"),
        ("[::]:8440", "http://127.0.0.1:8440/"),
    ] {
        let text = good().replacen("127.0.0.1:0", address, 1).replace("http://127.0.0.1:9/", url);
        let said = refused(&Relay::new(&text));
        assert!(said.contains("forward.url: the relay itself listens there"), "{address} {url}:\n{said}");
    }
}

/// W-10: the queue's file and the addresses are looked at, and nothing is left behind.
#[test]
fn the_queue_and_the_addresses_are_looked_at() {
    let other = "CREATE TABLE letters (id INTEGER PRIMARY KEY)";
    let newer = "PRAGMA user_version = 9";
    for (file, content, statement, expected) in [
        ("away/relay.db", None, None, "its folder is not there: make it"),
        (".", None, None, "it is a folder: name a file in it"),
        ("relay.toml", None, None, "file is not a database"),
        (
            "relay.db",
            Some("no database, but some text that is longer than its first page"),
            None,
            "file is not a database",
        ),
        ("relay.db", None, Some(other), "the file is a database of something else: name another"),
        ("relay.db", None, Some(newer), "has schema 9, and this relay knows 1"),
    ] {
        let relay = Relay::new(&good().replace("relay.db", file));
        let path = relay.folder.path().join(file);
        if let Some(content) = content {
            fs::write(&path, content).unwrap();
        }
        if let Some(statement) = statement {
            rusqlite::Connection::open(&path).unwrap().execute_batch(statement).unwrap();
        }
        let said = refused(&relay);
        assert!(said.contains("queue.file: ") && said.contains(expected), "{expected}:\n{said}");
    }
    // A lock that cannot be written, as one of another user.
    let relay = Relay::new(&good());
    fs::create_dir(relay.folder.path().join("relay.db.lock")).unwrap();
    let said = refused(&relay);
    assert!(said.contains("queue.file: ") && said.contains("relay.db.lock: Is a directory"), "{said}");
    let relay = Relay::new(&good());
    assert!(relay.run(&["check"]).status.success());
    assert_eq!(fs::read_dir(relay.folder.path()).unwrap().count(), 1, "relay.toml alone");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = (taken.local_addr().unwrap().to_string(), taken);
    all_are_refused(
        &good(),
        &[
            ("127.0.0.1:0", &taken.0, "listen.address: cannot listen on 127.0.0.1:"),
            (
                "[internal]\naddress = \"127.0.0.1:0\"",
                "[internal]\nopen = true\naddress = \"192.0.2.1:8441\"",
                "internal.address: cannot listen on 192.0.2.1:8441",
            ),
        ],
    );
    let same = good().replace("127.0.0.1:0", &taken.0);
    let said = refused(&Relay::new(&same));
    assert!(said.contains("internal.address: it is the same as listen.address"), "{said}");
}

/// W-10: beside the relay that serves from it, the same configuration is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_runs_is_not_in_its_own_way() {
    let mut relay = Relay::start_with(&good()).await;
    let address = relay.url.trim_start_matches("http://").to_owned();
    let file = relay.folder.path().join("relay.toml");
    fs::write(&file, good().replacen("127.0.0.1:0", &address, 1)).unwrap();
    let beside = relay.run(&["check"]);
    assert!(beside.status.success(), "{beside:?}");
    assert_eq!(relay.stop().await.code(), Some(0));
}

/// W-10: the URL of a PostgreSQL is read, and what is wrong in it told without a word of the password.
#[test]
fn the_url_of_a_postgresql_is_judged() {
    let text = good().replace("file = \"relay.db\"", "postgres_url_env = \"DATABASE\"");
    let with_ca = text.replace("[queue]", "[queue]\npostgres_ca_file = \"db.pem\"");
    for (text, url, expected) in [
        (&text, "nonsense", "what is in the variable is no URL of a database"),
        (&text, "postgres://me:pass-word@host:port/queue", "what is in the variable is no URL of a database"),
        (&text, "postgres:///queue", "the URL names no host"),
        (&text, "postgres://me:pass-word@db.example.com/queue?sslmode=disable", "set it to require"),
        (&with_ca, "postgres://me:pass-word@db.example.com/queue", "db.pem: No such file"),
    ] {
        let mut relay = Relay::new(text);
        relay.set("DATABASE", url);
        let said = refused(&relay);
        assert!(said.contains("queue.postgres_") && said.contains(expected), "{expected}:\n{said}");
        assert!(!said.contains("pass-word"), "{said}");
    }
    let mut relay = Relay::new(&text);
    relay.set("DATABASE", "postgres://me:pass-word@127.0.0.1/queue");
    let output = relay.run(&["check"]);
    assert!(output.status.success(), "nothing is connected to: {output:?}");
}
