//! Media types: what a body says that it is, and what a client takes for an answer.

use axum::http::{HeaderMap, HeaderValue, header};
use countersign_core::refusal::{Code, Refusal};

/// Refuses a body of another type than `wanted`, of any type where none is, and one that is encoded.
pub fn check_content_type(headers: &HeaderMap, wanted: Option<&str>) -> Result<(), Refusal> {
    let given = headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?"));
    let plain = given.map(|text| text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    let sentence = if headers.contains_key(header::CONTENT_ENCODING) {
        "send the body without a Content-Encoding".to_owned()
    } else if plain.as_deref() == wanted {
        return Ok(());
    } else {
        match wanted {
            Some(wanted) => format!("send `Content-Type: {wanted}`"),
            None => "this takes no body and no Content-Type".to_owned(),
        }
    };
    Err(Refusal::new(Code::UnsupportedMediaType, sentence))
}

/// Refuses to answer with `offered` a client that does not take it (RFC 9110 §12.5.1): the most specific range that
/// fits says whether it does.
pub fn check_accept(headers: &HeaderMap, offered: &str) -> Result<(), Refusal> {
    let ranges: Vec<(String, bool)> = headers.get_all(header::ACCEPT).iter().flat_map(ranges_of).collect();
    let kind = offered.split('/').next().unwrap_or_default();
    let specific_first = [offered.to_owned(), format!("{kind}/*"), "*/*".to_owned()];
    let verdict = specific_first.iter().find_map(|wanted| {
        let fitting = ranges.iter().filter(|(range, _)| range == wanted);
        fitting.map(|(_, is_taken)| *is_taken).reduce(|one, other| one || other)
    });
    if ranges.is_empty() || verdict == Some(true) {
        return Ok(());
    }
    Err(Refusal::new(Code::NotAcceptable, format!("this is answered as {offered}: accept it")))
}

/// The ranges of one header, and whether each is taken: a weight of 0 says that it is not.
fn ranges_of(value: &HeaderValue) -> Vec<(String, bool)> {
    let ranges =
        value.to_str().unwrap_or_default().split(',').map(str::trim).filter(|range| !range.is_empty());
    let weight = |parameter: &str| {
        let (name, value) = parameter.trim().split_once('=')?;
        name.eq_ignore_ascii_case("q").then(|| value.trim().parse().unwrap_or(0.0))
    };
    let parts = ranges.map(|range| {
        let mut parts = range.split(';');
        let name = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let weight: f64 = parts.find_map(weight).unwrap_or(1.0);
        (name, weight > 0.0)
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(headers: &[&'static str]) -> bool {
        let pairs = headers.iter().map(|text| (header::ACCEPT, HeaderValue::from_static(text)));
        check_accept(&pairs.collect(), "application/json").is_ok()
    }

    /// G-8.
    #[test]
    fn the_most_specific_range_says_whether_an_answer_is_taken() {
        let yes: [&[&str]; 7] = [
            &[],
            &["*/*"],
            &["application/*"],
            &["text/html, Application/JSON; charset=utf-8;q=0.1"],
            &["text/html", "application/json"],
            &["*/*;q=0, application/json"],
            &["image/*;q=0, */*;q=0.1"],
        ];
        let no: [&[&str]; 5] = [
            &["text/html"],
            &["application/problem+json"],
            &["application/json;q=0, */*"],
            &["application/*; q=0.000, */*"],
            &["application/json;q=much"],
        ];
        for headers in yes {
            assert!(accepts(headers), "{headers:?}");
        }
        for headers in no {
            assert!(!accepts(headers), "{headers:?}");
        }
    }
}
