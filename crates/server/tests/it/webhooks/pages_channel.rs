//! The part of an endpoint's form that sets its channel (W-7): client certificate, pinned keys, credentials.

use countersign_core::{digest::Digest, webhook::pin::Pin};
use reqwest::StatusCode;

use super::pages::{Office, id_on};
use crate::oauth::certificates::{Authority, Wish};

/// What the fields of the channel are given, besides a good form.
fn with_channel<'a>(office: &'a Office, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [office.good(), more.to_vec()].concat()
}

/// W-7, L-3: a client certificate, pins and credentials are set, kept, replaced and taken away on the page, and nothing secret of
/// them is on a page again.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_asks_for_besides_is_set_on_the_page() {
    let office = Office::open().await;
    let (id, _) = office.make().await;
    let change = format!("/{id}/change");
    let partners = Authority::new("CA of partners");
    let (first, second) = (partners.certify_with_chain(&Wish::of("us")), partners.certify(&Wish::of("us")));
    let (first, second) = (
        (first.pem(), Digest::of(&first.der()).to_string()),
        (second.pem(), Digest::of(&second.der()).to_string()),
    );
    let [(of_first, sha256_of_first), (of_second, sha256_of_second)] = [&first, &second];
    let pin = |key: &[u8]| Pin::of(key).to_string();
    let pins = format!("\r\n  {}\r\n{}\n\n", pin(b"now"), pin(b"next"));
    let secret = "between us and them";
    let page = office
        .done(
            &change,
            &with_channel(
                &office,
                &[
                    ("certificate_chain", &of_first.0),
                    ("certificate_key", &of_first.1),
                    ("pins", &pins),
                    ("oauth_token_url", " https://localhost:1/token?of=us "),
                    ("oauth_client_id", "harbour-mills"),
                    ("oauth_client_secret", secret),
                    ("oauth_scope", ""),
                ],
            ),
            "The endpoint was changed",
        )
        .await;
    for shown in [sha256_of_first, &pin(b"now"), &pin(b"next"), "from localhost", "harbour-mills"] {
        assert!(page.contains(&shown.replace('+', "&#43;")) || page.contains(shown), "{shown}: {page}");
    }
    // Nothing typed: all of it stays, but for pins, which are on the page to be changed.
    let form = office.see(&change).await;
    for hidden in [secret, "PRIVATE KEY-----\n", of_first.1.lines().nth(1).unwrap(), "of=us"] {
        assert!(!form.contains(hidden) && !page.contains(hidden), "{hidden}: {form}");
    }
    assert!(form.contains(sha256_of_first) && form.contains("name=\"certificate_gone\""), "{form}");
    let empty = [
        ("certificate_chain", ""),
        ("certificate_key", " "),
        ("pins", ""),
        ("oauth_token_url", ""),
        ("oauth_client_id", ""),
        ("oauth_client_secret", ""),
        ("oauth_scope", ""),
    ];
    let page = office.done(&change, &with_channel(&office, &empty), "The endpoint was changed").await;
    assert!(page.contains(sha256_of_first) && page.contains("from localhost"), "{page}");
    assert!(!page.contains("Pinned keys"), "{page}");
    // Another one, and none.
    let other = [("certificate_chain", of_second.0.as_str()), ("certificate_key", of_second.1.as_str())];
    let page = office.done(&change, &with_channel(&office, &other), "The endpoint was changed").await;
    assert!(page.contains(sha256_of_second) && !page.contains(sha256_of_first), "{page}");
    let gone = [("certificate_gone", "yes"), ("oauth_gone", "yes")];
    let page = office.done(&change, &with_channel(&office, &gone), "The endpoint was changed").await;
    assert!(!page.contains("Client certificate") && !page.contains("Token for deliveries"), "{page}");
    // The same on the page that makes one.
    let made = office.post("/new", &with_channel(&office, &other)).await;
    assert_eq!(made.status(), StatusCode::OK);
    let newest = id_on(&office.see("").await.replace(&id, ""), "whe_");
    assert!(office.see(&format!("/{newest}")).await.contains(sha256_of_second));
    office.close().await;
}

/// What is typed, the field that it is wrong in, and a word about it.
type Wrong<'a> = (&'a [(&'a str, &'a str)], &'static str, &'static str);

/// What is wrong is said at the top and beside its field; nothing that is secret comes back.
async fn said_at_its_field(office: &Office, wrong: &[Wrong<'_>], secrets: &[&str]) {
    let (id, _) = office.make().await;
    let change = format!("/{id}/change");
    for (typed, field, word) in wrong {
        let (said, text) = office.refused(&change, &with_channel(office, typed), 422).await;
        assert!(said.contains(word), "{field}: {said}");
        let beside = text.split_once(&format!("id=\"{field}-wrong\">"));
        let (_, beside) = beside.unwrap_or_else(|| panic!("{field}: {text}"));
        assert!(beside.starts_with(said.trim()), "{field}: {beside}");
        assert_eq!(text.matches("aria-invalid").count(), 1, "{field}");
        assert!(text.contains(&format!("href=\"#{field}\"")), "{field}");
        assert!(secrets.iter().all(|secret| !text.contains(secret)), "{field}: {text}");
        for (_, value) in typed.iter().filter(|(name, _)| matches!(*name, "oauth_token_url" | "oauth_scope"))
        {
            assert!(text.contains(value), "{value} is kept: {text}");
        }
    }
}

fn typed<'a>(chain: &'a str, key: &'a str) -> [(&'a str, &'a str); 2] {
    [("certificate_chain", chain), ("certificate_key", key)]
}

