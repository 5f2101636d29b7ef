//! The tables of `docs/pdf.md` are those of the code.

use countersign_pdf::inspect::Refusal;
use countersign_pdf::verify::SealFailure;

#[test]
fn every_code_is_documented_with_its_sentence() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/pdf.md");
    let text = std::fs::read_to_string(path).expect("docs/pdf.md exists");
    let refusals = Refusal::examples().into_iter().map(|refusal| (refusal.code(), refusal.sentence()));
    let failures = SealFailure::examples().into_iter().map(|failure| (failure.code(), failure.sentence()));
    let rows: Vec<String> =
        refusals.chain(failures).map(|(code, sentence)| format!("| `{code}` | {sentence} |")).collect();
    let missing: Vec<&String> = rows.iter().filter(|row| !text.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/pdf.md lacks these rows:\n{missing:#?}");
    let documented =
        text.lines().filter(|line| line.starts_with("| `pdf-") || line.starts_with("| `seal-")).count();
    assert_eq!(documented, rows.len(), "docs/pdf.md has rows for codes that do not exist");
}
