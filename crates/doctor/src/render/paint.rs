//! Colours, when they are wanted.

/// What a piece of text is, so that it can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// `error`, and what is underlined for it.
    Error,
    /// `warning`, and what is underlined for it.
    Warning,
    /// `note`, and what is underlined for it.
    Note,
    /// A title.
    Title,
    /// Arrows, line numbers, bars.
    Frame,
    /// A label such as `cause`.
    Label,
    /// What goes.
    Removed,
    /// What comes.
    Added,
}

/// Wraps text in ANSI sequences, or leaves it as it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    pub(super) colours: bool,
}

impl Paint {
    pub(super) fn ink(self, ink: Ink, text: &str) -> String {
        if !self.colours || text.is_empty() {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Error => "1;31",
            Ink::Warning => "1;33",
            Ink::Note => "1;36",
            Ink::Title | Ink::Label => "1",
            Ink::Frame => "1;34",
            Ink::Removed => "31",
            Ink::Added => "32",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
