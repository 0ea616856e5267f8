//! Operators, filters, tests and functions where minijinja's differ from Jinja2's or from what transformers sets.

use std::cell::Cell;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value};

use crate::python_methods::{is_space, split_lines};
use crate::python_value::{to_str, write_str, JsonStyle, MAX_DEPTH};

/// No text and no list made by a template may grow longer; what they print together likewise. Fuel bounds the time, this
/// the memory.
pub const MAX_TEXT: usize = 64 << 20;
const MAX_ITEMS: usize = 1 << 20;
const MAX_VISITS: usize = 50_000_000;

thread_local! {
    static PRINTED: Cell<usize> = const { Cell::new(0) };
    static VISITS: Cell<usize> = const { Cell::new(0) };
}

/// Starts the count of what one rendering, which has a thread of its own, may use.
pub fn reset_limits() {
    PRINTED.set(0);
    VISITS.set(0);
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, text.into())
}

fn checked_size(value: Value) -> Result<Value, Error> {
    if value.as_str().is_some_and(|text| text.len() > MAX_TEXT) {
        return Err(bad(format!("a text grew above {MAX_TEXT} bytes")));
    }
    Ok(value)
}

pub fn install(env: &mut Environment) {
    env.set_formatter(print_value);
    env.add_filter("operator_add", operator_add);
    env.add_filter("operator_concat", operator_concat);
    env.add_filter("operator_mul", operator_mul);
    env.add_filter("operator_int_div", operator_int_div);
    env.add_filter("operator_rem", operator_rem);
    env.add_filter("stored", stored);

    env.add_filter("tojson", tojson);
    env.add_filter("string", |value: Value| to_str(&value));
    env.add_filter("join", join);
    env.add_filter("trim", trim);
    env.add_filter("int", int);
    env.add_filter("float", float);
    env.add_filter("length", length);
    env.add_filter("count", length);
    env.add_filter("round", round);
    env.add_filter("indent", indent);
    env.add_filter("replace", replace);
    env.add_filter("center", center);
    env.add_filter("wordcount", |value: &Value| to_str(value).map(|text| word_count(&text)));
    env.add_filter("truncate", truncate);
    env.add_filter("escape", escape);
    env.add_filter("e", escape);
    env.remove_filter("chain"); // not in Jinja2
    env.remove_filter("zip");

    env.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::String | ValueKind::Undefined)
    });
    env.add_test("iterable", |value: &Value| value.kind() == ValueKind::String || value.try_iter().is_ok());
    env.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
    env.add_test("number", |value: &Value| matches!(value.kind(), ValueKind::Number | ValueKind::Bool));

    env.add_function("raise_exception", |text: Value| -> Result<Value, Error> { Err(bad(to_str(&text)?)) });
    env.add_function("strftime_now", strftime_now);
}

fn print_value(out: &mut Output, _: &State, value: &Value) -> Result<(), Error> {
    let owned;
    let text = match value.as_str() {
        Some(text) => text,
        None => {
            owned = to_str(value)?;
            &owned
        }
    };
    let printed = PRINTED.get() + text.len();
    if printed > 4 * MAX_TEXT {
        return Err(bad(format!("the template printed more than {} bytes", 4 * MAX_TEXT)));
    }
    PRINTED.set(printed);
    out.write_str(text).map_err(Error::from)
}

fn is_list(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
}

fn impossible(sign: &str, left: &Value, right: &Value) -> Error {
    bad(format!("unsupported operand types for {sign}: {} and {}", left.kind(), right.kind()))
}

/// Booleans count as 0 and 1, as in Python.
fn as_integer(value: &Value) -> Option<i128> {
    match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        _ => None,
    }
}

fn as_float(value: &Value) -> Option<f64> {
    match value.kind() {
        ValueKind::Number if !value.is_integer() => f64::try_from(value.clone()).ok(),
        _ => as_integer(value).map(|n| n as f64),
    }
}

/// Applies an operator to two numbers: in integers when both are.
fn arithmetic(
    sign: &str,
    left: &Value,
    right: &Value,
    integers: impl Fn(i128, i128) -> Option<i128>,
    floats: impl Fn(f64, f64) -> f64,
) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (as_integer(left), as_integer(right)) {
        let result = integers(a, b).ok_or_else(|| bad(format!("{a} {sign} {b} is not defined or too large")))?;
        return Ok(i64::try_from(result).map_or_else(|_| Value::from(result), Value::from));
    }
    match (as_float(left), as_float(right)) {
        (Some(a), Some(b)) => Ok(Value::from(floats(a, b))),
        _ => Err(impossible(sign, left, right)),
    }
}

