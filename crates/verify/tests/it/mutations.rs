//! Single changes of a package and of a sealed PDF, each caught and named (E-6).

use countersign_verify::{Check, Verdict, verify_package, verify_sealed_pdf};
use serde_json::{Value, json};

use crate::{
    files::{Files, canonical},
    story::{archive, document_ids, forger, keys, log_signer, originals, package, sandbox_package},
};

/// Runs a table of changes; every one must fail first at the check that is named beside it.
fn run<T>(table: &[(&str, Check, T)], change: impl Fn(&T) -> Vec<u8>) {
    let mut wrong = Vec::new();
    for (name, expected, mutation) in table {
        let bytes = change(mutation);
        let report = if bytes.starts_with(b"%PDF") {
            verify_sealed_pdf(&bytes, &keys())
        } else {
            verify_package(&bytes, &keys())
        };
        let found = report.first_failure().map(|item| item.check);
        if found != Some(*expected) {
            let found = report.first_failure().map(|item| format!("{}: {}", item.check.id(), item.sentence));
            wrong.push(format!("{name}: expected {}, found {found:?}", expected.id()));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), table.len(), wrong.join("\n"));
}

type OfBytes = fn(&mut Vec<u8>);

fn position(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).expect("it is there")
}

fn directory(archive: &[u8]) -> usize {
    position(archive, b"PK\x01\x02")
}

fn second_entry(archive: &[u8]) -> usize {
    4 + position(&archive[4..], b"PK\x03\x04")
}

#[test]
fn e_6_no_byte_of_the_archive_s_frame_can_be_another() {
    let table: &[(&str, Check, OfBytes)] = &[
        ("nothing left", Check::Archive, Vec::clear),
        ("first byte", Check::Archive, |a| a[0] ^= 1),
        ("a byte before it", Check::Archive, |a| a.insert(0, 0)),
        ("a byte after it", Check::Archive, |a| a.push(0)),
        ("last byte cut", Check::Archive, |a| a.truncate(a.len() - 1)),
        ("second half cut", Check::Archive, |a| a.truncate(a.len() / 2)),
        ("directory cut", Check::Archive, |a| a.truncate(directory(a))),
        ("version needed", Check::Archive, |a| a[4] = 20),
        ("flag", Check::Archive, |a| a[6] |= 8),
        ("method", Check::Archive, |a| a[8] = 8),
        ("time", Check::Archive, |a| a[10] = 1),
        ("date", Check::Archive, |a| a[12] = 0x22),
        ("checksum", Check::Archive, |a| a[14] ^= 1),
        ("size", Check::Archive, |a| a[22] ^= 1),
        ("compressed size", Check::Archive, |a| a[18] ^= 1),
        ("length of the extra field", Check::Archive, |a| a[28] = 1),
        ("name", Check::Archive, |a| a[30] ^= 0x80),
        ("time of the second file", Check::Archive, |a| {
            let at = second_entry(a);
            a[at + 10] = 1;
        }),
        ("version made by in the directory", Check::Archive, |a| {
            let at = directory(a);
            a[at + 5] = 3;
        }),
        ("date in the directory", Check::Archive, |a| {
            let at = directory(a);
            a[at + 14] ^= 1;
        }),
        ("attributes in the directory", Check::Archive, |a| {
            let at = directory(a);
            a[at + 38] = 1;
        }),
        ("offset in the directory", Check::Archive, |a| {
            let at = directory(a);
            a[at + 42] ^= 1;
        }),
        ("count at the end", Check::Archive, |a| {
            let at = a.len() - 12;
            a[at] ^= 1;
        }),
        ("comment at the end", Check::Archive, |a| {
            let at = a.len() - 2;
            a[at] = 1;
            a.push(b'x');
        }),
        ("byte of an original", Check::Archive, |a| {
            let at = position(a, b"% lease");
            a[at + 3] ^= 1;
        }),
        ("byte of an event", Check::Archive, |a| {
            let at = position(a, b"recipient.signed");
            a[at] ^= 0x20;
        }),
    ];
    run(table, |change| {
        let mut bytes = archive().to_vec();
        change(&mut bytes);
        bytes
    });
}

