//! The examples in `docs/webhooks/`, run as somebody has them who copied one file into a project: with the standard library
//! of their language and nothing else.

mod changed;
mod faults;
mod languages;
mod serving;
mod vectors;

use languages::{GO, JAVA, Language, PHP, RUBY, Run};
use serde_json::{Value, json};

/// W-11, W-3: every vector of `v1` and `v1a` is judged as the page says, with the page's status, and so is what tells a store
/// that remembers from one that does not.
fn judges_every_vector(language: &Language) {
    let vectors = vectors::all();
    let run = language.run(&language.source(), &vectors);
    assert_eq!(run, Run { told: vectors::told_if_all_are_right(&vectors), code: Some(0) });
}

/// W-11: a program whose vectors expect otherwise tells each of them, and fails.
fn tells_each_vector_that_it_judges_otherwise(language: &Language) {
    let mut vectors = vectors::all();
    for vector in vectors["vectors"].as_array_mut().unwrap() {
        let other = if vector["expect"] == "accepted" { "stale" } else { "accepted" };
        vector["expect"] = json!(other);
    }
    let Run { told, code } = language.run(&language.source(), &vectors);
    let ran = vectors::count(&vectors);
    assert_eq!(code, Some(1), "{told}");
    assert_eq!(told.lines().filter(|line| line.starts_with("wrong: ")).count(), ran, "{told}");
    assert!(told.ends_with(&format!("{ran} ran, {ran} judged otherwise\n")), "{told}");
}

/// A program that ran nothing does not pass.
fn fails_when_nothing_ran(language: &Language) {
    let mut vectors = vectors::all();
    vectors["vectors"] = Value::Array(vec![]);
    let run = language.run(&language.source(), &vectors);
    assert_eq!(run, Run { told: "0 ran, 0 judged otherwise\n".into(), code: Some(1) });
}

/// The page leads to every example, to what is there, and has no commands of its own that nobody runs.
#[test]
fn the_page_on_receiving_leads_to_what_is_there() {
    let page = languages::read("docs/webhooks/README.md");
    let links: Vec<&str> = page.split("](").skip(1).map(|rest| rest.split_once(')').unwrap().0).collect();
    for link in &links {
        assert!(languages::is_there(&format!("docs/webhooks/{link}")), "{link}");
    }
    for Language { file, .. } in [GO, JAVA, RUBY, PHP] {
        assert!(links.contains(&file), "{file}");
    }
    assert!(!page.contains("```"), "a snippet has a test that runs it");
}

macro_rules! of_each {
    ($($name:ident: $language:expr, $frame:expr);*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn the_example_judges_every_vector_as_the_page_says() {
                judges_every_vector(&$language);
            }

            #[test]
            fn the_example_tells_each_vector_that_it_judges_otherwise() {
                tells_each_vector_that_it_judges_otherwise(&$language);
                fails_when_nothing_ran(&$language);
            }

            #[test]
            fn the_vectors_find_each_fault_that_is_put_into_the_example() {
                faults::are_found(&$language);
            }

            #[test]
            fn the_example_is_used_in_a_server_as_its_head_says() {
                serving::is_as_its_head_says(&$language, &$frame);
            }

            #[test]
            fn the_example_is_written_as_the_tools_of_its_language_want_it() {
                $language.lint();
            }
        }
    )*};
}

of_each!(
    go: GO, serving::GO;
    java: JAVA, serving::JAVA;
    ruby: RUBY, serving::RUBY;
    php: PHP, serving::PHP
);