fn operator_add(left: &Value, right: &Value) -> Result<Value, Error> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        return checked_size(Value::from([a, b].concat()));
    }
    if is_list(left) && is_list(right) {
        let items: Vec<Value> = left.try_iter()?.chain(right.try_iter()?).take(MAX_ITEMS + 1).collect();
        if items.len() > MAX_ITEMS {
            return Err(bad(format!("a list grew above {MAX_ITEMS} items")));
        }
        return Ok(Value::from(items));
    }
    arithmetic("+", left, right, i128::checked_add, |a, b| a + b)
}

fn operator_concat(left: &Value, right: &Value) -> Result<Value, Error> {
    let mut out = to_str(left)?;
    write_str(&mut out, right)?;
    checked_size(Value::from(out))
}

fn operator_mul(left: &Value, right: &Value) -> Result<Value, Error> {
    let (repeated, count) = if left.as_str().is_some() || is_list(left) { (left, right) } else { (right, left) };
    if repeated.as_str().is_none() && !is_list(repeated) {
        return arithmetic("*", left, right, i128::checked_mul, |a, b| a * b);
    }
    let count = as_integer(count).ok_or_else(|| impossible("*", left, right))?;
    let count = usize::try_from(count.max(0)).unwrap_or(usize::MAX);
    let too_long = || bad("a repeated text or list is too long");
    if let Some(text) = repeated.as_str() {
        if text.len().saturating_mul(count) > MAX_TEXT {
            return Err(too_long());
        }
        return Ok(Value::from(text.repeat(count)));
    }
    let items: Vec<Value> = repeated.try_iter()?.collect();
    if items.len().saturating_mul(count) > MAX_ITEMS {
        return Err(too_long());
    }
    Ok(Value::from(vec![items; count].concat()))
}

/// Python divides towards minus infinity, minijinja towards zero.
fn operator_int_div(left: &Value, right: &Value) -> Result<Value, Error> {
    if as_float(right) == Some(0.0) {
        return Err(bad("division by zero"));
    }
    let floor = |a: i128, b: i128| {
        let quotient = a.checked_div(b)?;
        Some(quotient - i128::from(a % b != 0 && (a < 0) != (b < 0)))
    };
    arithmetic("//", left, right, floor, |a, b| (a / b).floor())
}

fn operator_rem(state: &State, left: &Value, right: &Value) -> Result<Value, Error> {
    if left.as_str().is_some() {
        let mut args = vec![left.clone()];
        match is_list(right) {
            true => args.extend(right.try_iter()?),
            false => args.push(right.clone()),
        }
        return state.apply_filter("format", &args).and_then(checked_size);
    }
    if as_float(right) == Some(0.0) {
        return Err(bad("modulo by zero"));
    }
    let floor = |a: i128, b: i128| a.checked_rem(b).map(|r| if r != 0 && (r < 0) != (b < 0) { r + b } else { r });
    arithmetic("%", left, right, floor, |a, b| a - b * (a / b).floor())
}

/// What a namespace keeps from one turn of a loop to the next may not nest without bound, since freeing and printing
/// recurse; nor may it hold a namespace or a macro, which could lead back to the first and so never be freed.
fn stored(value: Value) -> Result<Value, Error> {
    fn visit(value: &Value, depth: usize) -> Result<(), Error> {
        let type_name = value.as_object().map_or("", |object| object.type_name());
        if type_name.ends_with("::Namespace") || type_name.ends_with("::Macro") {
            return Err(bad("a namespace or a macro cannot be kept in a namespace"));
        }
        if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
            return Ok(());
        }
        let visits = VISITS.get() + 1;
        VISITS.set(visits);
        if depth > MAX_DEPTH || visits > MAX_VISITS {
            return Err(bad("a value kept in a namespace is nested too deeply or too large"));
        }
        for item in value.try_iter()? {
            if value.kind() == ValueKind::Map {
                visit(&value.get_item(&item)?, depth + 1)?;
            } else {
                visit(&item, depth + 1)?;
            }
        }
        Ok(())
    }
    visit(&value, 0)?;
    checked_size(value)
}

/// json.dumps as transformers calls it: nothing is escaped for HTML, characters are kept, keys stay in order.
fn tojson(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let names = ["ensure_ascii", "indent", "separators", "sort_keys"];
    if args.len() > names.len() {
        return Err(Error::from(ErrorKind::TooManyArguments));
    }
    let mut options: Vec<Option<Value>> = Vec::with_capacity(names.len());
    for (i, name) in names.iter().enumerate() {
        let option: Option<Value> = match args.get(i) {
            Some(value) => Some(value.clone()),
            None => kwargs.get(name)?,
        };
        options.push(option.filter(|v| !v.is_none()));
    }
    kwargs.assert_all_used()?;
    let indent = match &options[1] {
        None => None,
        Some(value) => Some(match value.as_str() {
            Some(text) => text.to_owned(),
            None => {
                let width = as_integer(value).ok_or_else(|| bad("indent must be an integer or a string"))?;
                " ".repeat(width.clamp(0, 64) as usize)
            }
        }),
    };
    let is_true = |option: &Option<Value>| option.as_ref().is_some_and(Value::is_true);
    let mut style = JsonStyle {
        ascii: is_true(&options[0]),
        item_separator: if indent.is_some() { "," } else { ", " }.to_owned(),
        key_separator: ": ".to_owned(),
        indent,
        sort_keys: is_true(&options[3]),
    };
    if let Some(separators) = &options[2] {
        let pair: Vec<Value> = separators.try_iter()?.collect();
        let [item, key] = pair.as_slice() else { return Err(bad("separators must be a pair")) };
        style.item_separator = to_str(item)?;
        style.key_separator = to_str(key)?;
    }
    let mut out = String::new();
    style.write(&mut out, value, 0)?;
    Ok(out)
}

