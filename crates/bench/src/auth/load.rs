//! The rows: what is asked, and how a round of it is measured. Everything that can be is signed before the clock starts.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Failure,
    auth::{
        CONNECTIONS,
        cluster::Cluster,
        connection::{Answer, Connection, Endpoint},
        subject::{Clients, SCOPE, Subject},
    },
    cpu,
};

/// Requests of each connection that warm the server up, and tell how fast it is.
const WARM: u32 = 150;
/// The most requests of each connection: what they are signed with must live as long.
const MOST: u32 = 20_000;

/// What is asked again and again. Each is authenticated by `private_key_jwt`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// An access token for the client itself, bound by DPoP.
    ClientCredentials,
    /// An access token and the next refresh token, bound by DPoP.
    Refresh,
    /// What an access token is worth.
    Introspection,
}

impl Row {
    /// All of them, in the order of the table.
    pub(crate) const ALL: [Self; 3] = [Self::ClientCredentials, Self::Refresh, Self::Introspection];

    /// Beginning of the names of its figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::Refresh => "refresh",
            Self::Introspection => "introspection",
        }
    }

    fn endpoint(self, subject: &Subject) -> &Endpoint {
        match self {
            Self::ClientCredentials | Self::Refresh => &subject.token,
            Self::Introspection => &subject.introspection,
        }
    }

    /// What the form holds besides the client's assertion. `token` is the one that it is about.
    fn parameters(self, token: &str) -> String {
        match self {
            Self::ClientCredentials => format!("grant_type=client_credentials&scope={SCOPE}"),
            Self::Refresh => format!("grant_type=refresh_token&refresh_token={token}"),
            Self::Introspection => format!("token={token}&token_type_hint=access_token"),
        }
    }

    /// Checks an answer; gives the token that the next request is about, if it is another.
    fn judge(self, token: &str, answer: &Answer) -> Result<Option<String>, Failure> {
        let refused =
            || format!("{} {}: {}", self.name(), answer.status, String::from_utf8_lossy(&answer.body));
        if answer.status != 200 {
            return Err(refused().into());
        }
        let body: Value = serde_json::from_slice(&answer.body)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let (next, good) = match self {
            Self::ClientCredentials => (None, text("access_token").is_some()),
            Self::Refresh => {
                let next = text("refresh_token");
                (next, text("access_token").is_some() && next.is_some_and(|next| next != token))
            }
            Self::Introspection => (None, body.get("active") == Some(&Value::Bool(true))),
        };
        if good { Ok(next.map(str::to_owned)) } else { Err(refused().into()) }
    }
}

/// What authenticates one request.
struct Signed {
    assertion: String,
    proof: Option<String>,
}

/// A connection with its share of the tokens, and what it found.
struct Caller {
    connection: Connection,
    tokens: Vec<String>,
    took: Vec<Duration>,
}

impl Caller {
    fn run(&mut self, row: Row, endpoint: &Endpoint, signed: &[Signed]) -> Result<(), Failure> {
        let count = self.tokens.len().max(1);
        for (number, signed) in signed.iter().enumerate() {
            let token = self.tokens.get_mut(number % count).ok_or("there is no token to ask with")?;
            let form = format!("{}&{}", row.parameters(token), signed.assertion);
            let request = endpoint.post(signed.proof.as_deref(), &form);
            let begun = cpu::now();
            let answer = self.connection.ask(&request)?;
            self.took.push(begun.elapsed());
            if let Some(next) = row.judge(token, &answer)? {
                *token = next;
            }
        }
        Ok(())
    }
}

/// What a row costs.
pub(crate) struct Measured {
    pub(crate) requests: u32,
    pub(crate) per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Processor time of one request: of the server, of its database, of the generator.
    pub(crate) server_cpu_ms: f64,
    pub(crate) database_cpu_ms: f64,
    pub(crate) generator_cpu_ms: f64,
}

/// The generator of one server's load.
pub(crate) struct Load<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) clients: &'a Clients,
    pub(crate) cluster: &'a Cluster,
    /// Assertions and proofs that were signed.
    pub(crate) signed: u32,
}

