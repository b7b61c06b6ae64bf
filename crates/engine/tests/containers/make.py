#!/usr/bin/env python3
"""Makes fixtures.txt beside this file: the same harmless text in everything that packs files, by the tools people use.

Needs (Debian names): ncompress lzip lzop lz4 zstd xz-utils bzip2 p7zip-full zip gnupg openssl binutils cpio git; the Python packages brotli,
cramjam and pyzipper. What is not there keeps its old line. One line each: name, what is expected, content in base64.
"""
import base64
import bz2
import gzip
import io
import lzma
import pathlib
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


FOUND = {
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


main()
