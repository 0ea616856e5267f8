//! The entries of text_ffi.h for constraints.

use llguidance::CancellationHandle;

use crate::constraint::{CompiledConstraint, Constraint, ConstraintCompiler, ConstraintKind};
use crate::failure::Failure;
use crate::ffi::{free, guarded, items_in, text_in, Text};
use crate::tokenizer::TextTokenizer;

#[no_mangle]
pub unsafe extern "C" fn abytext_constraint_compiler_create(
    tokenizer: *const TextTokenizer,
    vocab_size: usize,
    ends: *const u32,
    end_count: usize,
    out: *mut *mut ConstraintCompiler,
    error: *mut Text,
) -> i32 {
    guarded(error, || {
        let made = ConstraintCompiler::new((*tokenizer).table(), vocab_size, items_in(ends, end_count))?;
        out.write(Box::into_raw(Box::new(made)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn abytext_constraint_compiler_destroy(compiler: *mut ConstraintCompiler) {
    free(compiler);
}

#[no_mangle]
pub unsafe extern "C" fn abytext_constraint_compile(
    compiler: *const ConstraintCompiler,
    kind: i32,
    text: *const u8,
    size: usize,
    out: *mut *mut CompiledConstraint,
    error: *mut Text,
) -> i32 {
    guarded(error, || {
        let kind = match kind {
            1 => ConstraintKind::JsonSchema,
            2 => ConstraintKind::Regex,
            3 => ConstraintKind::Grammar,
            _ => return Err(Failure::internal(format!("no constraint has the kind {kind}"))),
        };
        let made = (*compiler).compile(kind, text_in("constraint", text, size)?)?;
        out.write(Box::into_raw(Box::new(made)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn abytext_compiled_constraint_destroy(compiled: *mut CompiledConstraint) {
    free(compiled);
}

#[no_mangle]
pub unsafe extern "C" fn abytext_constraint_begin(
    compiled: *const CompiledConstraint,
    out: *mut *mut Constraint,
    error: *mut Text,
) -> i32 {
    guarded(error, || {
        out.write(Box::into_raw(Box::new((*compiled).begin())));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn abytext_constraint_destroy(constraint: *mut Constraint) {
    free(constraint);
}

#[no_mangle]
pub unsafe extern "C" fn abytext_constraint_mask(
    constraint: *mut Constraint,
    out: *mut *const u32,
    error: *mut Text,
) -> i32 {
    guarded(error, || {
        out.write((*constraint).mask()?.as_ptr());
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn abytext_constraint_take(constraint: *mut Constraint, token: u32, error: *mut Text) -> i32 {
    guarded(error, || (*constraint).take(token))
}

#[no_mangle]
pub unsafe extern "C" fn abytext_constraint_cancellation(constraint: *const Constraint) -> *mut CancellationHandle {
    Box::into_raw(Box::new((*constraint).cancellation().clone()))
}

#[no_mangle]
pub unsafe extern "C" fn abytext_cancellation_request(cancellation: *const CancellationHandle) {
    (*cancellation).cancel();
}

#[no_mangle]
pub unsafe extern "C" fn abytext_cancellation_destroy(cancellation: *mut CancellationHandle) {
    free(cancellation);
}
