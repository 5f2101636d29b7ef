//! The TypeScript package: built with its strict types, run against the vectors, and judged beside packages of others.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::workshop::{assert_all_ran, assert_judged, installed, run, sdk, vectors_file};

/// A copy of the package, where Node finds the packages of the tests, with what the compiler made of it.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript");
    let source = sdk().join("typescript");
    if folder.exists() {
        fs::remove_dir_all(&folder).unwrap();
    }
    fs::create_dir(&folder).unwrap();
    for name in ["package.json", "tsconfig.json", "README.md", "LICENSE"] {
        fs::copy(source.join(name), folder.join(name)).unwrap();
    }
    for name in ["src", "tests"] {
        fs::create_dir(folder.join(name)).unwrap();
        for file in fs::read_dir(source.join(name)).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), folder.join(name).join(file.file_name())).unwrap();
        }
    }
    let modules = installed("CS_TEST_NODE_MODULES", "node/node_modules");
    symlink(modules, folder.join("node_modules")).unwrap();
    run(compiler(&folder).args(["--project", "tsconfig.json"]));
    folder
});

fn compiler(folder: &Path) -> Command {
    let mut command = Command::new("node");
    command.current_dir(folder).arg("node_modules/typescript/bin/tsc");
    command
}

fn node(arguments: &[&str]) -> String {
    run(Command::new("node").current_dir(&*BUILT).args(arguments))
}

/// W-1, W-3, W-11: each vector comes out as it must, under each profile that it is for.
#[test]
fn the_typescript_package_takes_and_refuses_as_every_vector_says() {
    assert_all_ran(&node(&["tests/vectors.mjs", vectors_file().to_str().unwrap()]));
}

/// W-11: Node 18 has Web Crypto in a module only.
#[test]
fn the_typescript_package_finds_web_crypto_where_it_is_no_global() {
    let without = "data:text/javascript,delete globalThis.crypto";
    let said = node(&["--import", without, "tests/vectors.mjs", vectors_file().to_str().unwrap()]);
    assert_all_ran(&said);
}

/// W-1: the official packages and Node's own crypto read the good vectors as we do, and the bad ones.
#[test]
fn npm_packages_of_others_judge_the_vectors_as_we_do() {
    let said = node(&["tests/judges.mjs", vectors_file().to_str().unwrap()]);
    assert_judged(&said, &["standardwebhooks", "svix", "node:crypto", "http-message-signatures"]);
}

/// W-3, W-11: stores, cached keys, bodies as they arrive, and six thousand requests that are out of form.
#[test]
fn the_typescript_package_remembers_and_throws_its_own_error_alone() {
    let tests = ["requests", "stores", "redis"].map(|name| format!("tests/{name}.test.mjs"));
    let said = node(&["--test", "--test-reporter=tap", &tests[0], &tests[1], &tests[2]]);
    let counted = |what: &str| -> usize {
        let line = said.lines().find_map(|line| line.strip_prefix(&format!("# {what} ")));
        line.unwrap_or_else(|| panic!("no count of {what} in {said}")).parse().unwrap()
    };
    assert_eq!(
        (counted("fail"), counted("skipped"), counted("todo"), counted("cancelled")),
        (0, 0, 0, 0),
        "{said}"
    );
    assert!(counted("pass") >= 32, "{said}");
}

/// W-11: what README.md shows compiles with strict types, takes a message, and refuses its replay and a forgery, with a status and nothing else.
#[test]
fn the_server_of_the_typescript_readme_works() {
    let text = fs::read_to_string(BUILT.join("README.md")).unwrap();
    let (_, from) = text.split_once("```ts\n").unwrap();
    let (snippet, _) = from.split_once("```").unwrap();
    let declared = "declare function store(event: unknown): Promise<void>;\n";
    let file: Value = serde_json::from_slice(&fs::read(vectors_file()).unwrap()).unwrap();
    let key = file["jwks"]["keys"][0]["kid"].as_str().unwrap();
    let source = format!("{declared}{}", snippet.replace("whk_…", key));
    fs::write(BUILT.join("snippet.ts"), source).unwrap();
    let options = "snippet.ts --ignoreConfig --strict --target ES2022 --module NodeNext --types node --lib ES2022,DOM,DOM.Iterable,DOM.AsyncIterable";
    run(compiler(&BUILT).args(options.split(' ')));
    let said: Value = serde_json::from_str(&node(&["tests/readme.mjs"])).unwrap();
    assert_eq!(
        said,
        serde_json::json!({ "statuses": [200, 409, 401], "stored": ["envelope.sent"], "said": "" })
    );
}

/// W-11: the package has its sources, what was built of them, types, a licence and no dependency.
#[test]
fn the_npm_package_holds_what_it_must_and_needs_nothing() {
    let packed = run(Command::new("npm").current_dir(&*BUILT).args([
        "pack",
        "--dry-run",
        "--json",
        "--ignore-scripts",
        "--offline",
        "--loglevel=error",
    ]));
    let packed: Value = serde_json::from_str(&packed).unwrap();
    let mut found: Vec<&str> =
        packed[0]["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    let mut expected: Vec<String> = ["LICENSE", "README.md", "package.json"].map(String::from).to_vec();
    for file in fs::read_dir(sdk().join("typescript/src")).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let stem = name.strip_suffix(".ts").unwrap();
        expected.push(format!("src/{name}"));
        expected.extend(["js", "js.map", "d.ts", "d.ts.map"].map(|kind| format!("dist/{stem}.{kind}")));
    }
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
    let manifest: Value = serde_json::from_slice(&fs::read(BUILT.join("package.json")).unwrap()).unwrap();
    assert_eq!(manifest["dependencies"], Value::Null);
    assert_eq!(manifest["license"], "Apache-2.0");
    for entry in manifest["exports"].as_object().unwrap().values() {
        for path in entry.as_object().unwrap().values() {
            let path = path.as_str().unwrap().trim_start_matches("./");
            assert!(found.contains(&path), "{path} is exported and not in the package");
        }
    }
}
