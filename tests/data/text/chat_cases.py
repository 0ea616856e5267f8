"""The chat templates of chat.json and what they are rendered with."""

DEEPSEEK = {"bos_token": "<｜begin▁of▁sentence｜>", "eos_token": {"content": "<｜end▁of▁sentence｜>"}, "unk_token": None}

CALL = {
    "id": "f.weather:0",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Zürich", "days": 3}'},
}
OBJECT_CALL = {
    "id": "f.search:1",
    "type": "function",
    "function": {"name": "search", "arguments": {"q": "a<b & 'c'", "n": 1.0, "deep": {"x": [None, True, 1e-7]}}},
}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Weather of a \"city\" — <b>now</b>",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "enum": ["Zürich", "東京", "O'Hare"]},
                    "days": {"type": ["integer", "null"], "default": 1},
                    "items": {"type": "array", "items": {"type": "object", "properties": {"keys": {"type": "number", "default": 0.5}}}},
                },
                "required": ["city"],
            },
        },
    },
    {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}},
]

CONVERSATIONS = {
    "user": [{"role": "user", "content": "Hi"}],
    "system": [{"role": "system", "content": " Be brief.\n"}, {"role": "user", "content": "你好 😀\n"}],
    "two systems": [
        {"role": "system", "content": "One."},
        {"role": "system", "content": "Two."},
        {"role": "user", "content": "Go"},
    ],
    "turns": [
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "<think>\nadd\n</think>\n\n2"},
        {"role": "user", "content": "and <think> in my text?"},
        {"role": "assistant", "content": "fine"},
        {"role": "user", "content": "bye"},
    ],
    "reasoning": [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "reasoning": "because\n"},
    ],
    "tools": [
        {"role": "system", "content": "Use tools."},
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "f.weather:0", "content": '{"t": 21}'},
        {"role": "assistant", "content": "21 °C"},
        {"role": "user", "content": "Thanks"},
    ],
    "two calls": [
        {"role": "user", "content": "Both"},
        {"role": "assistant", "content": "On it. ", "tool_calls": [CALL, OBJECT_CALL]},
        {"role": "tool", "name": "weather", "content": "sun"},
        {"role": "tool", "name": "search", "content": "<tool_response>"},
    ],
    "object call": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": [OBJECT_CALL]}],
    "prefix": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "It is", "prefix": True}],
    "parts": [
        {"role": "user", "content": [{"type": "text", "text": "see"}, {"type": "image", "image": "a.png"}]},
        {"role": "assistant", "content": None},
    ],
    "empty": [],
}

VARIABLES = [{}, {"thinking": True, "enable_thinking": False, "tools_in_user_message": False, "date_string": "1 May 2025"}]

MESSAGES = CONVERSATIONS["two calls"]

# Expressions and statements, each a template of its own, rendered with MESSAGES, TOOLS and these variables.
SNIPPET_VARIABLES = {
    "s": "  Hello, World \n", "u": "žluťoučký kůň 😀", "lines": "a\nb\r\nc\n\nd", "empty": "", "i": 7, "neg": -7, "f": 2.5, "big": 1e16,
    "small": 1.5e-5, "whole": 3.0, "huge": 123456789012345680000.0, "yes": True, "no": False, "nil": None,
    "l": [1, "two", 3.0, None, True, ["x'y", 'q"r', "both'\""]], "nums": [3, 1, 2, 2], "words": ["beta", "Alpha", "gamma"],
    "d": {"b": 1, "a": {"items": [1, 2], "keys": "k"}, "c": None, "n": "line\nbreak\t\\"}, "items": [{"k": 1, "v": "x"}, {"k": 2}],
}

