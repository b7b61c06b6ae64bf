"""Bytes to text and text to text: base-N families, escapes, numbers, Unicode forms. Each by Python's own encoder, or written from its definition."""
import base64
import binascii
import codecs
import html
import io
import json
import quopri
import random
import subprocess
import urllib.parse

from tools import have, package, pipe

BTC = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BIG = {
    "base58 (ripple)": "rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz",
    "base58 (flickr)": "123456789abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ",
    "base62 (0-9A-Za-z)": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "base62 (0-9a-zA-Z)": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "base62 (A-Za-z0-9)": "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    "base36": "0123456789abcdefghijklmnopqrstuvwxyz",
    "base36 upper": "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "decimal number": "0123456789",
}
BASE32 = {
    "base32 z": "ybndrfg8ejkmcpqxot1uwisza345h769",
    "base32 crockford": "0123456789ABCDEFGHJKMNPQRSTVWXYZ",
    "base32 geohash": "0123456789bcdefghjkmnpqrstuvwxyz",
    "base32 bech32": "qpzry9x8gf2tvdw0s3jn54khce6mua7l",
}
STANDARD32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
STANDARD64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
BASE91 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~\""


def big(data, alphabet):
    number, out = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, len(alphabet))
        out = alphabet[digit] + out
    return out.encode()


def translated(encode, source, target):
    table = str.maketrans(source, target)
    return lambda data: encode(data).decode().translate(table).encode()


