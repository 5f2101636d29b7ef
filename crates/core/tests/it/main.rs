//! Tests of the rules through their public face: encoding, decisions, fields, erasure.

#[cfg(test)]
mod asks;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod canonical;
#[cfg(test)]
mod catalogue;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod oauth_fapi2;
#[cfg(test)]
mod passkeys;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod receipts;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod security_samples;
#[cfg(test)]
mod sessions;
#[cfg(test)]
mod values;
#[cfg(test)]
mod world;
