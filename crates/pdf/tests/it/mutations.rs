//! A sealed file with one thing changed is caught, and the change is named.

use cms::content_info::ContentInfo;
use cms::signed_data::{SignedData, SignerInfo, SignerInfos};
use countersign_pdf::inspect::{Limits, Original};
use countersign_pdf::objects::NewObjects;
use countersign_pdf::seal::{SealError, SealKey, SealRequest, SignerText, SoftwareKey, prepare, seal};
use countersign_pdf::verify::{SealFailure, Verified, check_chain, verify};
use der::asn1::{Any, SetOfVec};
use der::{Decode, Encode};
use p256::ecdsa::Signature;

use crate::support::{SIGNED_AT, attachments, chain, fixture, key, seal_bare, seal_whole};

fn check(sealed: &[u8]) -> Result<Verified, SealFailure> {
    let verified = verify(sealed, &Limits::for_sealed())?;
    check_chain(&verified.certificate_chain, &[fixture("root.der")], verified.signed_at_unix_s.unwrap_or(0))?;
    Ok(verified)
}

fn position(bytes: &[u8], word: &[u8]) -> usize {
    let found = bytes.windows(word.len()).rposition(|window| window == word);
    found.unwrap_or_else(|| panic!("{} is not in the file", String::from_utf8_lossy(word)))
}

/// Replaces the last occurrence of `old` by `new` of the same length.
fn replaced(sealed: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = position(sealed, old);
    let mut bytes = sealed.to_vec();
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

fn flipped(sealed: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = sealed.to_vec();
    bytes[at] ^= 1;
    bytes
}

/// The hexadecimal digits of the signature.
fn digits(sealed: &[u8]) -> std::ops::Range<usize> {
    let start = position(sealed, b"/Contents <") + 11;
    let length = sealed[start..].iter().position(|byte| *byte == b'>').expect("they end");
    start..start + length
}

fn cms_of(sealed: &[u8]) -> Vec<u8> {
    let bytes = hex::decode(&sealed[digits(sealed)]).expect("hexadecimal");
    let length = 4 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    bytes[..length].to_vec()
}

fn with_cms(sealed: &[u8], cms: &[u8]) -> Vec<u8> {
    let range = digits(sealed);
    let mut text = hex::encode(cms).into_bytes();
    assert!(text.len() <= range.len(), "the changed signature does not fit");
    text.resize(range.len(), b'0');
    let mut bytes = sealed.to_vec();
    bytes[range].copy_from_slice(&text);
    bytes
}

/// The signature with one byte changed, `offset` bytes after the last occurrence of `marker`.
fn in_cms(sealed: &[u8], marker: &[u8], offset: usize) -> Vec<u8> {
    let mut cms = cms_of(sealed);
    let at = position(&cms, marker) + offset;
    cms[at] ^= 1;
    with_cms(sealed, &cms)
}

/// The signature taken apart, changed and put together again.
fn rebuilt(sealed: &[u8], change: impl FnOnce(&mut SignedData, &mut SignerInfo)) -> Vec<u8> {
    let mut outer = ContentInfo::from_der(&cms_of(sealed)).expect("it is CMS");
    let mut data: SignedData = outer.content.decode_as().expect("it is signed data");
    let mut signer = data.signer_infos.0.as_slice()[0].clone();
    change(&mut data, &mut signer);
    data.signer_infos = SignerInfos(SetOfVec::from_iter([signer]).expect("one signer"));
    outer.content = Any::encode_from(&data).expect("it encodes");
    with_cms(sealed, &outer.to_der().expect("it encodes"))
}

const MESSAGE_DIGEST: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_CERTIFICATE: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];
const ECDSA_SHA_256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

type Mutation = (&'static str, &'static str, Vec<u8>);

