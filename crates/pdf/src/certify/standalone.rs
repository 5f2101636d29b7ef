//! The certificate as a file of its own. The same input gives the same bytes.

use super::{Certificate, DrawnCertificate};
use crate::font::{FontFault, Missing};
use crate::objects::NewObjects;
use lopdf::{Dictionary, Document, Object, StringFormat, dictionary};
use sha2::{Digest, Sha256};

/// Why there is no certificate file.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFault {
    /// A face could not be embedded.
    #[error(transparent)]
    Font(#[from] FontFault),
    /// The file could not be written.
    #[error("the certificate cannot be written")]
    Write(#[from] std::io::Error),
}

/// Writes a complete PDF 1.7 file of the pages of `certificate`, with the characters that no font had.
pub fn standalone(
    certificate: &Certificate,
    drawn: &DrawnCertificate<'_>,
) -> Result<(Vec<u8>, Missing), CertificateFault> {
    let mut objects = NewObjects::new(1);
    let (catalog, pages) = (objects.reserve(), objects.reserve());
    let (page_ids, missing) = drawn.append().finish(&mut objects)?;
    let page_count = i64::try_from(page_ids.len()).unwrap_or(i64::MAX);
    let kids: Vec<_> = page_ids.iter().copied().map(Object::Reference).collect();
    objects.put(pages, dictionary! { "Type" => "Pages", "Kids" => kids, "Count" => page_count });
    objects.put(
        catalog,
        dictionary! {
            "Type" => "Catalog",
            "Pages" => pages,
            "Lang" => Object::String(b"en".to_vec(), StringFormat::Literal),
            "ViewerPreferences" => dictionary! { "DisplayDocTitle" => true },
        },
    );
    let title = format!("Certificate of completion: {}", certificate.title);
    let about = objects.add(dictionary! {
        "Title" => lopdf::text_string(&title),
        "Producer" => lopdf::text_string("Countersign"),
    });
    let (list, next) = objects.into_parts();
    let mut file = Document::with_version("1.7");
    let mut digest = Sha256::new();
    for (id, mut object) in list {
        if page_ids.contains(&id)
            && let Object::Dictionary(page) = &mut object
        {
            page.set("Parent", pages);
        }
        if let Object::Stream(stream) = &object {
            digest.update(&stream.content);
        }
        file.objects.insert(id, object);
    }
    file.max_id = next.saturating_sub(1);
    digest.update(&title);
    digest.update(&certificate.envelope_id);
    let digest = digest.finalize();
    let id = Object::String(digest.iter().take(16).copied().collect(), StringFormat::Hexadecimal);
    let mut trailer = Dictionary::new();
    trailer.set("Root", catalog);
    trailer.set("Info", about);
    trailer.set("ID", vec![id.clone(), id]);
    file.trailer = trailer;
    let mut bytes = Vec::new();
    file.save_to(&mut bytes)?;
    Ok((bytes, missing))
}
