//! Lines that others can cause, and that must not fill the log.

use std::time::{Duration, Instant};

const BETWEEN: Duration = Duration::from_secs(10);

/// Lets one line through every ten seconds.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    last: Option<Instant>,
    unsaid: u64,
}

impl Seldom {
    /// Whether it is time to speak: then, how often it was not.
    pub(crate) fn due(&mut self) -> Option<u64> {
        if self.last.is_some_and(|at| at.elapsed() < BETWEEN) {
            self.unsaid += 1;
            return None;
        }
        self.last = Some(Instant::now());
        Some(std::mem::take(&mut self.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_said_and_the_rest_is_counted() {
        let mut seldom = Seldom::default();
        assert_eq!([seldom.due(), seldom.due(), seldom.due()], [Some(0), None, None]);
        seldom.last = Instant::now().checked_sub(BETWEEN);
        assert_eq!([seldom.due(), seldom.due()], [Some(2), None]);
    }
}
