"""Writes seeds for the fuzz targets from recorded traffic, an exchange a line: python3 seeds.py recordings.jsonl"""

import base64
import hashlib
import json
import pathlib
import sys

# The order of `Dialect::ALL`.
DIALECTS = ["chat", "completions", "responses", "anthropic", "gemini", "bedrock", "cohere"]
LARGEST = 16 * 1024


def dialect_of(path):
    ends = {
        "/chat/completions": "chat",
        "/responses": "responses",
        "/v1/messages": "anthropic",
        ":generateContent": "gemini",
        ":streamGenerateContent": "gemini",
        "/converse": "bedrock",
        "/converse-stream": "bedrock",
        "/v2/chat": "cohere",
    }
    return next((name for end, name in ends.items() if path.endswith(end)), None)


def body_of(recorded):
    response = recorded["response"]
    match recorded["response_kind"]:
        case "text":
            return response.encode()
        case "base64":
            return base64.b64decode(response)
        case _:
            return json.dumps(response).encode()


def write(target, seed):
    if len(seed) <= LARGEST:
        folder = pathlib.Path(__file__).parent / "seeds" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / hashlib.sha1(seed).hexdigest()).write_bytes(seed)


def main():
    for line in open(sys.argv[1], encoding="utf-8"):
        recorded = json.loads(line)
        dialect = dialect_of(recorded["endpoint"])
        if dialect is None:
            continue
        choice = bytes([DIALECTS.index(dialect)])
        request = json.dumps(recorded["request"]).encode()
        body = body_of(recorded)
        write("requests", choice + request)
        write("incoming", choice + request)
        if recorded["status"] != 200:
            write("errors", choice + recorded["status"].to_bytes(2) + body)
        elif recorded["stream"]:
            write("streams", choice + b"\x07" + body)
        else:
            write("answers", choice + body)
        if dialect == "bedrock" and recorded["stream"]:
            write("eventstream", body)
    id = "TGAK" + "A" * 16
    write(
        "sigv4",
        f"AWS4-HMAC-SHA256 Credential={id}/20261124/eu-west-1/bedrock/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={'0f' * 32}\n"
        "20261124T120000Z\n/model/m%3A0/converse\na=b&c".encode(),
    )


main()
