//! The parts of Abyssal's text library that the field's own Rust libraries do best: tokenization exactly as Hugging
//! Face's, chat templates, and constrained replies. Seen from C++ through text_ffi.h alone.

mod chat_template;
mod constraint;
mod failure;
mod ffi;
mod ffi_constraint;
mod own_thread;
mod python_filters;
mod python_methods;
mod python_value;
mod template_source;
mod token_bytes;
mod tokenizer;
