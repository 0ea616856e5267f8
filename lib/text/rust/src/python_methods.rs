//! Python's methods of str, dict and list, as templates call them. What is not here is left to minijinja-contrib.

use minijinja::value::{from_args, Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

use crate::python_value::to_str;

pub fn call_method(state: &State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match value.kind() {
        ValueKind::String => string_method(state, value.as_str().unwrap_or_default(), method, args),
        ValueKind::Map => map_method(value, method, args),
        ValueKind::Seq | ValueKind::Iterable => list_method(value, method, args),
        _ => Err(unknown()),
    };
    match own {
        Err(error) if error.kind() == ErrorKind::UnknownMethod => {
            minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args)
        }
        result => result,
    }
}

fn unknown() -> Error {
    Error::from(ErrorKind::UnknownMethod)
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.into())
}

/// Python's white space: Unicode's and the four information separators.
pub fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Arguments by position or by name; an explicit None counts as not given.
struct Arguments<'a> {
    positional: &'a [Value],
    named: Kwargs,
}

impl<'a> Arguments<'a> {
    fn new(args: &'a [Value], most: usize) -> Result<Arguments<'a>, Error> {
        let (positional, named): (&[Value], Kwargs) = from_args(args)?;
        if positional.len() > most {
            return Err(Error::from(ErrorKind::TooManyArguments));
        }
        Ok(Arguments { positional, named })
    }

    fn value(&self, index: usize, name: &str) -> Result<Option<Value>, Error> {
        let value = match self.positional.get(index) {
            Some(value) => Some(value.clone()),
            None if self.named.has(name) => Some(self.named.get(name)?),
            None => None,
        };
        Ok(value.filter(|v| !v.is_none()))
    }

    fn text(&self, index: usize, name: &str) -> Result<Option<String>, Error> {
        self.value(index, name)?
            .map(|v| v.as_str().map(str::to_owned).ok_or_else(|| bad("a string is expected")))
            .transpose()
    }

    fn required_text(&self, index: usize, name: &str) -> Result<String, Error> {
        self.text(index, name)?.ok_or_else(|| Error::from(ErrorKind::MissingArgument))
    }

    fn number(&self, index: usize, name: &str) -> Result<Option<i64>, Error> {
        self.value(index, name)?.map(|v| v.as_i64().ok_or_else(|| bad("an integer is expected"))).transpose()
    }
}

fn string_method(state: &State, s: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "strip" | "lstrip" | "rstrip" => {
            let chars = Arguments::new(args, 1)?.text(0, "chars")?;
            let drop = |c: char| chars.as_ref().map_or_else(|| is_space(c), |set| set.contains(c));
            let mut rest = s;
            if method != "rstrip" {
                rest = rest.trim_start_matches(drop);
            }
            if method != "lstrip" {
                rest = rest.trim_end_matches(drop);
            }
            Ok(Value::from(rest))
        }
        "split" | "rsplit" => split(s, method == "rsplit", args),
        "splitlines" => {
            let keep = Arguments::new(args, 1)?.value(0, "keepends")?.is_some_and(|v| v.is_true());
            Ok(split_lines(s, keep).into_iter().map(Value::from).collect())
        }
        "startswith" | "endswith" => affix(s, method == "startswith", args),
        "find" | "rfind" | "index" | "rindex" | "count" => search(s, method, args),
        "partition" | "rpartition" => {
            let separator = Arguments::new(args, 1)?.required_text(0, "sep")?;
            if separator.is_empty() {
                return Err(bad("empty separator"));
            }
            let found = if method == "partition" { s.split_once(&separator) } else { s.rsplit_once(&separator) };
            let parts = match (found, method) {
                (Some((head, tail)), _) => [head, separator.as_str(), tail],
                (None, "partition") => [s, "", ""],
                (None, _) => ["", "", s],
            };
            Ok(parts.into_iter().map(Value::from).collect())
        }
        "removeprefix" => {
            let prefix = Arguments::new(args, 1)?.required_text(0, "prefix")?;
            Ok(Value::from(s.strip_prefix(prefix.as_str()).unwrap_or(s)))
        }
        "removesuffix" => {
            let suffix = Arguments::new(args, 1)?.required_text(0, "suffix")?;
            Ok(Value::from(s.strip_suffix(suffix.as_str()).unwrap_or(s)))
        }
        "join" => join(s, args),
        "replace" => state.apply_filter("replace", &[&[Value::from(s)], args].concat()),
        "capitalize" => {
            let mut chars = s.chars();
            let head: String = chars.next().into_iter().flat_map(char::to_uppercase).collect();
            Ok(Value::from(head + &chars.as_str().to_lowercase()))
        }
        "title" => Ok(Value::from(title(s))),
        "islower" => Ok(Value::from(s.chars().any(char::is_lowercase) && !s.chars().any(char::is_uppercase))),
        "isupper" => Ok(Value::from(s.chars().any(char::is_uppercase) && !s.chars().any(char::is_lowercase))),
        "isspace" => Ok(Value::from(!s.is_empty() && s.chars().all(is_space))),
        "isdigit" | "isnumeric" | "isalnum" | "isalpha" if s.is_empty() => Ok(Value::from(false)),
        "swapcase" => Ok(Value::from(s.chars().map(swap_case).collect::<String>())),
        "casefold" => Ok(Value::from(s.to_lowercase().replace('ß', "ss"))),
        "zfill" | "ljust" | "rjust" | "center" => pad(s, method, args),
        _ => Err(unknown()),
    }
}