impl Load<'_> {
    /// Warms a row up, then measures it for about `seconds`.
    pub(crate) fn measure(&mut self, row: Row, seconds: u32) -> Result<Measured, Failure> {
        let endpoint = row.endpoint(self.subject);
        let mut callers = self.callers(row)?;
        let signed = self.sign(row, WARM)?;
        let warm_s = run(row, endpoint, &mut callers, &signed)?.elapsed().as_secs_f64();
        let each = requests_in(f64::from(WARM) / warm_s, seconds);
        let signed = self.sign(row, each)?;
        for caller in &mut callers {
            caller.took.clear();
        }
        let before = self.cpu_ns()?;
        let took_s = run(row, endpoint, &mut callers, &signed)?.elapsed().as_secs_f64();
        let after = self.cpu_ns()?;
        let mut took: Vec<Duration> = callers.into_iter().flat_map(|caller| caller.took).collect();
        took.sort();
        let requests = u32::try_from(took.len())?;
        let [server_cpu_ms, database_cpu_ms, generator_cpu_ms] =
            std::array::from_fn(|of| cpu_ms_each(&before, &after, of, requests));
        Ok(Measured {
            requests,
            per_second: f64::from(requests) / took_s,
            p50_ms: percentile_ms(&took, 50),
            p99_ms: percentile_ms(&took, 99),
            server_cpu_ms,
            database_cpu_ms,
            generator_cpu_ms,
        })
    }

    /// Processor time so far in ns: of the server, of its database, of this process.
    fn cpu_ns(&self) -> Result<[u64; 3], Failure> {
        Ok([self.subject.cpu_ns()?, self.cluster.cpu_ns()?, cpu::of_this_process_ns()?])
    }

    /// The connections, with the tokens that they ask with or about.
    fn callers(&mut self, row: Row) -> Result<Vec<Caller>, Failure> {
        let tokens = match row {
            Row::ClientCredentials => vec![String::new(); CONNECTIONS],
            Row::Refresh => self.subject.refresh_tokens.clone(),
            Row::Introspection => self.access_tokens()?,
        };
        let endpoint = row.endpoint(self.subject);
        let share = tokens.len() / CONNECTIONS;
        tokens
            .chunks(share.max(1))
            .take(CONNECTIONS)
            .map(|tokens| {
                let connection = Connection::open(endpoint)?;
                Ok(Caller { connection, tokens: tokens.to_vec(), took: Vec::new() })
            })
            .collect()
    }

    /// An access token for each connection.
    fn access_tokens(&mut self) -> Result<Vec<String>, Failure> {
        let (row, endpoint) = (Row::ClientCredentials, &self.subject.token);
        let mut connection = Connection::open(endpoint)?;
        let count = u32::try_from(CONNECTIONS)?;
        let signed = self.sign(row, count)?.into_iter().flatten().take(CONNECTIONS);
        signed
            .map(|signed| {
                let form = format!("{}&{}", row.parameters(""), signed.assertion);
                let answer = connection.ask(&endpoint.post(signed.proof.as_deref(), &form))?;
                row.judge("", &answer)?;
                let body: Value = serde_json::from_slice(&answer.body)?;
                let token = body.get("access_token").and_then(Value::as_str);
                Ok(token.ok_or("there is no access token")?.to_owned())
            })
            .collect()
    }

    /// What authenticates `each` requests of each connection.
    fn sign(&mut self, row: Row, each: u32) -> Result<Vec<Vec<Signed>>, Failure> {
        let nonce = match row {
            Row::ClientCredentials | Row::Refresh => self.nonce()?,
            Row::Introspection => None,
        };
        (0..CONNECTIONS).map(|_| (0..each).map(|_| self.sign_one(row, nonce.as_deref())).collect()).collect()
    }

    fn sign_one(&mut self, row: Row, nonce: Option<&str>) -> Result<Signed, Failure> {
        self.signed += 1;
        let (number, endpoint) = (self.signed, row.endpoint(self.subject));
        let (client, is_bound) = match row {
            Row::ClientCredentials | Row::Refresh => (&self.clients.integrator, true),
            Row::Introspection => (&self.clients.resource_server, false),
        };
        Ok(Signed {
            assertion: client.assertion(&self.subject.issuer, number)?,
            proof: is_bound.then(|| client.proof(&endpoint.url, nonce, number)).transpose()?,
        })
    }

    /// The nonce that the token endpoint wants in proofs, if it wants one (RFC 9449 §8).
    fn nonce(&mut self) -> Result<Option<String>, Failure> {
        let row = Row::ClientCredentials;
        let signed = self.sign_one(row, None)?;
        let endpoint = &self.subject.token;
        let form = format!("{}&{}", row.parameters(""), signed.assertion);
        let request = endpoint.post(signed.proof.as_deref(), &form);
        Ok(Connection::open(endpoint)?.ask(&request)?.nonce)
    }
}

/// Lets each caller send its requests, all at the same time. Gives when they began.
fn run(
    row: Row,
    endpoint: &Endpoint,
    callers: &mut [Caller],
    signed: &[Vec<Signed>],
) -> Result<Instant, Failure> {
    let begun = cpu::now();
    thread::scope(|scope| {
        let running: Vec<_> = callers
            .iter_mut()
            .zip(signed)
            .map(|(caller, signed)| scope.spawn(move || caller.run(row, endpoint, signed)))
            .collect();
        running.into_iter().try_for_each(|one| one.join().map_err(|_| "a caller broke")?)
    })?;
    Ok(begun)
}

/// Requests of one connection that take about `seconds`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest integer that there is, and is bounded"
)]
fn requests_in(per_second: f64, seconds: u32) -> u32 {
    ((per_second * f64::from(seconds)) as u32).clamp(WARM, MOST)
}

fn cpu_ms_each(before: &[u64; 3], after: &[u64; 3], of: usize, requests: u32) -> f64 {
    let at = |ns: &[u64; 3]| ns.get(of).copied().unwrap_or_default();
    cpu::ms(at(after).saturating_sub(at(before))) / f64::from(requests.max(1))
}

/// The value under which `percent` of the sorted ones are.
fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |took| took.as_secs_f64() * 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, nonce: None, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn an_answer_that_a_row_does_not_expect_ends_the_measurement() {
        let rotated = answer(200, r#"{"access_token":"a","refresh_token":"new"}"#);
        assert_eq!(Row::Refresh.judge("old", &rotated).unwrap().as_deref(), Some("new"));
        assert!(Row::Refresh.judge("new", &rotated).is_err(), "a token that stays is not rotated");
        assert!(Row::Introspection.judge("", &answer(200, r#"{"active":false}"#)).is_err());
        assert!(Row::ClientCredentials.judge("", &answer(400, r#"{"error":"invalid_client"}"#)).is_err());
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert!((percentile_ms(&sorted, 50) - 101.0).abs() < 1e-9);
        assert!((percentile_ms(&sorted, 99) - 199.0).abs() < 1e-9);
        assert!(percentile_ms(&[], 99).abs() < 1e-9);
    }

    #[test]
    fn a_row_is_long_enough_and_not_too_long() {
        assert_eq!((requests_in(1.0, 5), requests_in(100.0, 5), requests_in(1e9, 5)), (WARM, 500, MOST));
    }
}
