"""Stand-ins for the providers of every dialect, and the configuration of a gateway in front of them.

Each answers a question with a call of `get_weather`, and the result of that call with words; whole or as a stream, as it
is asked. `python3 providers.py` serves them for tests in other languages, together with `GET /config` (the file) and
`GET /problems` (what came that the provider would refuse).
"""

import base64
import hashlib
import hmac
import json
import re
import struct
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gateway import KEY, UPSTREAM_KEY

# A model of each provider, by the name of its target.
MODELS = {
    "chat": "chat/deepseek-chat",
    "responses": "responses/gpt-5-mini",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-3-flash-preview",
    "bedrock": "bedrock/eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
    "cohere": "cohere/command-a-03-2025",
}

# Other names of these models, for clients that take only names which they know.
KNOWN_NAMES = {
    "chat": "claude-3-haiku-20240307",
    "responses": "claude-3-5-haiku-20241022",
    "anthropic": "claude-3-7-sonnet-20250219",
    "gemini": "claude-opus-4-20250514",
    "bedrock": "claude-opus-4-1-20250805",
    "cohere": "claude-opus-4-5-20251101",
}

QUESTION = "What is the weather in Örlikon?"
TOOL = "get_weather"
DESCRIPTION = "The weather in a city."
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": "The city."}}, "required": ["city"]}
# The model writes it in its own way: what goes back is what it wrote, not what was asked.
ARGUMENTS = {"city": "Oerlikon"}
# Of ASCII alone: some SDKs escape the rest, twice over.
RESULT = "21 degrees and sunny"
WORDS = "It is 21 °C in Örlikon, and \"sunny\"."
IN, OUT = 120, 45

# The pair of a caller that signs as AWS's SDKs do; the secret is derived from the id, as `tollgate keys new --aws` does.
AWS_SECRET = "the-secret-that-aws-callers-secrets-are-derived-from"
AWS_ID = "TGAKABCDEFGHIJKLMNOP"


def aws_key() -> str:
    """The secret access key that belongs to `AWS_ID`."""
    tag = hmac.digest(AWS_SECRET.encode(), AWS_ID.encode(), "sha256")
    return base64.b64encode(tag[:30]).decode()


def config(address: str) -> str:
    """The configuration file of a gateway in front of the stand-ins at `http://ADDRESS`."""

    def digest(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    base = f"http://{address}"
    names = {f"{name}/*": "{}" for name in MODELS}
    for provider, name in KNOWN_NAMES.items():
        names[name] = names[f"anthropic.{name}-v1:0"] = f'{{ target: "{MODELS[provider]}" }}'
    models = "\n".join(f'  "{name}": {model}' for name, model in names.items())
    return f"""\
listen: 127.0.0.1:0
admin: {{ listen: 127.0.0.1:0, aws_secret: {AWS_SECRET} }}
providers:
  chat: {{ dialect: openai, base_url: "{base}/chat/v1", api_key: {UPSTREAM_KEY}, endpoints: [chat] }}
  responses: {{ dialect: openai, base_url: "{base}/responses/v1", api_key: {UPSTREAM_KEY}, endpoints: [responses] }}
  anthropic: {{ dialect: anthropic, base_url: "{base}/anthropic/v1", api_key: {UPSTREAM_KEY} }}
  gemini: {{ dialect: gemini, base_url: "{base}/gemini/v1beta", api_key: {UPSTREAM_KEY} }}
  bedrock: {{ dialect: bedrock, region: eu-west-1, base_url: "{base}/bedrock", api_key: {UPSTREAM_KEY} }}
  cohere: {{ dialect: cohere, base_url: "{base}/cohere/v2", api_key: {UPSTREAM_KEY} }}
models:
{models}
teams:
  everybody:
    models: "*"
    keys:
      - {{ name: wide, sha256: "{digest(KEY)}" }}
      - {{ name: signing, sha256: "{digest(aws_key())}" }}
"""


class Providers:
    """The server of all of them: `http://ADDRESS/DIALECT/…`."""

    def __init__(self):
        self.problems: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, path: str, body: bytes):
        """The media type and the pieces of an answer."""
        _, name, rest = path.split("/", 2)
        request = json.loads(body)
        text = json.dumps(request, ensure_ascii=False)
        dialect = DIALECTS[name]
        is_stream = bool(request.get("stream")) or "stream" in rest
        has_result = RESULT in text
        if has_result:
            self._check(name, dialect, text)
        whole, events = dialect.words() if has_result else dialect.call()
        if not is_stream:
            return "application/json", [json.dumps(whole).encode()]
        return dialect.stream_type, [dialect.frame(event) for event in events] + dialect.tail

    def _check(self, name: str, dialect: "Dialect", text: str):
        if TOOL not in text:
            self.problems.append(f"{name}: a result without its call: {text}")
        # Some callers lose the provider's id; the gateway then makes one for call and result.
        ids = [dialect.call_id, *re.findall(r"call_[0-9a-f]{16}_0", text)]
        if dialect.call_id and not any(text.count(id) == 2 for id in ids):
            self.problems.append(f"{name}: call and result should be tied by {dialect.call_id}: {text}")
        if ARGUMENTS["city"] not in text:
            self.problems.append(f"{name}: the call lost its arguments: {text}")

    def _handler(providers):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                answers = {"/config": config(providers.address), "/problems": json.dumps(providers.problems)}
                self._send(200, "text/plain", [answers[self.path].encode()])

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                try:
                    media_type, pieces = providers._answer(self.path, body)
                except Exception as error:
                    providers.problems.append(f"{self.path}: {error!r}")
                    return self._send(500, "application/json", [b"{}"])
                self._send(200, media_type, pieces)

            def _send(self, status: int, media_type: str, pieces: list[bytes]):
                self.send_response(status)
                self.send_header("content-type", media_type)
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for piece in pieces:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                pass

        return Handler


