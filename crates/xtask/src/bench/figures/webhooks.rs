//! The figures of `cargo xtask bench webhooks`: messages from the request that causes them to the receiver, at 1, 16 and 64
//! senders on both databases, what bad receivers do to good ones, and what a verification costs with each of our packages.

use super::{Aim, Figure, Round, figure};

/// A figure with this id and title that is measured as it is.
macro_rules! as_measured {
    ($id:expr, $title:expr, $unit:literal, $aim:expr, $name:expr) => {
        figure($id, $title, $unit, $aim, |r| r.get($name))
    };
}

/// Figures of one row: `$way` says how integrators come in, `$senders` how many of them.
macro_rules! row {
    ($section:literal, $way:literal, $senders:literal, $title:literal, $rate:expr, $p99:expr, $cpu:expr) => {
        [
            as_measured!(
                concat!($section, "_", $way, "_", $senders, "_per_second"),
                concat!("messages, ", $title),
                "/s",
                $rate,
                concat!($section, ".", $way, "_", $senders, "_per_second")
            ),
            as_measured!(
                concat!($section, "_", $way, "_", $senders, "_p50_ms"),
                "  half arrive after the request's first byte within",
                "ms",
                Aim::None,
                concat!($section, ".", $way, "_", $senders, "_p50_ms")
            ),
            as_measured!(
                concat!($section, "_", $way, "_", $senders, "_p99_ms"),
                "  99 of 100 within",
                "ms",
                $p99,
                concat!($section, ".", $way, "_", $senders, "_p99_ms")
            ),
            as_measured!(
                concat!($section, "_", $way, "_", $senders, "_cpu_ms"),
                "  processor time of one, server and database",
                "ms",
                $cpu,
                concat!($section, ".", $way, "_", $senders, "_cpu_ms")
            ),
            as_measured!(
                concat!($section, "_", $way, "_", $senders, "_users_cpu_ms"),
                "  of sender and receiver beside it",
                "ms",
                Aim::None,
                concat!($section, ".", $way, "_", $senders, "_users_cpu_ms")
            ),
            as_measured!(
                concat!($section, "_", $way, "_", $senders, "_body_bytes"),
                "  bytes of its body",
                "bytes",
                NONE,
                concat!($section, ".", $way, "_", $senders, "_body_bytes")
            ),
        ]
    };
}

const RATE: Aim = Aim::AtLeast(2_000.0);
const LATE: Aim = Aim::AtMost(25.0);
const CPU: Aim = Aim::AtMost(0.8);
const NONE: Aim = Aim::None;

/// What was measured at each number of senders, in the order of the table.
pub(super) const ROWS: [[Figure; 6]; 10] = [
    row!("webhooks", "tls", "1", "1 sender, SQLite", NONE, NONE, NONE),
    row!("webhooks", "tls", "16", "16 senders, SQLite", RATE, LATE, CPU),
    row!("webhooks", "tls", "64", "64 senders, SQLite", NONE, NONE, NONE),
    row!("webhooks", "plain", "16", "16 senders in plain HTTP, SQLite", NONE, NONE, NONE),
    row!("webhooks", "full", "16", "16 senders, whole events, SQLite", NONE, NONE, NONE),
    row!("webhooks_postgres", "tls", "1", "1 sender, PostgreSQL", NONE, NONE, NONE),
    row!("webhooks_postgres", "tls", "16", "16 senders, PostgreSQL", RATE, LATE, CPU),
    row!("webhooks_postgres", "tls", "64", "64 senders, PostgreSQL", NONE, NONE, NONE),
    row!("webhooks_postgres", "plain", "16", "16 senders in plain HTTP, PostgreSQL", NONE, NONE, NONE),
    row!("webhooks_postgres", "full", "16", "16 senders, whole events, PostgreSQL", NONE, NONE, NONE),
];

fn times(round: &Round, section: &str) -> Option<f64> {
    Some(round.get(&format!("{section}.disturbed_p99_ms"))? / round.get(&format!("{section}.quiet_p99_ms"))?)
}

/// What a figure that is the middle one of several phases would be of all their messages.
macro_rules! all_phases {
    ($section:literal, $name:literal) => {
        as_measured!(
            concat!($section, "_", $name, "_all_p99_ms"),
            "    of all phases together",
            "ms",
            NONE,
            concat!($section, ".", $name, "_all_p99_ms")
        )
    };
}

