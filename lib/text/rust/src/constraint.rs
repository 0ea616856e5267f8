//! Replies bound to a JSON schema, a regular expression or a Lark grammar, by llguidance: a compiled constraint follows
//! the bytes of the tokens that are drawn, and says which may come next.

use std::sync::Arc;

use llguidance::api::{StopReason, TopLevelGrammar};
use llguidance::toktrie::{ApproximateTokEnv, SimpleVob, TokEnv, TokRxInfo, TokTrie};
use llguidance::{CancellationHandle, Matcher, ParserFactory};
use serde_json::{json, Map, Value};

use crate::failure::Failure;
use crate::own_thread::on_own_thread;
use crate::token_bytes::{TokenTable, TOKEN_EXISTS, TOKEN_SPECIAL};

/// JSON's depth is bounded by its reader; that of the other two by their length, which thereby bounds the stack.
const MAX_SCHEMA: usize = 4 << 20;
const MAX_GRAMMAR: usize = 64 << 10;
/// toktrie walks a token's bytes on the stack, and counts them in a few bits. Longer ones are never allowed.
const MAX_TOKEN_BYTES: usize = 255;
/// Between the parts of JSON: one space, or a new line with its indentation. A model that is unsure of what comes next
/// would write blanks until the context is full. A schema says otherwise in "x-guidance", llguidance's own keyword.
const WHITESPACE: &str = r"\x20|\x0A[\x20\x09]{0,40}";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    JsonSchema,
    Regex,
    Grammar,
}

/// What the constraints of one model share: the bytes of its tokens as a tree.
pub struct ConstraintCompiler {
    factory: ParserFactory,
}

/// A grammar ready to follow replies.
pub struct CompiledConstraint {
    matcher: Matcher,
}

/// One reply's way through it.
pub struct Constraint {
    matcher: Matcher,
    cancellation: CancellationHandle,
    mask: Option<SimpleVob>,
}

impl ConstraintCompiler {
    /// table: the tokenizer's. A mask has a bit for each of vocab_size ids, and one more for the end of the reply: which
    /// ids end one is the caller's matter, and those in `ends` are never text.
    pub fn new(table: &TokenTable, vocab_size: usize, ends: &[u32]) -> Result<ConstraintCompiler, Failure> {
        let mut words: Vec<Vec<u8>> = (0..vocab_size).map(|id| word(table, id)).collect();
        for &end in ends {
            if let Some(word) = words.get_mut(end as usize) {
                word.clear();
            }
        }
        words.push(Vec::new());
        let count = u32::try_from(words.len()).map_err(|_| Failure::invalid("the vocabulary is too large"))?;
        on_own_thread("constraint", || {
            let trie = TokTrie::from(&TokRxInfo::new(count, count - 1), &words);
            let environment: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
            let mut factory = ParserFactory::new_simple(&environment).map_err(|e| Failure::internal(reason(e)))?;
            factory.quiet();
            factory.limits_mut().verbose_errors = false;
            Ok(ConstraintCompiler { factory })
        })
    }

    pub fn compile(&self, kind: ConstraintKind, text: &str) -> Result<CompiledConstraint, Failure> {
        check_length(kind, text)?;
        on_own_thread("constraint", || {
            let grammar = match kind {
                ConstraintKind::JsonSchema => {
                    let schema = serde_json::from_str(text).map_err(|e| Failure::invalid(e.to_string()))?;
                    TopLevelGrammar::from_json_schema(with_whitespace(schema))
                }
                ConstraintKind::Regex => TopLevelGrammar::from_regex(text),
                ConstraintKind::Grammar => TopLevelGrammar::from_lark(text.to_owned()),
            };
            let parser = self.factory.create_parser(grammar).map_err(|e| Failure::invalid(reason(e)))?;
            let matcher = Matcher::new(Ok(parser));
            if let Some(error) = matcher.get_error() {
                return Err(Failure::invalid(reason(error)));
            }
            Ok(CompiledConstraint { matcher })
        })
    }
}

