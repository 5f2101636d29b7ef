//! The verifier of webhooks beside the vectors of the wire format, other people's libraries, and whatever else arrives;
//! and the verifiers in other languages.

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod judges;
#[cfg(test)]
mod python;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod stores;
#[cfg(test)]
mod typescript;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod window;
#[cfg(test)]
mod workshop;
