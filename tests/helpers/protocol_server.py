"""A small server that really speaks the protocol, on loopback: its model is a rule, and it fails as it is told to.

What it says is a function of the prompt and the seed, so that two runs can be compared word for word.
"""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from helpers.word_models import WORDS
from oreo.agents import load_agent
from oreo.trajectory import Trajectory

KNOWN = {"model", "messages", "prompt", "temperature", "top_p", "max_tokens", "stop", "seed", "n", "logprobs"}


class ProtocolServer:
    """Starts, dies and comes back at the same address."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        """What goes wrong with the next requests, one each: a status, "hang", "drop", "cut", or a body to send."""
        self.rule: Callable[[dict[str, Any]], str | None] = lambda body: None
        """Why a request is refused, None where it is not."""
        self.many = True
        """Whether it gives n choices; if not it passes over n, as some servers do."""
        self.retry_after = "0.05"
        self.location = ""
        """Where a redirecting status says to go."""
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        outer = self
        self.open: list[socket.socket] = []

        class Handler(_Handler):
            protocol = outer

        self.http = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self.http.server_port
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def kill(self) -> None:
        """Nobody listens any more, and every connection breaks where it stands."""
        self.http.shutdown()
        self.http.server_close()
        with self.lock:
            for connection in self.open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def answer(self, body: dict[str, Any], chat: bool) -> dict[str, Any]:
        count = body.get("n", 1) if self.many else 1
        told = json.dumps(body["messages"] if chat else body["prompt"])
        choices = [
            self._choice(random.Random(f"{told} {body.get('seed')} {index}"), body, chat) for index in range(count)
        ]
        choices = [choice | {"index": index, "finish_reason": "stop"} for index, choice in enumerate(choices)]
        return {"object": "chat.completion" if chat else "text_completion", "model": body["model"], "choices": choices}

    def _choice(self, rng: random.Random, body: dict[str, Any], chat: bool) -> dict[str, Any]:
        words = rng.choices(WORDS[:8], k=rng.randint(1, 3))
        numbers = [-rng.random() for _ in words]
        text = " ".join(words)
        if chat:
            given = {"content": [{"token": word, "logprob": x} for word, x in zip(words, numbers, strict=True)]}
            choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
        else:
            given, choice = {"tokens": words, "token_logprobs": numbers}, {"text": text}
        return choice | {"logprobs": given if body.get("logprobs") else None}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    protocol: ProtocolServer

    def setup(self) -> None:
        super().setup()
        self.protocol.open.append(self.connection)

    def handle(self) -> None:
        try:
            super().handle()
        except (OSError, ValueError):
            pass  # broken by `kill`, perhaps in the middle of a request

    def log_message(self, *details: Any) -> None:
        pass

    def do_POST(self) -> None:
        protocol = self.protocol
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with protocol.lock:
            protocol.asked.append(body)
            protocol.keys.append(self.headers["Authorization"])
            protocol.under_way += 1
            protocol.most_under_way = max(protocol.most_under_way, protocol.under_way)
            fault = protocol.faults.pop(0) if protocol.faults else ""
        try:
            self._reply(body, fault)
        finally:
            with protocol.lock:
                protocol.under_way -= 1

    def _reply(self, body: dict[str, Any], fault: str) -> None:
        protocol, chat = self.protocol, self.path == "/v1/chat/completions"
        if fault == "hang":
            time.sleep(1.0)
        elif fault == "drop":
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault.isdecimal():
            self._send(int(fault), {"error": {"message": f"told to say {fault}", "code": None}})
        elif fault and fault != "cut":
            self._send(200, fault)
        elif not chat and self.path != "/v1/completions":
            self._send(404, {"detail": "Not Found"})
        elif unknown := set(body) - KNOWN:
            self._send(400, {"error": {"message": f"unknown fields {sorted(unknown)}"}})
        elif refusal := protocol.rule(body):
            self._send(400, {"error": {"message": refusal}})
        else:
            self._send(200, protocol.answer(body, chat), cut=fault == "cut")

    def _send(self, status: int, body: Any, cut: bool = False) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status in (429, 503):
            self.send_header("Retry-After", self.protocol.retry_after)
        if 300 <= status < 400:
            self.send_header("Location", self.protocol.location)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)


def served(protocol: ProtocolServer, **settings: Any) -> Any:
    return load_agent("served:rule", server=protocol.url, **{"timeout": 0.4, "deadline": 20.0} | settings)


def same(played: list[Trajectory]) -> list[Trajectory]:
    """Without the time of day."""
    return [replace(trajectory, created="") for trajectory in played]
