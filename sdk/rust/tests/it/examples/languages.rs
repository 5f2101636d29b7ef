//! How a file that was copied out of `docs/webhooks/` is built and run in each language.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

use super::vectors;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// A language that has an example.
pub(super) struct Language {
    /// The example, in `docs/webhooks`.
    pub(super) file: &'static str,
    /// What runs it over vectors, in `sdk/vectors/runners`.
    runner: &'static str,
    debian_package: &'static str,
    /// Builds the example and its runner, which are in this folder.
    build: fn(&Language, &Path),
    /// Runs what was built in this folder over `vectors.json` or `vectors.tsv` there.
    command: fn(&Path) -> Command,
    /// Runs what was built in this folder, whose runner is a server.
    pub(super) serve: fn(&Path) -> Command,
    lint: fn(&Path) -> Vec<Command>,
}

/// What a runner printed, and its exit code.
#[derive(Debug, PartialEq)]
pub(super) struct Run {
    pub(super) told: String,
    pub(super) code: Option<i32>,
}

pub(super) const GO: Language = Language {
    file: "verify.go",
    runner: "main.go",
    debian_package: "golang-go",
    build: |language, folder| {
        let package = folder.join("webhooks");
        fs::create_dir(&package).unwrap();
        fs::rename(folder.join("verify.go"), package.join("verify.go")).unwrap();
        fs::write(folder.join("go.mod"), "module example\n\ngo 1.19\n").unwrap();
        language.must(go(folder).args(["build", "-o", "program", "."]));
    },
    command: |folder| program(folder.join("program"), folder, &["vectors.json"]),
    serve: |folder| program(folder.join("program"), folder, &[]),
    lint: |folder| {
        let mut vet = go(folder);
        vet.args(["vet", "./..."]);
        vec![program("gofmt", folder, &["-l", "."]), vet]
    },
};

pub(super) const JAVA: Language = Language {
    file: "Verify.java",
    runner: "Main.java",
    debian_package: "default-jdk-headless",
    build: |language, folder| {
        let warnings = ["-J-XX:TieredStopAtLevel=1", "-Xlint:all", "-Werror", "-encoding", "UTF-8"];
        language.must(program("javac", folder, &warnings).args(["Verify.java", "Main.java"]));
    },
    command: |folder| {
        program("java", folder, &["-XX:TieredStopAtLevel=1", "-cp", ".", "Main", "vectors.tsv"])
    },
    serve: |folder| program("java", folder, &["-XX:TieredStopAtLevel=1", "-cp", ".", "Main"]),
    // The compiler's warnings are all on and are errors.
    lint: |_| vec![],
};

pub(super) const RUBY: Language = Language {
    file: "verify.rb",
    runner: "main.rb",
    debian_package: "ruby",
    build: |_, _| {},
    command: |folder| program("ruby", folder, &["-w", "main.rb", "verify.rb", "vectors.json"]),
    serve: |folder| program("ruby", folder, &["-w", "main.rb"]),
    lint: |folder| {
        vec![
            program("ruby", folder, &["-w", "-e", "require './verify'"]),
            program(
                "ruby",
                folder,
                &[
                    "-w",
                    "-e",
                    "ARGV.each { |file| RubyVM::InstructionSequence.compile_file(file) }",
                    "main.rb",
                ],
            ),
        ]
    },
};

pub(super) const PHP: Language = Language {
    file: "verify.php",
    runner: "main.php",
    debian_package: "php-cli",
    build: |_, _| {},
    command: |folder| php(folder, &["main.php", "verify.php", "vectors.json"]),
    serve: |folder| php(folder, &["-S", "127.0.0.1:0", "main.php"]),
    lint: |folder| vec![php(folder, &["verify.php"])],
};

impl Language {
    /// The example as it is.
    pub(super) fn source(&self) -> String {
        read(&format!("docs/webhooks/{}", self.file))
    }

    /// Runs an example with this text over vectors. What complains of anything else than a vector fails the test.
    pub(super) fn run(&self, source: &str, vectors: &Value) -> Run {
        let folder = self.folder(source, &self.runner());
        fs::write(folder.path().join("vectors.json"), vectors.to_string()).unwrap();
        fs::write(folder.path().join("vectors.tsv"), vectors::as_lines(vectors)).unwrap();
        let output = self.output(&mut (self.command)(folder.path()));
        Run { told: quiet(&output), code: output.status.code() }
    }

    /// Lets the language's own tools look at the example.
    pub(super) fn lint(&self) {
        let folder = self.folder(&self.source(), &self.runner());
        for mut command in (self.lint)(folder.path()) {
            self.must(&mut command);
        }
    }

    /// A project of two files: the example, and what uses it.
    pub(super) fn folder(&self, source: &str, runner: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(self.file), source).unwrap();
        fs::write(folder.path().join(self.runner), runner).unwrap();
        (self.build)(self, folder.path());
        folder
    }

    fn runner(&self) -> String {
        read(&format!("sdk/vectors/runners/{}", self.runner))
    }

    fn must(&self, command: &mut Command) {
        let output = self.output(command);
        assert_eq!((quiet(&output).as_str(), output.status.code()), ("", Some(0)), "{command:?}");
    }

    fn output(&self, command: &mut Command) -> Output {
        command.output().unwrap_or_else(|error| {
            panic!("{command:?} did not start ({error}): apt-get install {}", self.debian_package)
        })
    }
}

/// What was printed, by a program that complained of nothing.
fn quiet(output: &Output) -> String {
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.is_empty(), "{said}{told}");
    told.into_owned()
}

fn program(program: impl Into<PathBuf>, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program.into());
    command.current_dir(folder).args(arguments);
    command
}

/// Go that knows no module but its own library, whatever this machine is set to.
fn go(folder: &Path) -> Command {
    let mut go = program("go", folder, &[]);
    go.env_remove("GOFLAGS").envs([("GO111MODULE", "on"), ("GOPROXY", "off"), ("GOWORK", "off")]);
    go.envs([("GOTOOLCHAIN", "local"), ("CGO_ENABLED", "0")]);
    go
}

/// PHP without this machine's settings, which says everything that it complains of.
fn php(folder: &Path, arguments: &[&str]) -> Command {
    let mut php = program("php", folder, &["-n", "-d", "error_reporting=-1", "-d", "display_errors=stderr"]);
    php.args(arguments);
    php
}

pub(super) fn is_there(path: &str) -> bool {
    Path::new(ROOT).join(path).exists()
}

pub(super) fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}
