//! Tests of the log through its public interface: vectors, properties, golden files, and judges nobody here wrote.

#[cfg(test)]
mod checkpoints;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod independent;
#[cfg(test)]
#[path = "../judges/mod.rs"]
mod judges;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod proof_files;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod served;
#[cfg(test)]
mod tiles;
#[cfg(test)]
mod vectors;
