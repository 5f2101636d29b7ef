//! Chromium under chromedriver, with an empty profile, and every console error and policy violation remembered.

use std::{
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::Duration,
};

use serde_json::{Value, json};
use thirtyfour::{
    ChromiumLikeCapabilities as _, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver,
    prelude::{By, CapabilitiesHelper as _, WebElement},
};

const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
];

/// A browser with one window.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    /// Console errors that a test has caused on purpose, by a part of their text.
    expected: Mutex<Vec<String>>,
    process: Chromedriver,
    _profile: tempfile::TempDir,
}

/// The process, ended with its browser when the test ends, however it ends.
struct Chromedriver(Child);

impl Drop for Chromedriver {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Chromedriver {
    /// Starts it on a free port, which it names itself. The port that it finds free on IPv4 may be taken on IPv6: then
    /// it ends at once, and another try finds another.
    fn start() -> (Self, u16) {
        let mut tries = (0..10).map(|_| Self::try_start());
        tries.find_map(|(driver, port)| Some((driver, port?))).expect("chromedriver names its port")
    }

    fn try_start() -> (Self, Option<u16>) {
        let started = Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| {
            panic!("chromedriver does not start ({error}): apt-get install chromium chromium-driver")
        });
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.map_while(Result::ok).find_map(|line| {
            line.strip_prefix("ChromeDriver was started successfully on port ")?
                .trim_end_matches('.')
                .parse()
                .ok()
        });
        (Self(child), port)
    }
}

