"""The texts of tokenize.json."""


def texts():
    markers = "<｜begin▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>", "<think>", "</think>", "<｜end▁of▁sentence｜>"
    result = [
        "", " ", "  ", "\n", "\r", "\r\n", "\n\n\n", "\t", "\t\t x\t", "\u00a0", "\u2003x\u2003", "\u3000　x", "\x0b\x0c\x1c\x85",
        "a", "I", "the", " the", "the ", "  the  ", "Hello, world!", "don't we'll I'VE she'd THEY'RE o'clock '",
        "The quick brown fox\njumps over\r\nthe lazy dog.\n\n", "tail spaces    ", "a\n  b\n    c\n\td",
        "0", "12", "123", "1234", "12345678901234567890", "1,234,567.89", "3.14159e-10", "0xDEADBEEF", "٣٤٥ ½ ² Ⅷ ①  ２０２５",
        "def f(x: int) -> int:\n    return x ** 2 + 1  # square\n", "for (int i = 0; i < n; ++i) { a[i] += b[i]; }",
        "#include <vector>\nstd::vector<std::pair<int, int>> v{{1, 2}};", "SELECT * FROM t WHERE a='b' -- c\n",
        '{"a": [1, 2.5e3, null, true], "b": {"c": "\\u00e9\\n"}}', "<div class=\"x\">&amp;</div>", "\\frac{1}{2} \\alpha_{i}^{2}",
        "C:\\dir\\file.txt https://example.com/a?b=c&d=%20#e me@example.org", "snake_case camelCase PascalCase kebab-case",
        "你好，世界。", "深度求索的混合专家模型有６７１Ｂ参数", "中文English混排123测试，标点！？", "繁體中文與简体中文", "日本語のテキスト、カタカナとひらがな",
        "ﾊﾝｶｸ ＡＢＣ", "한국어 문장입니다.", "Привет, как дела?", "Γειά σου Κόσμε ΐ", "مرحبا بالعالم", "שלום עולם", "नमस्ते दुनिया", "สวัสดีชาวโลก",
        "naïve café Ünïcödé ß İıſ", "e\u0301 a\u0308\u0323 \u0301alone", "Z̸̡͝a̶l̷g̵o̴", "😀", "😀😃 text 🎉", "👩‍👩‍👧‍👦 👍🏽 🇫🇷🇩🇪 ❤️",
        "zero\u200bwidth\u200djoin\ufeffbom", "“quotes” ‘single’ — dash… «g»", "$100 €200 £3 ¥4 +-*/=<>^~|`", "!!!???...;;;:::((([[[{{{",
        "\x00\x01\x7f", "\U0001f9ff\U00010348\U0002000b", "ﬁ ﬂ ℌ ⅓ ㎏ ﷺ", "a\u0000b", "- - - ___ *** ```", "𝒜𝓑𝕔 １２３",
        "".join(markers), "text<think>inner</think> text", " <think> ", "<think", "<think>>", "<<think>", "<|User|> <｜User> <｜ User｜>",
        "<｜begin▁of▁sentence｜>x<｜User｜>What?<｜Assistant｜><think>\nhm\n</think>\n\n4<｜end▁of▁sentence｜>",
        "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{}\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>",
        "<｜▁pad▁｜><｜▁pad▁｜>", "<｜fim▁begin｜>a<｜fim▁hole｜>b<｜fim▁end｜>", "\u0120hello\u010a", "▁under▁", "<0x0A>",
    ]
    result += [c * n for c in (" ", "\n", "a", "1", "é", "中", "😀", "=", "\u0301") for n in (17, 300)]
    result += [" a" * 200, "ab\n" * 100, "1 " * 100, " \n" * 60, "\r\n\t" * 50, "中a1 " * 50, "<think>" * 20, "don't " * 40]
    result.append("".join(chr(c) for c in range(0x20, 0x250)))
    result.append(" ".join(chr(c) for c in range(0x2000, 0x2070)))
    result.append("".join(chr(c) for c in range(0x3000, 0x3100)))
    return result