def halves(text: str) -> list[str]:
    return [text[: len(text) // 2], text[len(text) // 2 :]]


def data_frame(event: dict) -> bytes:
    return f"data: {json.dumps(event)}\n\n".encode()


def named_frame(event: dict) -> bytes:
    return f"event: {event['type']}\n".encode() + data_frame(event)


class Dialect:
    """How a provider says its two answers: each the whole body, and the events of a stream."""

    stream_type = "text/event-stream"
    frame = staticmethod(named_frame)
    tail: list[bytes] = []
    call_id = ""


class Chat(Dialect):
    frame = staticmethod(data_frame)
    tail = [b"data: [DONE]\n\n"]
    call_id = "call_J3ajtA7qivswzXp8A9sJ7foO"

    def say(self, message: dict, deltas: list[dict], reason: str):
        head = {"id": "chatcmpl-1", "created": 1783375763, "model": "deepseek-chat"}
        usage = {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT}
        choice = {"index": 0, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": reason}
        whole = head | {"object": "chat.completion", "choices": [choice], "usage": usage}
        head |= {"object": "chat.completion.chunk"}
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in [{"role": "assistant"}, *deltas]]
        choices.append({"index": 0, "delta": {}, "finish_reason": reason})
        return whole, [head | {"choices": [choice]} for choice in choices] + [head | {"choices": [], "usage": usage}]

    def words(self):
        return self.say({"content": WORDS}, [{"content": half} for half in halves(WORDS)], "stop")

    def call(self):
        call = {"id": self.call_id, "type": "function", "function": {"name": TOOL, "arguments": json.dumps(ARGUMENTS)}}
        begun = call | {"index": 0, "function": {"name": TOOL, "arguments": ""}}
        rest = [{"index": 0, "function": {"arguments": half}} for half in halves(json.dumps(ARGUMENTS))]
        deltas = [{"tool_calls": [piece]} for piece in [begun, *rest]]
        return self.say({"content": None, "tool_calls": [call]}, deltas, "tool_calls")


class Responses(Dialect):
    call_id = "call_CeXueyTqEJ1rgm84BHSwNPz8"

    def say(self, item: dict, begun: dict, inside: list[dict]):
        usage = {
            "input_tokens": IN,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": OUT,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": IN + OUT,
        }
        whole = {
            "id": "resp_1", "object": "response", "created_at": 1778535253, "status": "completed", "error": None,
            "incomplete_details": None, "instructions": None, "metadata": {}, "model": "gpt-5-mini", "output": [item],
            "parallel_tool_calls": True, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": usage,
        }  # fmt: skip
        start = whole | {"status": "in_progress", "output": [], "usage": None}
        events = [
            {"type": "response.created", "response": start},
            {"type": "response.in_progress", "response": start},
            {"type": "response.output_item.added", "output_index": 0, "item": begun},
            *({"output_index": 0, "item_id": item["id"], **event} for event in inside),
            {"type": "response.output_item.done", "output_index": 0, "item": item},
            {"type": "response.completed", "response": whole},
        ]
        return whole, [event | {"sequence_number": number} for number, event in enumerate(events)]

    def words(self):
        part = {"type": "output_text", "text": WORDS, "annotations": [], "logprobs": []}
        item = {"id": "msg_1", "type": "message", "status": "completed", "role": "assistant", "content": [part]}
        at = {"content_index": 0}
        inside = [at | {"type": "response.content_part.added", "part": part | {"text": ""}}]
        inside += [at | {"type": "response.output_text.delta", "delta": half, "logprobs": []} for half in halves(WORDS)]
        inside.append(at | {"type": "response.output_text.done", "text": WORDS, "logprobs": []})
        inside.append(at | {"type": "response.content_part.done", "part": part})
        return self.say(item, item | {"status": "in_progress", "content": []}, inside)

    def call(self):
        arguments = json.dumps(ARGUMENTS)
        item = {
            "id": "fc_1", "type": "function_call", "status": "completed", "call_id": self.call_id, "name": TOOL,
            "arguments": arguments,
        }  # fmt: skip
        inside = [{"type": "response.function_call_arguments.delta", "delta": half} for half in halves(arguments)]
        inside.append({"type": "response.function_call_arguments.done", "arguments": arguments, "name": TOOL})
        return self.say(item, item | {"status": "in_progress", "arguments": ""}, inside)


class Anthropic(Dialect):
    call_id = "toolu_01DgsKYsJWQfJxubLmaKLEj6"

    def say(self, block: dict, begun: dict, deltas: list[dict], reason: str):
        usage = {
            "input_tokens": IN, "output_tokens": OUT, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
        }  # fmt: skip
        whole = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [block],
            "stop_reason": reason, "stop_sequence": None, "usage": usage,
        }  # fmt: skip
        start = whole | {"content": [], "stop_reason": None, "usage": usage | {"output_tokens": 1}}
        events = [
            {"type": "message_start", "message": start},
            {"type": "content_block_start", "index": 0, "content_block": begun},
            {"type": "ping"},
            *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage},
            {"type": "message_stop"},
        ]
        return whole, events

    def words(self):
        deltas = [{"type": "text_delta", "text": half} for half in halves(WORDS)]
        return self.say({"type": "text", "text": WORDS}, {"type": "text", "text": ""}, deltas, "end_turn")

    def call(self):
        block = {"type": "tool_use", "id": self.call_id, "name": TOOL, "input": ARGUMENTS}
        pieces = ["", *halves(json.dumps(ARGUMENTS))]
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        return self.say(block, block | {"input": {}}, deltas, "tool_use")


