//! The C entries of text_ffi.h: pointers in, status and text out, panics caught.

use std::any::Any;
use std::panic::{catch_unwind, set_hook, AssertUnwindSafe};
use std::slice;
use std::sync::Once;

use crate::chat_template::{ChatTemplate, RenderInput};
use crate::failure::{Failure, FailureKind};
use crate::tokenizer::TextTokenizer;

#[repr(C)]
pub struct Text {
    data: *mut u8,
    size: usize,
}

#[repr(C)]
pub struct Ids {
    data: *mut u32,
    size: usize,
}

#[repr(C)]
pub struct Vocabulary {
    count: usize,
    offsets: *const u64,
    bytes: *const u8,
    flags: *const u8,
    leading: i64,
    strip_count: usize,
    strip_byte: u8,
}

/// What a panic carried, as text.
pub fn panic_text(payload: &(dyn Any + Send)) -> String {
    let detail = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    format!("panic in the text library: {}", detail.unwrap_or_else(|| "no message".to_owned()))
}

/// Runs `body`; a failure or a panic becomes a status and a text. The default panic hook would print, so it is replaced
/// once; this crate's standard library is its own, so no other Rust code in the process is affected.
pub fn guarded(error: *mut Text, body: impl FnOnce() -> Result<(), Failure>) -> i32 {
    static SILENCE: Once = Once::new();
    SILENCE.call_once(|| set_hook(Box::new(|_| {})));
    let result = catch_unwind(AssertUnwindSafe(body))
        .unwrap_or_else(|payload| Err(Failure::internal(panic_text(payload.as_ref()))));
    let Err(failure) = result else { return 0 };
    // SAFETY: the caller passes a writable error.
    unsafe { error.write(text_out(failure.text)) };
    match failure.kind {
        FailureKind::Invalid => 1,
        FailureKind::Unsupported => 2,
        FailureKind::Internal => 3,
        FailureKind::Cancelled => 4,
    }
}

fn text_out(text: String) -> Text {
    let boxed = text.into_bytes().into_boxed_slice();
    let size = boxed.len();
    Text { data: Box::into_raw(boxed).cast(), size }
}

/// SAFETY: data points to size items that live for the call, or size is 0.
pub unsafe fn items_in<'a, T>(data: *const T, size: usize) -> &'a [T] {
    if size == 0 {
        &[]
    } else {
        slice::from_raw_parts(data, size)
    }
}

/// SAFETY: as `items_in`.
pub unsafe fn text_in<'a>(what: &str, data: *const u8, size: usize) -> Result<&'a str, Failure> {
    std::str::from_utf8(items_in(data, size))
        .map_err(|e| Failure::invalid(format!("{what}: invalid UTF-8 at byte {}", e.valid_up_to())))
}

/// SAFETY: handle is null, or came from Box::into_raw and is not used again.
pub unsafe fn free<T>(handle: *mut T) {
    if !handle.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(handle))));
    }
}

#[no_mangle]
pub unsafe extern "C" fn abytext_text_free(text: Text) {
    if !text.data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(text.data, text.size)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn abytext_ids_free(ids: Ids) {
    if !ids.data.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(ids.data, ids.size)));
    }
}

#[no_mangle]
pub unsafe extern "C" fn abytext_tokenizer_create(
    json: *const u8,
    size: usize,
    out: *mut *mut TextTokenizer,
    error: *mut Text,
) -> i32 {
    guarded(error, || {
        let tokenizer = TextTokenizer::new(items_in(json, size))?;
        out.write(Box::into_raw(Box::new(tokenizer)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn abytext_tokenizer_destroy(tokenizer: *mut TextTokenizer) {
    free(tokenizer);
}

#[no_mangle]
pub unsafe extern "C" fn abytext_tokenizer_vocabulary(tokenizer: *const TextTokenizer, out: *mut Vocabulary) {
    let table = (*tokenizer).table();
    out.write(Vocabulary {
        count: table.flags.len(),
        offsets: table.offsets.as_ptr(),
        bytes: table.bytes.as_ptr(),
        flags: table.flags.as_ptr(),
        leading: (*tokenizer).leading().map_or(-1, i64::from),
        strip_count: table.strip_count,
        strip_byte: table.strip_byte,
    });
}

#[no_mangle]
pub unsafe extern "C" fn abytext_tokenizer_encode(
    tokenizer: *const TextTokenizer,
    text: *const u8,
    size: usize,
    plain: i32,
    out: *mut Ids,
    error: *mut Text,
) -> i32 {
    guarded(error, || {
        let ids = (*tokenizer).encode(text_in("text", text, size)?, plain != 0)?.into_boxed_slice();
        let size = ids.len();
        out.write(Ids { data: Box::into_raw(ids).cast(), size });
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn abytext_tokenizer_token_id(
    tokenizer: *const TextTokenizer,
    content: *const u8,
    size: usize,
) -> i64 {
    catch_unwind(AssertUnwindSafe(|| {
        let content = std::str::from_utf8(items_in(content, size)).ok()?;
        (*tokenizer).token_id(content)
    }))
    .ok()
    .flatten()
    .map_or(-1, i64::from)
}

#[no_mangle]
pub unsafe extern "C" fn abytext_template_create(
    source: *const u8,
    source_size: usize,
    globals: *const u8,
    globals_size: usize,
    out: *mut *mut ChatTemplate,
    error: *mut Text,
) -> i32 {
    guarded(error, || {
        let source = text_in("chat template", source, source_size)?;
        let globals = text_in("special tokens", globals, globals_size)?;
        let compiled = ChatTemplate::new(source, globals)?;
        out.write(Box::into_raw(Box::new(compiled)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn abytext_template_destroy(compiled: *mut ChatTemplate) {
    free(compiled);
}

#[no_mangle]
pub unsafe extern "C" fn abytext_template_render(
    compiled: *const ChatTemplate,
    messages: *const u8,
    messages_size: usize,
    tools: *const u8,
    tools_size: usize,
    variables: *const u8,
    variables_size: usize,
    add_generation_prompt: i32,
    out: *mut Text,
    error: *mut Text,
) -> i32 {
    guarded(error, || {
        let input = RenderInput {
            messages: text_in("messages", messages, messages_size)?,
            tools: text_in("tools", tools, tools_size)?,
            variables: text_in("variables", variables, variables_size)?,
            add_generation_prompt: add_generation_prompt != 0,
        };
        out.write(text_out((*compiled).render(&input)?));
        Ok(())
    })
}