fn join(values: &Value, separator: Option<Value>, attribute: Option<Value>, kwargs: Kwargs) -> Result<Value, Error> {
    let separator = match separator {
        Some(separator) => separator,
        None => kwargs.get::<Option<Value>>("d")?.unwrap_or_else(|| Value::from("")),
    };
    let attribute = match attribute {
        Some(attribute) => Some(attribute),
        None => kwargs.get::<Option<Value>>("attribute")?,
    };
    kwargs.assert_all_used()?;
    let separator = to_str(&separator)?;
    let mut out = String::new();
    let mut first = true;
    let mut add = |value: &Value| {
        if !std::mem::take(&mut first) {
            out.push_str(&separator);
        }
        write_str(&mut out, value)
    };
    if let Some(text) = values.as_str() {
        for c in text.chars() {
            add(&Value::from(c))?;
        }
    } else if !values.is_undefined() {
        for value in values.try_iter()? {
            match &attribute {
                Some(name) => add(&attribute_path(&value, name)?)?,
                None => add(&value)?,
            }
        }
    }
    checked_size(Value::from(out))
}

/// "a.b.0": attribute after attribute, digits as indices.
fn attribute_path(value: &Value, path: &Value) -> Result<Value, Error> {
    let Some(path) = path.as_str() else { return value.get_item(path) };
    path.split('.').try_fold(value.clone(), |value, part| match part.parse::<usize>() {
        Ok(index) => value.get_item_by_index(index),
        Err(_) => value.get_attr(part),
    })
}

fn trim(value: &Value, chars: Option<Value>) -> Result<String, Error> {
    let text = to_str(value)?;
    Ok(match chars.filter(|c| !c.is_none()) {
        Some(chars) => {
            let set = to_str(&chars)?;
            text.trim_matches(|c| set.contains(c)).to_owned()
        }
        None => text.trim_matches(is_space).to_owned(),
    })
}

/// What does not read as a number is the default, 0.
fn int(value: &Value, default: Option<Value>) -> Value {
    let default = default.unwrap_or_else(|| Value::from(0));
    if let Some(number) = as_integer(value) {
        return i64::try_from(number).map_or_else(|_| Value::from(number), Value::from);
    }
    let from_float = |number: f64| {
        if number.is_finite() && number.abs() < 1e18 {
            Value::from(number.trunc() as i64)
        } else {
            default.clone()
        }
    };
    if let Some(number) = as_float(value) {
        return from_float(number);
    }
    let Some(text) = value.as_str().map(|t| t.trim_matches(is_space)) else { return default };
    match text.parse::<i64>() {
        Ok(number) => Value::from(number),
        Err(_) => text.parse::<f64>().map_or_else(|_| default.clone(), from_float),
    }
}

fn float(value: &Value, default: Option<Value>) -> Value {
    let parsed = as_float(value).or_else(|| value.as_str().and_then(|text| text.trim_matches(is_space).parse().ok()));
    parsed.map_or_else(|| default.unwrap_or_else(|| Value::from(0.0)), Value::from)
}

fn length(value: &Value) -> Result<usize, Error> {
    match value.len() {
        Some(length) => Ok(length),
        None if value.is_undefined() => Ok(0),
        None if value.kind() == ValueKind::Iterable => Ok(value.try_iter()?.count()),
        None => Err(bad(format!("a value of type {} has no length", value.kind()))),
    }
}

/// Python's round: to even where it is exactly between.
fn round(value: &Value, precision: Option<i32>, method: Option<&str>) -> Result<Value, Error> {
    let precision = precision.unwrap_or(0);
    let number = as_float(value).ok_or_else(|| bad(format!("cannot round a value of type {}", value.kind())))?;
    let scale = 10f64.powi(precision);
    match method.unwrap_or("common") {
        "ceil" => Ok(Value::from((number * scale).ceil() / scale)),
        "floor" => Ok(Value::from((number * scale).floor() / scale)),
        "common" if precision >= 0 && as_integer(value).is_some() => Ok(value.clone()),
        "common" if (0..=300).contains(&precision) => {
            let digits = precision as usize;
            Ok(Value::from(format!("{number:.digits$}").parse().unwrap_or(number)))
        }
        "common" => Ok(Value::from((number * scale).round_ties_even() / scale)),
        other => Err(bad(format!("round: method {other} is not common, ceil or floor"))),
    }
}