impl Browser {
    pub(crate) async fn start(width_px: u32, height_px: u32) -> Self {
        let (process, port) = Chromedriver::start();
        let profile = tempfile::tempdir().unwrap();
        let mut wishes = DesiredCapabilities::chrome();
        for argument in ARGUMENTS {
            wishes.add_arg(argument).unwrap();
        }
        wishes.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        wishes.accept_insecure_certs(true).unwrap();
        wishes.set_browser_log_level(LoggingPrefsLogLevel::All).unwrap();
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wishes).await.unwrap();
        driver.set_script_timeout(Duration::from_secs(40)).await.unwrap();
        let browser = Self { driver, expected: Mutex::default(), process, _profile: profile };
        browser.resize(width_px, height_px).await;
        let listen = "addEventListener('securitypolicyviolation', (event) => \
            console.error(`policy violation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));";
        browser.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": listen })).await;
        browser
    }

    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.driver.cdp().send_raw(command, parameters).await.unwrap()
    }

    /// Sets the size of the page, as narrow as a phone's if need be.
    pub(crate) async fn resize(&self, width_px: u32, height_px: u32) {
        let metrics = json!({
            "width": width_px, "height": height_px, "deviceScaleFactor": 1, "mobile": width_px < 600
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    pub(crate) async fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": value }] });
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    pub(crate) async fn open(&self, url: &str) {
        self.driver.goto(url).await.unwrap();
    }

    /// Runs a script and gives what it returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.execute(script, Vec::new()).await.unwrap().json().clone()
    }

    /// Waits in the page until `condition` (JavaScript) holds, over loads of new pages. A page is seen once its scripts
    /// ran: what it shows before is deaf to clicks.
    pub(crate) async fn until(&self, condition: &str) {
        let script = format!(
            "const done = arguments[arguments.length - 1]; const end = Date.now() + 20000;
             const look = () => {{
               let holds = false;
               try {{ holds = document.readyState === 'complete' && Boolean({condition}); }} catch {{ holds = false; }}
               if (holds || Date.now() > end) done(holds); else setTimeout(look, 15);
             }};
             look();"
        );
        // A page that is replaced takes the script with it: look again in the new one.
        for _ in 0..20 {
            if let Ok(answer) = self.driver.execute_async(script.as_str(), Vec::new()).await {
                if answer.json() == &json!(true) {
                    return;
                }
                break;
            }
        }
        let (url, text) = (self.driver.current_url().await, self.run("return document.body.innerText").await);
        panic!("never became true: {condition}\nat {url:?}\n{text}\n{:?}", self.errors().await);
    }

    /// Waits until the address ends with `end`, and the page there is loaded.
    pub(crate) async fn until_at(&self, end: &str) {
        self.until(&format!("location.pathname.endsWith('{end}')")).await;
    }

    pub(crate) async fn find(&self, css: &str) -> WebElement {
        self.driver.find(By::Css(css)).await.unwrap_or_else(|error| panic!("no {css}: {error}"))
    }

    pub(crate) async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap_or_else(|error| panic!("no click on {css}: {error}"));
    }

    pub(crate) async fn write(&self, css: &str, text: &str) {
        let element = self.find(css).await;
        element.clear().await.unwrap();
        element.send_keys(text).await.unwrap();
    }

    /// The text that is seen.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap()
    }

    /// Sends keys to whatever has the focus.
    pub(crate) async fn keys(&self, keys: impl Into<thirtyfour::TypingData>) {
        self.driver.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// A test causes answers with these statuses on purpose, which the console tells as errors.
    pub(crate) fn expect_answers(&self, statuses: &[u16]) {
        let told = statuses.iter().map(|status| format!("the server responded with a status of {status} ("));
        self.expected.lock().unwrap().extend(told);
    }

    /// A test has the browser warn of this on purpose.
    pub(crate) fn expect_warning(&self, part: &str) {
        self.expected.lock().unwrap().push(part.to_owned());
    }

    /// Console errors and warnings that no test expects. The browser forgets them by telling them.
    pub(crate) async fn errors(&self) -> Vec<String> {
        let log = self.driver.browser_log().await.unwrap();
        let expected = self.expected.lock().unwrap();
        log.into_iter()
            .filter(|entry| entry.level == "SEVERE" || entry.level == "WARNING")
            .map(|entry| entry.message)
            .filter(|message| !expected.iter().any(|part| message.contains(part)))
            .collect()
    }

    /// No console error, no policy violation, no horizontal scrolling of the page, and axe finds nothing.
    pub(crate) async fn check(&self, page: &str) {
        let errors = self.errors().await;
        assert!(errors.is_empty(), "{page}: {errors:#?}");
        let overflow = self.run("return document.documentElement.scrollWidth - innerWidth").await;
        assert!(overflow.as_i64().unwrap() <= 0, "{page} is {overflow} px too wide");
        let violations = self.axe().await;
        assert!(violations.is_empty(), "{page}: {violations:#?}");
    }

    /// What axe-core finds, as rule and target.
    async fn axe(&self) -> Vec<String> {
        self.run(&axe_source()).await;
        let script = "const done = arguments[arguments.length - 1];
            // What still changes its colour has the contrast of neither end.
            Promise.allSettled(document.getAnimations().map((one) => one.finished))
            .then(() => axe.run(document, { resultTypes: ['violations'] })).then((found) => done(found.violations.flatMap(
                (rule) => rule.nodes.map((node) => `${rule.id} ${node.target} ${node.failureSummary}`))));";
        let found = self.driver.execute_async(script, Vec::new()).await.unwrap();
        found.json().as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    /// Ends the browser; nothing may have gone wrong in it.
    pub(crate) async fn quit(self) {
        let errors = self.errors().await;
        assert!(errors.is_empty(), "{errors:#?}");
        self.driver.quit().await.unwrap();
        drop(self.process);
    }
}

fn axe_source() -> String {
    let modules = std::env::var_os("CS_TEST_NODE_MODULES").map_or_else(
        || {
            Path::new(&std::env::var_os("HOME").expect("HOME is set"))
                .join(".cache/countersign/node/node_modules")
        },
        PathBuf::from,
    );
    let place = modules.join("axe-core/axe.min.js");
    std::fs::read_to_string(&place).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `cargo xtask test` installs axe-core, or set CS_TEST_NODE_MODULES",
            place.display()
        )
    })
}
