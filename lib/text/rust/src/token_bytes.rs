//! The exact bytes of every token, from the decoder that tokenizer.json names.
//!
//! Hugging Face decodes to text and replaces what is not UTF-8; a token may hold part of a character, so here each token
//! has its bytes, and a text's bytes are those of its tokens one after another.

use std::borrow::Cow;

use serde_json::Value;

use crate::failure::Failure;

pub const TOKEN_EXISTS: u8 = 1;
pub const TOKEN_SPECIAL: u8 = 2;

/// Token i is `bytes[offsets[i]..offsets[i + 1]]`.
#[derive(Default)]
pub struct TokenTable {
    pub offsets: Vec<u64>,
    pub bytes: Vec<u8>,
    pub flags: Vec<u8>,
    pub strip_byte: u8,
    pub strip_count: usize,
}

/// One step of a decoder, on a single token.
enum Step {
    ByteLevel,
    ByteFallback,
    Replace { from: String, to: String },
}

/// A decoder that works token by token, but for what it strips from the start of the whole text.
pub struct Decoder {
    steps: Vec<Step>,
    pub strip_byte: u8,
    pub strip_count: usize,
}

impl Decoder {
    /// From the "decoder" of tokenizer.json.
    pub fn new(json: &Value) -> Result<Decoder, Failure> {
        let mut decoder = Decoder { steps: Vec::new(), strip_byte: b' ', strip_count: 0 };
        let mut fused = false;
        decoder.add(json, &mut fused)?;
        Ok(decoder)
    }

    fn add(&mut self, json: &Value, fused: &mut bool) -> Result<(), Failure> {
        let text = |key: &str| json.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        let count = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or(0);
        match json.get("type").and_then(Value::as_str) {
            Some("Sequence") => {
                for part in json.get("decoders").and_then(Value::as_array).into_iter().flatten() {
                    self.add(part, fused)?;
                }
            }
            Some("ByteLevel") => self.steps.push(Step::ByteLevel),
            Some("ByteFallback") => self.steps.push(Step::ByteFallback),
            Some("Fuse") => *fused = true,
            Some("Replace") => {
                let from =
                    json.get("pattern").and_then(|p| p.get("String")).and_then(Value::as_str).ok_or_else(|| {
                        Failure::unsupported("decoder Replace with a regular expression is not supported")
                    })?;
                self.steps.push(Step::Replace { from: from.to_owned(), to: text("content") });
            }
            Some("Metaspace") => {
                self.steps.push(Step::Replace { from: text("replacement"), to: " ".to_owned() });
                if text("prepend_scheme") != "never" {
                    self.strip_count = 1;
                }
            }
            Some("Strip") => {
                let content = text("content");
                if !*fused || count("stop") != 0 || content.len() != 1 {
                    return Err(Failure::unsupported(
                        "decoder Strip is supported only after Fuse, at the start, of one ASCII character",
                    ));
                }
                self.strip_byte = content.as_bytes()[0];
                self.strip_count = count("start") as usize;
            }
            Some(other) => return Err(Failure::unsupported(format!("decoder {other} is not supported"))),
            None => return Err(Failure::unsupported("a tokenizer without a decoder is not supported")),
        }
        Ok(())
    }

    /// The bytes of an ordinary token; an added token's are its content as it is.
    pub fn bytes(&self, token: &str) -> Vec<u8> {
        let mut text = Cow::Borrowed(token);
        for step in &self.steps {
            match step {
                Step::Replace { from, to } if !from.is_empty() => text = Cow::Owned(text.replace(from.as_str(), to)),
                Step::Replace { .. } => {}
                Step::ByteFallback => {
                    if let Some(byte) = fallback_byte(&text) {
                        return vec![byte];
                    }
                }
                Step::ByteLevel => {
                    // A token with a character outside the map is not byte-level text; it stands for itself.
                    return text
                        .chars()
                        .map(byte_of_char)
                        .collect::<Option<Vec<u8>>>()
                        .unwrap_or_else(|| text.as_bytes().to_vec());
                }
            }
        }
        text.into_owned().into_bytes()
    }
}

/// "<0x0A>" -> 10
fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() != 2 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

/// GPT-2's byte-level alphabet: the printable bytes of Latin-1 stand for themselves; the other 68, in order, are the
/// characters from U+0100 on.
fn is_printable(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff)
}

fn byte_of_char(c: char) -> Option<u8> {
    let code = c as u32;
    if code < 256 {
        return Some(code as u8).filter(|&byte| is_printable(byte));
    }
    (0..=255u8).filter(|&byte| !is_printable(byte)).nth((code - 256) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_alphabet_is_a_bijection() {
        let mut seen = [false; 256];
        for code in 0..0x200 {
            if let Some(byte) = char::from_u32(code).and_then(byte_of_char) {
                assert!(!std::mem::replace(&mut seen[byte as usize], true));
            }
        }
        assert!(seen.iter().all(|&s| s));
        assert_eq!(byte_of_char('\u{120}'), Some(b' '));
        assert_eq!(byte_of_char('\u{10a}'), Some(b'\n'));
        assert_eq!(byte_of_char('\u{143}'), Some(0xad));
        assert_eq!(byte_of_char('\u{144}'), None);
    }
}
