//! Where a recipient is, and how that is written.

/// Where a recipient is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecipientStatus {
    /// Not yet asked.
    Pending,
    /// Asked by mail.
    Notified,
    /// The mail was refused.
    Bounced,
    /// Has opened a document in an identified session.
    Viewed,
    /// Has signed.
    Signed,
    /// Has approved.
    Approved,
    /// Has read, which was all that was asked.
    Read,
    /// Has declined.
    Declined,
    /// Typed too many wrong codes.
    FactorLocked,
}

impl RecipientStatus {
    /// As it is written in answers.
    pub fn text(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Notified => "notified",
            Self::Bounced => "bounced",
            Self::Viewed => "viewed",
            Self::Signed => "signed",
            Self::Approved => "approved",
            Self::Read => "read",
            Self::Declined => "declined",
            Self::FactorLocked => "factor_locked",
        }
    }

    /// Whether the recipient has done its part.
    pub fn is_done(self) -> bool {
        matches!(self, Self::Signed | Self::Approved | Self::Read)
    }
}
