//! Debian packages that the tests need, each with what it is for and how its presence is seen.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{in_path, python};
use crate::failure::Failure;
use crate::process;

/// How one sees that a package's content is there, whoever installed it.
enum Sign {
    /// A program in `PATH`.
    Program(&'static str),
    /// A file or folder.
    File(&'static str),
    /// A program in the folder of some version of PostgreSQL's server, or in `PATH`.
    PostgresProgram(&'static str),
    /// Some Python that can make environments, or one of the system that is too old, which no package mends.
    PythonEnvironments,
}

struct Package {
    name: &'static str,
    sign: Sign,
    reason: &'static str,
}

const fn package(name: &'static str, sign: Sign, reason: &'static str) -> Package {
    Package { name, sign, reason }
}

const PACKAGES: &[Package] = &[
    package("g++", Sign::Program("g++"), "builds the fuzzer's engine"),
    package("python3-venv", Sign::PythonEnvironments, "makes the environment of the Python judges"),
    package("qpdf", Sign::Program("qpdf"), "judges the structure of sealed PDFs"),
    package("poppler-utils", Sign::Program("pdfsig"), "judges seals; reads text out of drawn pages"),
    package("jq", Sign::Program("jq"), "runs the commands of the evidence package's README"),
    package("openssl", Sign::Program("openssl"), "checks a checkpoint's signature, as that README says"),
    package("unzip", Sign::Program("unzip"), "unpacks evidence packages"),
    package("softhsm2", Sign::Program("softhsm2-util"), "a PKCS#11 token to keep a seal's key in"),
    package("golang-go", Sign::Program("go"), "runs Go's judge of the log and the webhook example"),
    package("default-jdk-headless", Sign::Program("javac"), "builds and runs the webhook example in Java"),
    package("ruby", Sign::Program("ruby"), "runs the webhook example in Ruby, whose openssl knows Ed25519"),
    package("php-cli", Sign::Program("php"), "runs the webhook example in PHP, with sodium inside"),
    package(
        "golang-golang-x-mod-dev",
        Sign::File("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog"),
        "Go's own implementation of the log's formats",
    ),
    package(
        "postgresql",
        Sign::PostgresProgram("initdb"),
        "the conformance suite runs on a throw-away cluster",
    ),
    package("redis-server", Sign::Program("redis-server"), "keeps what a receiver of webhooks has seen"),
    package("chromium", Sign::Program("chromium"), "signs through the real pages"),
    package("chromium-driver", Sign::Program("chromedriver"), "drives the browser"),
    package("npm", Sign::Program("npm"), "installs axe-core, the judge of accessibility"),
    package("fonts-noto-core", Sign::File("/usr/share/fonts/truetype/noto"), "names from right to left"),
    package(
        "fonts-hosny-amiri",
        Sign::File("/usr/share/fonts/opentype/fonts-hosny-amiri"),
        "names in Arabic, shaped",
    ),
    package("fonts-dejavu-core", Sign::File("/usr/share/fonts/truetype/dejavu"), "names in Hebrew"),
    package(
        "fonts-urw-base35",
        Sign::File("/usr/share/fonts/opentype/urw-base35"),
        "a font with CFF outlines",
    ),
    package("oathtool", Sign::Program("oathtool"), "makes one-time codes that we did not make"),
    package(
        "fonts-wqy-microhei",
        Sign::File("/usr/share/fonts/truetype/wqy"),
        "names in Chinese and Japanese",
    ),
];

/// Installs the packages of the tests whose content is missing, as root or by `sudo` without a password.
pub(super) fn install() -> Result<(), Failure> {
    install_those(|_| true)
}

/// Installs those that the peers of the bench need.
pub(super) fn install_for_peers() -> Result<(), Failure> {
    install_those(|package| ["npm", "postgresql", "python3-venv"].contains(&package.name))
}

fn install_those(needed: impl Fn(&Package) -> bool) -> Result<(), Failure> {
    let is_missing = |package: &&Package| needed(package) && !is_present(&package.sign);
    let missing: Vec<&Package> = PACKAGES.iter().filter(is_missing).collect();
    if missing.is_empty() {
        println!("Debian packages: all that are needed are there");
        return Ok(());
    }
    for package in &missing {
        println!("missing: {:<24} {}", package.name, package.reason);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let by_hand = format!("apt-get install --no-install-recommends {}", names.join(" "));
    if in_path("apt-get").is_none() {
        return Err(Failure(format!(
            "this system has no apt-get; install what Debian installs by: {by_hand}"
        )));
    }
    let prefix: &[&str] = if is_root()? {
        &[]
    } else if process::read(Command::new("sudo").args(["-n", "true"])).is_ok() {
        &["sudo", "-n"]
    } else {
        return Err(Failure(format!("not root, and sudo asks for a password; run: sudo {by_hand}")));
    };
    process::run(&mut apt_get(prefix, &["update"]))?;
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(&names);
    process::run(&mut apt_get(prefix, &arguments))?;
    match missing.iter().find(|package| !is_present(&package.sign)) {
        None => Ok(()),
        Some(package) => Err(Failure(format!(
            "{} was installed, and what the tests need of it ({}) is still not there",
            package.name, package.reason
        ))),
    }
}

/// `apt-get` that asks nothing and waits for another one's lock.
fn apt_get(prefix: &[&str], arguments: &[&str]) -> Command {
    let mut words = prefix.iter().copied().chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq"]);
    let mut command = Command::new(words.next().unwrap_or("env"));
    command.args(words).args(["-o", "DPkg::Lock::Timeout=300"]).args(arguments);
    command
}

fn is_root() -> Result<bool, Failure> {
    Ok(process::read(Command::new("id").arg("-u"))?.trim() == "0")
}

fn is_present(sign: &Sign) -> bool {
    match sign {
        Sign::Program(name) => in_path(name).is_some(),
        Sign::File(path) => Path::new(path).exists(),
        Sign::PythonEnvironments => python::makes_environments() || python::is_too_old(),
        Sign::PostgresProgram(name) => {
            let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
            in_path(name).is_some()
                || versions.into_iter().any(|version| version.path().join("bin").join(name).is_file())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_seen_as_missing() {
        assert!(is_present(&Sign::File("/")));
        assert!(!is_present(&Sign::File("/no/such/file")));
        assert!(!is_present(&Sign::Program("no-such-program-of-countersign")));
        assert!(!is_present(&Sign::PostgresProgram("no-such-program-of-countersign")));
    }

    #[test]
    fn apt_get_runs_under_sudo_where_it_must() {
        let command = apt_get(&["sudo", "-n"], &["update"]);
        assert_eq!(command.get_program(), "sudo");
        let command = apt_get(&[], &["update"]);
        assert_eq!(command.get_program(), "env");
    }
}
