//! Integration tests of the PDF crate.

#[cfg(test)]
mod certify;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod documented;
#[cfg(test)]
mod drawing;
#[cfg(test)]
mod font;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod mutations;
#[cfg(test)]
mod place;
#[cfg(test)]
mod prefix;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod sealed_pages;
#[cfg(test)]
mod shaped;
#[cfg(test)]
mod shapes;
#[cfg(test)]
mod support;
#[cfg(test)]
mod survival;
#[cfg(test)]
mod throwaway;
