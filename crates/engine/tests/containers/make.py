#!/usr/bin/env python3
"""Makes fixtures.txt beside this file: the same harmless text in everything that packs files, by the tools people use.

Needs (Debian names): ncompress lzip lzop lz4 zstd xz-utils bzip2 p7zip-full zip gnupg openssl binutils cpio git qpdf
fonts-dejavu-core; the Python packages brotli,
cramjam, pyzipper, fpdf2, and reportlab. What is not there keeps its old line. One line each: name, what is expected, content in base64.
"""
import base64
import bz2
import gzip
import io
import lzma
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib

HERE = pathlib.Path(__file__).parent
# The marker that the test looks for. Its halves stand before it, so that no compressor leaves it in one piece.
HALVES = ("acme-4QmZx93", "LpT7vRk2Wd8")
TEXT = (f"Some notes: {HALVES[0]} and {HALVES[1]} are two halves; here is the whole: {''.join(HALVES)}. That is all there is.\n").encode()
LONG = b"".join(b"line %d of many that say nothing\n" % i for i in range(400)) + TEXT


def run(*command, data=None, cwd=None):
    return subprocess.run(command, input=data, cwd=cwd, capture_output=True, check=True).stdout


def folder(*command, out, files=None):
    with tempfile.TemporaryDirectory() as place:
        for name, content in (files or {"notes.txt": TEXT}).items():
            path = pathlib.Path(place, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        run(*command, cwd=place)
        return pathlib.Path(place, out).read_bytes()


def raw(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zipped(method, data=TEXT, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, **options) as archive:
        archive.writestr("notes.txt", data)
    return out.getvalue()


def seven(*options):
    return lambda: folder("7z", "a", *options, "o.7z", "notes.txt", out="o.7z")


def gpg(*options, data=TEXT):
    def make():
        with tempfile.TemporaryDirectory() as home:
            return run("gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", "x", *options, data=data)
    return make


def signed(*options):
    def make():
        with tempfile.TemporaryDirectory() as home:
            base = ["gpg", "--homedir", home, "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
            run(*base, "--quick-gen-key", "a@example.org", "ed25519")
            return run(*base, *options, data=TEXT)
    return make


def package(name):
    return __import__(name)


def aes_zip():
    out = io.BytesIO()
    with package("pyzipper").AESZipFile(out, "w", compression=zipfile.ZIP_DEFLATED, encryption=package("pyzipper").WZ_AES) as archive:
        archive.setpassword(b"x")
        archive.writestr("notes.txt", TEXT)
    return out.getvalue()


def cms(*options):
    with tempfile.TemporaryDirectory() as place:
        run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=a", "-keyout", "k", "-out", "c", cwd=place)
        return run("openssl", *options, data=TEXT, cwd=place)


MARKER = "".join(HALVES)


def pdf(*streams, extra=b"", trailer=b""):
    """A PDF of one page, whose streams are (dictionary, data)."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
               b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>",
               b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    objects += [b"<< " + d + b" /Length %d >>\nstream\n" % len(s) + s + b"\nendstream" for d, s in streams]
    out = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
    for i, o in enumerate(objects + ([extra] if extra else [])):
        out += b"%d 0 obj\n" % (i + 1) + o + b"\nendobj\n"
    return out + b"trailer\n<< /Root 1 0 R " + trailer + b">>\nstartxref\n0\n%%EOF\n"


def page(text=None):
    """A page that shows the marker, letter by letter."""
    return b"BT /F1 12 Tf 72 700 Td [" + b" -3 ".join(b"(" + c.encode() + b")" for c in text or MARKER) + b"] TJ ET\n"


def lzw(data):
    """LZW of PDF, with nothing learnt: a clear before every 200 bytes."""
    bits = "".join(("100000000" if i % 200 == 0 else "") + f"{b:09b}" for i, b in enumerate(data)) + "100000001"
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def predicted(data, columns=16):
    data += b" " * (-len(data) % columns)
    rows = [data[i:i + columns] for i in range(0, len(data), columns)]
    above = bytes(columns)
    out = b""
    for row in rows:
        out += b"\2" + bytes((a - b) & 255 for a, b in zip(row, above))
        above = row
    return zlib.compress(out)


def printed():
    """With a font of its own, whose codes are glyphs."""
    fpdf = package("fpdf")
    made = fpdf.FPDF()
    made.add_font("f", "", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
    made.add_page()
    made.set_font("f", size=12)
    made.cell(text="The key is " + MARKER + " and no other.")
    return bytes(made.output())


def report():
    out = io.BytesIO()
    canvas = __import__("reportlab.pdfgen.canvas").pdfgen.canvas.Canvas(out)
    canvas.drawString(72, 700, "The key is " + MARKER + " and no other.")
    canvas.save()
    return out.getvalue()


def office(**parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        for name, text in parts.items():
            archive.writestr(name.replace("__", "/") + ".xml", '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>' + text)
    return out.getvalue()


def word():
    runs = "".join(f'<w:r><w:rPr><w:b/></w:rPr><w:t xml:space="preserve">{part}</w:t></w:r>' for part in ("The key is ", MARKER[:7], MARKER[7:12], MARKER[12:], " so."))
    return office(word__document=f"<w:document><w:body><w:p>{runs}</w:p></w:body></w:document>")


def png(*chunks, after=b"", pixels=b"\0\0"):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    made = [chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), chunk(b"IDAT", zlib.compress(pixels))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made + [chunk(n, d) for n, d in chunks]) + chunk(b"IEND", b"") + after


def jpeg(marker, data, after=b""):
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2) + data + b"\xff\xda\0\x08\1\1\0\0\x3f\0abc\xff\xd9" + after


def gif(comment):
    blocks = b"".join(bytes([len(comment[i:i + 9])]) + comment[i:i + 9] for i in range(0, len(comment), 9))
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff\x21\xfe" + blocks + b"\0\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0\x3b"


def git(*commands, data=None, binary=False):
    """The output of the last of several git commands, in a repository of two commits: the second puts the marker into a long file."""
    with tempfile.TemporaryDirectory() as place:
        def one(*command, data=None):
            made = "2026-01-01T00:00:00Z"
            env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": place, "GIT_AUTHOR_DATE": made, "GIT_COMMITTER_DATE": made}
            return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=place, env=env, input=data, capture_output=True, check=True).stdout
        lines = LONG[:12000] if not binary else random.Random(4).randbytes(4000)
        path = pathlib.Path(place, "notes.txt")
        one("init", "-q")
        for content in (lines, lines[:6000] + TEXT + lines[6000:]):
            path.write_bytes(content)
            one("add", ".")
            one("commit", "-qm", "notes")
        for command in commands:
            out = one(*command, data=data)
        return out


def packed(*options, revisions=b"HEAD\n"):
    return lambda: git(["pack-objects", "--stdout", "--revs", "--window=10", *options], data=revisions)


WIDE = "".join(HALVES).encode("utf-16-le")


def tar(form, data=WIDE):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        entry = tarfile.TarInfo("d" * 90 + "/" + "n" * 90)
        entry.size = len(data)
        archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


FOUND = {
    "tar, ustar": lambda: tar(tarfile.USTAR_FORMAT),
    "tar, GNU": lambda: tar(tarfile.GNU_FORMAT),
    "tar, pax": lambda: tar(tarfile.PAX_FORMAT),
    "tar, in tar, in tar": lambda: tar(tarfile.PAX_FORMAT, tar(tarfile.GNU_FORMAT, tar(tarfile.USTAR_FORMAT))),
    "ar": lambda: folder("ar", "rc", "o.a", "notes.txt", out="o.a", files={"notes.txt": WIDE}),
    "cpio, new": lambda: folder("sh", "-c", "echo notes.txt | cpio -o -H newc > o", out="o", files={"notes.txt": WIDE}),
    "cpio, old": lambda: folder("sh", "-c", "echo notes.txt | cpio -o -H odc > o", out="o", files={"notes.txt": WIDE}),
    "deb": lambda: folder("sh", "-c", "chmod 755 d d/DEBIAN; dpkg-deb -b d o", out="o", files={"d/DEBIAN/control": b"Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: a\n", "d/etc/notes.txt": TEXT}),
    "epub": lambda: office(mimetype="", OEBPS__chapter=f"<html><body><p>The key is {MARKER[:9]}<i>{MARKER[9:]}</i>.</p></body></html>"),
    "git pack, deltas by offset": packed("--delta-base-offset"),
    "git pack, deltas by name": packed(),
    "git pack, thin": packed("--thin", "--delta-base-offset", revisions=b"HEAD\n^HEAD~1\n"),
    "git push": lambda: b"00b1" + b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/main\0 report-status\n" + b"0000" + packed("--delta-base-offset")(),
    "git bundle": lambda: git(["bundle", "create", "-", "HEAD"]),
    "git binary patch, literal": lambda: git(["diff", "--binary", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "HEAD"], binary=True),
    "git binary patch, delta": lambda: git(["diff", "--binary", "HEAD~1", "HEAD"], binary=True),
    "PDF, page as it is": lambda: pdf((b"", page())),
    "PDF, deflated": lambda: pdf((b"/Filter /FlateDecode", zlib.compress(page()))),
    "PDF, ASCII85 and deflated": lambda: pdf((b"/Filter [/ASCII85Decode /FlateDecode]", base64.a85encode(zlib.compress(page())) + b"~>")),
    "PDF, hex": lambda: pdf((b"/Filter /ASCIIHexDecode", page().hex().encode() + b">")),
    "PDF, LZW": lambda: pdf((b"/Filter /LZWDecode", lzw(page()))),
    "PDF, predictor": lambda: pdf((b"/Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 16 >>", predicted(page()))),
    "PDF, string with escapes": lambda: pdf((b"", b""), extra=b"<< /Title (" + b"".join(b"\\%03o" % b for b in MARKER.encode()) + b") >>"),
    "PDF, string in UTF-16": lambda: pdf((b"", b""), extra=b"<< /Title <FEFF" + MARKER.encode("utf-16-be").hex().encode() + b"> >>"),
    "PDF, object streams": lambda: folder("qpdf", "--warning-exit-0", "--object-streams=generate", "i.pdf", "o.pdf", out="o.pdf", files={"i.pdf": pdf((b"", page("nothing")), extra=b"<< /Title (" + b"".join(b"\\%03o" % b for b in MARKER.encode()) + b") >>", trailer=b"/Info 6 0 R")}),
    "PDF by fpdf2": printed,
    "PDF by reportlab": report,
    "docx": word,
    "xlsx": lambda: office(xl__sharedStrings=f"<sst><si><r><t>{MARKER[:9]}</t></r><r><rPr/><t>{MARKER[9:]}</t></r></si></sst>"),
    "PNG zTXt": lambda: png((b"zTXt", b"Comment\0\0" + zlib.compress(TEXT))),
    "PNG iTXt": lambda: png((b"iTXt", b"Comment\0\1\0en\0\0" + zlib.compress(TEXT))),
    "PNG, gzip in a chunk": lambda: png((b"prVt", gzip.compress(TEXT))),
    "PNG, text as pixels": lambda: png(pixels=TEXT * 3),
    "PNG, zip behind it": lambda: png(after=zipped(zipfile.ZIP_DEFLATED)),
    "JPEG, UTF-16 in EXIF": lambda: jpeg(0xE1, b"Exif\0\0II*\0" + bytes(20) + MARKER.encode("utf-16-le")),
    "JPEG, base64 behind it": lambda: jpeg(0xFE, b"hello", after=base64.b64encode(TEXT)),
    "GIF comment": lambda: gif(TEXT),
    "MP3, UTF-16 in a tag": lambda: b"ID3\3\0\0\0\0\1\0COMM" + struct.pack(">I", 80) + b"\0\0\1eng\xff\xfe\0\0\xff\xfe" + MARKER.encode("utf-16-le") + bytes(40),
    "gzip": lambda: gzip.compress(TEXT, mtime=0),
    "gzip, two members": lambda: gzip.compress(b"first\n", mtime=0) + gzip.compress(TEXT, mtime=0),
    "zlib, small window": lambda: (lambda c: c.compress(TEXT) + c.flush())(zlib.compressobj(9, zlib.DEFLATED, 9)),
    "raw deflate": lambda: raw(TEXT),
    "compress": lambda: run("compress", "-c", data=TEXT),
    "compress, long": lambda: run("compress", "-c", data=LONG),
    "compress, nine bits": lambda: run("compress", "-b", "9", "-c", data=LONG),
    "compress, twelve bits, long": lambda: run("compress", "-b", "12", "-c", data=LONG * 4),
    "bzip2": lambda: bz2.compress(TEXT),
    "bzip2, two streams": lambda: bz2.compress(b"first\n") + bz2.compress(TEXT),
    "xz": lambda: lzma.compress(TEXT),
    "xz, two streams": lambda: lzma.compress(b"first\n") + lzma.compress(TEXT),
    "xz -9, x86 filter": lambda: run("xz", "--x86", "--lzma2=preset=9", "-c", data=TEXT),
    "lzma": lambda: lzma.compress(TEXT, format=lzma.FORMAT_ALONE),
    "lzip": lambda: run("lzip", "-c", data=TEXT),
    "lzip, two members": lambda: run("lzip", "-c", data=b"first\n") + run("lzip", "-c", data=TEXT),
    "lz4": lambda: run("lz4", "-c", data=TEXT),
    "lz4, two frames": lambda: run("lz4", "-c", data=b"first\n") + run("lz4", "-c", data=TEXT),
    "lz4, legacy": lambda: run("lz4", "-l", "-c", data=TEXT),
    "lz4 block": lambda: bytes(package("cramjam").lz4.compress_block(TEXT, store_size=False)),
    "lz4 block, size before it": lambda: bytes(package("cramjam").lz4.compress_block(TEXT)),
    "zstd": lambda: run("zstd", "-c", data=TEXT),
    "zstd -19": lambda: run("zstd", "-19", "-c", data=TEXT),
    "zstd --ultra --long": lambda: run("zstd", "--ultra", "-22", "--long=27", "-c", data=TEXT),
    "zstd, skippable frame and two frames": lambda: b"\x50\x2a\x4d\x18\x03\0\0\0abc" + run("zstd", "-c", data=b"first\n") + run("zstd", "-c", data=TEXT),
    "brotli": lambda: package("brotli").compress(TEXT),
    "snappy, framed": lambda: bytes(package("cramjam").snappy.compress(TEXT)),
    "snappy, raw": lambda: bytes(package("cramjam").snappy.compress_raw(TEXT)),
    "zip": lambda: zipped(zipfile.ZIP_DEFLATED),
    "zip, bzip2": lambda: zipped(zipfile.ZIP_BZIP2),
    "zip, lzma": lambda: zipped(zipfile.ZIP_LZMA),
    "zip, lzma without a mark": lambda: folder("7z", "a", "-tzip", "-mm=LZMA", "o.zip", "notes.txt", out="o.zip"),
    "zip, deflate64": lambda: folder("7z", "a", "-tzip", "-mm=Deflate64", "o.zip", "notes.txt", out="o.zip"),
    "zip, written as a stream": lambda: run("zip", "-q", "-", "-", data=TEXT),
    "zip in zip": lambda: zipped(zipfile.ZIP_DEFLATED, zipped(zipfile.ZIP_DEFLATED)),
    "zip behind a script": lambda: b"#!/bin/sh\nexit\n" + zipped(zipfile.ZIP_DEFLATED),
    "7z": seven(),
    "7z, lzma": seven("-m0=lzma"),
    "7z, bzip2": seven("-m0=bzip2"),
    "7z, ppmd": seven("-m0=ppmd"),
    "7z, headers as they are": seven("-mhc=off"),
    "7z, two files, not solid": lambda: folder("7z", "a", "-ms=off", "o.7z", ".", out="o.7z", files={"a.txt": b"first\n", "notes.txt": TEXT}),
    "7z in tar": lambda: folder("tar", "cf", "o.tar", "o.7z", out="o.tar", files={"o.7z": seven()()}),
    "gpg --sign": signed("--sign"),
}
ENCRYPTED = {
    "7z, encrypted": seven("-px"),
    "7z, headers encrypted": seven("-px", "-mhe=on"),
    "zip, encrypted": lambda: folder("zip", "-q", "-P", "x", "o.zip", "notes.txt", out="o.zip"),
    "zip, AES": aes_zip,
    "gpg -c": gpg("-c"),
    "gpg -c --armor": gpg("-c", "--armor"),
    "openssl enc": lambda: run("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-k", "x", data=TEXT),
    "openssl cms": lambda: cms("cms", "-encrypt", "-outform", "DER", "c"),
    "openssl cms, PEM": lambda: cms("cms", "-encrypt", "-outform", "PEM", "c"),
    "PKCS #12": lambda: cms("pkcs12", "-export", "-in", "c", "-inkey", "k", "-passout", "pass:x"),
    "age": lambda: b"age-encryption.org/v1\n-> X25519 " + base64.b64encode(b"k" * 32) + b"\n" + bytes(range(64)),
    "age, armoured": lambda: b"-----BEGIN AGE ENCRYPTED FILE-----\n" + base64.encodebytes(b"age-encryption.org/v1\n-> X25519 " + bytes(64)) + b"-----END AGE ENCRYPTED FILE-----\n",
    "PDF, encrypted": lambda: folder("qpdf", "--warning-exit-0", "--encrypt", "x", "x", "256", "--", "i.pdf", "o.pdf", out="o.pdf", files={"i.pdf": pdf((b"", page()))}),
    "Office document, encrypted": lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504) + "EncryptedPackage".encode("utf-16-le") + bytes(64),
    "KeePass": lambda: struct.pack("<II", 0x9AA2D903, 0xB54BFB67) + bytes(range(64)),
}
UNDECODABLE = {
    "lzop": lambda: run("lzop", "-c", data=TEXT),
    # The header of a real archive: signature, main header with its checksum.
    "rar 4": lambda: b"Rar!\x1a\x07\0" + bytes.fromhex("cf907300000d00000000000000") + bytes(40),
    "rar 5": lambda: b"Rar!\x1a\x07\x01\0" + (lambda h: struct.pack("<I", zlib.crc32(h)) + h)(bytes([10, 1, 5, 6, 0, 5, 1, 1, 0, 0, 0])) + bytes(40),
    "cabinet": lambda: b"MSCF\0\0\0\0" + bytes(range(60)),
}
CLEAN = {
    "PDF": lambda: pdf((b"/Filter /FlateDecode", zlib.compress(page("nothing to see")))),
    "PNG": lambda: png((b"tEXt", b"Comment\0hello"), pixels=bytes(range(256)) * 40),
    "JPEG": lambda: jpeg(0xFE, b"hello there"),
    "GIF": lambda: gif(b"hello there, this is a comment"),
    "docx": lambda: office(word__document="<w:document><w:body><w:p><w:r><w:t>Nothing</w:t></w:r></w:p></w:body></w:document>"),
    "ansible-vault": lambda: b"$ANSIBLE_VAULT;1.1;AES256\n" + b"3161326233343536\n" * 8,
    "gpg --detach-sign": signed("--detach-sign"),
    "gpg --detach-sign --armor": signed("--detach-sign", "--armor"),
    "gpg --export": lambda: signed("--export")(),
    "certificate": lambda: cms("x509", "-in", "c", "-outform", "DER"),
    "the magics in a program": lambda: b"\x7fELF" + bytes(64).join([b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x01\0", b"Rar!\x1a\x07\0", b"\xfd7zXZ\0", b"PK\3\4", b"BZh9"]) + bytes(64),
}


def main():
    place = HERE / "fixtures.txt"
    old = dict((line.split("\t")[0], line) for line in place.read_text().splitlines()) if place.exists() else {}
    lines = []
    for expected, cases in (("found", FOUND), ("encrypted", ENCRYPTED), ("undecodable", UNDECODABLE), ("clean", CLEAN)):
        for name, make in cases.items():
            try:
                data = make()
            except (OSError, ImportError, subprocess.CalledProcessError) as why:
                print(f"{name}: {why}{getattr(why, 'stderr', b'') or ''}", file=sys.stderr)
                if name in old:
                    lines.append(old[name])
                continue
            if "".join(HALVES).encode() in data:
                print(f"{name}: in plain sight", file=sys.stderr)
            lines.append(f"{name}\t{expected}\t{base64.b64encode(data).decode()}")
    place.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
