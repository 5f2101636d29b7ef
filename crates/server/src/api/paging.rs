//! Pages of lists: how long, where they begin, and where the next one does.

use std::{cmp::Ordering, fmt::Display, str::FromStr};

use countersign_core::{
    limits,
    refusal::{Code, Refusal},
};

use crate::http::gate::Call;

/// The number of entries wanted, within bounds.
pub(super) fn limit_of(call: &Call) -> Result<usize, Refusal> {
    let Some(text) = call.query("limit") else { return Ok(limits::PAGE_SIZE) };
    let limit = text.parse().ok().filter(|limit| (1..=limits::PAGE_SIZE).contains(limit));
    limit.ok_or_else(|| {
        Refusal::new(Code::Malformed, format!("`limit` is a number between 1 and {}", limits::PAGE_SIZE))
    })
}

/// The digits of the largest position that a cursor may name: more would not fit into the database's numbers.
const POSITION_DIGITS: usize = 18;

/// The position that the cursor of a list names, where there is one.
pub(super) fn position_of(call: &Call) -> Result<Option<u64>, Refusal> {
    let Some(text) = call.query("cursor") else { return Ok(None) };
    let is_number = text.len() <= POSITION_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    let position = text.parse().ok().filter(|_| is_number);
    position.map(Some).ok_or_else(wrong_cursor)
}

/// The id that the cursor of a list names, where there is one.
pub(super) fn cursor_of<I: FromStr>(call: &Call) -> Result<Option<I>, Refusal> {
    call.query("cursor").map(str::parse).transpose().map_err(|_| wrong_cursor())
}

fn wrong_cursor() -> Refusal {
    Refusal::new(Code::Malformed, "`cursor` is the `next_cursor` of the page before")
}

/// The first entries, `limit` at most, and the cursor of the next page if there were more.
pub(super) fn cut<T, I: Display>(
    mut entries: Vec<T>,
    limit: usize,
    id: impl Fn(&T) -> I,
) -> (Vec<T>, Option<String>) {
    let has_more = entries.len() > limit;
    entries.truncate(limit);
    let next_cursor = entries.last().filter(|_| has_more).map(|entry| id(entry).to_string());
    (entries, next_cursor)
}

/// The page of a list that was read whole: what comes after the cursor, which is what compares to it like `order`.
pub(super) fn page<T, I: Display + FromStr + Ord>(
    call: &Call,
    mut all: Vec<T>,
    order: Ordering,
    id: impl Fn(&T) -> I,
) -> Result<(Vec<T>, Option<String>), Refusal> {
    let cursor: Option<I> = cursor_of(call)?;
    all.retain(|entry| cursor.as_ref().is_none_or(|cursor| id(entry).cmp(cursor) == order));
    Ok(cut(all, limit_of(call)?, id))
}
