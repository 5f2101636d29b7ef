//! Files written here byte by byte: what no program writes, and what somebody may upload.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;

pub(crate) type Objects = Vec<(u32, Vec<u8>)>;

pub(crate) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory takes every byte");
    encoder.finish().expect("memory takes every byte")
}

/// A stream object with these entries beside its length.
pub(crate) fn stream(entries: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("<< {entries} /Length {} >>\nstream\n", content.len());
    [head.as_bytes(), content, b"\nendstream"].concat()
}

pub(crate) fn objects(bodies: &[(u32, &str)]) -> Objects {
    bodies.iter().map(|(number, body)| (*number, body.as_bytes().to_vec())).collect()
}

fn written(objects: &[(u32, Vec<u8>)]) -> (Vec<u8>, Vec<(u32, usize)>) {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let mut offsets = Vec::new();
    for (number, body) in objects {
        offsets.push((*number, bytes.len()));
        bytes.extend([format!("{number} 0 obj\n").as_bytes(), body, b"\nendobj\n"].concat());
    }
    (bytes, offsets)
}

fn size(numbers: impl Iterator<Item = u32>) -> u32 {
    numbers.max().expect("there are objects") + 1
}

/// A file with a table; the catalog is object 1.
pub(crate) fn with_table(objects: &Objects, trailer: &str) -> Vec<u8> {
    let (mut bytes, offsets) = written(objects);
    let start = bytes.len();
    let mut table = "xref\n0 1\n0000000000 65535 f \n".to_owned();
    for (number, offset) in &offsets {
        table.extend([format!("{number} 1\n{offset:010} 00000 n \n")]);
    }
    let stated = if trailer.contains("/Size") {
        String::new()
    } else {
        format!("/Size {} ", size(objects.iter().map(|(number, _)| *number)))
    };
    table.extend([format!("trailer\n<< {stated}/Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n")]);
    bytes.extend(table.into_bytes());
    bytes
}

/// A file with a cross-reference stream, whose `packed` objects stand in an object stream; the catalog is object 1.
pub(crate) fn with_object_stream(objects: &Objects, packed: &Objects) -> Vec<u8> {
    let all = objects.iter().chain(packed).map(|(number, _)| *number);
    let (holder, table) = (size(all.clone()), size(all) + 1);
    let (mut index, mut bodies) = (String::new(), Vec::new());
    for (number, body) in packed {
        index.extend([format!("{number} {} ", bodies.len())]);
        bodies.extend([body.as_slice(), b"\n"].concat());
    }
    let entries = format!("/Type /ObjStm /N {} /First {} /Filter /FlateDecode", packed.len(), index.len());
    let mut objects = objects.clone();
    objects.push((holder, stream(&entries, &deflated(&[index.as_bytes(), &bodies].concat()))));
    let (mut bytes, mut offsets) = written(&objects);
    let start = bytes.len();
    offsets.push((table, start));
    let mut rows = vec![[0_u8; 8]; table as usize + 1];
    let row = |kind: u8, first: usize, second: usize| {
        let mut row = [kind; 8];
        row[1..5].copy_from_slice(&u32::try_from(first).expect("a small file").to_be_bytes());
        row[5..].copy_from_slice(&u32::try_from(second).expect("a small file").to_be_bytes()[1..]);
        row
    };
    for (number, offset) in offsets {
        rows[number as usize] = row(1, offset, 0);
    }
    for (place, (number, _)) in packed.iter().enumerate() {
        rows[*number as usize] = row(2, holder as usize, place);
    }
    let entries = format!("/Type /XRef /Size {} /Root 1 0 R /W [1 4 3] /Filter /FlateDecode", table + 1);
    bytes.extend(format!("{table} 0 obj\n").into_bytes());
    bytes.extend(stream(&entries, &deflated(&rows.concat())));
    bytes.extend(format!("\nendobj\nstartxref\n{start}\n%%EOF\n").into_bytes());
    bytes
}

/// Catalog, page tree and one page, with more entries in each.
pub(crate) fn one_page(catalog: &str, page: &str) -> Objects {
    pages(1, catalog, "", page)
}

/// Pages are the objects from 1001.
pub(crate) fn pages(count: u32, catalog: &str, tree: &str, page: &str) -> Objects {
    let numbers = 1001..1001 + count;
    let kids: Vec<String> = numbers.clone().map(|number| format!("{number} 0 R")).collect();
    let mut objects = objects(&[
        (1, &format!("<< /Type /Catalog /Pages 2 0 R {catalog} >>")),
        (
            2,
            &format!(
                "<< /Type /Pages /Kids [{}] /Count {count} /MediaBox [0 0 200 200] {tree} >>",
                kids.join(" ")
            ),
        ),
    ]);
    objects.extend(
        numbers.map(|number| (number, format!("<< /Type /Page /Parent 2 0 R {page} >>").into_bytes())),
    );
    objects
}