fn in_the_file(sealed: &[u8], original_length: usize) -> Vec<Mutation> {
    vec![
        ("a digit of the version in the header", "seal-digest-mismatch", flipped(sealed, 7)),
        ("a byte of the original's binary comment", "seal-digest-mismatch", flipped(sealed, 12)),
        (
            "the title of the original",
            "seal-digest-mismatch",
            flipped(sealed, position(&sealed[..original_length], b"Agreement")),
        ),
        (
            "the last byte of the original",
            "seal-digest-mismatch",
            replaced(&sealed[..original_length], b"%%EOF", b"%%EOG")
                .into_iter()
                .chain(sealed[original_length..].iter().copied())
                .collect(),
        ),
        ("the line feed after the original", "seal-digest-mismatch", {
            let mut b = sealed.to_vec();
            b[original_length] = b' ';
            b
        }),
        (
            "a stamp's text",
            "seal-digest-mismatch",
            replaced(sealed, b"Signed: Ada Lovelace", b"Signed: Eve Lovelace"),
        ),
        (
            "where a stamp is drawn",
            "seal-digest-mismatch",
            replaced(sealed, b" cm /Countersign", b" cM /Countersign"),
        ),
        (
            "the text of the certificate page",
            "seal-digest-mismatch",
            replaced(sealed, b"Certificate of completion", b"Certificate of completiom"),
        ),
    ]
}

fn in_the_update(sealed: &[u8]) -> Vec<Mutation> {
    let attached = position(sealed, b"/Type /EmbeddedFile");
    vec![
        (
            "the name of an attachment",
            "seal-digest-mismatch",
            replaced(sealed, b"(trail.json)", b"(trial.json)"),
        ),
        ("the checksum of an attachment", "seal-digest-mismatch", flipped(sealed, attached + 60)),
        (
            "the time of sealing",
            "seal-digest-mismatch",
            replaced(sealed, b"/M (D:20261121", b"/M (D:20261120"),
        ),
        (
            "the name of the signer",
            "seal-digest-mismatch",
            replaced(sealed, b"Countersign \\(test\\)", b"Countersign \\(tezt\\)"),
        ),
        (
            "the signature's filter",
            "seal-digest-mismatch",
            replaced(sealed, b"Adobe.PPKLite", b"Adobe.PPKLits"),
        ),
        ("the widget's flags", "seal-digest-mismatch", replaced(sealed, b"/F 132", b"/F 134")),
        ("the flags of the form", "seal-digest-mismatch", replaced(sealed, b"/SigFlags 3", b"/SigFlags 1")),
        (
            "the signature format",
            "seal-unexpected-form",
            replaced(sealed, b"/ETSI.CAdES.detached", b"/adbe.pkcs7.detached"),
        ),
        (
            "the permission of changes",
            "seal-not-certifying",
            replaced(sealed, b"/V /1.2 /P 1", b"/V /1.2 /P 2"),
        ),
        (
            "the transform method",
            "seal-not-certifying",
            replaced(sealed, b"/TransformMethod /DocMDP", b"/TransformMethod /FieldM"),
        ),
        (
            "the catalog's permission entry",
            "seal-not-certifying",
            replaced(sealed, b"/Perms << /DocMDP", b"/Perms << /DocMDQ"),
        ),
        (
            "the kind of the signature field",
            "seal-unexpected-form",
            replaced(sealed, b"/FT /Sig", b"/FT /Btn"),
        ),
        (
            "the value of the signature field",
            "seal-unexpected-form",
            replaced(sealed, b"/T (Seal) /V ", b"/T (Seal) /W "),
        ),
    ]
}

