//! What the end of an attempt says of its target, and of what another could do.

use std::time::Duration;

/// Why an attempt brought no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The provider does not accept our credential, or wants to be paid.
    Credential,
    /// It does not know the model.
    Model,
    /// It takes no more for now.
    Limited {
        /// When it will, if it says.
        retry_after: Option<Duration>,
    },
    /// It failed, and may not if it is asked again.
    Failed(&'static str),
    /// The request is longer than the model's window.
    TooLong,
    /// The request is at fault: any other would say the same.
    Caller,
}
