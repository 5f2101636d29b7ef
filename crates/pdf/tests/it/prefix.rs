//! The original can be cut out of the sealed file with the tools of any system.

use std::process::Command;

use countersign_pdf::inspect::Limits;
use countersign_pdf::verify::verify;

use crate::support::{fixture, folder, seal_whole};

/// D-5: three lines of shell compute the original's hash from the sealed file.
#[test]
fn head_and_sha256sum_give_the_hash_of_the_original_d_5() {
    let original = fixture("word-like.pdf");
    let sealed = seal_whole(&original).expect("it is sealed");
    let verified = verify(&sealed, &Limits::for_sealed()).expect("it verifies");
    let out = folder("prefix");
    std::fs::write(out.join("original.pdf"), &original).expect("written");
    std::fs::write(out.join("sealed.pdf"), &sealed).expect("written");
    let script = format!(
        "set -e\n\
         from_seal=$(head -c {} sealed.pdf | sha256sum)\n\
         of_upload=$(sha256sum < original.pdf)\n\
         test \"$from_seal\" = \"$of_upload\"; printf '%s' \"${{of_upload%% *}}\"",
        verified.original_size_bytes
    );
    let done = Command::new("sh").arg("-c").arg(script).current_dir(&out).output().expect("sh starts");
    assert!(done.status.success(), "the hashes differ: {}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout), verified.original_sha256);
}
