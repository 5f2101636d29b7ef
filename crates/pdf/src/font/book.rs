//! The embedded faces, parsed once per process, and the way to the machine's own fonts.

use super::plain::PlainTable;
use super::ready::ReadyFont;
use super::{FallbackFonts, Typeface};
use rustybuzz::{Direction, Face, Script, ShapePlan, script};
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The face of typed signatures, Great Vibes, as a TrueType file: for pages that show how a signature will look.
pub const SIGNATURE_FONT: &[u8] = include_bytes!("../../fonts/GreatVibes-Regular.ttf");

/// An embedded face: Noto and Great Vibes, SIL Open Font License, see `fonts/README.md`.
pub(crate) struct EmbeddedFace {
    pub(super) name: &'static str,
    pub(super) bytes: &'static [u8],
    pub(super) face: Face<'static>,
    latin: ShapePlan,
    greek: ShapePlan,
    cyrillic: ShapePlan,
    plain: OnceLock<PlainTable>,
    /// Whether most of what is set in it is plain text.
    is_for_text: bool,
    ready: OnceLock<Option<ReadyFont>>,
}

impl EmbeddedFace {
    fn parse(name: &'static str, bytes: &'static [u8], is_for_text: bool) -> Self {
        let Some(face) = Face::from_slice(bytes, 0) else {
            unreachable!("{name} is part of this program and was parsed by its tests")
        };
        let plan = |script| ShapePlan::new(&face, Direction::LeftToRight, Some(script), None, &[]);
        let (latin, greek, cyrillic) = (plan(script::LATIN), plan(script::GREEK), plan(script::CYRILLIC));
        let (plain, ready) = (OnceLock::new(), OnceLock::new());
        Self { name, bytes, face, latin, greek, cyrillic, plain, is_for_text, ready }
    }

    /// The subset that most files need of a face for text, made at the first use. A face that cannot be subset has
    /// none: the file that needs it will say why.
    pub(super) fn ready(&self) -> Option<&ReadyFont> {
        let make = || ReadyFont::make(self.bytes, self.plain()).ok();
        if self.is_for_text { self.ready.get_or_init(make).as_ref() } else { None }
    }

    /// The table for plain text, built at the first use.
    pub(super) fn plain(&self) -> &PlainTable {
        self.plain.get_or_init(|| PlainTable::build(&self.face, &self.latin))
    }

    /// The plan for left-to-right text, with the script it was made for.
    pub(super) fn plan(&self, script: unicode_script::Script) -> (Script, &ShapePlan) {
        match script {
            unicode_script::Script::Greek => (script::GREEK, &self.greek),
            unicode_script::Script::Cyrillic => (script::CYRILLIC, &self.cyrillic),
            _ => (script::LATIN, &self.latin),
        }
    }
}

/// All faces that text may be drawn with. Made once per process: it holds the parsed tables.
pub struct FontBook {
    faces: Vec<EmbeddedFace>,
    fallback: Option<Arc<dyn FallbackFonts>>,
}

/// Positions of the embedded faces, the same in [`FontBook`] and in every `FontSubsets`.
pub(super) const TEXT: usize = 0;
const TEXT_BOLD: usize = 1;
const MONO: usize = 2;
const SCRIPT: usize = 3;
pub(super) const ITALIC: usize = 4;

impl FontBook {
    /// The embedded faces alone.
    pub fn new() -> Self {
        let text = |name, bytes| EmbeddedFace::parse(name, bytes, true);
        let hand = |name, bytes| EmbeddedFace::parse(name, bytes, false);
        let faces = vec![
            text("NotoSans-Regular", include_bytes!("../../fonts/NotoSans-Regular.ttf")),
            text("NotoSans-SemiBold", include_bytes!("../../fonts/NotoSans-SemiBold.ttf")),
            text("NotoSansMono-Regular", include_bytes!("../../fonts/NotoSansMono-Regular.ttf")),
            hand("GreatVibes-Regular", SIGNATURE_FONT),
            hand("NotoSerif-Italic", include_bytes!("../../fonts/NotoSerif-Italic.ttf")),
        ];
        Self { faces, fallback: None }
    }

    /// Adds the machine's fonts for characters that the embedded faces lack.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Arc<dyn FallbackFonts>) -> Self {
        self.fallback = Some(fallback);
        self
    }

    pub(super) fn embedded(&self) -> &[EmbeddedFace] {
        &self.faces
    }

    pub(super) fn fallback(&self) -> Option<&dyn FallbackFonts> {
        self.fallback.as_deref()
    }

    /// Embedded faces to try for a typeface, best first.
    pub(super) fn candidates(typeface: Typeface) -> &'static [usize] {
        match typeface {
            Typeface::Text => &[TEXT],
            Typeface::TextBold => &[TEXT_BOLD, TEXT],
            Typeface::Mono => &[MONO, TEXT],
            Typeface::Signature => &[SCRIPT, ITALIC, TEXT],
        }
    }
}

impl Default for FontBook {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FontBook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.faces.iter().map(|face| face.name).collect();
        formatter.debug_struct("FontBook").field("faces", &names).finish_non_exhaustive()
    }
}