#[test]
fn e_6_a_changed_file_is_named() {
    let mut bytes = archive().to_vec();
    let at = position(&bytes, b"% annex");
    bytes[at + 4] ^= 1;
    let report = verify_package(&bytes, &keys());
    let name = format!("originals/{}.pdf", document_ids()[1]);
    assert!(report.first_failure().expect("failed").sentence.contains(&name), "{}", report.to_text());
    let original =
        report.items.iter().find(|item| item.check == Check::Original && item.file.as_ref() == Some(&name));
    assert_eq!(original.expect("reported").outcome, countersign_verify::Outcome::Failed);
}

#[test]
fn e_6_not_one_of_many_flipped_bits_is_missed() {
    for at in (0..archive().len()).step_by(archive().len() / 100) {
        let mut bytes = archive().to_vec();
        bytes[at] ^= 1 << (at % 8);
        assert_eq!(verify_package(&bytes, &keys()).verdict(), Verdict::Failed, "byte {at}");
    }
}

type OfFiles = fn(&mut Files);

#[test]
fn e_6_the_manifest_is_that_of_the_files() {
    let table: &[(&str, Check, OfFiles)] = &[
        ("an original with its checksum", Check::Manifest, |f| f.get(&original(0)).push(b'\n')),
        ("the certificate with its checksum", Check::Manifest, |f| f.get("certificate.pdf")[20] ^= 1),
        ("a size", Check::Manifest, |f| change_manifest(f, |m| m["files"][1]["size_bytes"] = json!(1))),
        ("a digest", Check::Manifest, |f| {
            change_manifest(f, |m| m["files"][1]["sha256"] = json!("0".repeat(64)));
        }),
        ("a name", Check::Manifest, |f| change_manifest(f, |m| m["files"][1]["name"] = json!("other.pdf"))),
        ("a file left out", Check::Manifest, |f| {
            change_manifest(f, |m| drop(m["files"].as_array_mut().expect("a list").pop()));
        }),
        ("the envelope", Check::Manifest, |f| {
            change_manifest(f, |m| m["envelope"] = json!("env_00000000000000000000000000"));
        }),
        ("the format", Check::Manifest, |f| {
            change_manifest(f, |m| m["format"] = json!("countersign-evidence/2"));
        }),
        ("a word more", Check::Manifest, |f| change_manifest(f, |m| m["note"] = json!("genuine"))),
        ("a space", Check::Manifest, |f| f.get("manifest.json").insert(1, b' ')),
    ];
    run(table, |change| {
        let mut files = Files::read(archive());
        change(&mut files);
        files.write()
    });
}

fn change_manifest(files: &mut Files, change: impl FnOnce(&mut Value)) {
    let mut manifest: Value = serde_json::from_slice(files.get("manifest.json")).expect("JSON");
    change(&mut manifest);
    *files.get("manifest.json") = (canonical(&manifest) + "\n").into_bytes();
}

fn original(index: usize) -> String {
    format!("originals/{}.pdf", document_ids()[index])
}

fn sealed(index: usize) -> String {
    format!("sealed/{}.pdf", document_ids()[index])
}

fn remove(files: &mut Files, name: &str) {
    let index = files.index(name);
    files.0.remove(index);
}

/// Swaps the contents of two files.
fn swap(files: &mut Files, one: &str, other: &str) {
    let first = files.get(one).clone();
    let second = std::mem::replace(files.get(other), first);
    *files.get(one) = second;
}

const CONSENT: &str = "consent/2026-11-en.txt";
const PROOF: &str = "log/proof.tlog-proof";

/// Runs changes whose forger makes the manifest and all checksums fit.
fn run_fitted(table: &[(&str, Check, OfFiles)]) {
    run(table, |change| {
        let mut files = Files::read(archive());
        change(&mut files);
        if files.0.iter().any(|(name, _)| name == "manifest.json") {
            files.fit_manifest();
        }
        files.write()
    });
}

