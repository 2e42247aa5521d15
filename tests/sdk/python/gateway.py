"""The real binary, on free ports."""

import hashlib
import os
import queue
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
# Far more than a start takes.
START_SECONDS_MAX = 60

KEY = "key-that-may-use-everything"
NARROW_KEY = "key-that-may-use-one-model"
EXPIRED_KEY = "key-of-the-past"
UPSTREAM_KEY = "key-of-the-provider"

CONFIG = """\
listen: 127.0.0.1:0
server: {{ max_body: 8MiB, body_timeout: 2s }}
# Each request is one call, whatever came of those before it.
defaults: {{ retry: {{ attempts: 1 }}, health: off }}
providers:
  demo: {{ dialect: simulated }}
  recorder: {{ dialect: openai, base_url: "{upstream}", api_key: {upstream_key}, headers: {{ x-team: sdk-tests }}, limits: {{ learn: false }} }}
  nobody: {{ dialect: openai, base_url: "http://127.0.0.1:1/v1", api_key: none }}
models:
  fast: {{ target: demo/small }}
  broken: {{ continue: true, chain: [ {{ target: demo/cut }}, {{ target: demo/small }} ] }}
  recorded: {{ target: recorder/upstream-model }}
  refused: {{ target: nobody/there }}
  impatient: {{ target: recorder/upstream-model, timeout: {{ first_token: 500ms, total: 500ms }} }}
  "demo/*": {{}}
  "recorder/*": {{}}
teams:
  everybody:
    models: "*"
    keys:
      - {{ name: wide, sha256: "{wide}" }}
      - {{ name: narrow, sha256: "{narrow}", models: [fast] }}
      - {{ name: expired, sha256: "{expired}", expires: 2020-01-01 }}
telemetry: {{ log: json }}
"""


def config(upstream: str) -> str:
    """The configuration file."""

    def digest(key: str) -> str:
        return hashlib.sha256(key.encode()).hexdigest()

    return CONFIG.format(
        upstream=upstream,
        upstream_key=UPSTREAM_KEY,
        wide=digest(KEY),
        narrow=digest(NARROW_KEY),
        expired=digest(EXPIRED_KEY),
    )


class Gateway:
    """A running gateway."""

    def __init__(self, directory: Path, text: str):
        """`text` is the configuration file."""
        path = directory / "tollgate.yaml"
        path.write_text(text)
        self._log = (directory / "log").open("w+")
        self._process = subprocess.Popen(
            [binary(), "serve", "--config", str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._log
        )
        try:
            self.address = self._printed_address()
        except BaseException:
            self.stop()
            raise

    def _printed_address(self) -> str:
        """`127.0.0.1:PORT` as it stands in the line that says so."""
        lines: queue.Queue[str | None] = queue.Queue()

        def read():
            for line in self._process.stdout:
                lines.put(line.decode().strip())
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        while (line := lines.get(timeout=START_SECONDS_MAX)) is not None:
            if line.startswith("listening on http://"):
                return line.removeprefix("listening on http://")
        raise RuntimeError(f"the gateway ended before it listened:\n{self.log()}")

    @property
    def base_url(self) -> str:
        return f"http://{self.address}/v1"

    def log(self) -> str:
        """What it has logged so far."""
        self._log.flush()
        return Path(self._log.name).read_text()

    def stop(self):
        self._process.kill()
        self._process.wait()
        self._log.close()


def binary() -> str:
    """`TOLLGATE_BINARY`, or the debug build of this tree."""
    path = Path(os.environ.get("TOLLGATE_BINARY") or ROOT / "target/debug/tollgate")
    if not path.exists():
        raise RuntimeError(f"{path} is missing: build it first (cargo build)")
    return str(path)