fn in_the_coverage(sealed: &[u8]) -> Vec<Mutation> {
    let range = position(sealed, b"/ByteRange [0 ") + 14;
    let numbers: Vec<usize> = String::from_utf8_lossy(&sealed[range..range + 32])
        .split_whitespace()
        .map(|number| number.parse().expect("a number"))
        .collect();
    let ranged = |before: usize, after: usize, rest: usize| {
        let mut bytes = sealed.to_vec();
        bytes[range..range + 32].copy_from_slice(format!("{before:<10} {after:<10} {rest:<10}").as_bytes());
        bytes
    };
    let (before, after, rest) = (numbers[0], numbers[1], numbers[2]);
    let digits = digits(sealed);
    let padding = digits.end - 9;
    vec![
        ("a word among the covered ranges", "seal-unexpected-form", {
            let mut bytes = sealed.to_vec();
            bytes[range + 30..range + 32].copy_from_slice(b"/X");
            bytes
        }),
        ("the covered start ends early", "seal-not-covered", ranged(before - 1, after, rest)),
        ("the covered end begins late", "seal-not-covered", ranged(before, after + 1, rest - 1)),
        ("the covered end stops early", "seal-later-revision", ranged(before, after, rest - 1)),
        ("the covered end reaches beyond the file", "seal-not-covered", ranged(before, after, rest + 1)),
        ("a byte after the end", "seal-later-revision", [sealed, b"\n"].concat()),
        ("text after the end", "seal-unreadable", [sealed, b"hidden"].concat()),
        ("the last byte is cut off", "seal-not-covered", sealed[..sealed.len() - 1].to_vec()),
        ("the last line is cut off", "seal-unreadable", sealed[..sealed.len() - 6].to_vec()),
        ("the word startxref", "seal-unreadable", replaced(sealed, b"startxref", b"startxreg")),
        ("a padding digit", "seal-dirty-contents", {
            let mut b = sealed.to_vec();
            b[padding] = b'1';
            b
        }),
        ("a padding digit is a space", "seal-dirty-contents", {
            let mut b = sealed.to_vec();
            b[padding] = b' ';
            b
        }),
        ("a digit in upper case", "seal-dirty-contents", {
            let at = digits.start
                + sealed[digits.clone()].iter().position(u8::is_ascii_lowercase).expect("a letter");
            let mut b = sealed.to_vec();
            b[at] = b[at].to_ascii_uppercase();
            b
        }),
        ("an update that paints over a page", "seal-later-revision", painted_over(sealed)),
    ]
}

/// What an attacker appends: a later revision that replaces an object.
fn painted_over(sealed: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(sealed);
    let previous = text.rsplit("startxref\n").next().and_then(|tail| tail.lines().next()).expect("an offset");
    let size = text.rsplit("/Size ").next().and_then(|tail| tail.split(' ').next()).expect("a size");
    let size: u32 = size.parse().expect("a number");
    let root = text.rsplit("/Root ").next().and_then(|tail| tail.split(' ').next()).expect("a root");
    let object = sealed.len();
    let body = format!("{size} 0 obj\n<< /Painted true >>\nendobj\n");
    let end = format!(
        "xref\n{size} 1\n{object:010} 00000 n \ntrailer\n<< /Size {} /Root {root} 0 R /Prev {previous} >>\nstartxref\n{}\n%%EOF\n",
        size + 1,
        object + body.len()
    );
    [sealed, body.as_bytes(), end.as_bytes()].concat()
}