#[test]
fn e_6_files_that_are_missing_added_or_moved() {
    run_fitted(&[
        ("no README", Check::Files, |f| remove(f, "README.txt")),
        ("no manifest", Check::Files, |f| remove(f, "manifest.json")),
        ("no original", Check::Files, |f| remove(f, &original(0))),
        ("no sealed PDF", Check::Files, |f| remove(f, &sealed(1))),
        ("no certificate", Check::Files, |f| remove(f, "certificate.pdf")),
        ("no events", Check::Files, |f| remove(f, "events.jsonl")),
        ("no proof", Check::Files, |f| remove(f, PROOF)),
        ("no checkpoint", Check::Files, |f| remove(f, "log/checkpoint")),
        ("no consent text", Check::Files, |f| remove(f, CONSENT)),
        ("no system description", Check::Files, |f| remove(f, "system.json")),
        ("a file more", Check::Files, |f| f.0.push(("note.txt".to_owned(), b"genuine".to_vec()))),
        ("a consent text more", Check::Files, |f| f.0.push(("consent/other.txt".to_owned(), Vec::new()))),
        ("a path that climbs", Check::Files, |f| f.0.push(("../evil".to_owned(), Vec::new()))),
        ("a file twice", Check::Files, |f| f.0.push(f.0[2].clone())),
        ("another order", Check::Files, |f| f.0.swap(2, 3)),
        ("a consent text whose version climbs", Check::Files, |f| {
            let climbs = "../../x";
            let lines = f.text("events.jsonl").replace("\"2026-11-en\"", &format!("\"{climbs}\""));
            *f.get("events.jsonl") = lines.into_bytes();
            f.fit_chain();
            let index = f.index(CONSENT);
            f.0[index].0 = format!("consent/{climbs}.txt");
        }),
        ("a file renamed", Check::Files, |f| f.0[2].0 = "originals/lease.pdf".to_owned()),
    ]);
}

#[test]
fn e_6_documents_and_texts() {
    run_fitted(&[
        ("README", Check::Readme, |f| f.get("README.txt").push(b'\n')),
        ("consent text", Check::Consent, |f| f.get(CONSENT)[0] = b'J'),
        ("an original", Check::Original, |f| f.get(&original(0)).push(b'\n')),
        ("originals swapped", Check::Original, |f| swap(f, &original(0), &original(1))),
        ("an original emptied", Check::Original, |f| f.get(&original(1)).clear()),
        ("sealed PDFs swapped", Check::SealedFile, |f| swap(f, &sealed(0), &sealed(1))),
        ("certificate swapped", Check::SealedFile, |f| swap(f, &sealed(0), "certificate.pdf")),
        ("sealed PDF is the original", Check::Seal, |f| *f.get(&sealed(0)) = originals()[0].clone()),
        ("sealed PDF, first line", Check::Seal, |f| f.get(&sealed(0))[5] = b'2'),
        ("sealed PDF, in the original", Check::Seal, |f| f.get(&sealed(0))[15] ^= 1),
        ("sealed PDF, in the trail", Check::Seal, |f| {
            let middle = usize::midpoint(originals()[0].len(), f.get(&sealed(0)).len());
            f.get(&sealed(0))[middle] ^= 1;
        }),
        ("sealed PDF, a byte more", Check::Seal, |f| f.get(&sealed(1)).push(b'\n')),
        ("sealed PDF, a revision more", Check::Seal, |f| later_revision(f.get(&sealed(1)))),
        ("certificate, a byte", Check::Seal, |f| f.get("certificate.pdf")[15] ^= 1),
        ("certificate, a revision more", Check::Seal, |f| later_revision(f.get("certificate.pdf"))),
        ("system, another issuer", Check::TrailSubject, |f| {
            change_system(f, |s| s["issuer"] = json!("https://evil"));
        }),
        ("system, another version", Check::TrailSubject, |f| change_system(f, |s| s["version"] = json!("9"))),
        ("system, a factor reworded", Check::TrailSubject, |f| {
            change_system(f, |s| s["factors"]["link"] = json!("Seen in person."));
        }),
        ("system, a word more", Check::System, |f| change_system(f, |s| s["note"] = json!(1))),
        ("system, a space", Check::System, |f| f.get("system.json").insert(1, b' ')),
    ]);
}

fn change_system(files: &mut Files, change: impl FnOnce(&mut Value)) {
    let mut system: Value = serde_json::from_slice(files.get("system.json")).expect("JSON");
    change(&mut system);
    *files.get("system.json") = (canonical(&system) + "\n").into_bytes();
}

