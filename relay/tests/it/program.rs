//! The program as its operator meets it: the commands of the README, what a wrong configuration says, metrics, and its end.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::desk::{KEY_ID, Relay, configuration, forward_to, message, until};
use crate::system::System;
use crate::testing;

/// W-10: the example is written once, says what is missing, and runs once that is there.
#[tokio::test(flavor = "multi_thread")]
async fn the_example_is_written_checked_and_run() {
    let mut relay = Relay::new("");
    let file = relay.folder.path().join("relay.toml");
    fs::remove_file(&file).unwrap();
    let missing = relay.run(&["check"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("countersign-relay init"), "{missing:?}");
    assert!(relay.run(&["init"]).status.success());
    assert!(!relay.run(&["init"]).status.success(), "nothing is written over");
    let said = String::from_utf8(relay.run(&["check"]).stderr).unwrap();
    for wrong in [
        "senders.countersign.keys[0].secret_env: the variable WEBHOOK_SECRET is not set",
        "senders.countersign.forward.secret_envs: the variable RELAY_FORWARD_SECRET is not set",
    ] {
        assert!(said.contains(wrong), "{said}");
    }
    let secret = String::from_utf8(relay.run(&["secret"]).stdout).unwrap();
    relay.set("WEBHOOK_SECRET", "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
    relay.set("RELAY_FORWARD_SECRET", secret.trim());
    let checked = relay.run(&["check"]);
    assert!(checked.status.success(), "{checked:?}");
    // Free ports, since several tests run at once; all else is the example.
    let text = fs::read_to_string(&file).unwrap().replace(":8440", ":0").replace(":8441", ":0");
    fs::write(&file, text).unwrap();
    relay.start().await;
    assert_eq!(relay.post(&message()).await, 202);
    assert_eq!(relay.stop().await.code(), Some(0));
}

/// W-10: two commands of the README, as they stand there, in an empty folder, are enough for a relay that runs and refuses.
#[tokio::test(flavor = "multi_thread")]
async fn the_two_commands_of_the_readme_start_a_relay() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(folder.join("../docs/webhooks/relay.md").exists());
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let blocks: Vec<&str> =
        readme.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let [two, check] = blocks.as_slice() else { panic!("{blocks:?}") };
    let [init, serve] = two.lines().collect::<Vec<_>>()[..] else { panic!("they are not two: {two}") };
    // In place of cargo: what it would run. Ports are free ones, since several tests run at once.
    let mut relay = Relay::new("");
    let place = relay.folder.path().to_owned();
    fs::remove_file(place.join("relay.toml")).unwrap();
    fs::create_dir(place.join("bin")).unwrap();
    let cargo = format!(
        "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nshift\necho $$ > \"process-$1\"\n\
         [ \"$1\" != serve ] || sed -i 's/:844[01]\"/:0\"/' relay.toml\nexec '{}' \"$@\"\n",
        env!("CARGO_BIN_EXE_countersign-relay")
    );
    fs::write(place.join("bin/cargo"), cargo).unwrap();
    fs::set_permissions(place.join("bin/cargo"), fs::Permissions::from_mode(0o700)).unwrap();
    let shell = |commands: &str| {
        let mut shell = Command::new("sh");
        shell
            .args(["-euc", commands])
            .current_dir(&place)
            .env("PATH", format!("{}/bin:/usr/bin:/bin", place.display()));
        shell
    };
    assert!(shell(init).output().unwrap().status.success());
    let checked = shell(check).output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(said.contains("the variable WEBHOOK_SECRET is not set"), "{said}");
    let output = place.join("output");
    let mut serving = Serving {
        shell: shell(serve).stdout(fs::File::create(&output).unwrap()).stderr(Stdio::null()).spawn().unwrap(),
        relay: place.join("process-serve"),
    };
    let line = until("the relay listens", || {
        let said = fs::read_to_string(&output).unwrap();
        std::future::ready(said.ends_with('\n').then_some(said))
    })
    .await;
    relay.heard(&line);
    // As the README says, a request of nobody is refused and counted.
    let refused = relay.client.post(format!("{}/in/countersign", relay.url)).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    assert_eq!(relay.counted("received", "malformed").await, 1);
    assert_eq!(relay.post(&message()).await, 401);
    assert!(serving.kill("-TERM"));
    let ended = until("its end", || std::future::ready(serving.shell.try_wait().unwrap())).await;
    assert!(ended.success(), "{ended}");
}

/// A shell that serves, and the file with the number of the relay's process. Neither outlives a test that failed.
struct Serving {
    shell: Child,
    relay: PathBuf,
}

impl Serving {
    /// Sends a signal to the relay; whether it got there.
    fn kill(&self, signal: &str) -> bool {
        let process = fs::read_to_string(&self.relay).unwrap_or_default();
        let sent = Command::new("kill").args([signal, process.trim()]).stderr(Stdio::null()).status();
        !process.trim().is_empty() && sent.is_ok_and(|status| status.success())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Once the shell has ended, the number may be that of another process.
        if matches!(self.shell.try_wait(), Ok(None)) {
            self.kill("-KILL");
            let _ = self.shell.kill();
            let _ = self.shell.wait();
        }
    }
}

/// W-10: what is wrong in the configuration is told all at once, each with its place and what to do.
#[test]
fn what_is_wrong_in_the_configuration_is_told_all_at_once() {
    let said = |text: &str| {
        let output = Relay::new(text).run(&["check"]);
        assert!(!output.status.success(), "{text}");
        String::from_utf8(output.stderr).unwrap()
    };
    let forward =
        "[senders.countersign.forward]\nurl = \"ftp://x\"\nattempt_s = 0\nsecret_envs = [\"CS_NOTHING\"]";
    let text = configuration("request_s = 0\ntls_key_file = \"a\"", "window_s = 7", forward)
        .replace(KEY_ID, "whk_1")
        .replace("file = \"relay.db\"", "");
    let wrong = said(&text);
    for place in [
        "listen.request_s: 0 is not taken: set it to 1 at least and 60 at most",
        "listen: tls_certificate_file and tls_key_file go together",
        "queue: set either `file`",
        "senders.countersign.keys[0].id: ",
        "senders.countersign.window_s: set it to 300 or to 120",
        "senders.countersign.forward.attempt_s: ",
        "senders.countersign.forward.url: ",
        "the variable CS_NOTHING is not set",
    ] {
        assert!(wrong.contains(place), "{place}:\n{wrong}");
    }
    let good = configuration("", "", &forward_to("http://127.0.0.1:9/"));
    for (from, to, place) in [
        (
            "127.0.0.1:0\"\n\n[internal]",
            "0.0.0.0:0\"\n\n[internal]",
            "listen.address: others reach it, and there is no TLS",
        ),
        ("[internal]", "behind_proxy = true\n[internal]", "listen.trusted_proxies: it is empty"),
        ("[queue]", "[queue]\nmesages = 1", "unknown field `mesages`"),
        ("[senders.countersign.forward]", "[senders.countersign.forward]\nordered = 1", "invalid type"),
        ("senders.countersign", "senders.\"a b\"", "a name has 1 to 64 characters"),
        (
            "format = \"countersign\"",
            "format = \"countersign\"\njwks_url = \"https://x/\"",
            "set accept = \"v1a\"",
        ),
        ("format = \"countersign\"", "format = \"github\"", "are for the format countersign"),
        (
            "format = \"countersign\"",
            "format = \"countersign\"\nclient_certificate = true",
            "it needs listen.client_ca_file",
        ),
    ] {
        let text = good.replace(from, to);
        assert_ne!(text, good, "{from}");
        let said = said(&text);
        assert!(said.contains(place), "{place}:\n{said}");
    }
}

/// W-10: two relays cannot serve from one file.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_relay_on_the_same_file_is_refused() {
    let relay = Relay::start_with(&configuration("", "", &forward_to("http://127.0.0.1:9/"))).await;
    let second = relay.run(&["serve"]);
    assert!(!second.status.success());
    assert!(
        String::from_utf8_lossy(&second.stderr).contains("another relay serves from this queue"),
        "{second:?}"
    );
}

