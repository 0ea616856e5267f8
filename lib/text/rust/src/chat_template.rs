//! Chat templates rendered as transformers renders them: minijinja, with Python's meaning where Jinja2 has it.

use std::collections::BTreeMap;

use minijinja::machinery::{make_string_output, parse, CodeGenerator, Instruction, Instructions, Vm, WhitespaceConfig};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior, Value};
use serde_json::Value as Json;

use crate::failure::Failure;
use crate::own_thread::on_own_thread;
use crate::{python_filters, python_methods, template_source};

/// Instructions that one rendering may run; a long conversation needs some hundreds per message.
const FUEL: u64 = 20_000_000;
const MAX_SOURCE: usize = 4 << 20;
const NAME: &str = "chat template";
/// Names that messages give their reasoning; transformers fills the first and the second from whichever there is.
const REASONING_NAMES: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

pub struct RenderInput<'a> {
    pub messages: &'a str,
    pub tools: &'a str,
    pub variables: &'a str,
    pub add_generation_prompt: bool,
}

type Code = Instructions<'static>;

pub struct ChatTemplate {
    // The code borrows from the source, which is freed after it, by drop.
    code: Option<(Code, BTreeMap<&'static str, Code>)>,
    source: *mut str,
    environment: Option<Environment<'static>>,
    globals: Json,
}

// SAFETY: the source is owned, never written and freed once; the rest is Send and Sync.
unsafe impl Send for ChatTemplate {}
unsafe impl Sync for ChatTemplate {}

impl Drop for ChatTemplate {
    fn drop(&mut self) {
        self.code = None;
        self.environment = None;
        // SAFETY: made by Box::into_raw in new; nothing borrows it any more.
        drop(unsafe { Box::from_raw(self.source) });
    }
}

impl ChatTemplate {
    pub fn new(source: &str, globals: &str) -> Result<ChatTemplate, Failure> {
        if source.len() > MAX_SOURCE {
            return Err(Failure::invalid(format!("the template has {} bytes, more than {MAX_SOURCE}", source.len())));
        }
        let globals = parse_json("special tokens", globals)?;
        let source: *mut str = Box::into_raw(template_source::prepare(source).into_boxed_str());
        let mut template = ChatTemplate { code: None, source, environment: Some(environment()), globals };
        // SAFETY: the source lives until drop, which drops the code before it.
        let text: &'static str = unsafe { &*source };
        let compiled = on_own_thread("template", || compile(text).map_err(|e| Failure::invalid(error_text(&e))))?;
        template.code = Some(compiled);
        Ok(template)
    }

    pub fn render(&self, input: &RenderInput) -> Result<String, Failure> {
        let mut messages = messages_json(input.messages)?;
        let text = self.render_messages(input, &messages);
        // Chat APIs give null for the content of a call of tools. Where transformers fails on it, it is no text.
        if text.is_err() && null_contents_to_empty(&mut messages) {
            return self.render_messages(input, &messages).or(text);
        }
        text
    }

    fn render_messages(&self, input: &RenderInput, messages: &Json) -> Result<String, Failure> {
        let mut context = Vec::new();
        for (name, value) in self.globals.as_object().into_iter().flatten() {
            context.push((name.clone(), to_value(value)));
        }
        let documents = ("documents".to_owned(), Value::from(()));
        context.push(documents);
        let variables = parse_optional("variables", input.variables)?;
        let Some(variables) = variables.as_object() else {
            return Err(Failure::invalid("variables: a JSON object is expected"));
        };
        for (name, value) in variables {
            if ["messages", "tools", "add_generation_prompt"].contains(&name.as_str()) {
                return Err(Failure::invalid(format!("variables: {name} is an argument of its own")));
            }
            context.push((name.clone(), to_value(value)));
        }
        context.push(("messages".to_owned(), to_value(messages)));
        context.push(("tools".to_owned(), tools_value(input.tools)?));
        context.push(("add_generation_prompt".to_owned(), Value::from(input.add_generation_prompt)));
        on_own_thread("template", || self.run(Value::from_iter(context)))
    }

    fn run(&self, context: Value) -> Result<String, Failure> {
        let (Some((code, blocks)), Some(environment)) = (&self.code, &self.environment) else {
            return Err(Failure::internal("the template was not compiled"));
        };
        python_filters::reset_limits();
        let mut text = String::new();
        let mut output = make_string_output(&mut text);
        let result = Vm::new(environment).eval(code, context, blocks, &mut output, AutoEscape::None);
        drop(output);
        match result {
            Ok(_) => Ok(text),
            Err(error) => Err(Failure::invalid(error_text(&error))),
        }
    }
}

/// As transformers sets up Jinja2: lenient undefined, no escaping, no access to other templates.
fn environment() -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Lenient);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_unknown_method_callback(python_methods::call_method);
    env.set_fuel(Some(FUEL));
    env.set_debug(false);
    env.remove_global("debug");
    python_filters::install(&mut env);
    env
}