/// An incremental update that redefines a page (ISO 32000-2 §7.5.6).
fn later_revision(pdf: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(pdf).into_owned();
    let previous =
        text.rsplit_once("startxref\n").and_then(|(_, rest)| rest.split('\n').next()).expect("a start");
    let size = text
        .rsplit_once("/Size ")
        .and_then(|(_, rest)| rest.split([' ', '\n', '>', '/']).next())
        .expect("a size");
    let root = text.rsplit_once("/Root ").and_then(|(_, rest)| rest.split(" R").next()).expect("a root");
    let at = pdf.len();
    let page = "3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>\nendobj\n";
    let table = format!(
        "xref\n3 1\n{at:010} 00000 n \ntrailer\n<< /Size {size} /Root {root} R /Prev {previous} >>\nstartxref\n{}\n%%EOF\n",
        at + page.len()
    );
    pdf.extend(page.as_bytes());
    pdf.extend(table.as_bytes());
}

/// Removes the line of the first event of a type, of the last, or adds it again behind itself.
fn edit_lines(files: &mut Files, edit: impl FnOnce(&mut Vec<Value>)) {
    let mut lines = files.lines();
    edit(&mut lines);
    files.set_lines(&lines);
}

const OF_EVENTS: &[(&str, Check, OfFiles)] = &[
    ("an act's nonce", Check::Chain, |f| {
        f.change_event("recipient.signed", |l| {
            l["event"]["event"]["body"]["value"]["nonce"] = json!("1".repeat(64));
        });
    }),
    ("a date", Check::Chain, |f| {
        f.change_event("envelope.sent", |l| {
            l["event"]["event"]["body"]["value"]["expires_at"] = json!("2026-11-18T12:06:41.000Z");
        });
    }),
    ("the same, chained again", Check::Inclusion, |f| {
        f.change_event("envelope.sent", |l| {
            l["event"]["event"]["body"]["value"]["expires_at"] = json!("2026-11-18T12:06:41.000Z");
        });
        f.fit_chain();
    }),
    ("a sandbox passed off as live, chained again", Check::Inclusion, |f| {
        *f = Files::read(&sandbox_package().to_bytes().expect("a package"));
        f.change_event("envelope.created", |l| {
            l["event"]["event"]["body"]["value"]["environment"] = json!("live");
        });
        f.fit_chain();
    }),
    ("who acted, chained again", Check::Inclusion, |f| {
        f.change_event("recipient.approved", |l| {
            l["event"]["event"]["actor"]["origin"]["ip_source"] = json!("connection");
        });
        f.fit_chain();
    }),
    ("the last event", Check::Inclusion, |f| {
        f.change_event("evidence.exported", |l| {
            l["event"]["event"]["correlation"] = json!("cor_00000000000000000000000000");
        });
    }),
    ("two events swapped", Check::Chain, |f| edit_lines(f, |l| l.swap(5, 6))),
    ("an event left out", Check::Chain, |f| edit_lines(f, |l| drop(l.remove(7)))),
    ("an event left out, chained again", Check::Chain, |f| {
        edit_lines(f, |l| drop(l.remove(7)));
        f.fit_chain();
    }),
    ("the first event left out", Check::Chain, |f| edit_lines(f, |l| drop(l.remove(0)))),
    ("an event twice", Check::Chain, |f| edit_lines(f, |l| l.insert(8, l[7].clone()))),
    ("the tail cut by one", Check::Inclusion, |f| edit_lines(f, |l| drop(l.pop()))),
    ("the tail cut to the seal", Check::Inclusion, |f| {
        edit_lines(f, |l| {
            let sealed = l.iter().position(|l| l["event"]["event"]["body"]["type"] == "envelope.sealed");
            l.truncate(sealed.expect("sealed") + 1);
        });
    }),
    ("an event more at the end", Check::Inclusion, |f| {
        edit_lines(f, |l| {
            let mut again = l.last().expect("a line").clone();
            again["event"]["event"]["seq"] = json!(l.len() + 1);
            again["leaf_id"] = json!("0".repeat(32));
            again["log_index"] = json!(again["log_index"].as_u64().expect("a number") + 1);
            l.push(again);
        });
        f.fit_chain();
    }),
    ("a position", Check::Chain, |f| {
        f.change_event("envelope.sent", |l| l["event"]["event"]["seq"] = json!(3));
        f.fit_chain();
    }),
    ("a date before the one before", Check::Chain, |f| {
        f.change_event("recipient.signed", |l| {
            l["event"]["event"]["at"] = json!("2026-11-18T11:06:40.000Z");
        });
        f.fit_chain();
    }),
    ("another envelope", Check::Chain, |f| {
        f.change_event("envelope.sent", |l| {
            l["event"]["event"]["envelope"] = json!("env_00000000000000000000000000");
        });
        f.fit_chain();
    }),
    ("a beginning that follows something", Check::Chain, |f| {
        f.change_event("envelope.created", |l| l["event"]["previous"] = json!("1".repeat(64)));
    }),
    ("a type that is not known", Check::Events, |f| {
        f.change_event("document.opened", |l| {
            l["event"]["event"]["body"]["type"] = json!("document.closed");
        });
    }),
    ("a word more", Check::Events, |f| {
        f.change_event("document.opened", |l| l["event"]["event"]["body"]["value"]["note"] = json!(1));
    }),
    ("a word less", Check::Events, |f| {
        f.change_event("document.opened", |l| {
            l["event"]["event"]["body"]["value"].as_object_mut().expect("an object").remove("sha256");
        });
    }),
    ("another version", Check::Events, |f| {
        f.change_event("document.opened", |l| l["event"]["v"] = json!(2));
    }),
    ("a space", Check::Events, |f| f.get("events.jsonl").insert(1, b' ')),
    ("no last line break", Check::Events, |f| {
        let file = f.get("events.jsonl");
        file.truncate(file.len() - 1);
    }),
    ("an empty line", Check::Events, |f| f.get("events.jsonl").push(b'\n')),
    ("no events", Check::Events, |f| f.get("events.jsonl").clear()),
    ("no text", Check::Events, |f| f.get("events.jsonl")[40] = 0xff),
];

