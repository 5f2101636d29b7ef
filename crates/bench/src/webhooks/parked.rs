//! What a million parked deliveries do to the server's memory: it is measured with none and with all of them, at rest and while
//! another organization's messages go out.

use std::path::Path;

use serde_json::{Value, json};

use countersign_core::webhook::class::Payload;

use super::{
    PATIENCE,
    receiver::{Manner, Receiver},
    senders::Senders,
    subject::{Subject, Wish},
};
use crate::{Failure, house::Folder};

/// Deliveries that wait.
const MANY: u64 = 1_000_000;
/// Where answers alone count.
const FEW: u64 = 1_000;

/// Measures; messages go out for about `seconds`.
pub(crate) fn measure(program: &Path, pdf: &Path, postgres: bool, seconds: u32) -> Result<Value, Failure> {
    let many = if seconds == 0 { FEW } else { MANY };
    let (none_mb, none_peak_mb) = resident_mb(program, pdf, postgres, seconds, 0)?;
    let (parked_mb, parked_peak_mb) = resident_mb(program, pdf, postgres, seconds, many)?;
    Ok(json!({
        "deliveries": many,
        "none_mb": none_mb,
        "none_peak_mb": none_peak_mb,
        "parked_mb": parked_mb,
        "parked_peak_mb": parked_peak_mb,
    }))
}

/// Memory of the server at rest, and the most while messages go out.
fn resident_mb(
    program: &Path,
    pdf: &Path,
    postgres: bool,
    seconds: u32,
    parked: u64,
) -> Result<(f64, f64), Failure> {
    let folder = Folder::new()?;
    let receiver = Receiver::start(&folder)?;
    let wish = Wish {
        program,
        pdf,
        postgres,
        plain: false,
        payload: Payload::Thin,
        receivers: &[Manner::Good],
        parked,
    };
    let subject = Subject::start(&wish, &folder, &receiver)?;
    subject.rest()?;
    let at_rest_mb = subject.memory_mb("VmRSS")?;
    let made = Senders::open(&subject, 16)?.send_for(f64::from(seconds))?;
    receiver.wait_for(made.len(), PATIENCE)?;
    Ok((at_rest_mb, subject.memory_mb("VmHWM")?))
}
