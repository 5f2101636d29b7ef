//! A package as its files, read and written by other code than the crate's own.

use std::io::{Cursor, Read as _};

use countersign_core::digest::Digest;
use serde_json::{Value, json};

/// Files in order.
#[derive(Clone)]
pub(crate) struct Files(pub(crate) Vec<(String, Vec<u8>)>);

impl Files {
    pub(crate) fn read(archive: &[u8]) -> Self {
        let mut zip = zip::ZipArchive::new(Cursor::new(archive)).expect("a ZIP archive");
        let files = (0..zip.len()).map(|index| {
            let mut file = zip.by_index(index).expect("an entry");
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).expect("its checksum fits");
            (file.name().expect("a name").into_owned(), bytes)
        });
        Self(files.collect())
    }

    /// Stored, 1980-01-01, without anything that could be left out.
    pub(crate) fn write(&self) -> Vec<u8> {
        let (mut archive, mut directory) = (Vec::new(), Vec::new());
        for (name, bytes) in &self.0 {
            let size = u32::try_from(bytes.len()).expect("small").to_le_bytes();
            let mut common = vec![10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
            common.extend(crc32fast::hash(bytes).to_le_bytes());
            common.extend([size, size].concat());
            common.extend(u16::try_from(name.len()).expect("short").to_le_bytes());
            common.extend([0, 0]);
            directory.extend(b"PK\x01\x02\x0a\x00");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(u32::try_from(archive.len()).expect("small").to_le_bytes());
            directory.extend(name.as_bytes());
            archive.extend(b"PK\x03\x04");
            archive.extend(common);
            archive.extend(name.as_bytes());
            archive.extend(bytes);
        }
        let (start, size) = (archive.len(), directory.len());
        archive.extend(directory);
        archive.extend(b"PK\x05\x06\0\0\0\0");
        let count = u16::try_from(self.0.len()).expect("few").to_le_bytes();
        archive.extend([count, count].concat());
        archive.extend(u32::try_from(size).expect("small").to_le_bytes());
        archive.extend(u32::try_from(start).expect("small").to_le_bytes());
        archive.extend([0, 0]);
        archive
    }

    pub(crate) fn index(&self, name: &str) -> usize {
        self.0.iter().position(|(other, _)| other == name).unwrap_or_else(|| panic!("no {name}"))
    }

    pub(crate) fn get(&mut self, name: &str) -> &mut Vec<u8> {
        let index = self.index(name);
        &mut self.0[index].1
    }

    pub(crate) fn text(&mut self, name: &str) -> String {
        String::from_utf8(self.get(name).clone()).expect("text")
    }

    /// Makes the manifest fit, as a careful forger would.
    pub(crate) fn fit_manifest(&mut self) {
        let mut manifest: Value = serde_json::from_slice(self.get("manifest.json")).expect("JSON");
        let listed = self.0.iter().filter(|(name, _)| name != "manifest.json").map(|(name, bytes)| {
            json!({ "name": name, "sha256": Digest::of(bytes).to_string(), "size_bytes": bytes.len() })
        });
        manifest["files"] = listed.collect();
        *self.get("manifest.json") = (canonical(&manifest) + "\n").into_bytes();
    }

    /// The lines of `events.jsonl`.
    pub(crate) fn lines(&mut self) -> Vec<Value> {
        self.text("events.jsonl").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    pub(crate) fn set_lines(&mut self, lines: &[Value]) {
        *self.get("events.jsonl") =
            lines.iter().flat_map(|line| (canonical(line) + "\n").into_bytes()).collect();
    }

    /// Changes one line, by the type of its event; of several the first.
    pub(crate) fn change_event(&mut self, kind: &str, change: impl FnOnce(&mut Value)) {
        let mut lines = self.lines();
        let line = lines.iter_mut().find(|line| line["event"]["event"]["body"]["type"] == kind);
        change(line.unwrap_or_else(|| panic!("no {kind}")));
        self.set_lines(&lines);
    }

    /// Makes every event hold the hash of the one before it again.
    pub(crate) fn fit_chain(&mut self) {
        let mut lines = self.lines();
        let mut previous = "0".repeat(64);
        for line in &mut lines {
            line["event"]["previous"] = json!(previous);
            previous = Digest::of(canonical(&line["event"]).as_bytes()).to_string();
        }
        self.set_lines(&lines);
    }
}

/// Names are ASCII and values plain, so that sorted JSON is the canonical form.
pub(crate) fn canonical(value: &Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    sorted.to_string()
}
