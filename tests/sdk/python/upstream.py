"""A provider that keeps what it was sent and answers what a test wants."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Answer:
    """A whole answer; with `frames` a stream of them, without an end if `is_cut`."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    frames: list[str] | None = None
    is_cut: bool = False


class Silence:
    """No answer until the test is over."""


def completion(message: dict, finish_reason: str = "stop") -> dict:
    """The body of a chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1763980000,
        "model": "upstream-model-2026-01-01",
        "choices": [
            {"index": 0, "message": {"role": "assistant", **message}, "logprobs": None, "finish_reason": finish_reason}
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13},
    }


def chunk(delta: dict, finish_reason: str | None = None) -> dict:
    """An event of a streamed chat completion."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1763980000,
        "model": "upstream-model-2026-01-01",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def error(message: str, code: str | None, kind: str = "invalid_request_error") -> dict:
    """OpenAI's error body."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class Upstream:
    """The server. `answers` are given in order, the last one again and again."""

    def __init__(self):
        self.requests: list[Received] = []
        self.answers: list[Answer | Silence] = []
        self._lock = threading.Lock()
        self._test_is_over = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def begin(self, *answers: Answer | Silence):
        """Forgets the past and prepares what comes next."""
        self._test_is_over.set()
        with self._lock:
            self._test_is_over = threading.Event()
            self.requests = []
            self.answers = list(answers) or [Answer(body=completion({"content": "Hello there."}))]

    def close(self):
        self._test_is_over.set()
        self._server.shutdown()
        self._server.server_close()

    def _take(self, request: Received):
        with self._lock:
            self.requests.append(request)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            return answer, self._test_is_over

    def _handler(upstream):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                answer, test_is_over = upstream._take(Received(self.path, headers, body))
                if isinstance(answer, Silence):
                    test_is_over.wait()
                    self.close_connection = True
                elif answer.frames is None:
                    self._whole(answer)
                else:
                    self._stream(answer)

            def _whole(self, answer: Answer):
                is_json = not isinstance(answer.body, str)
                body = (json.dumps(answer.body) if is_json else answer.body).encode()
                self.send_response(answer.status)
                self.send_header("content-type", "application/json" if is_json else "text/html")
                self.send_header("content-length", str(len(body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def _stream(self, answer: Answer):
                self.send_response(answer.status)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for frame in answer.frames:
                    event = f"data: {frame}\n\n".encode()
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
                if answer.is_cut:
                    self.close_connection = True
                else:
                    self.wfile.write(b"0\r\n\r\n")

            def log_message(self, *_):
                pass

        return Handler