fn in_the_signature(sealed: &[u8]) -> Vec<Mutation> {
    let leaf = fixture("leaf.der");
    let middle = fixture("middle.der");
    let serial = &leaf[15..30];
    // An uncompressed point follows the name of the curve.
    let issuer_key = position(&middle, &[0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04]) + 7;
    let malleated = rebuilt(sealed, |_, signer| {
        let signature = Signature::from_der(signer.signature.as_bytes()).expect("ECDSA");
        let (r, s) = signature.split_scalars();
        let other = Signature::from_scalars(r, -s).expect("ECDSA");
        signer.signature = der::asn1::OctetString::new(other.to_der().as_bytes()).expect("it encodes");
    });
    let unsigned = rebuilt(sealed, |_, signer| {
        signer.unsigned_attrs = Some(
            SetOfVec::from_iter([signer.signed_attrs.as_ref().expect("attributes").as_slice()[0].clone()])
                .expect("one"),
        );
    });
    let more = rebuilt(sealed, |data, _| {
        let extra = cms::cert::CertificateChoices::Certificate(
            x509_cert::Certificate::from_der(&fixture("expired.der")).expect("a certificate"),
        );
        let mut all = data.certificates.clone().expect("certificates").0.into_vec();
        all.push(extra);
        data.certificates = Some(cms::signed_data::CertificateSet::try_from(all).expect("a set"));
    });
    let none = rebuilt(sealed, |data, _| data.certificates = None);
    let indefinite = {
        let cms = cms_of(sealed);
        with_cms(sealed, &[&[0x30, 0x83, 0x00], &cms[2..]].concat())
    };
    vec![
        ("the outer tag", "seal-encoding", in_cms(sealed, &cms_of(sealed)[..4], 0)),
        ("the content type", "seal-encoding", in_cms(sealed, &cms_of(sealed)[4..15], 10)),
        ("the length is not the shortest", "seal-encoding", indefinite),
        ("the signed digest", "seal-digest-mismatch", in_cms(sealed, MESSAGE_DIGEST, 9 + 4)),
        ("the kind of the digest attribute", "seal-encoding", in_cms(sealed, MESSAGE_DIGEST, 8)),
        ("the named certificate", "seal-certificate-mismatch", in_cms(sealed, SIGNING_CERTIFICATE, 11 + 12)),
        ("the signature algorithm", "seal-encoding", in_cms(sealed, ECDSA_SHA_256, 7)),
        ("the signature", "seal-bad-signature", in_cms(sealed, ECDSA_SHA_256, 8 + 2 + 4 + 5)),
        ("the signature in its other form", "seal-bad-signature", malleated),
        ("the signer's serial number", "seal-certificate-mismatch", in_cms(sealed, serial, 6)),
        (
            "the signer's certificate",
            "seal-certificate-mismatch",
            in_cms(sealed, &leaf[leaf.len() - 20..], 12),
        ),
        (
            "the key of the issuer",
            "seal-broken-chain",
            in_cms(sealed, &middle[issuer_key..issuer_key + 20], 10),
        ),
        (
            "the signature of the issuer's certificate",
            "seal-untrusted",
            in_cms(sealed, &middle[middle.len() - 20..], 12),
        ),
        ("something unsigned is added", "seal-encoding", unsigned),
        ("a certificate is added", "seal-broken-chain", more),
        ("the certificates are taken away", "seal-certificate-mismatch", none),
    ]
}

/// Changes in what holds the update together.
fn in_the_structure(sealed: &[u8]) -> Vec<Mutation> {
    let replaced = |old: &str, new: &str| replaced(sealed, old.as_bytes(), new.as_bytes());
    vec![
        ("the name of the seal's field", "seal-digest-mismatch", replaced("/T (Seal)", "/T (Seam)")),
        ("the kind of the widget", "seal-digest-mismatch", replaced("/Subtype /Widget", "/Subtype /Widgex")),
        ("the type of the signature", "seal-digest-mismatch", replaced("/Type /Sig", "/Type /Sih")),
        ("the start of the covered bytes", "seal-not-covered", replaced("/ByteRange [0 ", "/ByteRange [1 ")),
        ("the list of attachments", "seal-digest-mismatch", replaced("/EmbeddedFiles", "/EmbeddedFilez")),
        (
            "the relationship of an attachment",
            "seal-digest-mismatch",
            replaced("/AFRelationship /", "/AFRelationshiq /"),
        ),
        ("the way to the original's table", "seal-digest-mismatch", replaced("/Prev ", "/Prew ")),
        ("the root", "seal-unreadable", replaced("/Root ", "/Rood ")),
        ("the size of the table", "seal-unreadable", replaced("/Size ", "/Sise ")),
        ("an entry of the table", "seal-unexpected-form", replaced(" 00000 n", " 00001 n")),
        ("the table's beginning", "seal-unreadable", replaced("xref\n", "xreg\n")),
        ("the end of an object", "seal-unreadable", replaced("endobj", "endobk")),
    ]
}

