//! Styles, scripts and PDF.js, embedded in the binary. Their addresses hold the hash of their content, so browsers may
//! keep them for ever and a new version is never mixed with an old one.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

static FILES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/assets.rs"));

static SETS: LazyLock<[Set; 2]> = LazyLock::new(|| [Set::new("app/"), Set::new("vendor/pdfjs/")]);

/// Files that refer to each other by relative addresses, under one hash.
struct Set {
    folder: &'static str,
    hash: String,
}

impl Set {
    fn new(folder: &'static str) -> Self {
        let mut hasher = Sha256::new();
        for (name, bytes) in FILES.iter().filter(|(name, _)| name.starts_with(folder)) {
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
    /// Its bytes.
    pub bytes: &'static [u8],
    /// Its media type.
    pub media_type: &'static str,
}

/// The file at `/assets/{hash}/{path}`.
pub fn find(hash: &str, path: &str) -> Option<Asset> {
    let set = SETS.iter().find(|set| set.hash == hash)?;
    let (name, bytes) = FILES.iter().find(|(name, _)| name.strip_prefix(set.folder) == Some(path))?;
    Some(Asset { bytes, media_type: media_type(name) })
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("css") => "text/css; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("ttf") => "font/ttf",
        Some("toml") => "text/plain; charset=utf-8",
        Some("bcmap" | "pfb") => "application/octet-stream",
        _ => "text/plain; charset=utf-8",
    }
}