/// Figures of what bad receivers do on one database.
macro_rules! disturbed {
    ($section:literal, $title:literal) => {
        [
            as_measured!(
                concat!($section, "_quiet_p99_ms"),
                concat!("50 messages a second, ", $title, ": 99 of 100 arrive within"),
                "ms",
                NONE,
                concat!($section, ".quiet_p99_ms")
            ),
            all_phases!($section, "quiet"),
            as_measured!(
                concat!($section, "_p99_ms"),
                "  beside six organizations with bad receivers",
                "ms",
                NONE,
                concat!($section, ".disturbed_p99_ms")
            ),
            all_phases!($section, "disturbed"),
            figure(
                concat!($section, "_times"),
                "  as a multiple of the quiet run",
                "×",
                Aim::AtMost(2.0),
                |r| times(r, $section),
            ),
            as_measured!(
                concat!($section, "_queued_p99_ms"),
                "  beside 1,500 messages for a receiver that takes 25 s",
                "ms",
                Aim::AtMost(100.0),
                concat!($section, ".queued_p99_ms")
            ),
            all_phases!($section, "queued"),
        ]
    };
}

/// What bad receivers do to others' messages.
pub(super) const DISTURBED: [[Figure; 7]; 2] =
    [disturbed!("webhooks_disturbed", "SQLite"), disturbed!("webhooks_postgres_disturbed", "PostgreSQL")];

/// Figures of the machine while one part was measured.
macro_rules! machine {
    ($section:literal, $title:literal) => {
        [
            as_measured!(
                concat!($section, "_syncs_p50_ms"),
                concat!("a page reaches the disk, meanwhile, ", $title, ": half within"),
                "ms",
                NONE,
                concat!($section, ".syncs_p50_ms")
            ),
            as_measured!(
                concat!($section, "_syncs_p99_ms"),
                "  99 of 100 within",
                "ms",
                NONE,
                concat!($section, ".syncs_p99_ms")
            ),
            as_measured!(
                concat!($section, "_wakes_p99_ms"),
                "  a thread with nothing to do wakes late by, 99 of 100",
                "ms",
                NONE,
                concat!($section, ".wakes_p99_ms")
            ),
        ]
    };
}

/// What the machine did while the parts were measured.
pub(super) const MACHINE: [[Figure; 3]; 4] = [
    machine!("webhooks", "rows on SQLite"),
    machine!("webhooks_postgres", "rows on PostgreSQL"),
    machine!("webhooks_disturbed", "bad receivers, SQLite"),
    machine!("webhooks_postgres_disturbed", "bad receivers, PostgreSQL"),
];

/// What a million parked deliveries take of the server's memory.
pub(super) const PARKED: [Figure; 4] = [
    as_measured!(
        "webhooks_parked_none_mb",
        "resident memory, nothing parked",
        "MB",
        NONE,
        "webhooks_parked.none_mb"
    ),
    as_measured!(
        "webhooks_parked_mb",
        "  a million deliveries parked",
        "MB",
        Aim::AtMost(60.0),
        "webhooks_parked.parked_mb"
    ),
    as_measured!(
        "webhooks_parked_none_peak_mb",
        "  highest while others' messages go out, nothing parked",
        "MB",
        NONE,
        "webhooks_parked.none_peak_mb"
    ),
    as_measured!(
        "webhooks_parked_peak_mb",
        "  the same, a million parked",
        "MB",
        Aim::AtMost(200.0),
        "webhooks_parked.parked_peak_mb"
    ),
];

/// Figures of one package.
macro_rules! verified {
    ($package:literal, $title:literal) => {
        [
            as_measured!(
                concat!("webhooks_verified_", $package, "_v1"),
                concat!("verifications by the package for ", $title, ", `v1`"),
                "/s",
                NONE,
                concat!("webhooks_verified_", $package, ".v1")
            ),
            as_measured!(
                concat!("webhooks_verified_", $package, "_v1a"),
                "  `v1a`",
                "/s",
                NONE,
                concat!("webhooks_verified_", $package, ".v1a")
            ),
            as_measured!(
                concat!("webhooks_verified_", $package, "_http_ed25519"),
                "  HTTP Message Signature, Ed25519",
                "/s",
                NONE,
                concat!("webhooks_verified_", $package, ".http ed25519")
            ),
            as_measured!(
                concat!("webhooks_verified_", $package, "_http_p256"),
                "  ECDSA P-256",
                "/s",
                NONE,
                concat!("webhooks_verified_", $package, ".http ecdsa-p256-sha256")
            ),
            as_measured!(
                concat!("webhooks_verified_", $package, "_http_rsa"),
                "  RSA-PSS",
                "/s",
                NONE,
                concat!("webhooks_verified_", $package, ".http rsa-pss-sha512")
            ),
        ]
    };
}

/// Verifications in a second, in one thread.
pub(super) const VERIFIED: [[Figure; 5]; 3] =
    [verified!("rust", "Rust"), verified!("typescript", "TypeScript"), verified!("python", "Python")];