fn split(s: &str, from_right: bool, args: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::new(args, 2)?;
    let separator = arguments.text(0, "sep")?;
    let most = arguments.number(1, "maxsplit")?.unwrap_or(-1);
    let pieces = usize::try_from(most).map_or(usize::MAX, |n| n.saturating_add(1));
    let mut parts: Vec<&str> = match &separator {
        Some(sep) if sep.is_empty() => return Err(bad("empty separator")),
        Some(sep) if from_right => s.rsplitn(pieces, sep.as_str()).collect(),
        Some(sep) => s.splitn(pieces, sep.as_str()).collect(),
        None => split_space(s, from_right, pieces),
    };
    if from_right {
        parts.reverse();
    }
    Ok(parts.into_iter().map(Value::from).collect())
}

/// Runs of white space separate, and there are no empty parts; from the right, the parts come last first.
fn split_space(s: &str, from_right: bool, pieces: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = if from_right { s.trim_end_matches(is_space) } else { s.trim_start_matches(is_space) };
    while !rest.is_empty() {
        let cut = if from_right { rest.rfind(is_space) } else { rest.find(is_space) };
        match cut {
            Some(at) if parts.len() + 1 < pieces => {
                if from_right {
                    let after = at + rest[at..].chars().next().map_or(1, char::len_utf8);
                    parts.push(&rest[after..]);
                    rest = rest[..at].trim_end_matches(is_space);
                } else {
                    parts.push(&rest[..at]);
                    rest = rest[at..].trim_start_matches(is_space);
                }
            }
            _ => {
                let outer =
                    if from_right { rest.trim_start_matches(is_space) } else { rest.trim_end_matches(is_space) };
                parts.push(if cut.is_some() { rest } else { outer });
                break;
            }
        }
    }
    parts
}

pub fn split_lines(s: &str, keep: bool) -> Vec<&str> {
    let is_break =
        |c| matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let mut lines = Vec::new();
    let mut rest = s;
    while !rest.is_empty() {
        let end = rest.find(is_break).unwrap_or(rest.len());
        let after = match rest[end..].chars().next() {
            Some('\r') if rest[end..].starts_with("\r\n") => end + 2,
            Some(c) => end + c.len_utf8(),
            None => end,
        };
        lines.push(&rest[..if keep { after } else { end }]);
        rest = &rest[after..];
    }
    lines
}

fn affix(s: &str, at_start: bool, args: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::new(args, 3)?;
    let what = arguments.value(0, "prefix")?.ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
    let (from, to) = char_range(s, &arguments)?;
    let part = s.get(from..to).unwrap_or("");
    let matches = |text: &str| if at_start { part.starts_with(text) } else { part.ends_with(text) };
    if let Some(text) = what.as_str() {
        return Ok(Value::from(matches(text)));
    }
    for item in what.try_iter()? {
        let text = item.as_str().ok_or_else(|| bad("a string or a tuple of strings is expected"))?;
        if matches(text) {
            return Ok(Value::from(true));
        }
    }
    Ok(Value::from(false))
}

/// Arguments 1 and 2 as a range of bytes: character positions, negative ones from the end, as in a slice.
fn char_range(s: &str, arguments: &Arguments) -> Result<(usize, usize), Error> {
    let (start, end) = (arguments.number(1, "start")?, arguments.number(2, "end")?);
    if start.is_none() && end.is_none() {
        return Ok((0, s.len()));
    }
    let length = s.chars().count() as i64;
    let byte = |position: i64| {
        let position = if position < 0 { (position + length).max(0) } else { position };
        s.char_indices().nth(position as usize).map_or(s.len(), |(at, _)| at)
    };
    Ok((byte(start.unwrap_or(0)), byte(end.unwrap_or(length))))
}

