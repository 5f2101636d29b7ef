//! New objects as bytes, encrypted where the file is.

use lopdf::{Dictionary, Object, ObjectId, Stream};

use super::crypt::Crypt;

/// The key under which the strings and streams of one object are written, if the file is encrypted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encryption<'f> {
    pub(crate) crypt: Option<&'f Crypt>,
    pub(crate) id: ObjectId,
}

impl Encryption<'_> {
    /// A string of this object, as written.
    pub(crate) fn string(&self, plain: &[u8]) -> Vec<u8> {
        match self.crypt {
            Some(crypt) => hex_string(&crypt.encrypt_string(self.id, plain)),
            None => string(plain),
        }
    }
}

/// Writes a new object.
pub(crate) fn object(object: &Object, encryption: &Encryption<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out, object, encryption);
    out
}

fn write(out: &mut Vec<u8>, object: &Object, encryption: &Encryption<'_>) {
    match object {
        Object::Null => out.extend_from_slice(b"null"),
        Object::Boolean(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Object::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Object::Real(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Object::Name(value) => name(out, value),
        Object::String(value, _) => out.extend_from_slice(&encryption.string(value)),
        Object::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                write(out, item, encryption);
            }
            out.push(b']');
        }
        Object::Dictionary(dictionary) => write_dictionary(out, dictionary, None, encryption),
        Object::Stream(stream) => write_stream(out, stream, encryption),
        Object::Reference(id) => out.extend_from_slice(reference(*id).as_bytes()),
    }
}

fn write_dictionary(
    out: &mut Vec<u8>,
    dictionary: &Dictionary,
    length: Option<usize>,
    encryption: &Encryption<'_>,
) {
    out.extend_from_slice(b"<<");
    for (key, value) in dictionary {
        if length.is_some() && key == b"Length" {
            continue;
        }
        out.push(b' ');
        name(out, key);
        out.push(b' ');
        write(out, value, encryption);
    }
    if let Some(length) = length {
        out.extend_from_slice(format!(" /Length {length}").as_bytes());
    }
    out.extend_from_slice(b" >>");
}

fn write_stream(out: &mut Vec<u8>, stream: &Stream, encryption: &Encryption<'_>) {
    let encrypted = encryption.crypt.map(|crypt| crypt.encrypt_stream(encryption.id, &stream.content));
    let content = encrypted.as_deref().unwrap_or(&stream.content);
    write_dictionary(out, &stream.dict, Some(content.len()), encryption);
    out.extend_from_slice(b"\nstream\n");
    out.extend_from_slice(content);
    out.extend_from_slice(b"\nendstream");
}

/// `N G R`.
pub(crate) fn reference(id: ObjectId) -> String {
    format!("{} {} R", id.0, id.1)
}

fn name(out: &mut Vec<u8>, name: &[u8]) {
    out.push(b'/');
    for byte in name {
        if byte.is_ascii_graphic() && !super::syntax::is_delimiter(*byte) && *byte != b'#' {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("#{byte:02X}").as_bytes());
        }
    }
}

fn string(plain: &[u8]) -> Vec<u8> {
    if !plain.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return hex_string(plain);
    }
    let mut out = vec![b'('];
    for byte in plain {
        if matches!(byte, b'(' | b')' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b')');
    out
}

/// A hexadecimal string.
pub(crate) fn hex_string(bytes: &[u8]) -> Vec<u8> {
    format!("<{}>", hex::encode(bytes)).into_bytes()
}

/// A text string: ASCII as it is, anything else as UTF-16 with its mark (§7.9.2.2).
pub(crate) fn text_string(text: &str) -> Vec<u8> {
    if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
        return text.as_bytes().to_vec();
    }
    [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect()
}