/// W-10: who closes the output of a command ends nothing by it, neither the command's work nor the relay.
#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_nobody_reads_ends_nothing() {
    let mut relay = Relay::new("");
    fs::remove_file(relay.folder.path().join("relay.toml")).unwrap();
    for words in [&["--help"][..], &["init"], &["secret"]] {
        let done = relay.run_unread(words);
        assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]), "{words:?}: {done:?}");
    }
    let file = relay.folder.path().join("relay.toml");
    assert!(!fs::read_to_string(&file).unwrap().is_empty());
    fs::write(&file, configuration("", "", &forward_to("http://127.0.0.1:9/"))).unwrap();
    for words in [&["check"][..], &["dead", "list"]] {
        let done = relay.run_unread(words);
        assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), &b""[..]), "{words:?}: {done:?}");
    }
    fs::write(&file, "").unwrap();
    assert_eq!(relay.run_unread(&["check"]).status.code(), Some(1));
    // One that serves, whose log nobody reads: it refuses, which is a line, and takes messages.
    let free = testing::free_port().unwrap();
    let text = configuration("", "", &forward_to("http://127.0.0.1:9/"));
    fs::write(&file, text.replacen("127.0.0.1:0", &format!("127.0.0.1:{free}"), 1)).unwrap();
    relay.url = format!("http://127.0.0.1:{free}");
    relay.begin_unread();
    until("it listens", async || {
        tokio::net::TcpStream::connect(("127.0.0.1", free)).await.is_ok().then_some(())
    })
    .await;
    for _ in 0..3 {
        assert_eq!(relay.post(&message().with("webhook-signature", "v1,AAAA")).await, 401);
        assert_eq!(relay.post(&message()).await, 202);
    }
    assert_eq!(relay.stop().await.code(), Some(0));
}

/// W-10: told to stop, the relay ends what is in work and forgets nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_told_to_stop_ends_what_is_in_work() {
    let system = System::start().await;
    let mut relay = Relay::start_with(&configuration("", "", &forward_to(&system.url))).await;
    system.shut(true);
    let sent = message();
    assert_eq!(relay.post(&sent).await, 202);
    until("the attempt", || std::future::ready((system.got().len() == 1).then_some(()))).await;
    relay.terminate();
    let address = relay.url.trim_start_matches("http://").to_owned();
    until("it takes no more", async || {
        let refused = tokio::net::TcpStream::connect(&address).await.is_err();
        refused.then_some(())
    })
    .await;
    system.shut(false);
    assert_eq!(relay.ended().await.code(), Some(0), "{}", relay.said());
    relay.start().await;
    relay.until_empty().await;
    assert_eq!(system.got().len(), 1, "the attempt was written down before the end");
}
