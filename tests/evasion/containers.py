"""Documents, media, packages and git: containers beyond those of formats.py, each by an encoder that is not ours or by the format's own rules."""
import base64
import io
import random
import struct
import subprocess
import tarfile
import tempfile
import zipfile
import zlib

from tools import have, package, with_file

FILLER = b"".join(b"line %d of a file that says nothing\n" % i for i in range(120))


def pdf(*streams, extra=b"", trailer=b""):
    """A PDF of one page; streams are (dictionary, data)."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
               b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>", b"<< /Type /Font /BaseFont /Helvetica >>"]
    objects += [b"<< " + d + b" /Length %d >>\nstream\n" % len(s) + s + b"\nendstream" for d, s in streams] + ([extra] if extra else [])
    body = b"".join(b"%d 0 obj\n%s\nendobj\n" % (i + 1, o) for i, o in enumerate(objects))
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + body + b"trailer\n<< /Root 1 0 R " + trailer + b">>\nstartxref\n0\n%%EOF\n"


def string(text):
    return b"(" + text.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)") + b")"


def page(data, size=80):
    """A page of lines; the letters of each are set one by one."""
    lines = [line[i:i + size] for line in data.split(b"\n") for i in range(0, max(len(line), 1), size)]
    show = b"\nT*\n".join(b"[" + b" -4 ".join(string(bytes([c])) for c in line) + b"] TJ" for line in lines)
    return b"BT /F1 9 Tf 14 TL 72 800 Td\n" + show + b"\nET\n"


def flate(data):
    return pdf((b"/Filter /FlateDecode", zlib.compress(page(data))))


def info(value):
    return pdf((b"", b""), extra=b"<< /Title " + value + b" >>", trailer=b"/Info 6 0 R ")


def office(name, text, root="w:document"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?><{root}>{text}</{root}>')
    return out.getvalue()


def escaped(data):
    return data.decode().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def runs(data, form, close="", size=7):
    """Each line a paragraph, each few characters a run."""
    lines = (escaped(line) for line in data.split(b"\n"))
    return close.join("".join(form.format(line[i:i + size]) for i in range(0, len(line), size)) for line in lines)


def docx(data):
    run = '<w:r><w:rPr><w:lang w:val="en"/></w:rPr><w:t xml:space="preserve">{}</w:t></w:r>'
    return office("word/document.xml", "<w:body><w:p>" + runs(data, run, "</w:p><w:p>") + "</w:p></w:body>")


def png(*chunks, after=b"", pixels=b"\0\0"):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    made = [chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)), chunk(b"IDAT", zlib.compress(pixels))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(made + [chunk(n, d) for n, d in chunks]) + chunk(b"IEND", b"") + after


def jpeg(marker, data, after=b""):
    data = data[:65000]
    head = b"\xff\xd8\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0\xff" + bytes([marker]) + struct.pack(">H", len(data) + 2)
    return head + data + b"\xff\xda\0\x08\1\1\0\0\x3f\0abc\xff\xd9" + after


def gif(data):
    blocks = b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255))
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff\x21\xfe" + blocks + b"\0\x2c\0\0\0\0\1\0\1\0\0\2\2\x44\1\0\x3b"


def riff(form, name, data):
    chunk = name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)
    return b"RIFF" + struct.pack("<I", len(chunk) + 4) + form + chunk


def mp4(data):
    def box(name, content):
        return struct.pack(">I", len(content) + 8) + name + content
    return box(b"ftyp", b"isom\0\0\2\0isom") + box(b"moov", box(b"udta", box(b"\xa9cmt", struct.pack(">HH", len(data), 0) + data)))


def bare_zip(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.txt", data)
    return out.getvalue()


def sparse(data):
    """A GNU tar with the file's name, and the text in UTF-16."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        wide = data.decode().encode("utf-16")
        entry = tarfile.TarInfo("notes.txt")
        entry.size = len(wide)
        archive.addfile(entry, io.BytesIO(wide))
    return out.getvalue()