#[test]
fn e_3_events() {
    run_fitted(OF_EVENTS);
}

/// Where the openings of the first event are.
fn openings(files: &mut Files, change: impl FnOnce(&mut Vec<Value>)) {
    files.change_event("envelope.created", |line| change(line["openings"].as_array_mut().expect("a list")));
}

#[test]
fn d_8_openings() {
    run_fitted(&[
        ("a value", Check::Openings, |f| openings(f, |o| o[2]["value"] = json!("Lease of 13 Rose Street"))),
        ("a salt", Check::Openings, |f| openings(f, |o| o[2]["salt"] = json!("0".repeat(32)))),
        ("a salt that is none", Check::Openings, |f| openings(f, |o| o[2]["salt"] = json!("AB"))),
        ("a commitment", Check::Openings, |f| openings(f, |o| o[2]["sha256"] = json!("0".repeat(64)))),
        ("two swapped", Check::Openings, |f| openings(f, |o| o.swap(2, 3))),
        ("one twice", Check::Openings, |f| openings(f, |o| o.insert(2, o[2].clone()))),
        ("one of another event", Check::Openings, |f| {
            let of_other = f.lines()[1]["openings"][0].clone();
            openings(f, |o| o.push(of_other));
        }),
        ("a word more", Check::Events, |f| openings(f, |o| o[2]["note"] = json!(1))),
    ]);
}

#[test]
fn d_8_a_withheld_value_is_said_and_nothing_is_called_genuine() {
    let mut files = Files::read(archive());
    openings(&mut files, |openings| drop(openings.remove(2)));
    files.fit_manifest();
    let report = verify_package(&files.write(), &keys());
    assert_eq!(report.verdict(), Verdict::Incomplete, "{}", report.to_text());
    assert!(report.to_text().contains("1 of "), "{}", report.to_text());
}

fn change_proof(files: &mut Files, change: impl FnOnce(&mut Vec<String>)) {
    let mut lines: Vec<String> = files.text(PROOF).lines().map(str::to_owned).collect();
    change(&mut lines);
    let proof = lines.join("\n") + "\n";
    *files.get("log/checkpoint") = proof.split_once("\n\n").expect("a checkpoint").1.as_bytes().to_vec();
    *files.get(PROOF) = proof.into_bytes();
}