fn compile(source: &'static str) -> Result<(Code, BTreeMap<&'static str, Code>), Error> {
    let whitespace = WhitespaceConfig { keep_trailing_newline: false, lstrip_blocks: true, trim_blocks: true };
    let syntax = SyntaxConfig::default();
    let tree = parse(source, NAME, syntax, whitespace)?;
    let mut generator = CodeGenerator::new(NAME, source);
    generator.compile_stmt(&tree);
    let (mut code, mut blocks) = generator.finish();
    use_python_operators(&mut code);
    blocks.values_mut().for_each(use_python_operators);
    Ok((code, blocks))
}

/// Lets each operator whose meaning differs from Python's call a filter of ours (python_filters.rs) instead.
fn use_python_operators(code: &mut Code) {
    for index in 0..code.len() as u32 {
        let Some(instruction) = code.get_mut(index) else { continue };
        let name = match instruction {
            Instruction::Add => "operator_add",
            Instruction::StringConcat => "operator_concat",
            Instruction::Mul => "operator_mul",
            Instruction::IntDiv => "operator_int_div",
            Instruction::Rem => "operator_rem",
            _ => continue,
        };
        // The last argument says that the filter is looked up each time.
        *instruction = Instruction::ApplyFilter(name, Some(2), u8::MAX);
    }
}

fn error_text(error: &Error) -> String {
    let mut text = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    if let Some(line) = error.line() {
        text = format!("line {line}: {text}");
    }
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text.push_str(&format!(" ({inner})"));
        source = inner.source();
    }
    text
}

fn parse_json(what: &str, text: &str) -> Result<Json, Failure> {
    serde_json::from_str(text).map_err(|e| Failure::invalid(format!("{what}: invalid JSON: {e}")))
}

fn parse_optional(what: &str, text: &str) -> Result<Json, Failure> {
    if text.is_empty() {
        return Ok(Json::Object(serde_json::Map::new()));
    }
    parse_json(what, text)
}

fn messages_json(text: &str) -> Result<Json, Failure> {
    let mut messages = parse_json("messages", text)?;
    let Some(list) = messages.as_array_mut() else {
        return Err(Failure::invalid("messages: a JSON array is expected"));
    };
    for (index, message) in list.iter_mut().enumerate() {
        let Some(fields) = message.as_object_mut() else {
            return Err(Failure::invalid(format!("messages: item {index} is not a JSON object")));
        };
        let reasoning = REASONING_NAMES.iter().find_map(|&name| fields.get(name).filter(|v| !v.is_null()).cloned());
        if let Some(reasoning) = reasoning {
            if !fields.contains_key("thinking") {
                fields.shift_insert(0, "thinking".to_owned(), reasoning.clone());
            }
            fields.insert("reasoning_content".to_owned(), reasoning);
        }
    }
    Ok(messages)
}

/// Whether there were any.
fn null_contents_to_empty(messages: &mut Json) -> bool {
    let mut found = false;
    for message in messages.as_array_mut().into_iter().flatten() {
        if let Some(content) = message.get_mut("content").filter(|content| content.is_null()) {
            *content = Json::String(String::new());
            found = true;
        }
    }
    found
}

/// None when there are no tools, as a caller of transformers passes.
fn tools_value(text: &str) -> Result<Value, Failure> {
    if text.is_empty() {
        return Ok(Value::from(()));
    }
    match parse_json("tools", text)? {
        Json::Null => Ok(Value::from(())),
        Json::Array(list) => match list.iter().position(|tool| !tool.is_object()) {
            Some(index) => Err(Failure::invalid(format!("tools: item {index} is not a JSON object"))),
            None => Ok(to_value(&Json::Array(list))),
        },
        _ => Err(Failure::invalid("tools: a JSON array is expected")),
    }
}

fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => number
            .as_i64()
            .map(Value::from)
            .or_else(|| number.as_u64().map(Value::from))
            .unwrap_or_else(|| Value::from(number.as_f64().unwrap_or(f64::NAN))),
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => items.iter().map(to_value).collect(),
        Json::Object(fields) => fields.iter().map(|(name, value)| (name.as_str(), to_value(value))).collect(),
    }
}
