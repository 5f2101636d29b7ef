//! Integration tests of the PDF crate.

#[cfg(test)]
mod certify;
#[cfg(test)]
mod drawing;
#[cfg(test)]
mod font;
#[cfg(test)]
mod place;
#[cfg(test)]
mod sample;