fn last_index() -> u64 {
    package().events.last().expect("events").log_index
}

/// The line of the checkpoint, from the origin on.
fn checkpoint_line(lines: &[String], line: usize) -> usize {
    lines.iter().position(String::is_empty).expect("a checkpoint") + 1 + line
}

const OF_LOG: &[(&str, Check, OfFiles)] = &[
    ("index + 1", Check::Inclusion, |f| {
        change_proof(f, |l| l[1] = format!("index {}", last_index() + 1));
    }),
    ("index - 1", Check::Inclusion, |f| {
        change_proof(f, |l| l[1] = format!("index {}", last_index() - 1));
    }),
    ("index + 1 in both", Check::Inclusion, |f| {
        change_proof(f, |l| l[1] = format!("index {}", last_index() + 1));
        f.change_event("evidence.exported", |l| l["log_index"] = json!(last_index() + 1));
    }),
    ("a hash of the path", Check::Inclusion, |f| change_proof(f, |l| l.swap(2, 3))),
    ("a hash less", Check::Inclusion, |f| change_proof(f, |l| drop(l.remove(2)))),
    ("a hash twice", Check::Inclusion, |f| change_proof(f, |l| l.insert(2, l[2].clone()))),
    ("header", Check::Inclusion, |f| change_proof(f, |l| l[0].push('2'))),
    ("something extra", Check::Inclusion, |f| {
        change_proof(f, |l| l.insert(1, "extra Z2VudWluZQ==".to_owned()));
    }),
    ("last leaf id", Check::Inclusion, |f| {
        f.change_event("evidence.exported", |l| l["leaf_id"] = json!("0".repeat(32)));
    }),
    ("last log index", Check::Inclusion, |f| {
        f.change_event("evidence.exported", |l| l["log_index"] = json!(last_index() + 1));
    }),
    ("leaf id before the seal", Check::TrailEvents, |f| {
        f.change_event("recipient.signed", |l| l["leaf_id"] = json!("0".repeat(32)));
    }),
    ("leaf id of the seal", Check::Events, |f| {
        f.change_event("envelope.sealed", |l| l["leaf_id"] = json!("ab".repeat(16)));
    }),
    ("log index of the seal", Check::Events, |f| {
        f.change_event("envelope.sealed", |l| l["log_index"] = json!(last_index() - 1));
    }),
    ("place of the seal", Check::Positions, |f| {
        let logged =
            package().events.iter().find(|one| one.recorded.event.body.type_text() == "envelope.sealed");
        let logged = logged.expect("sealed");
        let (leaf_id, log_index) = (hex::encode(logged.leaf_id), logged.log_index);
        f.change_event("envelope.sealed", |l| {
            l["leaf_id"] = json!(leaf_id);
            l["log_index"] = json!(log_index);
        });
    }),
    ("leaf id of the seal that is nothing", Check::Events, |f| {
        f.change_event("envelope.sealed", |l| l["leaf_id"] = Value::Null);
    }),
    ("no place before the seal", Check::Positions, |f| {
        f.change_event("recipient.signed", |l| {
            let line = l.as_object_mut().expect("an object");
            line.remove("leaf_id");
            line.remove("log_index");
        });
    }),
    ("no place at the end", Check::Inclusion, |f| {
        f.change_event("evidence.exported", |l| {
            let line = l.as_object_mut().expect("an object");
            line.remove("leaf_id");
            line.remove("log_index");
        });
    }),
    ("leaf id that is none", Check::Events, |f| {
        f.change_event("recipient.signed", |l| l["leaf_id"] = json!("0"));
    }),
    ("leaf id of another event", Check::Positions, |f| {
        let of_other = f.lines()[1]["leaf_id"].clone();
        f.change_event("recipient.signed", |l| l["leaf_id"] = of_other);
    }),
    ("log index of the event before", Check::Positions, |f| {
        let before = f.lines()[0]["log_index"].clone();
        f.change_event("envelope.sent", |l| l["log_index"] = before);
    }),
    ("origin", Check::Checkpoint, |f| {
        change_proof(f, |l| {
            let at = checkpoint_line(l, 0);
            l[at].push('x');
        });
    }),
    ("size", Check::Checkpoint, |f| {
        change_proof(f, |l| {
            let at = checkpoint_line(l, 1);
            l[at] = (l[at].parse::<u64>().expect("a size") + 1).to_string();
        });
    }),
    ("root", Check::Checkpoint, |f| {
        change_proof(f, |l| {
            let at = checkpoint_line(l, 2);
            l[at] = l[2].clone();
        });
    }),
    ("signature", Check::Checkpoint, |f| {
        change_proof(f, |l| {
            let at = checkpoint_line(l, 4);
            // In the middle, where every character stands for six whole bits.
            let middle = l[at].rfind(' ').expect("a name and a signature") + 20;
            let other = if l[at].as_bytes()[middle] == b'A' { "B" } else { "A" };
            l[at].replace_range(middle..=middle, other);
        });
    }),
    ("signed by another key of the same name", Check::Checkpoint, |f| {
        let text = f.text("log/checkpoint");
        let checkpoint = text.split_once("\n\n").expect("signed").0.to_owned() + "\n";
        let note = countersign_tlog::sign_checkpoint(&checkpoint.parse().expect("a checkpoint"), &forger());
        let note = note.expect("signed").to_string();
        change_proof(f, |l| {
            let at = checkpoint_line(l, 4);
            l[at] = note.lines().last().expect("a line").to_owned();
        });
    }),
    ("another checkpoint beside the proof", Check::Checkpoint, |f| f.get("log/checkpoint").push(b'\n')),
    ("the proof of another event", Check::Inclusion, |f| {
        let logged = &package().events[0];
        let entry = countersign_core::envelope::encode::leaf(&logged.leaf_id, &logged.recorded.hash);
        assert_eq!(countersign_tlog::leaf_hash(&entry).0.len(), 32);
        change_proof(f, |l| l[1] = format!("index {}", logged.log_index));
    }),
];

