//! Tests of the whole server through HTTPS, in one binary.

#[cfg(test)]
mod accounts;
#[cfg(test)]
mod api_guide;
#[cfg(test)]
mod api_keys;
#[cfg(test)]
mod app;
#[cfg(test)]
mod bodies;
#[cfg(test)]
mod browser;
#[cfg(test)]
mod configuration;
#[cfg(test)]
mod console;
#[cfg(test)]
mod cookies;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod documents_of_the_api;
#[cfg(test)]
mod encryption;
#[cfg(test)]
mod factors;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod inward;
#[cfg(test)]
#[expect(dead_code, reason = "a cosignature is asked for by the tests of the log alone")]
#[path = "../../../tlog/tests/judges/mod.rs"]
mod judges;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod lifetimes;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod log;
#[cfg(test)]
mod log_judges;
#[cfg(test)]
mod logs;
#[cfg(test)]
mod long;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod member_codes;
#[cfg(test)]
mod oauth;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod operator_clients;
#[cfg(test)]
mod pages;
#[cfg(test)]
mod people;
#[cfg(test)]
mod privacy;
#[cfg(test)]
mod processes;
#[cfg(test)]
mod program;
#[cfg(test)]
mod races;
#[cfg(test)]
mod receipts;
#[cfg(test)]
mod receivers;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod sealing;
#[cfg(test)]
mod start;
#[cfg(test)]
mod states;
#[cfg(test)]
mod timing;
#[cfg(test)]
mod webhook_audit;
#[cfg(test)]
mod webhook_proof;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
#[expect(dead_code, reason = "the tests of the rules, where it is from, use all of it")]
#[path = "../../../core/tests/it/world.rs"]
mod world;