impl CompiledConstraint {
    pub fn begin(&self) -> Constraint {
        let matcher = self.matcher.deep_clone().into_cancellable();
        let cancellation = matcher.cancellation_handle().unwrap_or_default();
        Constraint { matcher, cancellation, mask: None }
    }
}

impl Constraint {
    /// A bit for each id of the vocabulary and for the end, as 32-bit words. Computed once for each token.
    pub fn mask(&mut self) -> Result<&[u32], Failure> {
        if self.mask.is_none() {
            self.mask = Some(self.matcher.compute_mask_or_eos().map_err(|e| self.failure(e))?);
        }
        Ok(self.mask.as_ref().map_or(&[], SimpleVob::as_slice))
    }

    /// Goes on behind a token that the mask allows.
    pub fn take(&mut self, token: u32) -> Result<(), Failure> {
        self.matcher.consume_token(token).map_err(|e| self.failure(e))?;
        self.mask = None;
        Ok(())
    }

    /// What interrupts the other two, for good, from any thread.
    pub fn cancellation(&self) -> &CancellationHandle {
        &self.cancellation
    }

    fn failure(&self, error: impl std::fmt::Display) -> Failure {
        match self.matcher.stop_reason() {
            StopReason::Cancelled => Failure::cancelled("the constraint was cancelled"),
            _ => Failure::unsupported(reason(error)),
        }
    }
}

/// The bytes that a token stands for in a text. llguidance marks special tokens with a byte that no text has.
fn word(table: &TokenTable, id: usize) -> Vec<u8> {
    let flags = table.flags.get(id).copied().unwrap_or(0);
    if flags & TOKEN_EXISTS == 0 {
        return Vec::new();
    }
    let bytes = &table.bytes[table.offsets[id] as usize..table.offsets[id + 1] as usize];
    if bytes.is_empty() || bytes.len() >= MAX_TOKEN_BYTES {
        return Vec::new();
    }
    if flags & TOKEN_SPECIAL != 0 {
        return [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes].concat();
    }
    if bytes[0] == TokTrie::SPECIAL_TOKEN_MARKER {
        return Vec::new();
    }
    bytes.to_vec()
}

fn with_whitespace(schema: Value) -> Value {
    let mut fields = match schema {
        Value::Object(fields) => fields,
        Value::Bool(true) => Map::new(),
        other => return other,
    };
    fields.entry("x-guidance").or_insert_with(|| json!({ "whitespace_pattern": WHITESPACE }));
    Value::Object(fields)
}

fn check_length(kind: ConstraintKind, text: &str) -> Result<(), Failure> {
    let most = if kind == ConstraintKind::JsonSchema { MAX_SCHEMA } else { MAX_GRAMMAR };
    if text.trim().is_empty() && kind != ConstraintKind::Regex || text.is_empty() {
        return Err(Failure::invalid("it is empty"));
    }
    if text.len() > most {
        return Err(Failure::invalid(format!("it has {} bytes; at most {most} are read", text.len())));
    }
    // llguidance would drop it.
    let backslashes = text.bytes().rev().take_while(|&byte| byte == b'\\').count();
    if kind == ConstraintKind::Regex && backslashes % 2 == 1 {
        return Err(Failure::invalid("it ends in a lone backslash"));
    }
    Ok(())
}