#[test]
fn e_3_log() {
    run_fitted(OF_LOG);
}

#[test]
fn e_4_sealed_pdfs_alone() {
    let table: &[(&str, Check, OfBytes)] = &[
        ("version", Check::Seal, |p| p[7] = b'6'),
        ("byte of the original", Check::Seal, |p| p[15] ^= 1),
        ("byte of the update", Check::Seal, |p| {
            let at = originals()[0].len() + 40;
            p[at] ^= 1;
        }),
        ("digit of the signature", Check::Seal, |p| {
            let at = position(p, b"/Contents <") + 400;
            p[at] = if p[at] == b'a' { b'b' } else { b'a' };
        }),
        ("padding of the signature", Check::Seal, |p| {
            let end = position(p, b"/Contents <")
                + p[position(p, b"/Contents <")..].iter().position(|b| *b == b'>').expect("an end");
            p[end - 1] = b'1';
        }),
        ("byte range", Check::Seal, |p| {
            let at = position(p, b"/ByteRange [0 ") + 14;
            p[at] = if p[at] == b'9' { b'8' } else { p[at] + 1 };
        }),
        ("a byte after it", Check::Seal, |p| p.push(b'\n')),
        ("a later revision", Check::Seal, later_revision),
        ("end cut", Check::Seal, |p| p.truncate(p.len() - 7)),
        ("seal cut off", Check::Seal, |p| p.truncate(originals()[0].len())),
    ];
    run(table, |change| {
        let mut pdf = package().documents[0].sealed.clone();
        change(&mut pdf);
        pdf
    });
}

#[test]
fn e_4_a_changed_byte_anywhere_in_a_sealed_pdf_fails() {
    let sealed = &package().documents[0].sealed;
    for at in (0..sealed.len()).step_by(sealed.len() / 100) {
        let mut pdf = sealed.clone();
        pdf[at] ^= 1 << (at % 8);
        assert_eq!(verify_sealed_pdf(&pdf, &keys()).verdict(), Verdict::Failed, "byte {at}");
    }
}

#[test]
fn e_6_many_keys_may_be_pinned_and_one_must_fit() {
    let pinned = [forger().verifier(), log_signer().verifier()];
    assert_eq!(verify_package(archive(), &pinned).verdict(), Verdict::Genuine);
}
