"""Text that is hidden in other text, or cut into pieces that a reader joins."""
import json
import random
import textwrap
import unicodedata

MATH = {
    "mathematical bold": (0x1D400, 0x1D41A, 0x1D7CE),
    "mathematical monospace": (0x1D670, 0x1D68A, 0x1D7F6),
    "mathematical sans-serif": (0x1D5A0, 0x1D5BA, 0x1D7E2),
    "mathematical fraktur, bold": (0x1D56C, 0x1D586, None),
    "squared capitals": (0x1F130, None, None),
    "circled letters": (0x24B6, 0x24D0, None),
}
LOOKALIKE = str.maketrans("aceopxyABEHKMOPTX", "асеорхуАВЕНКМОРТХ")
NATO = {}


def styled(upper, lower, digit):
    def one(c):
        if "A" <= c <= "Z" and upper:
            return chr(upper + ord(c) - 65)
        if "a" <= c <= "z" and lower:
            return chr(lower + ord(c) - 97)
        if "0" <= c <= "9" and digit:
            return chr(digit + ord(c) - 48)
        return c
    return lambda d: "".join(one(c) for c in d.decode()).encode()


def between(mark, every=1):
    def run(d):
        t = d.decode()
        return mark.join(t[i:i + every] for i in range(0, len(t), every)).encode()
    return run


def bits(zero, one, cover="nothing to see here"):
    return lambda d: (cover + "".join(one if b >> i & 1 else zero for b in d for i in range(7, -1, -1)) + ".").encode()


def pieces(d, size):
    t = d.decode()
    return [t[i:i + size] for i in range(0, len(t), size)]


def joined(size, form):
    return lambda d: form(pieces(d, size)).encode()


def q(piece):
    return json.dumps(piece)


def numbered(make):
    return lambda p: "\n".join(make(i, x) for i, x in enumerate(p, 1))


def random_cuts(d, rng=random.Random(9)):
    t, out = d.decode(), []
    while t:
        n = rng.randint(3, 9)
        out.append(t[:n])
        t = t[n:]
    return "".join(f'k = k + {q(x)}\n' for x in out).encode()