/// W-7: what is wrong about a certificate or its key is said beside its field, and a key comes back on no page, wherever it was pasted.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_about_a_certificate_is_said_at_its_field() {
    let office = Office::open().await;
    let partners = Authority::new("CA of partners");
    let (chain, key) = partners.certify(&Wish::of("us")).pem();
    let (_, of_another) = partners.certify(&Wish::of("us")).pem();
    let (ended, ended_key) = partners.certify(&Wish { has_expired: true, ..Wish::of("us") }).pem();
    let both = format!("{chain}{key}");
    let wrong: [Wrong<'_>; 6] = [
        (&[("certificate_chain", &chain)], "certificate_key", "private key in PEM"),
        (&[("certificate_key", &key)], "certificate_chain", "certificate in PEM"),
        (&typed(&chain, &of_another), "certificate_key", "not the key"),
        (&typed(&both, &key), "certificate_chain", "leave it out"),
        (&typed(&ended, &ended_key), "certificate_chain", "renewed"),
        (&[&typed(&chain, &key)[..], &[("certificate_gone", "yes")]].concat(), "certificate_chain", "untick"),
    ];
    let secrets = [&key, &of_another, &ended_key].map(|key| key.lines().nth(1).unwrap());
    said_at_its_field(&office, &wrong, &secrets).await;
    office.close().await;
}

/// L-3, W-7: a private key comes back on no page, whichever field it was pasted into, in lines or in one, as browsers send it; pins
/// beside it stay, so that nobody takes them away by that.
#[tokio::test(flavor = "multi_thread")]
async fn a_private_key_comes_back_from_no_field() {
    let office = Office::open().await;
    let (id, _) = office.make().await;
    let (_, key) = Authority::new("CA of partners").certify(&Wish::of("us")).pem();
    let (pin, line) = (Pin::of(b"now").to_string(), key.lines().nth(1).unwrap().to_owned());
    let refused = [("oauth_client_secret", "x"), ("oauth_gone", "yes")];
    let fields = [
        "url",
        "description",
        "certificate_chain",
        "certificate_key",
        "pins",
        "oauth_token_url",
        "oauth_client_id",
        "oauth_client_secret",
        "oauth_scope",
    ];
    for (field, page) in fields.into_iter().flat_map(|field| [(field, "/new"), (field, "/change")]) {
        let page = if page == "/new" { page.to_owned() } else { format!("/{id}{page}") };
        for pasted in [format!("{pin}\r\n{key}"), key.replace('\n', " ")] {
            let mut form = with_channel(&office, &refused);
            form.retain(|(name, _)| *name != field);
            form.push((field, &pasted));
            let (_, text) = office.refused(&page, &form, 422).await;
            assert!(!text.contains(&line) && !text.contains("PRIVATE KEY-----\n"), "{field}: {text}");
            let is_kept = field == "pins" && pasted.starts_with(&pin);
            assert_eq!(
                text.contains(&pin) || text.contains(&pin.replace('+', "&#43;")),
                is_kept,
                "{field}: {text}"
            );
        }
    }
    office.close().await;
}

/// W-7: the same of pins and of credentials; fields that the page does not have are refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_about_pins_and_credentials_is_said_at_its_field() {
    let office = Office::open().await;
    let pins = format!("{}\n\nsha256/x", Pin::of(b"now"));
    let (url, client) = (("oauth_token_url", "https://localhost/t"), ("oauth_client_id", "us"));
    let secret = ("oauth_client_secret", "between us");
    let wrong: [Wrong<'_>; 6] = [
        (&[("pins", &pins)], "pins", "Line 3: a pin is"),
        (&[client, secret], "oauth_token_url", "go together"),
        (&[url, client], "oauth_client_secret", "go together"),
        (&[("oauth_token_url", "https://127.0.0.1/t"), client, secret], "oauth_token_url", "public Internet"),
        (&[url, client, secret, ("oauth_scope", "a  b")], "oauth_scope", "one space"),
        (&[url, client, secret, ("oauth_gone", "yes")], "oauth_token_url", "untick"),
    ];
    said_at_its_field(&office, &wrong, &["between us"]).await;
    let (id, _) = office.make().await;
    for odd in [("certificate_gone", "no"), ("oauth_gone", "1"), ("certificate", "x")] {
        let refused = office.post(&format!("/{id}/change"), &with_channel(&office, &[odd])).await;
        assert_eq!(refused.status().as_u16(), 400, "{odd:?}");
    }
    office.close().await;
}

/// W-7: the page of an endpoint says from 30 days before that its certificate ends, and where the renewed one is given.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_that_a_certificate_ends() {
    const DAY_S: i64 = 24 * 3_600;
    let office = Office::open().await;
    let (id, _) = office.make().await;
    let partners = Authority::new("CA of partners");
    for (days, is_said) in [(31, false), (30, true), (2, true)] {
        let ends_s = office.test.app.now().plus_s(days * DAY_S).unix_ms() / 1_000;
        let wish = Wish { ends_s: Some(ends_s.try_into().unwrap()), ..Wish::of("us") };
        let (chain, key) = partners.certify(&wish).pem();
        let form = with_channel(&office, &typed(&chain, &key));
        let page = office.done(&format!("/{id}/change"), &form, "The endpoint was changed").await;
        assert_eq!(page.contains("Nothing is delivered with it afterwards"), is_said, "{days}: {page}");
        assert_eq!(page.contains(&format!("{id}/change#certificate_chain")), is_said, "{days}");
    }
    office.close().await;
}