class Gemini(Dialect):
    frame = staticmethod(data_frame)
    # As a model that thinks seals its calls.
    SEAL = "EpYSCpMSCAISjhIBDDnWx+meFE0lq4hrGQYuMZoLV/gi/Nj+DoiDjg=="

    def say(self, parts: list[list[dict]]):
        def piece(parts: list[dict], reason: str | None):
            candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
            candidate |= {"finishReason": reason} if reason else {}
            usage = {"promptTokenCount": IN, "candidatesTokenCount": OUT, "totalTokenCount": IN + OUT}
            head = {"modelVersion": "gemini-3-flash-preview", "responseId": "J3dHapyWENS3g8UPyrefuAE"}
            return {"candidates": [candidate], "usageMetadata": usage} | head

        pieces = [piece(some, None) for some in parts[:-1]] + [piece(parts[-1], "STOP")]
        return pieces, pieces

    def words(self):
        whole, _ = self.say([[{"text": WORDS}]])
        _, events = self.say([[{"text": half}] for half in halves(WORDS)])
        return whole[0], events

    def call(self):
        part = {"functionCall": {"name": TOOL, "args": ARGUMENTS}, "thoughtSignature": self.SEAL}
        whole, _ = self.say([[part]])
        _, events = self.say([[part], [{"text": ""}]])
        return whole[0], events


