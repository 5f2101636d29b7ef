//! Several people, the mailbox, and the sealed copies: an envelope to its end.

use countersign_core::{digest::Digest, envelope::State, scope::Scope};
use countersign_server::jobs;
use serde_json::json;

use super::{
    ceremony::{adopt, open_reader, until_read},
    driver::Browser,
    scene::{Scene, one_signature},
};

fn recipients() -> serde_json::Value {
    let person = |name: &str, role: &str, order: u16| {
        let email = format!("{}@example.com", name.split(' ').next().unwrap().to_lowercase());
        json!({ "name": name, "email": email, "role": role, "order": order, "factor": "link" })
    };
    json!([
        person("Ada Lovelace", "signer", 1),
        person("Charles Babbage", "approver", 2),
        person("Mary Somerville", "viewer", 2)
    ])
}

/// The newest mail to `name` in the mailbox page, and the link in it as this browser reaches it.
async fn mailed_link(browser: &Browser, scene: &Scene, key: &str, name: &str) -> String {
    jobs::run_due(&scene.test.app).await.unwrap();
    browser.open("about:blank").await;
    browser.open(&scene.url(&format!("/mailbox#{key}"))).await;
    browser.until("document.querySelector('.mail')").await;
    browser.check("mailbox").await;
    let script = format!(
        "const own = [...document.querySelectorAll('.mail')].find((mail) => mail.querySelector('.to').textContent.includes({name:?}));
         return own.querySelector('.letter a').href"
    );
    let link = browser.run(&script).await.as_str().unwrap().to_owned();
    assert_eq!(browser.run("return location.hash").await, json!(""), "the key has left the address bar");
    scene.url(link.strip_prefix("https://sign.test").unwrap())
}

async fn finish(browser: &Browser, label: &str) {
    browser.click("#to-review").await;
    browser.until("!document.getElementById('review').hidden").await;
    assert_eq!(browser.text("#act").await, label);
    browser.check(label).await;
    browser.click("#act").await;
    browser.until_at("/receipt").await;
}

/// S-2, E-7: signer, then approver and viewer; each by the link from the mailbox; then sealed copies whose hashes are
/// those on the receipt.
#[tokio::test(flavor = "multi_thread")]
async fn signer_approver_and_viewer_act_and_keep_sealed_copies() {
    let scene = Scene::sent_to(recipients(), one_signature()).await;
    let organization = scene.key.tenant.organization();
    let key = scene.test.key(organization, scene.key.tenant.environment(), &[Scope::MailboxRead]).await.token;
    let browser = Browser::start(1280, 900).await;
    open_reader(&browser, &mailed_link(&browser, &scene, &key, "Ada").await).await;
    browser.click("#next").await;
    browser.until("document.activeElement.matches('.field button')").await;
    browser.click(".field button").await;
    adopt(&browser).await;
    finish(&browser, "Sign “Lease of the old mill”").await;

    let people = [
        ("Charles", "Approve “Lease of the old mill”"),
        ("Mary", "Confirm that I have read “Lease of the old mill”"),
    ];
    for (name, label) in people {
        open_reader(&browser, &mailed_link(&browser, &scene, &key, name).await).await;
        until_read(&browser).await;
        finish(&browser, label).await;
    }
    jobs::run_due(&scene.test.app).await.unwrap();
    let State::Completed(..) = scene.state().await else { panic!("not completed") };

    browser.open(&mailed_link(&browser, &scene, &key, "Ada").await).await;
    browser.until("!document.getElementById('ready').hidden").await;
    browser.click("#continue").await;
    browser.until_at("/receipt").await;
    browser.check("receipt, completed").await;
    assert!(browser.text("main").await.contains("the documents are sealed"));
    check_copies(&browser).await;
    assert_eq!(scene.count("envelope.downloaded").await, 3);
    browser.quit().await;
    jobs::run_due(&scene.test.app).await.unwrap();
    scene.test.finish_without_worker().await;
}

/// Every copy on the receipt is a PDF with the hash that stands beside it.
async fn check_copies(browser: &Browser) {
    let script = "const done = arguments[arguments.length - 1];
        Promise.all([...document.querySelectorAll('.documents li')].map(async (item) => {
          const form = item.querySelector('form');
          const answer = await fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) });
          const bytes = new Uint8Array(await answer.arrayBuffer());
          return [item.querySelector('.hash').textContent, answer.headers.get('content-disposition'), [...bytes]];
        })).then(done);";
    let copies = browser.driver.execute_async(script, Vec::new()).await.unwrap().json().clone();
    let copies: Vec<(String, String, Vec<u8>)> = serde_json::from_value(copies).unwrap();
    let names: Vec<_> = copies.iter().map(|(_, disposition, _)| disposition.as_str()).collect();
    assert!(names[0].contains("lease.pdf") && names[2].contains("certificate"), "{names:?}");
    for (shown, _, bytes) in &copies {
        assert_eq!(*shown, format!("SHA-256 {}", Digest::of(bytes)));
        assert!(bytes.starts_with(b"%PDF-"));
    }
}