def base91(data):
    bits = count = 0
    out = ""
    for byte in data:
        bits |= byte << count
        count += 8
        if count > 13:
            value = bits & 8191
            if value > 88:
                bits, count = bits >> 13, count - 13
            else:
                value = bits & 16383
                bits, count = bits >> 14, count - 14
            out += BASE91[value % 91] + BASE91[value // 91]
    if count:
        out += BASE91[bits % 91]
        if count > 7 or bits > 90:
            out += BASE91[bits // 91]
    return out.encode()


def z85(data):
    return base64.b85encode(data + b" " * (-len(data) % 4)).translate(bytes.maketrans(
        b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
        b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"))


def yenc(data):
    out = bytearray()
    for byte in data:
        byte = (byte + 42) & 255
        out += bytes([61, (byte + 64) & 255]) if byte in (0, 10, 13, 61) else bytes([byte])
    return b"=ybegin line=128 size=%d name=a.txt\r\n" % len(data) + bytes(out) + b"\r\n=yend size=%d\r\n" % len(data)


def uu(data, name=b"begin 644 notes.txt\n"):
    lines = [binascii.b2a_uu(data[i:i + 45]) for i in range(0, len(data), 45)]
    return name + b"".join(lines) + b"`\nend\n"


def xx(data):
    chars = "+-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    out = b"begin 644 notes.txt\n"
    for i in range(0, len(data), 45):
        part = data[i:i + 45]
        six = base64.b64encode(part + b"\0" * (-len(part) % 3)).decode().translate(str.maketrans(STANDARD64, chars))
        out += (chars[len(part)] + six + "\n").encode()
    return out + b"+\nend\n"


def imap(data):
    return b"&" + base64.b64encode(data.decode().encode("utf-16-be")).rstrip(b"=").replace(b"/", b",") + b"-"


def each(form, between=""):
    return lambda data: between.join(form(b) for b in data).encode()


def wrapped(encode, width, end=b"\n"):
    def run(data):
        text = encode(data)
        return end.join(text[i:i + width] for i in range(0, len(text), width))
    return run


def half(data, rng=random.Random(5)):
    return "".join("%%%02X" % b if rng.random() < 0.4 else urllib.parse.quote(bytes([b]), safe="") for b in data).encode()


def twice(encode, times=2):
    def run(data):
        for _ in range(times):
            data = encode(data)
        return data
    return run


def hexdump(*command):
    return lambda data: pipe(data, *command)


def encodings():
    b64 = base64.b64encode
    url = base64.urlsafe_b64encode
    hexed = binascii.hexlify
    made = {
        "plain": lambda d: d,
        "base64": b64,
        "base64 unpadded": lambda d: b64(d).rstrip(b"="),
        "base64url": lambda d: url(d).rstrip(b"="),
        "base64, 76 a line": base64.encodebytes,
        "base64, 64 a line, CRLF": wrapped(b64, 64, b"\r\n"),
        "base64, 20 a line": wrapped(b64, 20),
        "base64, 8 a line": wrapped(b64, 8),
        "base64, blanks every 4": wrapped(b64, 4, b" "),
        "base64, dots every 10": wrapped(b64, 10, b"."),
        "base64 twice": twice(b64),
        "base64 three times": twice(b64, 3),
        "base64 of hex": lambda d: b64(hexed(d)),
        "base64 reversed": lambda d: b64(d)[::-1],
        "base64 of reversed": lambda d: b64(d[::-1]),
        "base64, case swapped": lambda d: b64(d).swapcase(),
        "base64, IMAP's (UTF-7)": imap,
        "UTF-7": lambda d: ("x+" + b64(d.decode().encode("utf-16-be")).rstrip(b"=").decode() + "-").encode(),
        "base64, alphabet ._": lambda d: base64.b64encode(d, b"._"),
        "base64, crypt alphabet": translated(b64, STANDARD64, "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
        "base64 with a prefix glued on": lambda d: b"data" + b64(d),
        "data: URL": lambda d: b"data:text/plain;base64," + b64(d),
        "hex": hexed,
        "HEX": lambda d: hexed(d).upper(),
        "hex, colons": lambda d: hexed(d, ":"),
        "hex, blanks": lambda d: hexed(d, " "),
        "hex, dashes": lambda d: hexed(d, "-"),
        "hex, dots": lambda d: hexed(d, "."),
        "hex, pipes": lambda d: hexed(d, "|"),
        "hex, underscores every 4 bytes": lambda d: hexed(d, "_", 4),
        "hex, blanks every 2 bytes": lambda d: hexed(d, " ", 2),
        "hex, 0x list": each(lambda b: f"0x{b:02x}", ", "),
        "hex, 0X list without blanks": each(lambda b: f"0X{b:02X}", ","),
        "hex, C bytes in braces": lambda d: b"{ " + each(lambda b: f"0x{b:02X}u", ", ")(d) + b" }",
        "hex, h suffix": each(lambda b: f"{b:02X}h", " "),
        "hex, #": each(lambda b: f"#{b:02x}"),
        "hex, $": each(lambda b: f"${b:02x}", ","),
        "hex, 16 a line": wrapped(hexed, 32),
        "hex reversed": lambda d: hexed(d)[::-1],
        "hex, nibbles swapped": lambda d: "".join(f"{b:02x}"[::-1] for b in d).encode(),
        "hex twice": twice(hexed),
        "0x number": lambda d: b"0x" + hexed(d),
        "SQL hex literal": lambda d: b"X'" + hexed(d) + b"'",
        "postgres bytea": lambda d: b"\\\\x" + hexed(d),
        "base32": base64.b32encode,
        "base32 lower, unpadded": lambda d: base64.b32encode(d).rstrip(b"=").lower(),
        "base32hex": base64.b32hexencode if hasattr(base64, "b32hexencode") else lambda d: None,
        "base32, dashes every 4": wrapped(lambda d: base64.b32encode(d).rstrip(b"="), 4, b"-"),
        "base32, 64 a line": wrapped(base64.b32encode, 64),
        "base85": base64.b85encode,
        "ascii85": base64.a85encode,
        "ascii85 <~ ~>": lambda d: base64.a85encode(d, adobe=True, wrapcol=72),
        "z85": z85,
        "base91": base91,
        "uuencode": uu,
        "uuencode without begin": lambda d: b"".join(binascii.b2a_uu(d[i:i + 45]) for i in range(0, len(d), 45)),
        "xxencode": xx,
        "yEnc": yenc,
        "binary digits": each(lambda b: f"{b:08b}"),
        "binary digits, blanks": each(lambda b: f"{b:08b}", " "),
        "binary digits of seven": each(lambda b: f"{b:07b}", " "),
        "binary digits, 0b list": each(lambda b: f"0b{b:08b}", ", "),
        "decimal codes, commas": each(str, ","),
        "decimal codes, blanks": each(str, " "),
        "decimal codes, dashes": each(str, "-"),
        "decimal codes, JSON": lambda d: json.dumps(list(d)).encode(),
        "decimal codes, an indented list": lambda d: json.dumps(list(d), indent=1).encode(),
        "decimal codes of three": each(lambda b: f"{b:03d}"),
        "signed bytes": lambda d: json.dumps([b - 256 if b > 127 else b for b in d]).encode(),
        "chr() calls": each(lambda b: f"chr({b})", "+"),
        "CHAR() of SQL": lambda d: b"CHAR(" + each(str, ",")(d) + b")",
        "JSON Buffer": lambda d: json.dumps({"type": "Buffer", "data": list(d)}).encode(),
        "JSON object by index": lambda d: json.dumps({str(i): b for i, b in enumerate(d)}).encode(),
        "octal codes": each(lambda b: f"{b:03o}", " "),
        "octal escapes": each(lambda b: f"\\{b:03o}"),
        "0o list": each(lambda b: f"0o{b:o}", ", "),
        "percent, all": each(lambda b: f"%{b:02X}"),
        "percent, half": half,
        "percent twice": twice(each(lambda b: f"%{b:02X}")),
        "percent three times": lambda d: twice(lambda x: urllib.parse.quote(x, safe="").encode(), 2)(each(lambda b: f"%{b:02x}")(d)),
        "%uXXXX": each(lambda b: f"%u{b:04X}"),
        "percent of UTF-16": lambda d: each(lambda b: f"%{b:02X}")(d.decode().encode("utf-16-le")),
        "\\x": each(lambda b: f"\\x{b:02x}"),
        "\\u": each(lambda b: f"\\u{b:04x}"),
        "\\U": each(lambda b: f"\\U{b:08x}"),
        "\\u{}": each(lambda b: f"\\u{{{b:x}}}"),
        "\\x{}": each(lambda b: f"\\x{{{b:02x}}}"),
        "\\N{} names": lambda d: d.decode().encode("ascii", "namereplace") if not d.isascii() else "".join(
            "\\N{" + __import__("unicodedata").name(chr(b)) + "}" if b >= 32 else chr(b) for b in d).encode(),
        "U+XXXX": each(lambda b: f"U+{b:04X}", " "),
        "CSS escapes": each(lambda b: f"\\{b:x} "),
        "CSS escapes of six": each(lambda b: f"\\{b:06x}"),
        "octal \\o{}": each(lambda b: f"\\o{{{b:o}}}"),
        "JSON, \\/ and \\\\": lambda d: json.dumps(json.dumps(d.decode())).encode(),
        "JSON strings, five deep": twice(lambda d: json.dumps(d.decode()).encode(), 5),
        "HTML entities, decimal": each(lambda b: f"&#{b};"),
        "HTML entities, hex": each(lambda b: f"&#x{b:x};"),
        "HTML entities, zeros": each(lambda b: f"&#{b:07d};"),
        "HTML entities without ;": each(lambda b: f"&#{b:07d}"),
        "HTML names": lambda d: "".join("&" + n + ";" if (n := html.entities.codepoint2name.get(b) or {
            95: "lowbar", 45: "hyphen", 58: "colon", 61: "equals", 47: "sol", 43: "plus", 46: "period", 64: "commat"}.get(b)) else chr(b) for b in d).encode(),
        "quoted-printable": lambda d: each(lambda b: f"={b:02X}")(d),
        "quoted-printable, wrapped": lambda d: quopri.encodestring(each(lambda b: f"={b:02X}")(d)) and wrapped(each(lambda b: f"={b:02X}"), 72, b"=\r\n")(d),
        "quoted-printable, soft breaks": wrapped(lambda d: d, 11, b"=\r\n"),
        "encoded word Q": lambda d: b"=?utf-8?Q?" + each(lambda b: f"={b:02X}" if b in b"_?= \n" else chr(b))(d) + b"?=",
        "encoded word B": lambda d: b"=?utf-8?B?" + b64(d) + b"?=",
        "encoded words, folded": lambda d: b"\r\n ".join(b"=?utf-8?B?" + b64(d[i:i + 36]) + b"?=" for i in range(0, len(d), 36)),
        "RFC 2231 continuation": lambda d: b";\r\n ".join(
            b"filename*%d*=" % n + (b"utf-8''" if not n else b"") + urllib.parse.quote(d[i:i + 24], safe="").encode() for n, i in enumerate(range(0, len(d), 24))),
        "punycode": lambda d: ("xn--" + ("ü" + d.decode()).encode("punycode").decode()).encode(),
        "Java properties": lambda d: b"key=" + each(lambda b: f"\\u{b:04X}")(d),
        "reversed": lambda d: d[::-1],
        "rot13": lambda d: codecs.encode(d.decode(), "rot13").encode(),
        "rot47": lambda d: bytes(33 + (b - 33 + 47) % 94 if 33 <= b <= 126 else b for b in d),
        "atbash": lambda d: bytes(219 - b if 97 <= b <= 122 else 155 - b if 65 <= b <= 90 else b for b in d),
        "caesar 3": lambda d: bytes((b - 97 + 3) % 26 + 97 if 97 <= b <= 122 else (b - 65 + 3) % 26 + 65 if 65 <= b <= 90 else b for b in d),
        "case swapped": lambda d: d.swapcase(),
        "XOR 0x20 (one byte)": lambda d: bytes(b ^ 0x20 for b in d),
        "XOR 0x5a (one byte)": lambda d: bytes(b ^ 0x5a for b in d),
        "XOR 0x5a, base64": lambda d: b64(bytes(b ^ 0x5a for b in d)),
        "bits inverted": lambda d: bytes(b ^ 0xff for b in d),
        "bits inverted, hex": lambda d: hexed(bytes(b ^ 0xff for b in d)),
        "morse": lambda d: None if not d.isupper() else d,
    }
    del made["morse"]
    for name, alphabet in BIG.items():
        made[name] = lambda d, a=alphabet: big(d, a)
    for name, alphabet in BASE32.items():
        made[name] = translated(lambda d: base64.b32encode(d).rstrip(b"="), STANDARD32, alphabet)
    for name in ("utf-16-le", "utf-16-be", "utf-16", "utf-32-le", "utf-32-be", "cp037", "cp500", "cp1140", "utf-8-sig"):
        made[f"as {name}"] = lambda d, n=name: d.decode().encode(n)
    for name in ("utf-16-le", "utf-32-be", "cp037"):
        made[f"as {name}, base64"] = lambda d, n=name: b64(d.decode().encode(n))
    made["PowerShell -EncodedCommand"] = lambda d: b"powershell -e " + b64(("echo '" + d.decode() + "'").encode("utf-16-le"))
    missing = []
    for name, module, encode in (
        ("base58 (bitcoin)", "base58", lambda m: m.b58encode),
        ("base58check", "base58", lambda m: m.b58encode_check),
        ("base45", "base45", lambda m: m.b45encode),
    ):
        if (found := package(module)) is None:
            missing.append(name)
        else:
            made[name] = encode(found)
    for name, command in (
        ("xxd", ["xxd"]), ("xxd -p", ["xxd", "-p"]), ("xxd -i", ["xxd", "-i"]), ("xxd -b", ["xxd", "-b"]), ("xxd -e", ["xxd", "-e"]), ("xxd -g1 -u", ["xxd", "-g1", "-u"]),
        ("xxd -c 8", ["xxd", "-c", "8"]),
        ("hexdump -C", ["hexdump", "-C"]), ("hexdump", ["hexdump"]), ("od", ["od"]), ("od -c", ["od", "-c"]), ("od -tx1", ["od", "-tx1"]), ("od -An -tx1", ["od", "-An", "-tx1"]),
        ("od -An -tu1", ["od", "-An", "-tu1"]), ("od -b", ["od", "-b"]), ("od -x", ["od", "-x"]), ("od -tx4", ["od", "-tx4"]), ("od -a", ["od", "-a"]),
        ("openssl enc -base64", ["openssl", "enc", "-base64"]), ("openssl base64 -A", ["openssl", "base64", "-A"]),
        ("base32 (coreutils)", ["base32"]), ("basenc --z85", ["basenc", "--base2msbf"]),
    ):
        if have(command[0]):
            made[name] = hexdump(*command)
        else:
            missing.append(name)
    made["basenc --base2msbf"] = made.pop("basenc --z85") if "basenc --z85" in made else lambda d: None
    return made, missing