class Bedrock(Dialect):
    stream_type = "application/vnd.amazon.eventstream"
    call_id = "tooluse_aS2bf2IWkc0VLclSrpq8MK"

    @staticmethod
    def frame(event: dict) -> bytes:
        (name, payload), = event.items()
        fields = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
        head = b"".join(
            struct.pack(">B", len(key)) + key.encode() + struct.pack(">BH", 7, len(value)) + value.encode()
            for key, value in fields.items()
        )
        body = json.dumps(payload).encode()
        prelude = struct.pack(">II", 16 + len(head) + len(body), len(head))
        message = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + body
        return message + struct.pack(">I", zlib.crc32(message))

    def say(self, block: dict, start: dict | None, deltas: list[dict], reason: str):
        usage = {"inputTokens": IN, "outputTokens": OUT, "totalTokens": IN + OUT}
        message = {"role": "assistant", "content": [block]}
        whole = {"output": {"message": message}, "stopReason": reason, "usage": usage, "metrics": {"latencyMs": 1402}}
        events = [{"messageStart": {"role": "assistant"}}]
        events += [{"contentBlockStart": {"contentBlockIndex": 0, "start": start}}] if start else []
        events += [{"contentBlockDelta": {"contentBlockIndex": 0, "delta": delta}} for delta in deltas]
        events.append({"contentBlockStop": {"contentBlockIndex": 0}})
        events.append({"messageStop": {"stopReason": reason}})
        events.append({"metadata": {"usage": usage, "metrics": {"latencyMs": 223}}})
        return whole, events

    def words(self):
        return self.say({"text": WORDS}, None, [{"text": half} for half in halves(WORDS)], "end_turn")

    def call(self):
        begun = {"toolUseId": self.call_id, "name": TOOL}
        deltas = [{"toolUse": {"input": half}} for half in halves(json.dumps(ARGUMENTS))]
        return self.say({"toolUse": begun | {"input": ARGUMENTS}}, {"toolUse": begun}, deltas, "tool_use")


class Cohere(Dialect):
    call_id = "get_weather_mvsbdckzn39c"
    tail = [b"data: [DONE]\n\n"]

    def say(self, message: dict, inside: list[dict], reason: str):
        tokens = {"input_tokens": IN, "output_tokens": OUT}
        usage = {"billed_units": tokens, "tokens": tokens}
        whole = {"id": "2db88225", "finish_reason": reason, "message": {"role": "assistant", **message}, "usage": usage}
        begun = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        events = [
            {"type": "message-start", "id": "2db88225", "delta": {"message": begun}},
            *inside,
            {"type": "message-end", "id": "2db88225", "delta": {"finish_reason": reason, "usage": usage}},
        ]
        return whole, events

    def words(self):
        def content(text: str):
            return {"delta": {"message": {"content": {"text": text}}}}

        start = {"delta": {"message": {"content": {"type": "text", "text": ""}}}}
        inside = [{"type": "content-start", "index": 0} | start]
        inside += [{"type": "content-delta", "index": 0} | content(half) for half in halves(WORDS)]
        inside.append({"type": "content-end", "index": 0})
        return self.say({"content": [{"type": "text", "text": WORDS}]}, inside, "COMPLETE")

    def call(self):
        def calls(call: dict):
            return {"delta": {"message": {"tool_calls": call}}}

        arguments = json.dumps(ARGUMENTS)
        call = {"id": self.call_id, "type": "function", "function": {"name": TOOL, "arguments": arguments}}
        begun = call | {"function": {"name": TOOL, "arguments": ""}}
        inside = [{"type": "tool-plan-delta", "delta": {"message": {"tool_plan": "I will look."}}}]
        inside.append({"type": "tool-call-start", "index": 0} | calls(begun))
        for half in halves(arguments):
            inside.append({"type": "tool-call-delta", "index": 0} | calls({"function": {"arguments": half}}))
        inside.append({"type": "tool-call-end", "index": 0})
        return self.say({"tool_calls": [call], "tool_plan": "I will look."}, inside, "TOOL_CALL")


DIALECTS: dict[str, Dialect] = {
    "chat": Chat(),
    "responses": Responses(),
    "anthropic": Anthropic(),
    "gemini": Gemini(),
    "bedrock": Bedrock(),
    "cohere": Cohere(),
}


if __name__ == "__main__":
    providers = Providers()
    print(f"listening on http://{providers.address}", flush=True)
    threading.Event().wait()
