//! The one form of our ZIP archives (APPNOTE.TXT 6.3.10): stored entries, dated 1980-01-01, without flags, extra
//! fields or comments, so that the same files always give the same bytes and any other byte is found.

use thiserror::Error;

/// Entries that an archive may have.
const MOST_ENTRIES: usize = 128;
/// Bytes of an entry's name.
const MOST_NAME_BYTES: usize = 120;
/// Bytes of an archive: ZIP without its 64-bit extension.
const MOST_BYTES: usize = u32::MAX as usize - 1;

const LOCAL_SIGNATURE: [u8; 4] = *b"PK\x03\x04";
const CENTRAL_SIGNATURE: [u8; 4] = *b"PK\x01\x02";
const END_SIGNATURE: [u8; 4] = *b"PK\x05\x06";
const LOCAL_HEADER_BYTES: usize = 30;
/// Version needed 1.0, no flags, stored, 00:00:00 on 1980-01-01 (§4.4.3 to §4.4.6).
const FIXED: [u8; 10] = [10, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];

/// A file in an archive.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// Path with `/`, ASCII.
    pub(crate) name: &'a str,
    /// Content.
    pub(crate) bytes: &'a [u8],
}

/// What most often leads there, and does not mean that somebody forged something.
const REPACKED: &str =
    "; unpacking a package and packing it again does this: check the file as it was downloaded";

/// Why files do not fit into an archive, or bytes are not one.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ArchiveRefusal {
    #[error("it would be larger than 4 GiB, or have more than {MOST_ENTRIES} files")]
    TooLarge,
    #[error("it is not an archive of this format: at byte {offset} {expected} is missing{REPACKED}")]
    Malformed { offset: usize, expected: &'static str },
    #[error("it is neither a package (a ZIP file) nor a sealed PDF: its first bytes are of neither")]
    Neither,
    #[error("the file {name} was changed: its checksum (CRC-32) does not fit")]
    Checksum { name: String },
    #[error("the header of {name} is not the one that this format writes{REPACKED}")]
    Header { name: String },
    #[error("the directory at its end is not the one that this format writes{REPACKED}")]
    Directory,
}

/// Writes an archive.
pub(crate) fn write(entries: &[Entry<'_>]) -> Result<Vec<u8>, ArchiveRefusal> {
    let content: usize = entries.iter().map(|entry| entry.bytes.len() + 2 * entry.name.len() + 76).sum();
    if entries.len() > MOST_ENTRIES || content + 22 > MOST_BYTES {
        return Err(ArchiveRefusal::TooLarge);
    }
    let mut archive = Vec::with_capacity(content + 22);
    for entry in entries {
        archive.extend_from_slice(&local_header(entry));
        archive.extend_from_slice(entry.bytes);
    }
    archive.extend_from_slice(&directory(entries));
    Ok(archive)
}

/// Reads an archive's files one after the other. The directory at the end is not looked at: [`defect`] compares it.
pub(crate) fn read(archive: &[u8]) -> Result<Vec<Entry<'_>>, ArchiveRefusal> {
    let mut entries = Vec::new();
    let mut rest = archive;
    let broken =
        |rest: &[u8], expected| ArchiveRefusal::Malformed { offset: archive.len() - rest.len(), expected };
    if archive.len() > MOST_BYTES {
        return Err(ArchiveRefusal::TooLarge);
    }
    if !archive.starts_with(b"PK") {
        return Err(ArchiveRefusal::Neither);
    }
    while !rest.starts_with(&CENTRAL_SIGNATURE) {
        if !rest.starts_with(&LOCAL_SIGNATURE) {
            return Err(broken(rest, "a file or the directory"));
        }
        if entries.len() == MOST_ENTRIES {
            return Err(ArchiveRefusal::TooLarge);
        }
        let (header, after) =
            rest.split_at_checked(LOCAL_HEADER_BYTES).ok_or_else(|| broken(rest, "a whole header"))?;
        let size = number(header, 18, 4).ok_or_else(|| broken(rest, "a size"))?;
        let name_bytes = number(header, 26, 2).filter(|bytes| (1..=MOST_NAME_BYTES).contains(bytes));
        let name_bytes = name_bytes.ok_or_else(|| broken(rest, "a name of bounded length"))?;
        let (name, after) = after.split_at_checked(name_bytes).ok_or_else(|| broken(rest, "a whole name"))?;
        let name = str::from_utf8(name).ok().filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()));
        let name = name.ok_or_else(|| broken(rest, "a name in printable ASCII"))?;
        let (bytes, after) = after.split_at_checked(size).ok_or_else(|| broken(rest, "a whole file"))?;
        entries.push(Entry { name, bytes });
        rest = after;
    }
    Ok(entries)
}

