//! What the API says about itself: OpenAPI and the table of errors.

use countersign_core::{access::Operation, refusal::Code, scope::Scopes};
use countersign_server::{
    api::{ENDPOINTS, OPEN_PATHS, errors_page, openapi, scopes_page},
    http::{
        gate::{Method, Takes},
        problem::INTERNAL,
    },
};
use serde_json::{Value, json};

use crate::app::TestApp;

/// the document and the table of routes are the same, down to scopes, bodies and query parameters.
#[test]
fn the_openapi_document_describes_exactly_the_routes() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    let described: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
    assert_eq!(described, ENDPOINTS.len(), "{:?}", paths.keys());
    for endpoint in ENDPOINTS {
        let method = match endpoint.method {
            Method::Get => "get",
            Method::Post => "post",
        };
        let operation = &paths[endpoint.path][method];
        let name = endpoint.operation.text();
        assert_eq!(operation["operationId"], name);
        let scope = endpoint.operation.scope();
        let mut security = vec![json!({ "oauth2": [scope.text()] })];
        if Scopes::FOR_KEYS.has(scope) {
            security.push(json!({ "api_key": [scope.text()] }));
        }
        assert_eq!(operation["security"], json!(security), "{name}");
        let body: Vec<&String> = operation["requestBody"]["content"]
            .as_object()
            .into_iter()
            .flat_map(|content| content.keys())
            .collect();
        let expected: Vec<&str> = match endpoint.takes {
            Takes::Nothing => vec![],
            Takes::Json => vec!["application/json"],
            Takes::Pdf => vec!["application/pdf"],
        };
        assert_eq!(body, expected, "{name}");
        let parameters = |place: &str| -> Vec<String> {
            let all = operation["parameters"].as_array().cloned().unwrap_or_default();
            let here = all.iter().filter(|parameter| parameter["in"] == place);
            here.map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(parameters("query"), endpoint.query, "{name}");
        let header: Vec<String> = match endpoint.method {
            Method::Get => vec![],
            Method::Post => vec!["Idempotency-Key".to_owned()],
        };
        assert_eq!(parameters("header"), header, "{name}");
        for parameter in parameters("path") {
            assert!(endpoint.path.contains(&format!("{{{parameter}}}")), "{name}");
        }
    }
    assert!(OPEN_PATHS.iter().all(|path| !paths.contains_key(*path)), "open paths are no operations");
}

/// files are bytes of their media type, ids in paths have their form, and nothing of ours is in a summary.
#[test]
fn the_openapi_document_speaks_of_files_and_ids_as_they_are() {
    let document = serde_json::to_value(openapi::document()).unwrap();
    for (name, media_type) in [("PdfBytes", "application/pdf"), ("ZipBytes", "application/zip")] {
        let schema = &document["components"]["schemas"][name];
        let expected = json!({ "type": "string", "format": "binary", "contentMediaType": media_type });
        assert_eq!(schema, &expected, "{name}");
    }
    for endpoint in ENDPOINTS {
        let method = endpoint.method.text().to_lowercase();
        let operation = &document["paths"][endpoint.path][method.as_str()];
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "path" {
                let pattern = parameter["schema"]["pattern"].as_str().unwrap_or_default();
                assert!(pattern.starts_with('^') && pattern.contains('_'), "{}", endpoint.path);
            }
        }
        for (kind, content) in operation["responses"]["200"]["content"].as_object().into_iter().flatten() {
            let is_file = kind != "application/json";
            assert_eq!(
                content["schema"]["$ref"].as_str().is_some_and(|name| name.ends_with("Bytes")),
                is_file
            );
        }
    }
    let text = document.to_string();
    assert!(
        !text.contains("(D-") && !text.contains("int32\"},\"type\":\"array"),
        "internal ids, or bytes as numbers"
    );
    assert!(document["paths"]["/v1/envelopes/{envelope}/send"]["post"].to_string().contains("72 hours"));
}

#[test]
fn the_openapi_document_is_as_it_was_agreed() {
    let mut document = serde_json::to_value(openapi::document()).unwrap();
    document["info"]["version"] = Value::Null;
    insta::assert_json_snapshot!("openapi", document);
}

/// the address in the `type` of a problem leads to a paragraph that says what the code means and what to do.
#[tokio::test]
async fn the_page_of_errors_says_for_every_code_what_to_do() {
    let test = TestApp::start().await;
    let problem: Value =
        test.request(reqwest::Method::GET, "/v1/envelopes").send().await.unwrap().json().await.unwrap();
    let (address, fragment) = problem["type"].as_str().unwrap().split_once('#').unwrap();
    assert_eq!((address, fragment), ("https://sign.test/docs/errors", "unauthenticated"));
    let page = test.request(reqwest::Method::GET, "/docs/errors").send().await.unwrap();
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let page = page.text().await.unwrap();
    let plain = |text: &str| text.replace("<code>", "`").replace("</code>", "`").replace("&lt;", "<");
    let known = Code::ALL.iter().map(|code| (code.text(), code.title(), code.advice())).chain([INTERNAL]);
    for (code, title, advice) in known {
        let (_, section) =
            page.split_once(&format!("<h2 id=\"{code}\">")).unwrap_or_else(|| panic!("{code}"));
        let section = plain(section.split_once("<h2").map_or(section, |(section, _)| section));
        assert!(section.contains(title) && section.contains(&format!("<p>{advice}</p>")), "{section}");
        assert!(advice.len() > 40 && advice.ends_with('.') && !advice.contains(title), "{code}: {advice}");
        assert!(
            advice.matches('`').count() % 2 == 0 && !advice.contains(['<', '&', '|']),
            "{code}: {advice}"
        );
    }
    for refusal in countersign_pdf::inspect::Refusal::examples() {
        assert!(page.contains(&format!("<dt><code>{}</code><dd>", refusal.code())), "{}", refusal.code());
    }
    test.finish().await;
}

/// every code has its line, and `docs/errors.md` is generated from the codes.
#[test]
fn the_table_of_errors_is_generated_from_the_codes() {
    let text = errors_page::markdown();
    for code in Code::ALL {
        assert!(text.contains(&format!("<a id=\"{0}\"></a>`{0}`", code.text())));
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    if written != text {
        std::fs::write(path, &text).unwrap();
        panic!("docs/errors.md was not what the code says; it is now: commit it");
    }
}

/// `docs/scopes.md` is generated from the tables that decide, and every power that has no route yet is known here.
#[test]
fn the_table_of_scopes_is_generated_from_the_code() {
    let waiting: Vec<_> = scopes_page::without_route().into_iter().map(Operation::text).collect();
    assert!(waiting.is_empty(), "every power has its route: {waiting:?}");
    let text = scopes_page::markdown();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scopes.md");
    let written = std::fs::read_to_string(path).unwrap_or_default();
    if written != text {
        std::fs::write(path, &text).unwrap();
        panic!("docs/scopes.md was not what the code says; it is now: commit it");
    }
}