SNIPPETS = """
{{ yes }} {{ no }} {{ nil }} {{ none }} {{ True }} {{ i }} {{ f }} {{ whole }} {{ big }} {{ small }} {{ huge }} {{ 1e3 }} {{ 0.1 + 0.2 }}
{{ l }}
{{ d }}
{{ [1, 'a', none, true, 1.0, {'k': [2]}] }} {{ {} }} {{ [] }} {{ {'a': 'b', 1: 2} }}
{{ yes ~ no ~ nil ~ i ~ f ~ l ~ d.a }} {{ s ~ [i] ~ {'z': f} }}
{{ l | string }} | {{ nil | string }} | {{ d | string | length }}
{{ d | tojson }} {{ l | tojson }} {{ u | tojson }} {{ f | tojson }} {{ big | tojson }} {{ huge | tojson }} {{ small | tojson }}
{{ d | tojson(indent=2) }}
{{ d | tojson(indent=2, sort_keys=true) }} {{ l | tojson(separators=(',', ':')) }} {{ u | tojson(ensure_ascii=true) }}
{{ {} | tojson(indent=4) }} {{ [] | tojson(indent=4) }} {{ [[], {}] | tojson(indent=1) }} {{ '<&>"\\x01\\x7f\\b\\f' | tojson }}
{{ missing }}|{{ missing is defined }}|{{ d.missing }}|{{ d['missing'] is undefined }}|{{ missing | default('dflt') }}|{{ nil | default('d', true) }}
{{ missing or 'other' }} {{ (missing | default('')) ~ 'x' }} {% if missing %}y{% else %}n{% endif %} {{ missing | length }}
{% for x in missing %}x{% else %}none{% endfor %}
{{ missing.attribute }}
{{ missing + 'x' }}
{{ missing() }}
{{ nil.attribute is defined }} {{ s.attribute is defined }} {{ i.attribute is defined }}
{{ nil + 'x' }}
{{ 'a' + 1 }}
{{ raise_exception('stop here: ' ~ i) }}
{{ s.strip() }}|{{ s.lstrip() }}|{{ s.rstrip() }}|{{ s | trim }}|{{ 'xxaxx'.strip('x') }}|{{ 'abcba'.lstrip('ab') }}|{{ 'abcba'.rstrip('ab') }}
{{ s.upper() }}{{ s | upper }}{{ s.lower() }}{{ s.title() }}{{ 'hELLO wORLD'.capitalize() }}{{ 'hELLO wORLD' | capitalize }}{{ 'a b-c' | title }}
{{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c d'.split(' ', 2) }} {{ 'a b c'.split(none, 1) }} {{ 'a b c'.rsplit(' ', 1) }} {{ 'a'.split('x')[-1] }}
{{ ' a  b c '.split(maxsplit=1) }} {{ 'a--b'.split(sep='--') }} {{ ' a b  c '.rsplit(none, 1) }}
{{ lines.splitlines() }} {{ lines.splitlines(true) }} {{ ''.splitlines() }}
{{ u.startswith('ž') }} {{ u.endswith(('x', '😀')) }} {{ 'abc'.startswith('b', 1) }} {{ u.find('k') }} {{ u.find('zz') }} {{ u.rfind('ů') }} {{ 'aXbXc'.count('X') }} {{ 'abc'.index('c') }}
{{ 'aXbXc'.replace('X', '-') }} {{ 'aXbXc'.replace('X', '-', 1) }} {{ 'aXbXc' | replace('X', '+') }} {{ ','.join(words) }} {{ words | join('/') }} {{ l | join(', ') }}
{{ ','.join([1, 2]) }}
{{ 'a=b=c'.partition('=') | list }} {{ 'a=b=c'.rpartition('=')[0] }} {{ 'prefix-x'.removeprefix('prefix-') }} {{ 'x.txt'.removesuffix('.txt') }}
{{ '7'.zfill(3) }} {{ '-7'.zfill(4) }} [{{ 'x'.ljust(3) }}] [{{ 'x'.rjust(3, '.') }}] [{{ 'ab'.center(5) }}] {{ 'aBc'.swapcase() }}
{{ 'abc'.isalpha() }} {{ '12'.isdigit() }} {{ ''.isdigit() }} {{ 'aB'.islower() }} {{ 'AB1'.isupper() }} {{ ' '.isspace() }}
{{ '{} and {}'.format(1, 'b') }} {{ '{0}{1}{0}'.format('a', 'b') }} {{ '{x:>5}'.format(x='r') }} {{ '%s-%d' % ('a', 3) }} {{ '%s' % 'z' }} {{ '%.2f' | format(2.5) }}
{{ u[0] }}{{ u[-1] }} {{ u[1:4] }} {{ u[::-1] }} {{ 'abcdef'[::2] }} {{ 'abcdef'[-3:-1] }} {{ 'abcdef'[4:100] }} {{ 'abc'[5:] }} {{ 'abc'[10] is defined }}
{{ nums[0] }} {{ nums[-1] }} {{ nums[1:] }} {{ nums[::-1] }} {{ nums[:-1] }} {{ nums[9] is defined }} {{ nums[-2:] }} {{ nums[5:] }} {{ nums[3:1:-1] }}
{{ nums | sort }} {{ words | sort }} {{ nums | unique | list }} {{ nums | sum }} {{ nums | min }} {{ nums | max }} {{ nums | reverse | list }} {{ nums | first }} {{ nums | last }} {{ 'abc' | first }} {{ 'abc' | last }} {{ 'abc' | reverse }}
{{ words | sort(reverse=true) }} {{ items | sort(attribute='k', reverse=true) | map(attribute='k') | list }} {{ items | map(attribute='v', default='-') | join(',') }}
{{ 'abc' | list }} {{ d | list }} {{ d | length }} {{ 'žů' | length }} {{ d.keys() | list }} {{ d.values() | list | length }} {{ d.items() | list | length }}
{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %} {% for k in d %}{{ k }}{% endfor %} {% for k, v in d | dictsort %}{{ k }}{% endfor %} {% for k, v in d | items %}{{ k }}{% endfor %}
{{ d.get('b') }} {{ d.get('zz') }} {{ d.get('zz', 'dflt') }} {{ d['a']['items'] }} {{ d.a['keys'] }} {{ d.get('c') is none }}
{{ 'b' in d }} {{ 'zz' not in d }} {{ 'two' in l }} {{ 'ell' in s }} {{ 3 in nums }} {{ 1 in [true] }} {{ nil in l }}
{{ 7 // 2 }} {{ neg // 2 }} {{ 7 % 3 }} {{ neg % 3 }} {{ 7 / 2 }} {{ 6 / 2 }} {{ 2 ** 10 }} {{ 7.5 // 2 }} {{ (neg - 0.5) % 2 }} {{ 2 ** 0.5 }} {{ 1 + yes }} {{ -i }} {{ 10 - 3 - 2 }} {{ 2 * 3.0 }}
{{ 'ab' * 3 }} {{ [0] * 3 }} {{ [1] + [2, 3] }} {{ 'x' * 0 }} {{ 'x' * -1 }}
{{ 1 // 0 }}
{{ 1 < 2 }} {{ 1 < 2 < 3 }} {{ 1 == 1.0 }} {{ 'a' != 'b' }} {{ nil == none }} {{ true == 1 }} {{ 'a' < 'b' }} {{ [1, 2] == [1, 2] }} {{ not yes }} {{ 3 >= 3 }} {{ (1 < 3) and 'both' }}
{{ yes and 'x' }} {{ no and 'x' }} {{ no or nil }} {{ '' or 'e' }} {{ 0 or [] }} {{ i if yes else f }} {{ 'shown' if yes }}|{{ 'hidden' if no }}|
{{ s is string }} {{ i is number }} {{ yes is number }} {{ i is integer }} {{ yes is integer }} {{ f is float }} {{ d is mapping }} {{ l is sequence }} {{ s is sequence }} {{ d is sequence }} {{ s is iterable }} {{ i is iterable }} {{ nil is none }} {{ yes is boolean }} {{ yes is true }} {{ 1 is true }} {{ no is false }}
{{ i is odd }} {{ i is even }} {{ 9 is divisibleby 3 }} {{ i is eq 7 }} {{ i is equalto(7) }} {{ i is ne 7 }} {{ 'a' is in ['a'] }} {{ 'x' is lower }} {{ 'X' is upper }} {{ nil is not none }} {{ d is not string }} {{ i is gt 3 }} {{ raise_exception is callable }} {{ s is callable }} {{ nil is sameas none }}
{{ items | selectattr('v') | list | length }} {{ items | selectattr('v', 'defined') | map(attribute='k') | list }} {{ items | rejectattr('k', 'eq', 1) | list }} {{ nums | select('odd') | list }} {{ nums | reject('gt', 2) | list }} {{ words | map('upper') | join }} {{ words | map('replace', 'a', 'o') | list }}
{{ messages | selectattr('role', 'equalto', 'tool') | map(attribute='name') | join('+') }} {{ messages | map(attribute='role') | unique | list }} {{ (messages | last).role }} {{ messages | length }}
{{ '12' | int }} {{ 'x' | int }} {{ 'x' | int(5) }} {{ 2.9 | int }} {{ '2.9' | int }} {{ '1.5' | float }} {{ 'z' | float }} {{ 3 | float }} {{ yes | int }} {{ nil | int }} {{ 3.14159 | round(2) }} {{ 2.5 | round }} {{ -3 | abs }} {{ 2.2 | round(0, 'ceil') }}
{{ 'a\\nb\\n\\nc' | indent }} {{ 'a\\nb' | indent(2, true) }} {{ 'a\\n\\nb' | indent(2, blank=true) }} {{ 'a\\nb' | indent('>>') }}
{{ [1, 2, 3, 4, 5] | batch(2) | list }} {{ [1, 2, 3, 4, 5] | batch(2, 'x') | list }} {{ [1, 2, 3, 4, 5] | slice(2) | list }}
{{ "a" "b" 'c' }} {{ 'tab\\there' }} {{ 'quote\\'s' }} {{ "\\u00e9\\x41" }} {{ 'a\\d' }}
{% set x = 1 %}{% if true %}{% set x = 2 %}{% endif %}{{ x }}{% for _ in [1] %}{% set x = 3 %}{% endfor %}{{ x }}
{% set a, b = 1, 2 %}{{ a }}{{ b }} {% set t = 1, 2 %}{{ t | length }} {% set block %}in {{ i }}{% endset %}{{ block }} {% set up | upper %}abc{% endset %}{{ up }}
{% set ns = namespace(n=0, l=[]) %}{% for x in nums %}{% set ns.n = ns.n + x %}{% set ns.l = ns.l + [x * 2] %}{% endfor %}{{ ns.n }} {{ ns.l }} {{ ns.missing is defined }}
{% set ns = namespace() %}{% set ns.a %}captured{% endset %}{{ ns.a }} {% set ns.b = 1, 2 %}{{ ns.b | length }} {%- set ns.c = 'x=%}' -%} {{ ns.c }} {% set ns.d = 'a' if no else 'b' %}{{ ns.d }}
{% for x in nums %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.cycle('a', 'b') }}{{ loop.previtem }}{{ loop.nextitem }};{% endfor %}
{% for x in nums %}{% if loop.changed(x) %}{{ x }}{% endif %}{% endfor %} {% for x in nums %}{% if loop.nextitem is defined %}{{ x }}<{{ loop.nextitem }} {% endif %}{% endfor %}
{% for x in nums %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %} {% for x in nums %}{% if x == 1 %}{% break %}{% endif %}{{ x }}{% endfor %}
{% for x in nums if x > 1 %}{{ x }}:{{ loop.length }} {% else %}none{% endfor %} {% for x in [] %}{% else %}empty{% endfor %} {% for a, b in [[1, 2], [3, 4]] %}{{ a }}-{{ b }} {% endfor %}
{% for x in range(3) %}{{ x }}{% endfor %} {{ range(2, 8, 2) | list }} {{ range(3, 0, -1) | list }} {% for x in [1, [2, [3]]] recursive %}{% if x is iterable %}({{ loop(x) }}){% else %}{{ x }}{% endif %}{% endfor %}
{% macro m(a, b='d', c=none) %}[{{ a }} {{ b }} {{ c }}]{% endmacro %}{{ m(1) }}{{ m(1, 2) }}{{ m(b=3, a=4) }}{{ m() }} {{ m(1, c='q') | upper }}
{% macro outer() %}<{{ caller() }}>{% endmacro %}{% call outer() %}body {{ i }}{% endcall %} {% macro arg() %}{{ caller('v') }}{% endmacro %}{% call(x) arg() %}got {{ x }}{% endcall %}
{% macro rec(n) %}{{ n }}{% if n > 0 %}{{ rec(n - 1) }}{% endif %}{% endmacro %}{{ rec(5) }}
{% with q = 5, r = i %}{{ q }}{{ r }}{% endwith %}{{ q is defined }} {% filter upper %}abc {{ i }}{% endfilter %} {% raw %}{{ not }} {% if %}{% endraw %}
{% generation %}said {{ i }}{% set leak = 1 %}{% endgeneration %}{{ leak is defined }} {% for m in messages %}{%- generation -%} {{ m.role }} {%- endgeneration -%}{% endfor %}
{{ '{% generation %}' }}{# {% generation %} #}{% raw %}{% generation %}{% endraw %}
{{ dict(a=1, b='x') }} {{ dict(a=1).a }} {{ {'a': 1}.a }} {{ {'x': {'y': [10, 20]}}.x.y[1] }} {{ items[0].v }} {{ items.0.v }} {{ items[0]['v'] }}
{{ tools[0].function.parameters.properties.items() | list | length }} {% for n, p in tools[0].function.parameters.properties.items() %}{{ n }}:{{ p.type }} {% endfor %} {{ tools[0].function.parameters.properties['items'].type }}
{{ nums.append(1) }}
{{ d.update({'z': 1}) }}
{{ nums.index(2) }} {{ nums.count(2) }} {{ l.index('two') }} {{ messages.index(messages[1]) }}
{{ s | nosuchfilter }}
{{ s is nosuchtest }}
{{ nosuchfunction(1) }}
{{ s.nosuchmethod() }}
{% if %}
{{ 'open
{% for x in nums %}
{% endfor %}
{% nosuchtag %}
{{ 1 + }}
{% include 'other' %}
{% macro %}{% endmacro %}
{{ bos_token }}{{ eos_token }}{{ unk_token is defined }}{{ pad_token is defined }}{{ documents is none }}{{ documents is defined }}
{{ '1' + i | string }} {{ (i + 1) | string ~ 'x' }} {{ 'a' ~ i ~ 1 }}
{{ 'a' ~ i + 1 }}
{{ -1 ~ 2 }} {{ 1 ~ 2 * 3 }} {{ not no ~ 'x' }} {{ 'a' ~ 'b' == 'ab' }} {{ 'x' ~ ('y' | upper) ~ 'z' | upper }}
{{ 1 + 2 ~ 3 }}
{{ 'abc def ghi jkl mno' | truncate(12) }} {{ 'abc def ghi jkl mno' | truncate(12, true, '!') }} {{ 'abc' | truncate(2, leeway=0, end='') }} {{ 'abcdefgh' | center(12) }}|
{{ [1, 2] | tojson ~ 'x' }} {{ (l | tojson) | length }} {{ 'é' | urlencode }}
{{ '<a href="x">' | e }} {{ '<b>' | safe }} {{ 'a & b' | escape }}
{{ 'one two three' | wordcount }}
{{ l | length }} {{ l | count }} {{ nums | join('-') }} {{ items | join(',', attribute='k') }} {{ 'abc' | join('.') }}
{{ words | groupby('0') | list | length }} {% for g in items | groupby('k') %}{{ g.grouper }}:{{ g.list | length }} {% endfor %}
{{ 5 | string | length }} {{ f | string }} {{ yes | string | lower }} {{ 'True' == yes | string }} {{ whole | string }} {{ yes | tojson }} {{ nil | tojson }}
{% for k, v in d.a | items %}{{ k }}{% endfor %} {{ s | replace('l', 'L', 1) }} {{ 'x' | default('y') }} {{ '' | default('y', boolean=true) }}
{{ u | upper }} {{ 'ß' | upper }} {{ 'ǅ'.lower() }} {{ 'İ'.lower() | length }} {{ 'a\\u00a0'.strip() }}| {{ '\\x1cx\\x1c'.strip() }}|
""".strip("\n").split("\n")


