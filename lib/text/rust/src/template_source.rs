//! Small changes to a template's text before it is compiled, found by scanning its tags, strings, comments and raw blocks.
//! None adds or removes a line, so error messages keep their line numbers.
//!
//! - Line breaks become line feeds, as Jinja2 reads them.
//! - transformers' `{% generation %}` marks what the assistant said; its contents are rendered in a scope of their own, so
//!   it becomes `{% with %}`.
//! - `{% set ns.x = e %}` becomes `{% set ns.x = (e)|stored %}`, which checks what is kept (python_filters.rs).

/// The template with these changes.
pub fn prepare(source: &str) -> String {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    rewrite_tags(&source)
}

fn rewrite_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 64);
    let mut rest = source;
    let mut raw = false;
    while let Some(at) = next_tag(rest) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let length = match &rest[..2] {
            "{#" if !raw => rest.find("#}").map_or(rest.len(), |end| end + 2),
            "{{" if !raw => tag_length(rest, "}}"),
            "{%" => tag_length(rest, "%}"),
            _ => 2,
        };
        let tag = &rest[..length];
        rest = &rest[length..];
        if !tag.starts_with("{%") {
            out.push_str(tag);
            continue;
        }
        match (raw, first_word(tag)) {
            (false, "raw") => {
                raw = true;
                out.push_str(tag);
            }
            (true, "endraw") => {
                raw = false;
                out.push_str(tag);
            }
            (true, _) => {
                // Not a tag; look again right behind its start.
                out.push_str("{%");
                rest = &source[source.len() - rest.len() - length + 2..];
            }
            (false, "generation") => out.push_str(&tag.replacen("generation", "with", 1)),
            (false, "endgeneration") => out.push_str(&tag.replacen("endgeneration", "endwith", 1)),
            (false, "set") => push_set(&mut out, tag),
            _ => out.push_str(tag),
        }
    }
    out.push_str(rest);
    out
}

fn next_tag(text: &str) -> Option<usize> {
    text.as_bytes().windows(2).position(|pair| matches!(pair, b"{{" | b"{%" | b"{#"))
}

/// The length of a tag up to and with `end`, which does not count inside a string; the whole text if it never ends. An
/// expression's own closing braces (`{{ {'a': {}} }}`) are not its end.
fn tag_length(text: &str, end: &str) -> usize {
    let bytes = text.as_bytes();
    let mut quote = None;
    let mut braces = 0usize;
    let mut i = 2;
    while i < bytes.len() {
        match (quote, bytes[i]) {
            (Some(_), b'\\') => i += 1,
            (Some(q), c) if q == c => quote = None,
            (Some(_), _) => {}
            (None, c @ (b'\'' | b'"')) => quote = Some(c),
            (None, b'{') => braces += 1,
            (None, b'}') if braces > 0 => braces -= 1,
            (None, _) if bytes[i..].starts_with(end.as_bytes()) => return i + 2,
            _ => {}
        }
        i += 1;
    }
    text.len()
}

/// The word after `{%`, `{%-` or `{%+`.
fn first_word(tag: &str) -> &str {
    let inner = tag[2..].trim_start_matches(['-', '+']).trim_start();
    let end = inner.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(inner.len());
    &inner[..end]
}

/// Copies a set tag; an assignment to an attribute gets the filter.
fn push_set(out: &mut String, tag: &str) {
    let assignment = tag.find('=').filter(|&at| tag[..at].contains('.') && !tag[..at].contains([',', '(', '|']));
    let (Some(at), true) = (assignment, tag.ends_with("%}")) else {
        out.push_str(tag);
        return;
    };
    let value = tag[at + 1..tag.len() - 2].trim_end_matches(['-', '+']);
    out.push_str(&tag[..=at]);
    out.push_str(" (");
    out.push_str(value);
    out.push_str(")|stored ");
    out.push_str(&tag[at + 1 + value.len()..]);
}

#[cfg(test)]
mod tests {
    use super::prepare;

    #[test]
    fn rewrites_only_tags() {
        assert_eq!(prepare("a{%- generation -%}b{% endgeneration %}"), "a{%- with -%}b{% endwith %}");
        assert_eq!(prepare("{{ '{% generation %}' }}"), "{{ '{% generation %}' }}");
        assert_eq!(prepare("{# {% generation %} #}{% generation"), "{# {% generation %} #}{% with");
        let raw = "{% raw %}{% generation %}{{{% endraw %}{% generation %}";
        assert_eq!(prepare(raw), "{% raw %}{% generation %}{{{% endraw %}{% with %}");
        assert_eq!(prepare("{%- set ns.a = 'x=%}' -%}"), "{%- set ns.a = ( 'x=%}' )|stored -%}");
        assert_eq!(prepare("{% set ns.a %}x{% endset %}"), "{% set ns.a %}x{% endset %}");
        assert_eq!(prepare("{% set a = b.c %}"), "{% set a = b.c %}");
        assert_eq!(prepare("{{ {'a': {}} }}{% set n.a = 1 %}"), "{{ {'a': {}} }}{% set n.a = ( 1 )|stored %}");
    }
}
