//! Browser tests of these pages.
