//! The package's README: what is in it, and how to check it with tools that are not ours.

use countersign_core::access::Environment;

use crate::package::{Plan, original_name, sealed_name};

/// `README.txt`, which follows from the events alone.
pub(crate) fn of(plan: &Plan) -> String {
    let mut originals = String::new();
    let mut seals = String::new();
    for document in &plan.documents {
        let (sealed, original) = (sealed_name(document.id), original_name(document.id));
        let (size, sha256) = (document.size_bytes, document.sha256);
        originals.extend([
            format!("    sha256sum {original}\n"),
            format!("    head -c {size} {sealed} | sha256sum\n"),
            format!("    # both print {sha256}\n"),
        ]);
        seals.extend([
            format!("    qpdf --check {sealed}\n"),
            format!("    pdfsig {sealed}\n"),
            format!("    qpdf --show-attachment=countersign-trail.json {sealed} | jq .subject\n"),
        ]);
    }
    let sandbox = match plan.environment {
        Environment::Live => "",
        Environment::Sandbox => "\n\nTHIS IS A SANDBOX TEST. IT BINDS NOBODY.",
    };
    include_str!("readme.txt")
        .replace("{envelope}", &plan.envelope.to_string())
        .replace("{sandbox}", sandbox)
        .replace("{originals}", originals.trim_end())
        .replace("{seals}", seals.trim_end())
}
