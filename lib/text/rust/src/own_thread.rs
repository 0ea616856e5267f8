//! Work whose depth the input decides: on a thread of its own, so that what the host's stack leaves does not matter.

use std::panic::{catch_unwind, AssertUnwindSafe};
use std::thread;

use crate::failure::Failure;
use crate::ffi::panic_text;

/// Enough for the deepest template that minijinja admits.
const STACK_BYTES: usize = 64 << 20;

/// what: what the thread is for, in the error of one that does not start.
pub fn on_own_thread<T: Send>(what: &str, body: impl FnOnce() -> Result<T, Failure> + Send) -> Result<T, Failure> {
    thread::scope(|scope| {
        let caught = || {
            catch_unwind(AssertUnwindSafe(body))
                .unwrap_or_else(|payload| Err(Failure::internal(panic_text(payload.as_ref()))))
        };
        let spawned = thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, caught);
        let handle = spawned.map_err(|e| Failure::internal(format!("cannot start a thread for the {what}: {e}")))?;
        handle.join().unwrap_or_else(|payload| Err(Failure::internal(panic_text(payload.as_ref()))))
    })
}
