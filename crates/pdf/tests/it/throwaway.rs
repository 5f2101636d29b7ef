//! A seal that proves nothing: made with a key that everybody knows, to show that an accepted file can be sealed.

use std::sync::OnceLock;

use countersign_pdf::font::{FontBook, FontSubsets};
use countersign_pdf::geometry::DisplayRect;
use countersign_pdf::inspect::{Limits, Original};
use countersign_pdf::objects::NewObjects;
use countersign_pdf::place::{Mark, Stamp, place};
use countersign_pdf::seal::{Attachment, SealRequest, SignerText, SoftwareKey, UtcTime, seal};
use countersign_pdf::verify::verify;

const EC_PUBLIC_KEY: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P_256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ECDSA_WITH_SHA_256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const COMMON_NAME: &[u8] = &[6, 3, 0x55, 4, 3];

/// The base point of P-256: the public key of the private key 1.
const BASE_POINT: [u8; 65] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f,
    0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce,
    0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

/// DER of a tag with parts below 64 KiB.
fn tagged(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).expect("a short value").to_be_bytes();
    let header = match length {
        [0, short @ 0..128] => vec![tag, short],
        [0, long] => vec![tag, 0x81, long],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [header, content].concat()
}

fn certificate() -> Vec<u8> {
    let name = |text: &str| {
        let attribute = tagged(0x30, &[COMMON_NAME, &tagged(0x0c, &[text.as_bytes()])]);
        tagged(0x30, &[&tagged(0x31, &[&attribute])])
    };
    let algorithm = tagged(0x30, &[ECDSA_WITH_SHA_256]);
    let validity = tagged(0x30, &[&tagged(0x17, &[b"200101000000Z"]), &tagged(0x17, &[b"490101000000Z"])]);
    let key = tagged(0x30, &[&tagged(0x30, &[EC_PUBLIC_KEY, P_256]), &tagged(0x03, &[&[0], &BASE_POINT])]);
    let version = tagged(0xa0, &[&[2, 1, 2]]);
    let body =
        tagged(0x30, &[&version, &[2, 1, 1], &algorithm, &name("nobody"), &validity, &name("anybody"), &key]);
    // Whoever trusts a certificate looks at this; nobody trusts this one.
    let signature = tagged(0x03, &[&[0, 0x30, 6, 2, 1, 1, 2, 1, 1]]);
    tagged(0x30, &[&body, &algorithm, &signature])
}

fn key(chain: Vec<Vec<u8>>) -> SoftwareKey {
    let mut one = [0; 32];
    one[31] = 1;
    let private = tagged(0x30, &[&[2, 1, 1], &tagged(0x04, &[&one])]);
    let algorithm = tagged(0x30, &[EC_PUBLIC_KEY, P_256]);
    let pkcs8 = tagged(0x30, &[&[2, 1, 0], &algorithm, &tagged(0x04, &[&private])]);
    SoftwareKey::from_pkcs8_der(&pkcs8, chain).expect("one is a private key")
}

/// Seals an accepted file with a stamp on each page that has room for it and an attachment, and verifies the seal.
pub(crate) fn assert_sealable(pdf: &[u8], limits: &Limits) {
    static BOOK: OnceLock<FontBook> = OnceLock::new();
    let original = Original::open(pdf, limits).expect("it was accepted");
    let pages = &original.structure().pages;
    let mut stamps = Vec::new();
    for (page, geometry) in (1..).zip(pages) {
        let (width, height) = geometry.displayed_size();
        if width > 40.0 && height > 40.0 {
            let rect = DisplayRect { x: 10.0, y: 10.0, width: 20.0, height: 20.0 };
            stamps.push(Stamp { field: "a box".to_owned(), page, rect, mark: Mark::Check { on: true } });
        }
    }
    let mut objects = NewObjects::new(original.first_free_object());
    let mut subsets = FontSubsets::new(BOOK.get_or_init(FontBook::new));
    let overlays = place(&stamps, pages, &mut subsets, &mut objects).expect("they are on their pages");
    subsets.finish(&mut objects).expect("there is no text");
    let signed_at = UtcTime { year: 2026, month: 11, day: 21, hour: 9, minute: 30, second: 5 };
    let attachment = Attachment {
        file_name: "countersign-trail.json".to_owned(),
        mime_type: "application/json".to_owned(),
        description: "The trail".to_owned(),
        bytes: b"{}".to_vec(),
        modified: signed_at,
    };
    let signer = SignerText { name: "Nobody".to_owned(), reason: String::new(), location: String::new() };
    let chain = vec![certificate()];
    let request = SealRequest {
        overlays: &overlays,
        extra_pages: &[],
        objects,
        attachments: &[attachment],
        signer: &signer,
        signed_at,
        certificate_chain: &chain,
    };
    let sealed = seal(&original, request, &key(chain.clone())).expect("what is accepted can be sealed");
    assert!(sealed.starts_with(pdf), "the original is kept");
    let verified = verify(&sealed, &Limits::for_sealed()).expect("what is sealed verifies");
    assert_eq!(verified.original_size_bytes, pdf.len() as u64, "the original is found again");
    let [trail] = verified.attachments.as_slice() else { panic!("one file is attached") };
    assert_eq!(trail.file_name, "countersign-trail.json");
}
