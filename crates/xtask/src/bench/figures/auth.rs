//! The figures of `cargo xtask bench auth`: each row by our server on both databases and by its peer in one process and in
//! two, how many times the faster of these is ours, and what authentication adds to a request of the API.

use super::{Aim, Figure, Round, figure};

/// How many times the peer's requests in a second ours must be.
const TIMES: Aim = Aim::AtLeast(3.0);

/// What the faster of the peer's ways does in a second.
fn peer_per_second(round: &Round, name: &str) -> Option<f64> {
    let one = round.get(&format!("auth_peer.{name}"));
    let two = round.get(&format!("auth_peer_two.{name}"));
    one.into_iter().chain(two).reduce(f64::max)
}

fn times(round: &Round, section: &str, name: &str) -> Option<f64> {
    Some(round.get(&format!("{section}.{name}"))? / peer_per_second(round, name)?)
}

/// Processor time that `with` takes and a request that nobody authenticates does not, in ms.
fn added_ms(round: &Round, section: &str, with: &str) -> Option<f64> {
    Some(round.get(&format!("{section}.{with}_cpu_ms"))? - round.get(&format!("{section}.open_cpu_ms"))?)
}

/// A figure with this id and title that is measured as it is.
macro_rules! as_measured {
    ($id:expr, $title:expr, $unit:literal, $name:expr) => {
        figure($id, $title, $unit, Aim::None, |r| r.get($name))
    };
}

/// Figures of one row: `$row` begins its names in what `countersign-bench auth` prints, `$title` says what is asked.
macro_rules! row {
    ($row:literal, $title:literal) => {
        [
            as_measured!(
                concat!("auth_", $row, "_per_second"),
                concat!($title, ", 64 connections"),
                "/s",
                concat!("auth.", $row, "_per_second")
            ),
            as_measured!(
                concat!("auth_", $row, "_per_second_on_sqlite"),
                "  on SQLite",
                "/s",
                concat!("auth_sqlite.", $row, "_per_second")
            ),
            as_measured!(
                concat!("auth_", $row, "_per_second_of_peer"),
                "  by oidc-provider on PostgreSQL",
                "/s",
                concat!("auth_peer.", $row, "_per_second")
            ),
            as_measured!(
                concat!("auth_", $row, "_per_second_of_peer_two"),
                "  by two processes of it",
                "/s",
                concat!("auth_peer_two.", $row, "_per_second")
            ),
            figure(
                concat!("auth_", $row, "_rate_ratio"),
                "  ours as a multiple of the faster of these",
                "×",
                TIMES,
                |r| times(r, "auth", concat!($row, "_per_second")),
            ),
            figure(
                concat!("auth_", $row, "_rate_ratio_on_sqlite"),
                "  ours on SQLite as a multiple of it",
                "×",
                TIMES,
                |r| times(r, "auth_sqlite", concat!($row, "_per_second")),
            ),
            as_measured!(
                concat!("auth_", $row, "_p50_ms"),
                "  half are answered within",
                "ms",
                concat!("auth.", $row, "_p50_ms")
            ),
            as_measured!(
                concat!("auth_", $row, "_p50_ms_of_peer"),
                "  by oidc-provider",
                "ms",
                concat!("auth_peer.", $row, "_p50_ms")
            ),
            as_measured!(
                concat!("auth_", $row, "_p99_ms"),
                "  99 of 100 are answered within",
                "ms",
                concat!("auth.", $row, "_p99_ms")
            ),
            as_measured!(
                concat!("auth_", $row, "_p99_ms_of_peer"),
                "  by oidc-provider",
                "ms",
                concat!("auth_peer.", $row, "_p99_ms")
            ),
            as_measured!(
                concat!("auth_", $row, "_server_cpu_ms"),
                "  processor time of one: the server",
                "ms",
                concat!("auth.", $row, "_server_cpu_ms")
            ),
            as_measured!(
                concat!("auth_", $row, "_server_cpu_ms_of_peer"),
                "  by oidc-provider",
                "ms",
                concat!("auth_peer.", $row, "_server_cpu_ms")
            ),
            as_measured!(
                concat!("auth_", $row, "_database_cpu_ms"),
                "  processor time of one: its PostgreSQL",
                "ms",
                concat!("auth.", $row, "_database_cpu_ms")
            ),
            as_measured!(
                concat!("auth_", $row, "_database_cpu_ms_of_peer"),
                "  by oidc-provider",
                "ms",
                concat!("auth_peer.", $row, "_database_cpu_ms")
            ),
            as_measured!(
                concat!("auth_", $row, "_put_off_s"),
                "  what was put off is done after the last answer by",
                "s",
                concat!("auth.", $row, "_put_off_s")
            ),
            as_measured!(
                concat!("auth_", $row, "_cpu_ms_on_sqlite"),
                "  processor time of one on SQLite",
                "ms",
                concat!("auth_sqlite.", $row, "_cpu_ms")
            ),
            figure(
                concat!("auth_", $row, "_cpu_ratio"),
                "  oidc-provider's in all as a multiple of ours",
                "×",
                Aim::None,
                |r| {
                    let peer = r.get(concat!("auth_peer.", $row, "_cpu_ms"))?;
                    Some(peer / r.get(concat!("auth.", $row, "_cpu_ms"))?)
                },
            ),
        ]
    };
}

/// What authorization servers are asked, in the order of the table.
pub(super) const ROWS: [[Figure; 17]; 3] = [
    row!("client_credentials", "token for a client: private_key_jwt, DPoP"),
    row!("refresh", "rotation of a refresh token: private_key_jwt, DPoP"),
    row!("introspection", "introspection: private_key_jwt"),
];

/// What authentication and authorization add to a request of the API, server and database together.
pub(super) const ADDED: [Figure; 4] = [
    figure(
        "auth_access_token_added_cpu_ms",
        "added to an API request by an access token with DPoP",
        "ms",
        Aim::AtMost(0.3),
        |r| added_ms(r, "auth", "access_token"),
    ),
    figure("auth_access_token_added_cpu_ms_on_sqlite", "  on SQLite", "ms", Aim::AtMost(0.3), |r| {
        added_ms(r, "auth_sqlite", "access_token")
    }),
    figure(
        "auth_api_key_added_cpu_us",
        "added to an API request by an API key",
        "µs",
        Aim::AtMost(50.0),
        |r| Some(added_ms(r, "auth", "api_key")? * 1_000.0),
    ),
    figure("auth_api_key_added_cpu_us_on_sqlite", "  on SQLite", "µs", Aim::AtMost(50.0), |r| {
        Some(added_ms(r, "auth_sqlite", "api_key")? * 1_000.0)
    }),
];
