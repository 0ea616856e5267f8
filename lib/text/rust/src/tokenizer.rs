//! Hugging Face's tokenizer, and the table that decodes its ids to exact bytes.

use serde_json::Value;
use tokenizers::{Model, NormalizedString, Normalizer, OffsetType, PreTokenizedString, PreTokenizer, Tokenizer};

use crate::failure::Failure;
use crate::token_bytes::{Decoder, TokenTable, TOKEN_EXISTS, TOKEN_SPECIAL};

/// No published vocabulary comes near; an id beyond it is damage, and would make the table huge.
const MAX_TOKEN_ID: u32 = (1 << 24) - 1;

pub struct TextTokenizer {
    inner: Tokenizer,
    table: TokenTable,
    leading: Option<u32>,
}

impl TextTokenizer {
    pub fn new(json: &[u8]) -> Result<TextTokenizer, Failure> {
        let mut inner = Tokenizer::from_bytes(json).map_err(|e| Failure::invalid(e.to_string()))?;
        // Cutting and padding are for training batches; ids here are those of the whole text.
        inner.with_truncation(None).map_err(|e| Failure::invalid(e.to_string()))?;
        inner.with_padding(None);
        let leading = serde_json::to_value(inner.get_post_processor())
            .ok()
            .and_then(|json| leading_special(&json))
            .and_then(|content| inner.token_to_id(&content));
        let table = build_table(&inner)?;
        Ok(TextTokenizer { inner, table, leading })
    }

    pub fn table(&self) -> &TokenTable {
        &self.table
    }

    /// The special token that the post-processor puts before a text.
    pub fn leading(&self) -> Option<u32> {
        self.leading
    }

    pub fn token_id(&self, content: &str) -> Option<u32> {
        self.inner.token_to_id(content)
    }

    pub fn encode(&self, text: &str, plain: bool) -> Result<Vec<u32>, Failure> {
        let encoding = if plain { self.encode_plain(text) } else { self.inner.encode_fast(text, false) };
        encoding.map(|e| e.get_ids().to_vec()).map_err(|e| Failure::invalid(e.to_string()))
    }

    /// The tokenizer's own steps without the one that looks for added tokens.
    fn encode_plain(&self, text: &str) -> tokenizers::Result<tokenizers::Encoding> {
        let mut normalized = NormalizedString::from(text);
        if let Some(normalizer) = self.inner.get_normalizer() {
            normalizer.normalize(&mut normalized)?;
        }
        let mut pieces = PreTokenizedString::from(normalized);
        if let Some(pre_tokenizer) = self.inner.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut pieces)?;
        }
        self.inner.get_model().tokenize_in_pretokenized(&mut pieces, None)?;
        pieces.into_encoding(None, 0, OffsetType::None)
    }
}

/// The content of the special token that comes first in a post-processor's template for one text.
fn leading_special(json: &Value) -> Option<String> {
    match json.get("type")?.as_str()? {
        "TemplateProcessing" => {
            let id = json.get("single")?.get(0)?.get("SpecialToken")?.get("id")?.as_str()?;
            let tokens = json.get("special_tokens").and_then(|map| map.get(id)).and_then(|t| t.get("tokens"));
            let content = tokens.and_then(|t| t.get(0)).and_then(Value::as_str);
            Some(content.unwrap_or(id).to_owned())
        }
        "BertProcessing" | "RobertaProcessing" => Some(json.get("cls")?.get(0)?.as_str()?.to_owned()),
        // The parts work one after another on the same text, so the last one's token is the outermost.
        "Sequence" => json.get("processors")?.as_array()?.iter().rev().find_map(leading_special),
        _ => None,
    }
}

fn build_table(inner: &Tokenizer) -> Result<TokenTable, Failure> {
    let decoder_json = serde_json::to_value(inner.get_decoder()).map_err(|e| Failure::invalid(e.to_string()))?;
    let decoder = Decoder::new(&decoder_json)?;
    let vocabulary = inner.get_model().get_vocab();
    let added = inner.get_added_tokens_decoder();
    let mut tokens: Vec<(u32, &str, bool)> = vocabulary.iter().map(|(text, &id)| (id, text.as_str(), false)).collect();
    tokens.extend(added.iter().map(|(&id, token)| (id, token.content.as_str(), true)));
    // An added token may have an id of the vocabulary, and comes after it here; it wins, as in Hugging Face's decoding.
    tokens.sort_unstable_by_key(|&(id, _, is_added)| (id, is_added));
    let Some(&(highest, content, _)) = tokens.last() else {
        return Err(Failure::invalid("the vocabulary is empty"));
    };
    if highest > MAX_TOKEN_ID {
        return Err(Failure::invalid(format!(
            "token {content:?} has the id {highest}, above the limit {MAX_TOKEN_ID}"
        )));
    }

    let mut table = TokenTable {
        offsets: Vec::with_capacity(highest as usize + 2),
        flags: vec![0; highest as usize + 1],
        strip_byte: decoder.strip_byte,
        strip_count: decoder.strip_count,
        ..TokenTable::default()
    };
    let mut position = 0;
    for id in 0..=highest {
        table.offsets.push(table.bytes.len() as u64);
        let start = position;
        while position < tokens.len() && tokens[position].0 == id {
            position += 1;
        }
        if position == start {
            continue; // a hole in the vocabulary
        }
        let (_, text, is_added) = tokens[position - 1];
        let flag = &mut table.flags[id as usize];
        *flag = TOKEN_EXISTS;
        if is_added {
            table.bytes.extend_from_slice(text.as_bytes());
            if added[&id].special {
                *flag |= TOKEN_SPECIAL;
            }
        } else {
            table.bytes.extend_from_slice(&decoder.bytes(text));
        }
    }
    table.offsets.push(table.bytes.len() as u64);
    Ok(table)
}
