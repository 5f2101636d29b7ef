//! Styles, scripts and PDF.js, embedded in the binary. Their addresses hold the hash of their content, so browsers may
//! keep them for ever and a new version is never mixed with an old one.

use std::{
    collections::HashMap,
    io::Write as _,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use flate2::{Compression, write::GzEncoder};
use sha2::{Digest as _, Sha256};

static FILES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

/// The face in which typed signatures are sealed, for the pages that show them before.
static HAND: (&str, &[u8]) = ("app/hand.ttf", countersign_pdf::font::SIGNATURE_FONT);

fn files() -> impl Iterator<Item = &'static (&'static str, &'static [u8])> {
    FILES.iter().chain([&HAND])
}

static SETS: LazyLock<[Set; 2]> = LazyLock::new(|| [Set::new("app/"), Set::new("vendor/pdfjs/")]);

/// Files that refer to each other by relative addresses, under one hash.
struct Set {
    folder: &'static str,
    hash: String,
}

impl Set {
    fn new(folder: &'static str) -> Self {
        let mut hasher = Sha256::new();
        for (name, bytes) in files().filter(|(name, _)| name.starts_with(folder)) {
            hasher.update(Sha256::digest(name));
            hasher.update(Sha256::digest(bytes));
        }
        let hash = hex::encode(hasher.finalize()).chars().take(20).collect();
        Self { folder, hash }
    }
}

/// Addresses of assets, for templates.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assets;

impl Assets {
    /// The address of one of our own files.
    pub fn app(&self, name: &str) -> String {
        let [app, _] = &*SETS;
        format!("/assets/{}/{name}", app.hash)
    }

    /// The address of the folder of PDF.js, with a slash at its end.
    pub fn pdfjs(&self) -> String {
        let [_, pdfjs] = &*SETS;
        format!("/assets/{}/", pdfjs.hash)
    }
}

/// An embedded file.
#[derive(Debug)]
pub struct Asset {
    name: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
    /// Its media type.
    pub media_type: &'static str,
}

/// What was packed so far, by name.
type Packed = HashMap<&'static str, Arc<[u8]>>;

static PACKED: LazyLock<Mutex<Packed>> = LazyLock::new(Mutex::default);

impl Asset {
    /// Its bytes under gzip, for kinds that shrink; packed when they are asked for first, then kept.
    pub fn packed(&self) -> Option<Arc<[u8]>> {
        if !self.media_type.starts_with("text/") && self.media_type != "font/ttf" {
            return None;
        }
        let mut kept = PACKED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = kept.get(self.name) {
            return Some(Arc::clone(bytes));
        }
        let mut packer = GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(self.bytes).ok()?;
        let bytes: Arc<[u8]> = packer.finish().ok()?.into();
        kept.insert(self.name, Arc::clone(&bytes));
        Some(bytes)
    }
}

/// The mark of the house, as SVG.
pub fn icon() -> &'static [u8] {
    files().find(|(name, _)| *name == "app/mark.svg").map_or(&[], |(_, bytes)| bytes)
}

/// The file at `/assets/{hash}/{path}`.
pub fn find(hash: &str, path: &str) -> Option<Asset> {
    let set = SETS.iter().find(|set| set.hash == hash)?;
    let (name, bytes) = files().find(|(name, _)| name.strip_prefix(set.folder) == Some(path))?;
    Some(Asset { name, bytes, media_type: media_type(name) })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("bcmap" | "pfb") => "application/octet-stream",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The face of the preview is the face of the seal.
    #[test]
    fn the_style_sheet_names_the_face_that_signatures_are_sealed_in() {
        let address = Assets.app("hand.ttf");
        let (hash, name) = address.strip_prefix("/assets/").and_then(|rest| rest.split_once('/')).unwrap();
        let hand = find(hash, name).unwrap();
        assert_eq!((hand.media_type, hand.bytes), ("font/ttf", countersign_pdf::font::SIGNATURE_FONT));
        let style = find(hash, "style.css").unwrap();
        assert!(std::str::from_utf8(style.bytes).unwrap().contains("url(\"hand.ttf\")"));
    }

    #[test]
    fn an_asset_is_found_by_its_hash_alone() {
        let address = Assets.app("style.css");
        let (hash, name) = address.strip_prefix("/assets/").and_then(|rest| rest.split_once('/')).unwrap();
        let style = find(hash, name).unwrap();
        assert_eq!(style.media_type, "text/css; charset=utf-8");
        assert!(style.packed().unwrap().len() < style.bytes.len());
        assert!(find("00000000000000000000", name).is_none());
        assert!(find(hash, "../vendor/VENDORED.toml").is_none());
    }
}