/// D-5 and D-6: over sixty changes, each caught and named; untouched, the file verifies.
#[test]
fn each_change_of_a_sealed_file_is_caught_and_named_d_6() {
    let original = fixture("reportlab.pdf");
    let sealed = seal_whole(&original).expect("it is sealed");
    check(&sealed).expect("untouched, it verifies");
    let mutations: Vec<Mutation> = [
        in_the_file(&sealed, original.len()),
        in_the_update(&sealed),
        in_the_coverage(&sealed),
        in_the_structure(&sealed),
        in_the_signature(&sealed),
    ]
    .concat();
    assert!(mutations.len() >= 60, "{} mutations", mutations.len());
    let mut wrong = Vec::new();
    for (name, code, bytes) in &mutations {
        assert_ne!(bytes, &sealed, "{name}: nothing is changed");
        match check(bytes) {
            Ok(_) => wrong.push(format!("{name}: not caught")),
            Err(failure) if failure.code() != *code => {
                wrong.push(format!("{name}: {} for {code}: {failure}", failure.code()));
            }
            Err(_) => {}
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// D-6: there is no byte of a sealed file that can be changed.
#[test]
fn every_single_byte_of_a_sealed_file_is_protected_d_6() {
    let sealed = seal_bare(&fixture("small.pdf")).expect("it is sealed");
    check(&sealed).expect("untouched, it verifies");
    let open: Vec<usize> = (0..sealed.len()).filter(|at| check(&flipped(&sealed, *at)).is_ok()).collect();
    assert!(open.is_empty(), "these bytes can be changed: {open:?}");
}

#[test]
fn a_verified_seal_gives_back_the_original_the_signer_and_the_attachments() {
    for name in [
        "reportlab.pdf",
        "word-like.pdf",
        "attachments-encrypted.pdf",
        "inherited-encrypted.pdf",
        "owner-rc4.pdf",
    ] {
        let original = fixture(name);
        let sealed = seal_whole(&original).expect("it is sealed");
        let verified = check(&sealed).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        let structure = Original::open(&original, &Limits::default()).expect("accepted").structure().clone();
        assert_eq!(verified.original_sha256, structure.sha256, "{name}");
        assert_eq!(verified.original_size_bytes, original.len() as u64, "{name}");
        assert_eq!(verified.page_count, verified.original_page_count + 1, "{name}");
        assert_eq!(verified.signer_name, "Countersign (test)", "{name}");
        assert_eq!(verified.reason, "Sealed after all signatures: Ærø, Łódź", "{name}");
        assert_eq!(verified.signed_at_unix_s, Some(SIGNED_AT.unix_s()), "{name}");
        assert_eq!(verified.certificate_chain, chain(), "{name}");
        let mut expected = attachments();
        expected.sort_by_key(|attachment| attachment.file_name.clone());
        let mut found = verified.attachments.clone();
        found.sort_by_key(|attachment| attachment.file_name.clone());
        let found: Vec<_> = found.iter().map(|one| (&one.file_name, &one.mime_type, &one.bytes)).collect();
        let expected: Vec<_> =
            expected.iter().map(|one| (&one.file_name, &one.mime_type, &one.bytes)).collect();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn what_is_no_seal_is_told_apart() {
    for (name, code) in [
        ("reportlab.pdf", "seal-missing"),
        ("signed-by-approval.pdf", "seal-not-certifying"),
        ("certified.pdf", "seal-not-certifying"),
        ("not-a-pdf.pdf", "seal-unreadable"),
    ] {
        let failure = check(&fixture(name)).err().map(|failure| failure.code());
        assert_eq!(failure, Some(code), "{name}");
    }
}

#[test]
fn a_sealed_file_is_refused_as_an_upload() {
    let sealed = seal_bare(&fixture("small.pdf")).expect("it is sealed");
    let refusal = Original::open(&sealed, &Limits::default()).err().map(|refusal| refusal.code());
    assert_eq!(refusal, Some("pdf-already-signed"));
}

#[test]
fn chains_are_trusted_at_their_time_for_their_purpose_and_to_their_anchor_only() {
    let (root, other) = (fixture("root.der"), fixture("other-root.der"));
    let at = SIGNED_AT.unix_s();
    let with = |leaf: &str| vec![fixture(leaf), fixture("middle.der")];
    let code =
        |chain: &[Vec<u8>], anchors: &[Vec<u8>], at| check_chain(chain, anchors, at).err().map(|f| f.code());
    assert_eq!(code(&with("leaf.der"), &[other.clone(), root.clone()], at), None);
    assert_eq!(code(&[with("leaf.der"), vec![root.clone()]].concat(), std::slice::from_ref(&root), at), None);
    assert_eq!(code(&with("leaf.der"), &[fixture("middle.der")], at), None);
    assert_eq!(code(&with("leaf.der"), &[other], at), Some("seal-untrusted"));
    assert_eq!(code(&with("leaf.der"), &[], at), Some("seal-untrusted"));
    assert_eq!(code(&[fixture("leaf.der")], std::slice::from_ref(&root), at), Some("seal-untrusted"));
    assert_eq!(code(&with("expired.der"), std::slice::from_ref(&root), at), Some("seal-outside-validity"));
    assert_eq!(code(&with("leaf.der"), std::slice::from_ref(&root), 0), Some("seal-outside-validity"));
    assert_eq!(code(&with("purposeless.der"), std::slice::from_ref(&root), at), Some("seal-purpose"));
    assert_eq!(
        code(&[fixture("leaf.der"), fixture("leaf.der")], std::slice::from_ref(&root), at),
        Some("seal-broken-chain")
    );
    assert_eq!(code(&[], &[root], at), Some("seal-broken-chain"));
}

fn request<'r>(original: &Original<'_>, chain: &'r [Vec<u8>], signer: &'r SignerText) -> SealRequest<'r> {
    SealRequest {
        overlays: &[],
        extra_pages: &[],
        objects: NewObjects::new(original.first_free_object()),
        attachments: &[],
        signer,
        signed_at: SIGNED_AT,
        certificate_chain: chain,
    }
}

#[test]
fn a_key_that_does_not_belong_to_its_certificate_never_seals() {
    let bytes = fixture("small.pdf");
    let original = Original::open(&bytes, &Limits::default()).expect("accepted");
    let signer = SignerText { name: "A".to_owned(), reason: String::new(), location: String::new() };
    let chain = chain();
    let other = SoftwareKey::from_pkcs8_der(&fixture("other.pk8"), chain.clone()).expect("a key");
    let sealed = seal(&original, request(&original, &chain, &signer), &other);
    assert!(matches!(sealed, Err(SealError::SignatureInvalid)));
    let sealed = seal(&original, request(&original, &[], &signer), &other);
    assert!(matches!(sealed, Err(SealError::Certificate)));
}

#[test]
fn preparing_twice_gives_the_same_bytes_to_sign() {
    for name in ["reportlab.pdf", "attachments-encrypted.pdf"] {
        let bytes = fixture(name);
        let original = Original::open(&bytes, &Limits::default()).expect("accepted");
        let signer = SignerText { name: "A".to_owned(), reason: String::new(), location: String::new() };
        let chain = chain();
        let prepared = || prepare(&original, request(&original, &chain, &signer)).expect("prepared");
        assert_eq!(prepared().to_sign(), prepared().to_sign(), "{name}");
        let signature = key().sign(&prepared().digest()).expect("signed");
        assert!(prepared().embed(&signature).is_ok(), "{name}");
    }
}
