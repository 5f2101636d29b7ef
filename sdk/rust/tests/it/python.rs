//! The Python package: its types checked, run against the vectors, and judged beside packages of others.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::workshop::{assert_all_ran, assert_judged, installed, run, sdk, vector_count};

/// The Python of the tests, in the folder of the package.
fn python() -> Command {
    let mut command = Command::new(installed("CS_TEST_PYTHON", "venv/bin/python"));
    command
        .current_dir(sdk().join("python"))
        .env("PYTHONPATH", "src:tests")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// W-1, W-3, W-11: each vector comes out as it must, under each profile that it is for.
#[test]
fn the_python_package_takes_and_refuses_as_every_vector_says() {
    assert_all_ran(&run(python().arg("tests/vectors.py")));
}

/// W-11: a shared secret needs the standard library alone. `-S` leaves out every installed package.
#[test]
fn the_python_package_verifies_a_shared_secret_without_any_other_package() {
    let said = run(python().args(["-S", "tests/vectors.py", "v1"]));
    assert_eq!(said.trim(), format!("{{\"v1\": {}}}", vector_count(&["v1"])));
}

/// W-1: the official packages and `cryptography` read the good vectors as we do, and the bad ones.
#[test]
fn pypi_packages_of_others_judge_the_vectors_as_we_do() {
    let said = run(python().arg("tests/judges.py"));
    assert_judged(&said, &["standardwebhooks", "svix", "cryptography", "http-message-signatures"]);
}

/// W-3, W-11: stores, cached keys, bodies as they arrive, and six thousand requests that are out of form.
#[test]
fn the_python_package_remembers_and_raises_its_own_error_alone() {
    let count = "import sys, unittest; \
                 suite = unittest.defaultTestLoader.discover('tests'); \
                 result = unittest.TextTestRunner(sys.stderr).run(suite); \
                 print(result.testsRun, len(result.skipped)); \
                 sys.exit(not result.wasSuccessful())";
    let said = run(python().args(["-W", "error", "-c", count]));
    let (ran, skipped) = said.trim().split_once(' ').unwrap();
    assert!(ran.parse::<usize>().unwrap() >= 26, "{ran} tests");
    assert_eq!(skipped, "0");
}

/// W-11: what README.md shows takes a message, and refuses its replay, a forgery and a length past all bounds, with a
/// status and nothing else.
#[test]
fn the_server_of_the_python_readme_works() {
    let said: serde_json::Value = serde_json::from_str(&run(python().arg("tests/readme.py"))).unwrap();
    assert_eq!(
        said,
        serde_json::json!({ "statuses": [200, 409, 401, 401], "stored": ["envelope.sent"], "said": "" })
    );
}

/// W-11: the package says of itself that it is typed.
#[test]
fn the_types_of_the_python_package_are_strict() {
    let cache = tempfile::tempdir().unwrap();
    let said = run(python().args(["-m", "mypy", "--cache-dir"]).arg(cache.path()));
    assert!(said.starts_with("Success"), "{said}");
}

/// W-11: the wheel is built from the repository without a network, and holds the modules and nothing else.
#[test]
fn the_wheel_holds_what_it_must() {
    let folder = tempfile::tempdir().unwrap();
    copy(&sdk().join("python"), &folder.path().join("source"));
    run(python()
        .args(["-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"])
        .args(["--no-build-isolation", "--wheel-dir", "wheels", "./source"])
        .current_dir(folder.path()));
    let list =
        "import glob, sys, zipfile; print(*sorted(zipfile.ZipFile(glob.glob('wheels/*.whl')[0]).namelist()))";
    let said = run(python().args(["-c", list]).current_dir(folder.path()));
    let mut expected: Vec<String> = fs::read_dir(sdk().join("python/src/countersign_webhooks"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "__pycache__")
        .map(|name| format!("countersign_webhooks/{name}"))
        .collect();
    assert!(expected.contains(&"countersign_webhooks/py.typed".to_owned()));
    let about = ["METADATA", "RECORD", "WHEEL", "licenses/LICENSE"];
    expected.extend(about.map(|name| format!("countersign_webhooks-0.1.0.dist-info/{name}")));
    expected.sort_unstable();
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), expected);
}

/// W-11: the vectors are what the script makes of its seeds and of what is random in them.
#[test]
fn the_vectors_are_what_their_script_makes() {
    let said = run(python().args(["../vectors/make.py", "--check"]));
    assert!(said.contains("as make.py makes them"), "{said}");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