fn search(s: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::new(args, 3)?;
    let what = arguments.required_text(0, "sub")?;
    let (from, to) = char_range(s, &arguments)?;
    let part = s.get(from..to).unwrap_or("");
    if method == "count" {
        let count = if what.is_empty() { part.chars().count() + 1 } else { part.matches(&what).count() };
        return Ok(Value::from(count));
    }
    let found = if method.starts_with('r') { part.rfind(&what) } else { part.find(&what) };
    match found {
        Some(at) => Ok(Value::from(s[..from + at].chars().count())),
        None if method.ends_with("index") => Err(bad("substring not found")),
        None => Ok(Value::from(-1)),
    }
}

fn join(separator: &str, args: &[Value]) -> Result<Value, Error> {
    let (values,): (&Value,) = from_args(args)?;
    let mut out = String::new();
    for (i, value) in values.try_iter()?.enumerate() {
        if i > 0 {
            out.push_str(separator);
        }
        match value.as_str() {
            Some(text) => out.push_str(text),
            None => return Err(bad(format!("sequence item {i}: expected str instance, {} found", value.kind()))),
        }
    }
    Ok(Value::from(out))
}

fn title(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut in_word = false;
    for c in s.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphabetic();
    }
    out
}

fn swap_case(c: char) -> char {
    let mut swapped =
        if c.is_uppercase() { c.to_lowercase().collect::<Vec<_>>() } else { c.to_uppercase().collect::<Vec<_>>() };
    if swapped.len() == 1 {
        swapped.pop().unwrap_or(c)
    } else {
        c
    }
}

fn pad(s: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let arguments = Arguments::new(args, 2)?;
    let width = arguments.number(0, "width")?.ok_or_else(|| Error::from(ErrorKind::MissingArgument))?;
    let fill = arguments.text(1, "fillchar")?.unwrap_or_else(|| " ".to_owned());
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(s.chars().count());
    if missing > crate::python_filters::MAX_TEXT {
        return Err(bad("the text is too long"));
    }
    let text = match method {
        "zfill" => {
            let (sign, digits) = s.split_at(usize::from(s.starts_with(['+', '-'])));
            format!("{sign}{}{digits}", "0".repeat(missing))
        }
        "ljust" => format!("{s}{}", fill.repeat(missing)),
        "rjust" => format!("{}{s}", fill.repeat(missing)),
        _ => {
            // CPython puts the odd one on the left only when the width is odd.
            let left = missing / 2 + (missing & width as usize & 1);
            format!("{}{s}{}", fill.repeat(left), fill.repeat(missing - left))
        }
    };
    Ok(Value::from(text))
}

fn map_method(map: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let keys = || map.try_iter();
    match method {
        "get" => {
            let (key, default): (&Value, Option<Value>) = from_args(args)?;
            let found = map.as_object().and_then(|object| object.get_value(key));
            Ok(found.or(default).unwrap_or_else(|| Value::from(())))
        }
        "keys" => from_args(args).and_then(|()| Ok(keys()?.collect())),
        "values" => {
            let () = from_args(args)?;
            let values: Result<Vec<Value>, Error> = keys()?.map(|key| map.get_item(&key)).collect();
            values.map(Value::from)
        }
        "items" => {
            let () = from_args(args)?;
            let pairs: Result<Vec<Value>, Error> =
                keys()?.map(|key| Ok(Value::from(vec![key.clone(), map.get_item(&key)?]))).collect();
            pairs.map(Value::from)
        }
        "copy" => from_args(args).map(|()| map.clone()),
        _ => Err(unknown()),
    }
}

fn list_method(list: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match method {
        "copy" => from_args(args).map(|()| list.clone()),
        "index" => {
            let (what,): (&Value,) = from_args(args)?;
            let position = list.try_iter()?.position(|item| &item == what);
            position.map(Value::from).ok_or_else(|| bad(format!("{} is not in list", to_str(what).unwrap_or_default())))
        }
        "count" => {
            let (what,): (&Value,) = from_args(args)?;
            Ok(Value::from(list.try_iter()?.filter(|item| item == what).count()))
        }
        _ => Err(unknown()),
    }
}
