"""Compression, archives and serialisations, each by an encoder that is not ours."""
import base64
import bz2
import email.message
import gzip
import io
import json
import lzma
import marshal
import pickle
import plistlib
import sqlite3
import struct
import subprocess
import tarfile
import tempfile
import xmlrpc.client
import zipfile
import zlib

from tools import have, package, pipe, with_file

FILLER = b"A line of harmless text that makes the file longer.\n" * 3


def tar(mode, form=tarfile.PAX_FORMAT, name="notes.txt"):
    def run(data):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:" + mode, format=form) as archive:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        return out.getvalue()
    return run


def zipped(method, stream=False, inner=False):
    def run(data):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            with archive.open("notes.txt", "w", force_zip64=stream) as entry:
                entry.write(data)
        return zipped(zipfile.ZIP_DEFLATED)(out.getvalue()) if inner else out.getvalue()
    return run


def comment(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "a")
        archive.comment = data[:60000]
    return out.getvalue()


def raw_deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def png(kind):
    """A picture of one pixel with a chunk of this kind before its end."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def run(data):
        body = {b"tEXt": b"Comment\0" + data, b"zTXt": b"Comment\0\0" + zlib.compress(data), b"iTXt": b"Comment\0\1\0\0\0" + zlib.compress(data)}.get(kind, data)
        head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\0"))
        return head + (b"" if kind == b"end" else chunk(kind, body)) + chunk(b"IEND", b"") + (data if kind == b"end" else b"")
    return run


def database(data):
    with tempfile.NamedTemporaryFile(suffix=".db") as file:
        base = sqlite3.connect(file.name)
        base.execute("create table t (id integer, note text)")
        base.execute("insert into t values (1, ?)", (data.decode(),))
        base.commit()
        base.close()
        return open(file.name, "rb").read()


def mail(encoding):
    def run(data):
        message = email.message.EmailMessage()
        message["Subject"] = "notes"
        message.set_content(data.decode(), cte=encoding)
        message.add_attachment(b"\x89PNG", maintype="image", subtype="png", filename="a.png")
        return message.as_bytes()
    return run


def git_object(data):
    return zlib.compress(b"blob %d\0" % len(data) + data)


def in_git(*last):
    def run(data):
        with tempfile.TemporaryDirectory() as folder:
            def git(*command):
                return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=folder, capture_output=True, check=True).stdout
            git("init", "-q")
            with open(folder + "/notes.txt", "wb") as file:
                file.write(data)
            git("add", ".")
            git("commit", "-qm", "notes")
            return git(*last)
    return run


def encodings():
    xz = lzma.compress
    made = {
        "gzip": gzip.compress, "gzip, base64": lambda d: base64.b64encode(gzip.compress(d)), "gzip of gzip": lambda d: gzip.compress(gzip.compress(d)),
        "gzip, two members": lambda d: gzip.compress(FILLER) + gzip.compress(d),
        "zlib": zlib.compress, "zlib, level 0": lambda d: zlib.compress(d, 0), "raw deflate": raw_deflate,
        "raw deflate, base64 (SAML)": lambda d: base64.b64encode(raw_deflate(d)),
        "bzip2": bz2.compress, "bzip2, two streams": lambda d: bz2.compress(FILLER) + bz2.compress(d),
        "xz": xz, "xz, two streams": lambda d: xz(FILLER) + xz(d), "xz, CRC32": lambda d: xz(d, check=lzma.CHECK_CRC32),
        "lzma": lambda d: xz(d, format=lzma.FORMAT_ALONE),
        "tar": tar(""), "tar, ustar": tar("", tarfile.USTAR_FORMAT), "tar, GNU long name": tar("", tarfile.GNU_FORMAT, "d/" * 80 + "n"),
        "tar.gz": tar("gz"), "tar.bz2": tar("bz2"), "tar.xz": tar("xz"),
        "zip, stored": zipped(zipfile.ZIP_STORED), "zip, deflated": zipped(zipfile.ZIP_DEFLATED), "zip, zip64": zipped(zipfile.ZIP_DEFLATED, True),
        "zip, bzip2": zipped(zipfile.ZIP_BZIP2), "zip, lzma": zipped(zipfile.ZIP_LZMA), "zip in zip": zipped(zipfile.ZIP_DEFLATED, inner=True),
        "zip comment": comment, "zip behind a script": lambda d: b"#!/bin/sh\nexit\n" + zipped(zipfile.ZIP_DEFLATED)(d),
        "PNG tEXt": png(b"tEXt"), "PNG zTXt": png(b"zTXt"), "PNG iTXt, deflated": png(b"iTXt"), "PNG unknown chunk": png(b"prVt"), "PNG, after the end": png(b"end"),
        "SQLite": database, "pickle": lambda d: pickle.dumps({"k": d.decode()}), "pickle, protocol 0": lambda d: pickle.dumps({"k": d.decode()}, 0),
        "marshal": lambda d: marshal.dumps({"k": d.decode()}),
        "property list, binary": lambda d: plistlib.dumps({"k": d.decode()}, fmt=plistlib.FMT_BINARY), "property list, data": lambda d: plistlib.dumps({"k": d}),
        "XML-RPC": lambda d: xmlrpc.client.dumps((d.decode(),), "put").encode(),
        "mail, 7bit": mail("7bit"), "mail, base64": mail("base64"), "mail, quoted-printable": mail("quoted-printable"),
        "length before text": lambda d: struct.pack(">I", len(d)) + d, "protobuf field": lambda d: b"\x0a" + bytes([len(d) & 127 | 128, len(d) >> 7]) + d,
        "git object": git_object, "JSON string, base64 of gzip": lambda d: json.dumps({"data": base64.b64encode(gzip.compress(d)).decode()}).encode(),
    }
    missing = []
    for program, commands in {
        "zstd": {"zstd": ["zstd", "-c"], "zstd --ultra": ["zstd", "-19", "-c"], "zstd without content size": ["zstd", "-c", "--no-check"]},
        "lz4": {"lz4": ["lz4", "-c"], "lz4 legacy": ["lz4", "-l", "-c"]}, "compress": {"compress (.Z)": ["compress", "-f", "-c"]}, "lzop": {"lzop": ["lzop", "-c"]},
        "lzip": {"lzip": ["lzip", "-c"]},
    }.items():
        for name, command in commands.items():
            if have(program):
                made[name] = lambda d, c=command: pipe(d, *c)
            else:
                missing.append(name)
    if have("git"):
        made["git bundle"] = in_git("bundle", "create", "-", "--all")
        made["git format-patch"] = in_git("format-patch", "--root", "--stdout")
    for module, makes in {
        "brotli": lambda m: {"brotli without its header": m.compress},
        "msgpack": lambda m: {"msgpack": lambda d: m.packb({"k": d.decode()})},
        "cbor2": lambda m: {"CBOR": lambda d: m.dumps({"k": d.decode()})},
        "bson": lambda m: {"BSON": lambda d: m.encode({"k": d.decode()})},
        "cramjam": lambda m: {"snappy, framed": lambda d: bytes(m.snappy.compress(d)), "snappy, raw": lambda d: bytes(m.snappy.compress_raw(d)),
                              "lz4 block": lambda d: bytes(m.lz4.compress_block(d))},
    }.items():
        found = package(module)
        if found is None:
            missing.append(module)
        else:
            made.update(makes(found))
    seven = package("py7zr")
    if seven is None:
        missing.append("7z")
    else:
        def seven_zip(data, **options):
            out = io.BytesIO()
            with seven.SevenZipFile(out, "w", **options) as archive:
                archive.writestr(data, "notes.txt")
            return out.getvalue()
        made["7z"] = seven_zip
        made["7z, encrypted"] = lambda d: seven_zip(d, password="unknown")
    return made, missing