WHITESPACE = [
    "  {% if true %}  \n  x\n  {% endif %}  \ny\n",
    "a\n    {% if true %}\n    b\n    {%- endif %}\n\n\nc\n\n",
    "  {{ 'x' }}  \n  {{- 'y' -}}  \n z\n",
    "{% if true +%}\n x{% endif %}\n  {%+ if true %}y{% endif %}\n",
    "a {#- comment -#} b\n  {# block comment #}\nc\n",
    "\r\n{% if true %}\r\nx\r\n{% endif %}\r\n",
    "{% raw -%}  x  {%- endraw %}  y",
    "{% for x in [1, 2] -%}\n  {{ x }}\n{%- endfor %}\n",
    "\t{% set x = 1 %}\t\n{{ x }}\n\n",
    "text {% if true %}\nx{% endif %} {# c #}\n y\n",
    "",
    "\n",
    "plain text, no tags\n",
    "{{ 'a' }}\n{{ 'b' }}\n",
]


def case(name, template, messages, tools=None, variables=None, add_generation_prompt=True):
    return {
        "name": name,
        "template": template,
        "special_tokens": DEEPSEEK,
        "messages": messages,
        "tools": tools,
        "variables": variables or {},
        "add_generation_prompt": add_generation_prompt,
    }


def cases(folder):
    for path in sorted(folder.glob("*.jinja")):
        template = path.read_text(encoding="utf-8")
        for name, messages in CONVERSATIONS.items():
            for i, variables in enumerate(VARIABLES):
                for tools in (None, TOOLS):
                    if tools is None and path.stem == "schema_macro":
                        continue  # it goes through the tools, and minijinja lets a loop over None pass as empty
                    full = f"{path.stem}, {name}, variables {i}, {'tools' if tools else 'no tools'}"
                    yield case(full, template, messages, tools, variables, add_generation_prompt=i == 0 or name != "turns")
    for i, snippet in enumerate(SNIPPETS):
        yield case(f"snippet {i}: {snippet[:40]}", snippet, MESSAGES, TOOLS, SNIPPET_VARIABLES)
    for i, text in enumerate(WHITESPACE):
        yield case(f"white space {i}", text, MESSAGES)
