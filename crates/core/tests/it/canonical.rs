//! Canonical JSON against a library that others wrote (RFC 8785).

use std::collections::BTreeMap;

use countersign_core::canonical::{NotCanonical, to_vec};
use proptest::prelude::*;
use serde_json::{Value, json};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53) + 1..1 << 53).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 60, 8, |inner| {
        let members = proptest::collection::vec(("[ -~]{0,8}", inner.clone()), 0..8);
        prop_oneof![
            proptest::collection::vec(inner, 0..8).prop_map(Value::from),
            members.prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn e_1_the_canonical_form_is_that_of_another_implementation(value in value()) {
        let ours = to_vec(&value).unwrap();
        prop_assert_eq!(ours, serde_json_canonicalizer::to_vec(&value).unwrap());
    }
}

#[test]
fn what_other_readers_could_read_otherwise_is_refused() {
    let number = |value: Value| to_vec(&value) == Err(NotCanonical::Number(value[0].to_string()));
    assert!(number(json!([0.5])) && number(json!([1.0])));
    assert!(number(json!([1_u64 << 53])) && number(json!([-(1_i64 << 53)])));
    assert!(to_vec(&json!([(1_u64 << 53) - 1, 1 - (1_i64 << 53)])).is_ok());
    assert_eq!(to_vec(&json!({ "é": 1 })), Err(NotCanonical::Name("é".to_owned())));
    let keys = BTreeMap::from([([1, 2], 3)]);
    assert!(matches!(to_vec(&keys), Err(NotCanonical::Json(_))));
}
