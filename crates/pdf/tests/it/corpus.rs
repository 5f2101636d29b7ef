//! A folder of other people's files, where present: each is sealed or refused, within bounds, and judges accept what
//! was sealed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use countersign_pdf::inspect::{Limits, inspect};
use countersign_pdf::verify::verify;

use crate::support::{folder, judge, seal_whole};

fn corpus() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/pdf");
    std::env::var_os("CS_TEST_PDF_CORPUS").map_or(beside, PathBuf::from)
}

#[test]
fn every_file_of_the_corpus_is_sealed_or_refused_and_the_judges_agree() {
    let Ok(entries) = std::fs::read_dir(corpus()) else {
        println!(
            "no corpus at {}: nothing to show here (CS_TEST_PDF_CORPUS names another)",
            corpus().display()
        );
        return;
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    let out = folder("corpus");
    let documented = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/pdf.md");
    let documented = std::fs::read_to_string(documented).expect("docs/pdf.md exists");
    let (mut sealed_files, mut originals) = (Vec::new(), Vec::new());
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "pdf")) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let bytes = std::fs::read(path).expect("the corpus is readable");
        if let Err(refusal) = inspect(&bytes, &Limits::default()) {
            let code = refusal.code();
            assert!(documented.contains(&format!("| `{code}` |")), "{name}: {code} is not in docs/pdf.md");
            refused.entry(format!("{code}: {refusal}")).or_default().push(name);
            continue;
        }
        let sealed = seal_whole(&bytes);
        let sealed = sealed.unwrap_or_else(|error| panic!("{name} is accepted and not sealed: {error}"));
        assert!(sealed.starts_with(&bytes), "{name} does not begin with the original");
        let verified = verify(&sealed, &Limits::for_sealed());
        let verified = verified.unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert_eq!(verified.original_size_bytes, bytes.len() as u64, "{name}");
        let file = out.join(&name);
        std::fs::write(&file, sealed).expect("written");
        sealed_files.push(file);
        originals.push(path.clone());
    }
    assert!(!sealed_files.is_empty(), "no file of {} is sealed", corpus().display());
    println!("{} sealed, {} refused", sealed_files.len(), refused.values().map(Vec::len).sum::<usize>());
    for (reason, names) in &refused {
        println!("  {:3} {reason}\n      {}", names.len(), names.join(" "));
    }
    let before = judge(&originals);
    let wrong: Vec<String> = judge(&sealed_files)
        .iter()
        .zip(&before)
        // What qpdf finds wrong with the original stays wrong: a seal repairs nothing.
        .filter(|(after, before)| after.pyhanko != "ok" || (after.qpdf != "ok" && before.qpdf == "ok"))
        .map(|(after, before)| format!("{after:#?}\nbefore: {}", before.qpdf))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), sealed_files.len(), wrong.join("\n"));
}
