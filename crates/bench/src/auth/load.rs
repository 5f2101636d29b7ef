//! The load: how a round of a row is measured, and what is checked around it. Everything that can be is signed before the
//! clock starts.

use std::{
    collections::HashSet,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Failure,
    auth::{
        CONNECTIONS,
        client::Proved,
        row::{Row, Signed},
        subject::{Clients, Subject},
    },
    cluster::Cluster,
    connection::{Answer, Connection, Endpoint},
    cpu,
};

/// Requests of each connection that warm the server up, and tell how fast it is; and where answers alone count.
const WARM: u32 = 150;
const TRIED: u32 = 5;
/// The most requests of each connection: what they are signed with must live as long.
const MOST: u32 = 20_000;

/// A connection with its share of the tokens, and what it found.
struct Caller {
    connection: Connection,
    tokens: Vec<String>,
    took: Vec<Duration>,
    access_tokens: Vec<String>,
}

impl Caller {
    fn run(&mut self, row: Row, endpoint: &Endpoint, signed: &[Signed]) -> Result<(), Failure> {
        let count = self.tokens.len().max(1);
        for (number, signed) in signed.iter().enumerate() {
            let token = self.tokens.get_mut(number % count).ok_or("there is no token to ask with")?;
            let request = row.request(endpoint, token, signed);
            let begun = cpu::now();
            let answer = self.connection.ask(&request)?;
            self.took.push(begun.elapsed());
            let given = row.judge(token, &answer)?;
            self.access_tokens.extend(given.access_token);
            if let Some(next) = given.next {
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
    /// Processor time of one request: of the server, of its database, of the generator. What the server puts off until
    /// after the answer is in it.
    pub(crate) server_cpu_ms: f64,
    pub(crate) database_cpu_ms: f64,
    pub(crate) generator_cpu_ms: f64,
    /// How long after the last answer the server had done what it put off.
    pub(crate) put_off_s: f64,
}

/// The generator of one server's load.
pub(crate) struct Load<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) clients: &'a Clients,
    pub(crate) cluster: Option<&'a Cluster>,
    /// Assertions and proofs that were signed.
    pub(crate) signed: u32,
}

impl Load<'_> {
    /// Warms a row up, then measures it for about `seconds`, or for a moment if that is 0. Every answer is judged.
    pub(crate) fn measure(&mut self, row: Row, seconds: u32) -> Result<Measured, Failure> {
        let endpoint = row.endpoint(self.subject)?;
        let mut callers = self.callers(row)?;
        let first = callers.first().and_then(|caller| caller.tokens.first()).cloned().unwrap_or_default();
        let fewest = if seconds == 0 { TRIED } else { WARM };
        let signed = self.sign(row, &callers, fewest)?;
        let warm_s = run(row, endpoint, &mut callers, &signed)?.elapsed().as_secs_f64();
        let each = requests_in(f64::from(fewest) / warm_s, seconds).max(fewest);
        let signed = self.sign(row, &callers, each)?;
        for caller in &mut callers {
            caller.took.clear();
        }
        if seconds > 0 {
            self.quiet()?;
        }
        let before = self.cpu_ns()?;
        let took_s = run(row, endpoint, &mut callers, &signed)?.elapsed().as_secs_f64();
        let ended = cpu::now();
        let generator = cpu::of_this_process_ns()?;
        let rested = if seconds > 0 { self.quiet()? } else { ended };
        let mut after = self.cpu_ns()?;
        after[2] = generator;
        self.check(row, &callers, &first)?;
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
            put_off_s: rested.saturating_duration_since(ended).as_secs_f64(),
        })
    }

    /// Processor time so far in ns: of the server, of its database, of this process.
    fn cpu_ns(&self) -> Result<[u64; 3], Failure> {
        let database = self.cluster.map(Cluster::cpu_ns).transpose()?.unwrap_or_default();
        Ok([self.subject.cpu_ns()?, database, cpu::of_this_process_ns()?])
    }

    /// Waits until server and database have nothing left to do. Gives since when.
    fn quiet(&self) -> Result<Instant, Failure> {
        cpu::at_rest(|| self.cpu_ns().map(|[server, database, _]| server + database))
    }

    /// The connections, with the tokens that they ask with or about.
    fn callers(&mut self, row: Row) -> Result<Vec<Caller>, Failure> {
        let endpoint = row.endpoint(self.subject)?;
        if matches!(row, Row::ApiKey | Row::AccessToken) {
            expect(
                &Connection::open(endpoint)?.ask(&endpoint.get(""))?,
                401,
                "a request without a credential",
            )?;
        }
        let tokens = match row {
            Row::ClientCredentials | Row::Open | Row::ApiKey => vec![String::new(); CONNECTIONS],
            Row::Refresh => self.subject.refresh_tokens.clone(),
            Row::Introspection | Row::AccessToken => self.access_tokens()?,
        };
        let share = tokens.len() / CONNECTIONS;
        tokens
            .chunks(share.max(1))
            .take(CONNECTIONS)
            .map(|tokens| {
                let connection = Connection::open(endpoint)?;
                Ok(Caller {
                    connection,
                    tokens: tokens.to_vec(),
                    took: Vec::new(),
                    access_tokens: Vec::new(),
                })
            })
            .collect()
    }

    /// An access token for each connection.
    fn access_tokens(&mut self) -> Result<Vec<String>, Failure> {
        let nonce = self.nonce()?;
        let (row, endpoint) = (Row::ClientCredentials, &self.subject.token);
        let mut connection = Connection::open(endpoint)?;
        (0..CONNECTIONS)
            .map(|_| {
                let signed = self.sign_one(row, "", nonce.as_deref())?;
                let answer = connection.ask(&row.request(endpoint, "", &signed))?;
                Ok(row.judge("", &answer)?.access_token.unwrap_or_default())
            })
            .collect()
    }

    /// What authenticates `each` requests of each connection.
    fn sign(&mut self, row: Row, callers: &[Caller], each: u32) -> Result<Vec<Vec<Signed>>, Failure> {
        let nonce = match row {
            Row::ClientCredentials | Row::Refresh | Row::AccessToken => self.nonce()?,
            Row::Introspection | Row::Open | Row::ApiKey => None,
        };
        callers
            .iter()
            .map(|caller| {
                let token = caller.tokens.first().map_or("", String::as_str);
                (0..each).map(|_| self.sign_one(row, token, nonce.as_deref())).collect()
            })
            .collect()
    }

    fn sign_one(&mut self, row: Row, token: &str, nonce: Option<&str>) -> Result<Signed, Failure> {
        self.signed += 1;
        let (number, subject) = (self.signed, self.subject);
        let [integrator, resource_server] = &subject.client_ids;
        let issuer = &subject.issuer;
        let assertion = match row {
            Row::ClientCredentials | Row::Refresh => {
                self.clients.integrator.assertion(integrator, issuer, number)?
            }
            Row::Introspection => self.clients.resource_server.assertion(resource_server, issuer, number)?,
            Row::Open | Row::ApiKey | Row::AccessToken => String::new(),
        };
        let url = &row.endpoint(subject)?.url;
        let headers = match row {
            Row::ClientCredentials | Row::Refresh => {
                let what = Proved { method: "POST", url, nonce, token: None };
                format!("DPoP: {}\r\n", self.clients.integrator.proof(&what, number)?)
            }
            Row::AccessToken => {
                let what = Proved { method: "GET", url, nonce, token: Some(token) };
                let proof = self.clients.integrator.proof(&what, number)?;
                format!("Authorization: DPoP {token}\r\nDPoP: {proof}\r\n")
            }
            Row::ApiKey => {
                let key = subject.api.as_ref().map(|api| api.key.as_str()).unwrap_or_default();
                format!("Authorization: Bearer {key}\r\n")
            }
            Row::Introspection | Row::Open => String::new(),
        };
        Ok(Signed { headers, assertion })
    }

    /// The nonce that the token endpoint wants in proofs, if it wants one (RFC 9449 §8).
    fn nonce(&mut self) -> Result<Option<String>, Failure> {
        let row = Row::ClientCredentials;
        let signed = self.sign_one(row, "", None)?;
        let endpoint = &self.subject.token;
        Ok(Connection::open(endpoint)?.ask(&row.request(endpoint, "", &signed))?.nonce)
    }

    /// What a row must have been true to: tokens are distinct, a used refresh token is good no more, and what is revoked is
    /// worth nothing from the next request on.
    fn check(&mut self, row: Row, callers: &[Caller], first: &str) -> Result<(), Failure> {
        let issued: Vec<&String> = callers.iter().flat_map(|caller| &caller.access_tokens).collect();
        if issued.iter().collect::<HashSet<_>>().len() < issued.len() {
            return Err(format!("{}: the same access token was issued twice", row.name()).into());
        }
        match row {
            Row::ClientCredentials | Row::Open | Row::ApiKey => Ok(()),
            Row::Refresh => expect(&self.ask(row, first)?, 400, "a refresh token that was used"),
            Row::Introspection => {
                self.revoke(first)?;
                let answer = self.ask(row, first)?;
                let body: Value = serde_json::from_slice(&answer.body)?;
                let is_inactive = body.get("active") == Some(&Value::Bool(false));
                if is_inactive { Ok(()) } else { Err("a revoked token is still active".into()) }
            }
            Row::AccessToken => {
                expect(&self.ask(row, first)?, 404, "a token before its revocation")?;
                self.revoke(first)?;
                expect(&self.ask(row, first)?, 401, "a revoked token")
            }
        }
    }

    fn ask(&mut self, row: Row, token: &str) -> Result<Answer, Failure> {
        let nonce = self.nonce()?;
        let signed = self.sign_one(row, token, nonce.as_deref())?;
        let endpoint = row.endpoint(self.subject)?;
        Connection::open(endpoint)?.ask(&row.request(endpoint, token, &signed))
    }

    /// Revokes a token (RFC 7009).
    fn revoke(&mut self, token: &str) -> Result<(), Failure> {
        let signed = self.sign_one(Row::ClientCredentials, "", None)?;
        let endpoint = &self.subject.revocation;
        let form = format!("token={token}&{}", signed.assertion);
        expect(&Connection::open(endpoint)?.ask(&endpoint.post("", &form))?, 200, "a revocation")
    }
}

/// Fails unless this was answered like that.
fn expect(answer: &Answer, status: u16, what: &str) -> Result<(), Failure> {
    if answer.status == status {
        return Ok(());
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(format!("{what} was answered {} instead of {status}: {body}", answer.status).into())
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
    ((per_second * f64::from(seconds)) as u32).min(MOST)
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

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert!((percentile_ms(&sorted, 50) - 101.0).abs() < 1e-9);
        assert!((percentile_ms(&sorted, 99) - 199.0).abs() < 1e-9);
        assert!(percentile_ms(&[], 99).abs() < 1e-9);
    }

    #[test]
    fn a_row_is_as_long_as_it_is_wanted_and_not_too_long() {
        assert_eq!((requests_in(100.0, 5), requests_in(1e9, 5)), (500, MOST));
    }
}
