//! The figures of `cargo xtask bench auth`: each row by our server and by its peer, and how many times the peer's is ours.

use super::{Aim, Figure, figure};

/// Figures of one row: `$row` begins its names in what `countersign-bench auth` prints, `$title` says what is asked.
macro_rules! row {
    ($row:literal, $title:literal) => {
        [
            figure(
                concat!("auth_", $row, "_per_second"),
                concat!($title, ", 16 connections"),
                "/s",
                Aim::None,
                |r| r.get(concat!("auth.", $row, "_per_second")),
            ),
            figure(
                concat!("auth_", $row, "_per_second_of_peer"),
                "  by oidc-provider",
                "/s",
                Aim::None,
                |r| r.get(concat!("auth_peer.", $row, "_per_second")),
            ),
            figure(
                concat!("auth_", $row, "_rate_ratio"),
                "  ours as a multiple of it",
                "×",
                Aim::None,
                |r| {
                    let ours = r.get(concat!("auth.", $row, "_per_second"))?;
                    Some(ours / r.get(concat!("auth_peer.", $row, "_per_second"))?)
                },
            ),
            figure(concat!("auth_", $row, "_p50_ms"), "  half are answered within", "ms", Aim::None, |r| {
                r.get(concat!("auth.", $row, "_p50_ms"))
            }),
            figure(concat!("auth_", $row, "_p50_ms_of_peer"), "  by oidc-provider", "ms", Aim::None, |r| {
                r.get(concat!("auth_peer.", $row, "_p50_ms"))
            }),
            figure(
                concat!("auth_", $row, "_p99_ms"),
                "  99 of 100 are answered within",
                "ms",
                Aim::None,
                |r| r.get(concat!("auth.", $row, "_p99_ms")),
            ),
            figure(concat!("auth_", $row, "_p99_ms_of_peer"), "  by oidc-provider", "ms", Aim::None, |r| {
                r.get(concat!("auth_peer.", $row, "_p99_ms"))
            }),
            figure(
                concat!("auth_", $row, "_cpu_ms"),
                "  processor time of one, PostgreSQL included",
                "ms",
                Aim::None,
                |r| r.get(concat!("auth.", $row, "_cpu_ms")),
            ),
            figure(concat!("auth_", $row, "_cpu_ms_of_peer"), "  by oidc-provider", "ms", Aim::None, |r| {
                r.get(concat!("auth_peer.", $row, "_cpu_ms"))
            }),
            figure(
                concat!("auth_", $row, "_cpu_ratio"),
                "  oidc-provider's as a multiple of ours",
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

/// All of them, in the order of the table.
pub(super) const FIGURES: [[Figure; 10]; 3] = [
    row!("client_credentials", "token for a client: private_key_jwt, DPoP"),
    row!("refresh", "rotation of a refresh token: private_key_jwt, DPoP"),
    row!("introspection", "introspection: private_key_jwt"),
];