/// The first byte range that is not what [`write`] gives for the files that were read, by what it belongs to.
pub(crate) fn defect(archive: &[u8], entries: &[Entry<'_>]) -> Option<ArchiveRefusal> {
    let mut rest = archive;
    for entry in entries {
        let expected = local_header(entry);
        let Some((header, after)) = rest.split_at_checked(expected.len()) else {
            return Some(ArchiveRefusal::Malformed {
                offset: archive.len() - rest.len(),
                expected: "a whole header",
            });
        };
        if header != expected {
            let name = entry.name.to_owned();
            // Bytes 14 to 17 hold the checksum (§4.3.7).
            let differs = |range: std::ops::Range<usize>| header.get(range.clone()) != expected.get(range);
            let only_checksum = !differs(0..14) && !differs(18..expected.len());
            return Some(if only_checksum {
                ArchiveRefusal::Checksum { name }
            } else {
                ArchiveRefusal::Header { name }
            });
        }
        let Some((_, after)) = after.split_at_checked(entry.bytes.len()) else {
            let offset = archive.len() - after.len();
            return Some(ArchiveRefusal::Malformed { offset, expected: "a whole file" });
        };
        rest = after;
    }
    (rest != directory(entries)).then_some(ArchiveRefusal::Directory)
}

fn number(header: &[u8], at: usize, bytes: usize) -> Option<usize> {
    let field = header.get(at..at + bytes)?;
    Some(field.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

/// Sizes are bounded by [`MOST_BYTES`] before anything is written.
fn as_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn as_u16(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// What local header and directory say alike: versions to lengths (§4.3.7).
fn described(entry: &Entry<'_>) -> Vec<u8> {
    let size = as_u32(entry.bytes.len()).to_le_bytes();
    let checksum = crc32fast::hash(entry.bytes).to_le_bytes();
    [FIXED.as_slice(), &checksum, &size, &size, &as_u16(entry.name.len()).to_le_bytes(), &[0, 0]].concat()
}

fn local_header(entry: &Entry<'_>) -> Vec<u8> {
    [LOCAL_SIGNATURE.as_slice(), &described(entry), entry.name.as_bytes()].concat()
}

/// Central directory and its end record (§4.3.12, §4.3.16).
fn directory(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut directory = Vec::new();
    let mut offset = 0_usize;
    for entry in entries {
        directory.extend_from_slice(&CENTRAL_SIGNATURE);
        directory.extend_from_slice(&[10, 0]);
        directory.extend_from_slice(&described(entry));
        // No comment, disk 0, no attributes.
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&as_u32(offset).to_le_bytes());
        directory.extend_from_slice(entry.name.as_bytes());
        offset += LOCAL_HEADER_BYTES + entry.name.len() + entry.bytes.len();
    }
    let count = as_u16(entries.len()).to_le_bytes();
    let size = as_u32(directory.len()).to_le_bytes();
    let end =
        [END_SIGNATURE.as_slice(), &[0; 4], &count, &count, &size, &as_u32(offset).to_le_bytes(), &[0, 0]];
    directory.extend_from_slice(&end.concat());
    directory
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_that_ends_early_is_never_without_defect() {
        let entries = [Entry { name: "a", bytes: b"one" }, Entry { name: "b", bytes: b"two" }];
        let archive = write(&entries).expect("small");
        assert_eq!(defect(&archive, &entries), None);
        for end in 0..archive.len() {
            assert!(defect(&archive[..end], &entries).is_some(), "{end} bytes");
        }
    }
}
