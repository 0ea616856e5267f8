//! Why a call failed: the kind, which becomes a status, and the text.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    Invalid,
    Unsupported,
    Internal,
    Cancelled,
}

#[derive(Debug)]
pub struct Failure {
    pub kind: FailureKind,
    pub text: String,
}

impl Failure {
    pub fn invalid(text: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Invalid, text: text.into() }
    }

    pub fn unsupported(text: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Unsupported, text: text.into() }
    }

    pub fn internal(text: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Internal, text: text.into() }
    }

    pub fn cancelled(text: impl Into<String>) -> Failure {
        Failure { kind: FailureKind::Cancelled, text: text.into() }
    }
}
