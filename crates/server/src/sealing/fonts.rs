//! Fonts of this machine, for the scripts that the embedded faces lack: names in Arabic, Hebrew, Han and the like.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use countersign_pdf::font::{FallbackFont, FallbackFonts};
use fontdb::{Database, FaceInfo, ID, Style, Weight};

/// The system's fonts: looked through once for each character, and read once for each face.
pub struct SystemFonts {
    database: Database,
    by_character: Mutex<BTreeMap<char, Option<ID>>>,
    read: Mutex<BTreeMap<ID, FallbackFont>>,
}

impl SystemFonts {
    /// Lists the fonts in the folders where the system keeps them. Their files are read when they are needed.
    pub fn list() -> Self {
        let mut database = Database::new();
        database.load_system_fonts();
        Self { database, by_character: Mutex::default(), read: Mutex::default() }
    }

    /// The best face with a glyph for the character: upright before slanted, regular before bold, then by name, so
    /// that the same machine always chooses the same.
    fn search(&self, character: char) -> Option<ID> {
        let rank = |face: &&FaceInfo| {
            let family = face.families.first().map(|(name, _)| name.clone()).unwrap_or_default();
            (face.style != Style::Normal, face.weight.0.abs_diff(Weight::NORMAL.0), family, face.index)
        };
        let mut faces: Vec<&FaceInfo> = self.database.faces().collect();
        faces.sort_by_cached_key(rank);
        faces.into_iter().find(|face| self.has_glyph(face.id, character)).map(|face| face.id)
    }

    fn has_glyph(&self, id: ID, character: char) -> bool {
        let found = self.database.with_face_data(id, |bytes, index| {
            let face = rustybuzz::Face::from_slice(bytes, index)?;
            // Faces that hold pictures instead of outlines cannot be embedded.
            let glyph = face.glyph_index(character)?;
            face.glyph_bounding_box(glyph).map(|_| ())
        });
        found.flatten().is_some()
    }

    fn read(&self, id: ID) -> Option<FallbackFont> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(font) = read.get(&id) {
            return Some(font.clone());
        }
        let font = self.database.with_face_data(id, |bytes, face_index| FallbackFont {
            bytes: Arc::from(bytes),
            face_index,
        })?;
        read.insert(id, font.clone());
        Some(font)
    }
}

impl FallbackFonts for SystemFonts {
    fn find(&self, character: char) -> Option<FallbackFont> {
        let mut known = self.by_character.lock().unwrap_or_else(PoisonError::into_inner);
        let id = *known.entry(character).or_insert_with(|| self.search(character));
        drop(known);
        self.read(id?)
    }
}
