//! Page geometry: from the displayed page (points, origin top left, crop box and rotation applied) to user space.

use serde::{Deserialize, Serialize};

/// A rectangle in user space of a page, normalised so that `left <= right` and `bottom <= top`. Points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserRect {
    /// Smallest x.
    pub left: f64,
    /// Smallest y.
    pub bottom: f64,
    /// Largest x.
    pub right: f64,
    /// Largest y.
    pub top: f64,
}

/// A rectangle on the page as displayed: points, origin top left, crop box and rotation applied.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DisplayRect {
    /// Distance of the left edge from the left of the displayed page.
    pub x: f64,
    /// Distance of the upper edge from the top of the displayed page.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// What decides how a page is displayed (ISO 32000-2 §7.7.3.3): the crop box already intersected with the media
/// box, the rotation in degrees clockwise (0, 90, 180 or 270), and the user unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PageGeometry {
    /// Visible part of the page in user space.
    pub crop: UserRect,
    /// Clockwise rotation when displayed: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Size of a user-space unit in points (`/UserUnit`, 1 by default).
    pub user_unit: f64,
}

impl PageGeometry {
    /// Width and height of the page as displayed, in points.
    pub fn displayed_size(&self) -> (f64, f64) {
        let width = (self.crop.right - self.crop.left) * self.user_unit;
        let height = (self.crop.top - self.crop.bottom) * self.user_unit;
        if self.rotation == 90 || self.rotation == 270 { (height, width) } else { (width, height) }
    }

    /// The matrix `[a b c d e f]` that takes a drawing whose origin is the top left of the displayed page, with y
    /// pointing down and points as unit, into user space.
    pub fn display_to_user(&self) -> [f64; 6] {
        let UserRect { left, bottom, right, top } = self.crop;
        let unit = 1.0 / self.user_unit;
        match self.rotation {
            90 => [0.0, unit, unit, 0.0, left, bottom],
            180 => [-unit, 0.0, 0.0, unit, right, bottom],
            270 => [0.0, -unit, -unit, 0.0, right, top],
            _ => [unit, 0.0, 0.0, -unit, left, top],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(m: [f64; 6], x: f64, y: f64) -> (f64, f64) {
        (m[0] * x + m[2] * y + m[4], m[1] * x + m[3] * y + m[5])
    }

    /// S-1: displayed top left maps to the corner that the rotation brings to the top left.
    #[test]
    fn corners_of_the_displayed_page_map_to_corners_of_the_crop_box() {
        let crop = UserRect { left: 10.0, bottom: 20.0, right: 110.0, top: 220.0 };
        for (rotation, top_left, bottom_right) in [
            (0, (10.0, 220.0), (110.0, 20.0)),
            (90, (10.0, 20.0), (110.0, 220.0)),
            (180, (110.0, 20.0), (10.0, 220.0)),
            (270, (110.0, 220.0), (10.0, 20.0)),
        ] {
            let page = PageGeometry { crop, rotation, user_unit: 1.0 };
            let (width, height) = page.displayed_size();
            assert_eq!(apply(page.display_to_user(), 0.0, 0.0), top_left, "rotation {rotation}");
            assert_eq!(apply(page.display_to_user(), width, height), bottom_right, "rotation {rotation}");
        }
    }
}
