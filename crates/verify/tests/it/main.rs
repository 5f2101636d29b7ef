//! Tests of evidence packages, sealed PDFs and the program that checks them.

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod files;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod judges;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod operator;
#[cfg(test)]
mod program;
#[cfg(test)]
mod story;
#[cfg(test)]
mod untouched;
