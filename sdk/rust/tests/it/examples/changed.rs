//! A good message with every small change to its headers, which nobody has judged: all examples must judge it alike.

use serde_json::{Value, json};

use super::{
    languages::{GO, JAVA, PHP, RUBY},
    vectors,
};

/// The headers that the examples read.
const READ: [&str; 6] = [
    "content-encoding",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "webhook-key-id",
    "webhook-attempt-id",
];

/// What is put into them: what the forms admit elsewhere, ends of lines and of strings, digits and letters of other scripts.
const PIECES: [&str; 20] = [
    "0",
    "9",
    "a",
    "l",
    "Z",
    "+",
    "-",
    "/",
    "=",
    ",",
    ".",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\0",
    "\u{e9}",
    "\u{130}",
    "\u{661}",
    "\u{1f511}",
];

/// What one header becomes: a piece more at some places, a character less, an end, another beside it, none.
fn changes(value: &str) -> Vec<Vec<String>> {
    let characters: Vec<char> = value.chars().collect();
    let length = characters.len();
    let parts = |place: usize| -> (String, String) {
        (characters[..place].iter().collect(), characters[place..].iter().collect())
    };
    let mut changed = vec![vec![], vec![value.to_owned(), value.to_owned()], vec![value.to_uppercase()]];
    for place in [0, 1, length / 2, length - 1, length] {
        let (before, behind) = parts(place);
        changed.extend(PIECES.map(|piece| vec![format!("{before}{piece}{behind}")]));
        changed.push(vec![format!("{before}{}", behind.chars().skip(1).collect::<String>())]);
    }
    changed.extend((0..length).map(|place| vec![parts(place).0]));
    changed
}

/// The message with its headers changed, one at a time.
fn changed(one: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for name in READ {
        let headers = one["request"]["headers"].as_array().unwrap();
        let value = headers
            .iter()
            .find(|header| header[0] == name)
            .map_or("identity", |header| header[1].as_str().unwrap());
        for values in changes(value) {
            let mut vector = one.clone();
            let headers = vector["request"]["headers"].as_array_mut().unwrap();
            headers.retain(|header| header[0] != name);
            headers.extend(values.iter().map(|value| json!([name, value])));
            // No code is this one, so that a runner tells every judgement.
            vector["expect"] = json!("told");
            vector["name"] = json!(format!("{name}: {values:?}"));
            all.push(vector);
        }
    }
    all
}

/// W-11: whatever is sent, the four give the same code, and none stops.
#[test]
fn the_examples_judge_alike_what_nobody_has_judged() {
    let mut file = vectors::all();
    let one = vectors::named(&file, "two keys while rotated, both held");
    file["vectors"] = Value::Array(changed(&one));
    let told =
        [GO, JAVA, RUBY, PHP].map(|language| (language.file, language.run(&language.source(), &file).told));
    let (_, first) = &told[0];
    for outcome in ["accepted", "malformed", "bad_signature", "unsupported_encoding"] {
        assert!(first.contains(&format!("\n{outcome} ")), "{outcome} comes up: {first}");
    }
    for (name, another) in &told {
        for (line, of_another) in first.lines().zip(another.lines()) {
            assert_eq!(line, of_another, "the first is of {}, the other of {name}", told[0].0);
        }
        assert_eq!(first.len(), another.len(), "{name}");
    }
}