fn indent(
    value: &Value,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    kwargs: Kwargs,
) -> Result<String, Error> {
    let width = match width {
        Some(width) => Some(width),
        None => kwargs.get::<Option<Value>>("width")?,
    };
    let first = first.or(kwargs.get("first")?).unwrap_or(false);
    let blank = blank.or(kwargs.get("blank")?).unwrap_or(false);
    kwargs.assert_all_used()?;
    let margin = match &width {
        None => " ".repeat(4),
        Some(width) => match width.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(as_integer(width).unwrap_or(0).clamp(0, 1000) as usize),
        },
    };
    let mut text = to_str(value)?;
    text.push('\n'); // so that a line break at the end gives an empty last line
    let mut out = String::new();
    for (i, line) in split_lines(&text, false).into_iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        if if i == 0 { first } else { blank || !line.is_empty() } {
            out.push_str(&margin);
        }
        out.push_str(line);
    }
    Ok(out)
}

fn replace(value: &Value, from: &Value, to: &Value, count: Option<i64>) -> Result<Value, Error> {
    let (text, from, to) = (to_str(value)?, to_str(from)?, to_str(to)?);
    let most = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let places = if from.is_empty() { text.chars().count() + 1 } else { text.matches(&from).take(most).count() };
    if text.len().saturating_add(places.min(most).saturating_mul(to.len())) > MAX_TEXT {
        return Err(bad("the text is too long"));
    }
    Ok(Value::from(text.replacen(&from, &to, most)))
}

fn center(state: &State, value: &Value, width: Option<i64>) -> Result<Value, Error> {
    Value::from(to_str(value)?).call_method(state, "center", &[Value::from(width.unwrap_or(80))])
}

/// Cuts at a word, unless killwords says otherwise; what is too long by no more than the leeway stays.
fn truncate(value: &Value, args: Rest<Value>, kwargs: Kwargs) -> Result<String, Error> {
    let option = |index: usize, name: &str| -> Result<Option<Value>, Error> {
        let named: Option<Value> = kwargs.get(name)?;
        Ok(args.get(index).cloned().or(named).filter(|v| !v.is_none()))
    };
    let number =
        |value: Option<Value>, default: i128| value.as_ref().and_then(as_integer).unwrap_or(default).max(0) as usize;
    let length = number(option(0, "length")?, 255);
    let whole_words = !option(1, "killwords")?.is_some_and(|v| v.is_true());
    let end = option(2, "end")?.map_or_else(|| Ok("...".to_owned()), |v| to_str(&v))?;
    let leeway = number(option(3, "leeway")?, 5);
    kwargs.assert_all_used()?;
    let text = to_str(value)?;
    if text.chars().count() <= length + leeway {
        return Ok(text);
    }
    let kept = length
        .checked_sub(end.chars().count())
        .ok_or_else(|| bad(format!("truncate: the length {length} has no room for {end:?}")))?;
    let mut cut: String = text.chars().take(kept).collect();
    if whole_words {
        cut.truncate(cut.rfind(' ').unwrap_or(cut.len()));
    }
    Ok(cut + &end)
}

/// Runs of letters, digits and low lines.
fn word_count(text: &str) -> usize {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()).count()
}

/// As markupsafe escapes.
fn escape(value: &Value) -> Result<Value, Error> {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let mut out = String::new();
    for c in to_str(value)?.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\'' => out.push_str("&#39;"),
            '"' => out.push_str("&#34;"),
            _ => out.push(c),
        }
    }
    Ok(Value::from_safe_string(out))
}

/// datetime.now().strftime(format)
fn strftime_now(format: &str) -> Result<String, Error> {
    let c_format = std::ffi::CString::new(format).map_err(|_| bad("strftime_now: the format holds a NUL"))?;
    if format.is_empty() {
        return Ok(String::new());
    }
    let mut buffer = vec![0u8; 256 + 64 * format.len()];
    // SAFETY: tm is plain data that localtime_r fills; strftime writes at most the given size.
    let length = unsafe {
        let now = libc::time(std::ptr::null_mut());
        let mut parts: libc::tm = std::mem::zeroed();
        if libc::localtime_r(&now, &mut parts).is_null() {
            return Err(bad("strftime_now: the local time is not known"));
        }
        libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), c_format.as_ptr(), &parts)
    };
    buffer.truncate(length);
    String::from_utf8(buffer).map_err(|_| bad("strftime_now: the result is not UTF-8"))
}
