//! Messages that are held until a program asks for them.

use std::collections::HashMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::desk::{BOTH, Relay, configuration, message, until};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

async fn pull(relay: &Relay, token: &str, query: &str) -> (u16, Value) {
    let request = relay.client.get(format!("{}/pull/countersign{query}", relay.internal_url));
    let response = request.header("authorization", format!("Bearer {token}")).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

async fn acknowledge(relay: &Relay, token: &str, body: &Value) -> (u16, Value) {
    let request = relay.client.post(format!("{}/ack/countersign", relay.internal_url)).body(body.to_string());
    let response = request.header("authorization", format!("Bearer {token}")).send().await.unwrap();
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
}

/// W-10: a message is given out until it is acknowledged, to whoever holds the token, and to nobody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_given_out_until_it_is_acknowledged() {
    for database in BOTH {
        let table = "[senders.countersign.pull]\ntoken_env = \"TOKEN\"\nlease_s = 1";
        let mut relay = Relay::new(&configuration("", "", table));
        relay.set("TOKEN", TOKEN);
        relay.over(database).await;
        relay.start().await;
        let sent: Vec<_> = (0..3).map(|_| message()).collect();
        for one in &sent {
            assert_eq!(relay.post(one).await, 202);
        }
        let wrong = TOKEN.replace('0', "1");
        assert_eq!(pull(&relay, &wrong, "").await.0, 401);
        assert_eq!(acknowledge(&relay, "", &json!({"receipts": ["1.1"]})).await.0, 401);
        assert_eq!(pull(&relay, TOKEN, "?limit=101").await.0, 400);
        let (status, first) = pull(&relay, TOKEN, "?limit=2").await;
        assert_eq!((status, first["messages"].as_array().unwrap().len()), (200, 2), "{first}");
        let of_first = &first["messages"][0];
        assert_eq!(of_first["idempotency_key"], format!("countersign:{}", sent[0].id));
        assert_eq!(STANDARD.decode(of_first["body_base64"].as_str().unwrap()).unwrap(), sent[0].body);
        let done = acknowledge(&relay, TOKEN, &json!({"receipts": [of_first["receipt"]]})).await;
        assert_eq!(done, (200, json!({"done": 1, "too_late": []})));
        let again = acknowledge(&relay, TOKEN, &json!({"receipts": [of_first["receipt"]]})).await;
        assert_eq!(again.1["done"], 0);
        assert_eq!(acknowledge(&relay, TOKEN, &json!({"receipts": ["x"]})).await.0, 400);
        // What was not acknowledged is given out again; an old receipt is worth nothing then.
        let mut receipts = HashMap::new();
        while receipts.len() < 2 {
            let more = until("one more", async || {
                let (_, more) = pull(&relay, TOKEN, "?limit=2").await;
                let more = more["messages"].as_array().unwrap().clone();
                (!more.is_empty()).then_some(more)
            })
            .await;
            for message in more {
                // The last receipt of each counts.
                receipts.insert(message["id"].as_str().unwrap().to_owned(), message["receipt"].clone());
            }
        }
        let late = acknowledge(&relay, TOKEN, &json!({"receipts": [first["messages"][1]["receipt"]]})).await;
        assert_eq!(late.1["done"], 0, "{late:?}");
        assert!(receipts.contains_key(&sent[1].id) && receipts.contains_key(&sent[2].id));
        assert_eq!(
            acknowledge(&relay, TOKEN, &json!({"receipts": receipts.values().collect::<Vec<_>>()})).await.1["done"],
            2
        );
        relay.until_empty().await;
    }
}

/// The requests that the relay's page shows are answered.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_requests_that_are_answered() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/webhooks/relay.md");
    let page = std::fs::read_to_string(page).unwrap();
    let table = "[senders.stripe.pull]\ntoken_env = \"TOKEN\"\nlease_s = 60";
    let text = configuration("", "", table).replace("[senders.countersign]", "[senders.stripe]");
    let mut relay = Relay::new(&text);
    relay.set("TOKEN", TOKEN);
    relay.start().await;
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 2);
    for line in lines {
        let path = line.rsplit(":8441").next().unwrap().trim_end_matches('"');
        let data = line.split('\'').nth(1);
        let url = format!("{}{path}", relay.internal_url);
        let request = match data {
            Some(data) => relay.client.post(url).body(data.to_owned()),
            None => relay.client.get(url),
        };
        assert!(line.contains("\"Authorization: Bearer $TOKEN\""));
        let response = request.bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{line}");
    }
}
