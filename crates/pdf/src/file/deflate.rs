//! Compression of what is written (ISO 32000-2 §7.4.4).

use std::cell::RefCell;

use flate2::{Compress, Compression, FlushCompress, Status};

thread_local! {
    // Its tables of a quarter of a mebibyte cost more to make than a page of text to compress.
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), true));
}

/// Compressed bytes. Fast compression: a few hundred bytes more, a third of the time.
pub(crate) fn deflate(content: &[u8]) -> Vec<u8> {
    COMPRESS.with_borrow_mut(|compress| deflate_with(compress, content))
}

fn deflate_with(compress: &mut Compress, content: &[u8]) -> Vec<u8> {
    compress.reset();
    let mut compressed = Vec::with_capacity(content.len() / 2 + 64);
    loop {
        let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let rest = content.get(taken..).unwrap_or_default();
        match compress.compress_vec(rest, &mut compressed, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => return compressed,
            Ok(_) => compressed.reserve(content.len() / 4 + 64),
            Err(error) => unreachable!("memory takes every byte: {error}"),
        }
    }
}

/// The same as small as it gets, for what is compressed once and written often.
pub(crate) fn deflate_tightly(content: &[u8]) -> Vec<u8> {
    deflate_with(&mut Compress::new(Compression::best(), true), content)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::ZlibDecoder;
    use proptest::prelude::*;

    use super::{deflate, deflate_tightly};

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(first: Vec<u8>, second in proptest::collection::vec(0..3_u8, 0..100_000)) {
            for content in [first, second] {
                for compressed in [deflate(&content), deflate_tightly(&content)] {
                    let mut back = Vec::new();
                    ZlibDecoder::new(compressed.as_slice()).read_to_end(&mut back).unwrap();
                    prop_assert_eq!(&back, &content);
                }
            }
        }
    }
}
