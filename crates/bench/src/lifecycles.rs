//! Whole lifecycles in a second: many envelopes at the same time, each through upload, sending, two ceremonies and the
//! seal. The users run on threads of their own, so that what they cost is known apart.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{runtime, task::JoinSet};

use crate::{
    Failure, cpu,
    house::{Folder, House},
    lifecycle::{Links, Users},
};

/// Name of the users' threads.
const USERS: &str = "users";

/// Runs `count` lifecycles, `callers` at a time, after as many to warm up.
pub(crate) fn measure(pdf: &Path, count: u32, callers: u32) -> Result<Value, Failure> {
    let pdf = std::fs::read(pdf)?;
    let folder = Folder::new()?;
    let serving = runtime::Builder::new_multi_thread().enable_all().thread_name("server").build()?;
    let using = runtime::Builder::new_multi_thread().enable_all().thread_name(USERS).build()?;
    let house = serving.block_on(House::open(folder.path()))?;
    let links = Links::App(Arc::clone(&house.app), house.tenant);
    let users = Arc::new(Users::new(&house.app.config, &house.token, links)?);
    using.block_on(run(&users, &pdf, callers, callers, "warm"))?;
    let (begun, all, users_own) = (cpu::now(), cpu::of_this_process_ns()?, cpu::of_threads_ns(USERS)?);
    using.block_on(run(&users, &pdf, count, callers, "measured"))?;
    let took_s = begun.elapsed().as_secs_f64();
    let (all, users_own) = (cpu::of_this_process_ns()? - all, cpu::of_threads_ns(USERS)? - users_own);
    serving.block_on(house.close())?;
    let each = |ns: u64| cpu::ms(ns) / f64::from(count);
    Ok(json!({
        "count": count,
        "callers": callers,
        "per_second": f64::from(count) / took_s,
        "cpu_ms_each": each(all),
        "cpu_ms_each_of_users": each(users_own),
    }))
}

async fn run(users: &Arc<Users>, pdf: &[u8], count: u32, callers: u32, name: &str) -> Result<(), Failure> {
    let begun = Arc::new(AtomicU32::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (users, begun, pdf, name) =
            (Arc::clone(users), Arc::clone(&begun), pdf.to_vec(), name.to_owned());
        tasks.spawn(async move {
            loop {
                let number = begun.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok::<_, Failure>(());
                }
                users.live(format!("{name} {number}").as_bytes(), pdf.clone()).await?;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}