def in_git(*last, binary=False, revisions=None):
    """What the last command says in a repository of two commits, of which the second puts the text into a long file."""
    def run(data):
        with tempfile.TemporaryDirectory() as folder:
            def git(*command, data=None):
                return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], cwd=folder, input=data, capture_output=True, check=True).stdout
            base = random.Random(4).randbytes(4000) if binary else FILLER
            git("init", "-q")
            for content in (base, base[:2000] + b"\n" + data + b"\n" + base[2000:]):
                with open(folder + "/notes.txt", "wb") as file:
                    file.write(content)
                git("add", ".")
                git("commit", "-qm", "notes")
            return git(*last, data=revisions)
    return run


PACK = ["pack-objects", "--stdout", "--revs", "--window=10"]


def encodings():
    made = {
        "PDF, page as it is": lambda d: pdf((b"", page(d))), "PDF, deflated": flate,
        "PDF, ASCII85 and deflated": lambda d: pdf((b"/Filter [/ASCII85Decode /FlateDecode]", base64.a85encode(zlib.compress(page(d))) + b"~>")),
        "PDF, hex": lambda d: pdf((b"/Filter /ASCIIHexDecode", page(d).hex().encode() + b">")),
        "PDF, title with octal escapes": lambda d: info(b"(" + b"".join(b"\\%03o" % c for c in d) + b")"),
        "PDF, title in UTF-16": lambda d: info(b"<FEFF" + d.decode().encode("utf-16-be").hex().encode() + b">"),
        "PDF, behind its end": lambda d: flate(b"nothing") + d,
        "docx, a run every 7": docx,
        "xlsx, shared strings": lambda d: office("xl/sharedStrings.xml", "<si>" + runs(d, "<r><t>{}</t></r>", "</si><si>") + "</si>", "sst"),
        "pptx, a run every 7": lambda d: office("ppt/slides/slide1.xml", "<a:p>" + runs(d, '<a:r><a:rPr lang="en"/><a:t>{}</a:t></a:r>', "</a:p><a:p>") + "</a:p>", "p:sld"),
        "odt, a span every 7": lambda d: office("content.xml", "<text:p>" + runs(d, '<text:span text:style-name="T1">{}</text:span>', "</text:p><text:p>") + "</text:p>", "office:text"),
        "HTML, bold every 7": lambda d: ("<html><body><p>" + runs(d, "{}<b></b>", "<br>") + "</p></body></html>").encode(),
        "PNG, gzip in a chunk": lambda d: png((b"prVt", zlib.compress(d, wbits=31))), "PNG, text as pixels": lambda d: png(pixels=d),
        "PNG, zip behind it": lambda d: png(after=bare_zip(d)), "PNG, base64 behind it": lambda d: png(after=base64.b64encode(d)),
        "JPEG comment": lambda d: jpeg(0xFE, d), "JPEG EXIF, UTF-16": lambda d: jpeg(0xE1, b"Exif\0\0II*\0" + bytes(20) + d.decode().encode("utf-16-le")),
        "JPEG XMP": lambda d: jpeg(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><dc:d>" + escaped(d).encode() + b"</dc:d></x:xmpmeta>"),
        "JPEG, zip behind it": lambda d: jpeg(0xFE, b"", bare_zip(d)), "GIF comment": gif,
        "WebP, XMP": lambda d: riff(b"WEBP", b"XMP ", d), "WAV, LIST": lambda d: riff(b"WAVE", b"LIST", b"INFOICMT" + struct.pack("<I", len(d)) + d), "MP4, comment": mp4,
        "MP3, UTF-16 in a tag": lambda d: b"ID3\3\0\0\0\0\x7f\x7fCOMM" + struct.pack(">I", len(d) * 2 + 10) + b"\0\0\1eng\xff\xfe\0\0\xff\xfe" + d.decode().encode("utf-16-le") + bytes(40),
        "tar, UTF-16 in it": sparse, "tar in zip": lambda d: bare_zip(sparse(d)),
    }
    missing = []
    for program, commands in {
        "ar": {"ar": ("ar", "rc", "o", "n")}, "cpio": {"cpio": ("sh", "-c", "echo n | cpio --quiet -o -H newc > o")},
        "zip": {"zip, encrypted": ("sh", "-c", "zip -q -P x o.zip n && mv o.zip o"), "zip as a stream": ("sh", "-c", "zip -q - - < n > o")},
        "7z": {"zip, deflate64": ("sh", "-c", "7z a -tzip -mm=Deflate64 o.zip n && mv o.zip o"), "7z, ppmd": ("sh", "-c", "7z a -m0=ppmd o.7z n && mv o.7z o"),
               "7z, not solid, headers plain": ("sh", "-c", "7z a -ms=off -mhc=off o.7z n && mv o.7z o"), "7z, all encrypted": ("sh", "-c", "7z a -px -mhe=on o.7z n && mv o.7z o")},
        "gpg": {"gpg -c": ("gpg", "--homedir", ".", "--batch", "--pinentry-mode", "loopback", "--passphrase", "x", "-o", "o", "-c", "n"),
                "gpg -c --armor": ("gpg", "--homedir", ".", "--batch", "--pinentry-mode", "loopback", "--passphrase", "x", "-o", "o", "--armor", "-c", "n"),
                "gpg --store": ("gpg", "--homedir", ".", "--batch", "-o", "o", "--store", "n")},
        "openssl": {"openssl enc": ("openssl", "enc", "-aes-256-cbc", "-pbkdf2", "-k", "x", "-in", "n", "-out", "o"),
                    "openssl enc -a": ("openssl", "enc", "-a", "-aes-256-cbc", "-pbkdf2", "-k", "x", "-in", "n", "-out", "o")},
        "dpkg-deb": {"deb": ("sh", "-c", "mkdir -m 755 -p d/DEBIAN && cp n d && printf 'Package: a\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: a\\n' "
                             "> d/DEBIAN/control && dpkg-deb -b d o")},
    }.items():
        if not have(program):
            missing += commands
            continue
        for name, command in commands.items():
            made[name] = lambda d, c=command: with_file(d, "n", *c, out="o")
    if have("qpdf"):
        made["PDF, encrypted"] = lambda d: with_file(flate(d), "n", "qpdf", "--warning-exit-0", "--encrypt", "x", "x", "256", "--", "n", "o", out="o")
        made["PDF, object streams"] = lambda d: with_file(info(b"(" + b"".join(b"\\%03o" % c for c in d) + b")"), "n", "qpdf", "--warning-exit-0", "--object-streams=generate", "n", "o", out="o")
    if have("git"):
        made |= {
            "git pack, deltas by offset": in_git(*PACK, "--delta-base-offset", revisions=b"HEAD\n"), "git pack, deltas by name": in_git(*PACK, revisions=b"HEAD\n"),
            "git pack, thin": in_git(*PACK, "--thin", revisions=b"HEAD\n^HEAD~1\n"),
            "git binary patch, literal": in_git("diff", "--binary", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "HEAD", binary=True),
            "git binary patch, delta": in_git("diff", "--binary", "HEAD~1", "HEAD", binary=True),
        }
    if package("pyzipper") is not None:
        def aes(data):
            out = io.BytesIO()
            with package("pyzipper").AESZipFile(out, "w", compression=zipfile.ZIP_DEFLATED, encryption=package("pyzipper").WZ_AES) as archive:
                archive.setpassword(b"x")
                archive.writestr("notes.txt", data)
            return out.getvalue()
        made["zip, AES"] = aes
    else:
        missing.append("zip, AES")
    return made, missing
