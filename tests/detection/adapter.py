#!/usr/bin/env python3
"""Between the labelled detection cases and `portcullis replay`. Standard library only.

  adapter.py requests CASES.jsonl > requests.jsonl     cases as recorded requests
  adapter.py verdicts CASES.jsonl REPLAY.jsonl > v.jsonl     replay's answers as the scorer wants them

The rules of translation are those of the detection set's README: a body is posted; a query, a path and a header line are taken as they stand.
Spans of a location become offsets in the case's content; for a header line the name and the colon come before the value.
"""
import base64
import json
import sys

SINK = "sink.example.net"


def request(case):
    content = base64.b64decode(case["content_base64"])
    made = {"id": case["id"], "method": "GET", "url": f"https://{SINK}/", "headers": []}
    if case["channel"] == "body":
        made["method"] = "POST"
        for name, key in (("Content-Type", "content_type"), ("Content-Encoding", "content_encoding")):
            if case.get(key):
                made["headers"].append({"name": name, "value": case[key]})
        made["body_base64"] = base64.b64encode(content).decode()
    elif case["channel"] == "query":
        made["url"] = f"https://{SINK}/?" + content.decode("latin-1")
    elif case["channel"] == "path":
        made["url"] = f"https://{SINK}" + content.decode("latin-1")
    else:
        name, value, _ = split_header(content)
        made["headers"].append({"name": name, "value_base64": base64.b64encode(value).decode()})
    return made


def split_header(line):
    """Name, value, and where the value begins in the line."""
    name, _, rest = line.partition(b":")
    value = rest.lstrip(b" \t")
    return name.decode("latin-1"), value.rstrip(b" \t\r\n"), len(line) - len(value)


def verdict(case, answer):
    content = base64.b64decode(case["content_base64"])
    findings = []
    for found in answer["findings"]:
        start, end = found["span"] or (None, None)
        place = found["location"]
        if start is not None:
            if case["channel"] == "header":
                shift = split_header(content)[2]
                start, end = start + shift, end + shift
            elif case["channel"] == "path" and place == "query":
                shift = content.find(b"?") + 1
                start, end = start + shift, end + shift
        findings.append({"rule": found["detector"], "start": start, "end": end})
    return {"id": case["id"], "verdict": answer["verdict"], "findings": findings, "ms": answer["micros"] / 1000}


def lines(path):
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def main():
    if len(sys.argv) >= 3 and sys.argv[1] == "requests":
        for case in lines(sys.argv[2]):
            print(json.dumps(request(case)))
    elif len(sys.argv) >= 4 and sys.argv[1] == "verdicts":
        answers = {a["id"]: a for a in lines(sys.argv[3])}
        for case in lines(sys.argv[2]):
            if case["id"] in answers:
                print(json.dumps(verdict(case, answers[case["id"]])))
    else:
        sys.exit(__doc__)


main()