/// llguidance's reason as one line, without the dumps that follow it and the picture of the place, "1 | text" and "^".
fn reason(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let end = ["\n<state>", "\n<non-verbose/>", "\n<backtrace>"].iter().filter_map(|mark| text.find(mark)).min();
    let picture =
        |line: &str| line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').starts_with(['|', '^']);
    let lines = text[..end.unwrap_or(text.len())].lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !picture(line)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token for each byte below 128, of which 127 is special.
    fn compiler() -> ConstraintCompiler {
        let mut table = TokenTable::default();
        for byte in 0..128u8 {
            table.offsets.push(table.bytes.len() as u64);
            table.bytes.push(byte);
            table.flags.push(if byte == 127 { TOKEN_EXISTS | TOKEN_SPECIAL } else { TOKEN_EXISTS });
        }
        table.offsets.push(table.bytes.len() as u64);
        ConstraintCompiler::new(&table, 130, &[]).unwrap()
    }

    fn refused(kind: ConstraintKind, text: &str) -> String {
        let failure = compiler().compile(kind, text).err().unwrap();
        assert_eq!(failure.kind, crate::failure::FailureKind::Invalid);
        failure.text
    }

    fn allowed(constraint: &mut Constraint) -> Vec<usize> {
        let words = constraint.mask().unwrap().to_vec();
        (0..words.len() * 32).filter(|id| words[id / 32] >> (id % 32) & 1 != 0).collect()
    }

    #[test]
    fn a_constraint_follows_the_tokens() {
        let mut constraint = compiler().compile(ConstraintKind::Regex, "ab?").unwrap().begin();
        assert_eq!(allowed(&mut constraint), [97]);
        constraint.take(97).unwrap();
        assert_eq!(allowed(&mut constraint), [98, 130]);
        constraint.take(98).unwrap();
        assert_eq!(allowed(&mut constraint), [130]);
    }

    #[test]
    fn replies_share_what_is_compiled() {
        let compiled = compiler().compile(ConstraintKind::Regex, "a[bc]").unwrap();
        let (mut one, mut other) = (compiled.begin(), compiled.begin());
        one.take(97).unwrap();
        assert_eq!(allowed(&mut one), [98, 99]);
        assert_eq!(allowed(&mut other), [97]);
        one.cancellation().cancel();
        assert!(one.take(98).is_err());
        other.take(97).unwrap();
        assert_eq!(allowed(&mut other), [98, 99]);
    }

    fn admits(constraint: &mut Constraint, text: &str) -> bool {
        text.bytes().all(|byte| allowed(constraint).contains(&byte.into()) && constraint.take(byte.into()).is_ok())
    }

    #[test]
    fn blanks_in_json_are_few() {
        let schema = r#"{"type": "array", "items": {"type": "boolean"}}"#;
        let compile = || compiler().compile(ConstraintKind::JsonSchema, schema).unwrap().begin();
        assert!(admits(&mut compile(), "[true, false]"));
        assert!(admits(&mut compile(), "[true,false]"));
        assert!(admits(&mut compile(), "[\n  true,\n  false\n]"));
        assert!(!admits(&mut compile(), "[  true"));
        assert!(!admits(&mut compile(), "[\n\n"));
        let free = r#"{"type": "array", "items": {"type": "boolean"}, "x-guidance": {"whitespace_flexible": true}}"#;
        assert!(admits(&mut compiler().compile(ConstraintKind::JsonSchema, free).unwrap().begin(), "[  \n\n true"));
        assert!(admits(
            &mut compiler().compile(ConstraintKind::JsonSchema, "true").unwrap().begin(),
            "{\"a\": [1, null]}"
        ));
    }

    #[test]
    fn depth_does_not_overflow_the_stack() {
        let deep = "(".repeat(60_000);
        refused(ConstraintKind::Grammar, &format!("start: {deep}"));
        refused(ConstraintKind::Regex, &deep);
        refused(ConstraintKind::JsonSchema, &"{\"items\":".repeat(100_000));
        let chain: String = (0..4_000).map(|i| format!("r{i}: r{}\n", i + 1)).collect();
        let text = format!("start: r0\n{chain}r4000: \"x\"\n");
        assert_eq!(allowed(&mut compiler().compile(ConstraintKind::Grammar, &text).unwrap().begin()), [120]);
    }

    #[test]
    fn errors_say_why() {
        assert!(refused(ConstraintKind::JsonSchema, "{").contains("line 1"));
        assert!(refused(ConstraintKind::JsonSchema, "{\"type\": \"integr\"}").contains("integr"));
        assert!(refused(ConstraintKind::Regex, "a(b").contains("unclosed group"));
        assert_eq!(refused(ConstraintKind::Regex, "a\\"), "it ends in a lone backslash");
        assert!(refused(ConstraintKind::Grammar, "start: nothing").contains("nothing"));
        assert_eq!(refused(ConstraintKind::Grammar, " \n"), "it is empty");
    }
}
