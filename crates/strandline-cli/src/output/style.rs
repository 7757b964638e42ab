//! Colours, where a person looks on and has not said `NO_COLOR`.

use std::io::IsTerminal;

use strandline::Environment;

/// Whether text is coloured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    coloured: bool,
}

impl Style {
    /// For what nobody looks on.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { coloured: false };

    /// For what goes to this stream: see <https://no-color.org>.
    pub(crate) fn of(stream: &impl IsTerminal, environment: &dyn Environment) -> Self {
        let asked_not = environment.variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = environment.variable("TERM").is_some_and(|term| term == "dumb");
        Self { coloured: stream.is_terminal() && !asked_not && !dumb }
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.coloured_as("1;31", text)
    }

    pub(crate) fn hint(self, text: &str) -> String {
        self.coloured_as("1;36", text)
    }

    fn coloured_as(self, code: &str, text: &str) -> String {
        if self.coloured { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}