def encodings():
    made = {
        "fullwidth": lambda d: "".join(chr(b + 0xFEE0) if 33 <= b <= 126 else chr(b) for b in d).encode(),
        "tag characters": lambda d: ("hello" + "".join(chr(0xE0000 + b) for b in d)).encode(),
        "variation selectors": lambda d: ("😀" + "".join(chr(0xFE00 + b) if b < 16 else chr(0xE0100 + b - 16) for b in d)).encode(),
        "look-alikes (Cyrillic)": lambda d: d.decode().translate(LOOKALIKE).encode(),
        "zero-width spaces between": between("\u200b"),
        "zero-width joiners, every 3": between("\u200d", 3),
        "soft hyphens between": between("\u00ad", 2),
        "word joiners between": between("\u2060"),
        "byte order marks between": between("\ufeff", 4),
        "combining dots": between("\u0307"),
        "combining strokes": between("\u0336"),
        "bidi override, reversed": lambda d: ("\u202e" + d.decode()[::-1] + "\u202c").encode(),
        "bits as zero-width characters": bits("\u200b", "\u200c"),
        "bits as zero-width characters (2060, 200d)": bits("\u2060", "\u200d"),
        "bits as blank and tab": bits(" ", "\t", "x\n"),
        "bits as blank and no-break space": bits(" ", "\u00a0"),
        "bits as letters of two cases": lambda d: "".join("lL"[b >> i & 1] for b in d for i in range(7, -1, -1)).encode(),
        "braille by byte": lambda d: "".join(chr(0x2800 + b) for b in d).encode(),
        "emoji by byte (base100)": lambda d: "".join(chr(0x1F3F7 + b) for b in d).encode(),
        "private use by byte": lambda d: "".join(chr(0xE000 + b) for b in d).encode(),
        "CJK by byte": lambda d: "".join(chr(0x4E00 + b) for b in d).encode(),
        "runes shifted by U+0100": lambda d: "".join(chr(0x100 + b) for b in d).encode(),
        "overlong UTF-8": lambda d: b"".join(bytes([0xC0 | b >> 6, 0x80 | b & 63]) for b in d),
        "blanks between": between(" "),
        "dots between": between("."),
        "dashes every 4": between("-", 4),
        "line break every 10": between("\n", 10),
        "CRLF every 20": between("\r\n", 20),
        "shell line continuation": between("\\\n", 16),
        "BASIC continuation": between(" _\n", 16),
        "stars every 5": between("*", 5),
        "HTML comments inside": between("<!-- -->", 6),
        "HTML tags inside": between("<b></b>", 6),
        "C comments inside": between("/**/", 6),
        "NUL between": lambda d: b"\0".join(bytes([b]) for b in d),
        "JSON array of pieces": joined(8, lambda p: json.dumps({"parts": p})),
        "JSON array of characters": joined(1, json.dumps),
        "JSON array of lines": joined(30, lambda p: json.dumps({"source": p})),
        "JSON array, nested": joined(7, lambda p: json.dumps([[x] for x in p])),
        "JSON keys part1, part2": joined(9, lambda p: json.dumps({f"part{i}": x for i, x in enumerate(p)})),
        "JSON keys a, b, c": joined(-(-1 // 1) * 12, lambda p: json.dumps({chr(97 + i % 26) * (1 + i // 26): x for i, x in enumerate(p)})),
        "JSON, objects in an array": joined(9, lambda p: json.dumps([{"i": i, "v": x} for i, x in enumerate(p)])),
        "JSON, streaming deltas": joined(6, lambda p: "".join("data: " + json.dumps({"choices": [{"delta": {"content": x}, "index": 0}]}) + "\n\n" for x in p)),
        "NDJSON pieces": joined(9, lambda p: "".join(json.dumps({"chunk": x}) + "\n" for x in p)),
        "concatenation +": joined(7, lambda p: "k = " + " + ".join(map(q, p))),
        "concatenation . (PHP)": joined(7, lambda p: "$k = " + " . ".join(repr(x) for x in p) + ";"),
        "concatenation .. (Lua)": joined(7, lambda p: "k = " + " .. ".join(map(q, p))),
        "concatenation & (VB)": joined(7, lambda p: "k = " + " & _\n    ".join('"' + x.replace('"', '""') + '"' for x in p)),
        "concatenation <> (Haskell)": joined(7, lambda p: "k = " + " <> ".join(map(q, p))),
        "concatenation ++ (Erlang)": joined(7, lambda p: "k = " + " ++ ".join(map(q, p))),
        "concatenation ~ (Twig)": joined(7, lambda p: "{% set k = " + " ~ ".join(map(q, p)) + " %}"),
        "concatenation || (SQL)": joined(7, lambda p: "select " + " || ".join("'" + x.replace("'", "''") + "'" for x in p)),
        "concatenation << (C++)": joined(7, lambda p: "s << " + " << ".join(map(q, p)) + ";"),
        "concatenation .concat()": joined(7, lambda p: "k = " + q(p[0]) + "".join(f".concat({q(x)})" for x in p[1:])),
        "adjacent literals, lines (Python)": joined(7, lambda p: "k = (\n" + "\n".join("    " + q(x) for x in p) + "\n)"),
        "adjacent literals, one line (C)": joined(7, lambda p: "char *k = " + " ".join(map(q, p)) + ";"),
        "f-strings": joined(7, lambda p: "k = " + " ".join("f" + q(x) for x in p)),
        "join(list)": joined(7, lambda p: "k = ''.join([" + ", ".join(map(q, p)) + "])"),
        "join(list, '-') split": joined(7, lambda p: "[" + ", ".join(map(repr, p)) + "].join('')"),
        "string builder": joined(7, lambda p: "".join(f"sb.append({q(x)});\n" for x in p)),
        "+= lines": joined(7, lambda p: "k = ''\n" + "".join(f"k += {q(x)}\n" for x in p)),
        "k = k + lines, uneven": random_cuts,
        "variables p1, p2": joined(7, numbered(lambda i, x: f"p{i} = {q(x)}")),
        "shell variables": joined(9, lambda p: "\n".join(f"A{i}='{x}'" for i, x in enumerate(p)) + "\necho \"" + "".join(f"$A{i}" for i in range(len(p))) + "\""),
        "shell, adjacent quotes": joined(7, lambda p: "K=" + "".join(("'" + x.replace("'", "") + "'") if i % 2 else '"' + x.replace('"', '\\"') + '"' for i, x in enumerate(p))),
        "template literal ${}": joined(7, lambda p: "`" + "".join("${" + repr(x) + "}" for x in p) + "`"),
        "printf with arguments": joined(9, lambda p: 'printf "' + "%s" * len(p) + '" ' + " ".join(map(q, p))),
        "format with placeholders": joined(9, lambda p: q("{}" * len(p)) + ".format(" + ", ".join(map(q, p)) + ")"),
        "form fields k1=…&k2=…": joined(9, lambda p: "&".join(f"k{i}={x}" for i, x in enumerate(p)) if not set("".join(p)) & set("&=\n% ") else "&".join(f"k{i}={__import__('urllib.parse').parse.quote(x)}" for i, x in enumerate(p))),
        "the same field repeated": joined(9, lambda p: "&".join(f"k={__import__('urllib.parse').parse.quote(x)}" for x in p)),
        "path segments": joined(6, lambda p: "/v1/" + "/".join(__import__("urllib.parse").parse.quote(x, safe="") for x in p)),
        "XML elements": joined(9, lambda p: "<r>" + "".join(f"<p>{x.replace('<', '&lt;')}</p>" for x in p) + "</r>"),
        "XML, CDATA pieces": joined(9, lambda p: "<r>" + "".join(f"<![CDATA[{x}]]>" for x in p) + "</r>"),
        "Markdown list": joined(9, lambda p: "\n".join(f"- {x}" for x in p)),
        "numbered list": joined(9, lambda p: "\n".join(f"{i}. {x}" for i, x in enumerate(p, 1))),
        "CSV column": joined(9, lambda p: "id,v\n" + "\n".join(f"{i},{x}" for i, x in enumerate(p))),
        "YAML list": joined(9, lambda p: "k:\n" + "\n".join(f"  - {q(x)}" for x in p)),
        "INI numbered": joined(9, numbered(lambda i, x: f"key{i}={x}")),
        "quoted lines of mail (>)": joined(24, lambda p: "\n".join("> " + x for x in p)),
        "diff, added": lambda d: ("--- a/x\n+++ b/x\n@@ -0,0 +1,9 @@\n" + "\n".join("+" + l for l in d.decode().splitlines())).encode(),
        "comment lines (#)": lambda d: "\n".join("# " + l for l in d.decode().splitlines()).encode(),
        "line numbers (cat -n)": lambda d: "\n".join(f"{i:6}\t{l}" for i, l in enumerate(d.decode().splitlines(), 1)).encode(),
        "acrostic (first letters)": lambda d: "\n".join(chr(b) + " is for something" for b in d).encode(),
        "interleaved with x": lambda d: "".join(chr(b) + "x" for b in d).encode(),
        "even, then odd characters": lambda d: d[::2] + d[1::2],
        "halves swapped": lambda d: d[len(d) // 2:] + d[:len(d) // 2],
        "words backwards": lambda d: b" ".join(w[::-1] for w in d.split(b" ")),
    }
    made["JSON keys a, b, c"] = joined(12, lambda p: json.dumps({chr(97 + i % 26) * (1 + i // 26): x for i, x in enumerate(p)}))
    for name, (upper, lower, digit) in MATH.items():
        made[name] = styled(upper, lower, digit)
    return made, []
