"""The places of a request where content can stand, and how it is put there."""
import base64
import json
import urllib.parse

HOST = "https://sink.example.net"


def text(content):
    """As text, for places that hold only text: what is none is base64, as anybody would send it."""
    try:
        decoded = content.decode("utf-8")
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()
    return decoded if decoded.isprintable() or all(c.isprintable() or c in "\r\n\t" or ord(c) > 127 for c in decoded) else base64.b64encode(content).decode()


def posted(body, kind):
    return {"method": "POST", "url": HOST + "/", "headers": [{"name": "content-type", "value": kind}], "body_base64": base64.b64encode(body).decode()}


def raw(content):
    return posted(content, "application/octet-stream")


def json_body(content):
    note = {"role": "user", "content": [{"type": "text", "text": text(content)}]}
    return posted(json.dumps({"model": "m-1", "messages": [note]}).encode(), "application/json")


def tool_call(content):
    """JSON in a JSON string, as tools' arguments travel."""
    call = {"function": {"name": "write", "arguments": json.dumps({"path": "notes.txt", "content": text(content)})}}
    return posted(json.dumps({"messages": [{"tool_calls": [call]}]}).encode(), "application/json")


def form(content):
    return posted(urllib.parse.urlencode({"id": "7", "note": content}).encode(), "application/x-www-form-urlencoded")


def multipart(content):
    mark = b"----f81d4fae7dec11d0"
    head = b'\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: application/octet-stream\r\n\r\n'
    return posted(b"--" + mark + head + content + b"\r\n--" + mark + b"--\r\n", "multipart/form-data; boundary=" + mark.decode())


def xml(content):
    safe = text(content).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return posted(f"<?xml version='1.0'?><e:Envelope xmlns:e='urn:x'><e:Body><note>{safe}</note></e:Body></e:Envelope>".encode(), "text/xml")


def query(content):
    return {"method": "GET", "url": HOST + "/log?level=info&m=" + urllib.parse.quote(content, safe=""), "headers": []}


def path(content):
    return {"method": "GET", "url": HOST + "/v1/" + urllib.parse.quote(content, safe="") + "/status", "headers": []}


def header(content):
    value = text(content).encode()
    if b"\n" in value or b"\r" in value:
        value = base64.b64encode(value)
    return {"method": "GET", "url": HOST + "/", "headers": [{"name": "x-note", "value_base64": base64.b64encode(value).decode()}]}


def cookie(content):
    return {"method": "GET", "url": HOST + "/", "headers": [{"name": "cookie", "value": "theme=dark; s=" + urllib.parse.quote(content, safe="")}]}


POSITIONS = {
    "raw body": raw,
    "JSON": json_body,
    "JSON in JSON": tool_call,
    "form": form,
    "multipart": multipart,
    "XML": xml,
    "query": query,
    "path": path,
    "header": header,
    "cookie": cookie,
}
