"""Calls to an OpenAI-compatible server: many at once, each retried until it is answered or its deadline has passed.

What may be different in a moment (no connection, no answer in time, a dropped connection, 408, 409, 429, 5xx, an answer
that is no completion) is asked again, after a pause that doubles up to ten seconds, or a longer one that the server
names (Retry-After). What would stay wrong (the other 4xx) fails at once. A request that is asked again is the same
request, its seed included, so what a run comes to does not depend on how often it had to ask.

Servers know different parts of the protocol. A field that is not needed and that a server refuses or passes over is
left out from then on: without `logprobs` there are no log-probabilities, without `n` K samples are K requests.
"""

from __future__ import annotations

import asyncio
import math
import random
import re
import threading
import warnings
import weakref
from collections.abc import AsyncIterator, Awaitable, Iterable
from importlib import import_module
from typing import Any, TypeVar
from urllib.parse import urlsplit

from oreo.agents.completions import NothingSaid, Sample, error_message, is_about_length, read
from oreo.errors import EngineError, MissingExtra, UsageError

T = TypeVar("T")
OPTIONAL = ("logprobs", "n", "seed")
"""Fields that a server may do without."""
_NOT_KNOWN = r"unknown|unsupported|unrecogni[sz]ed|unexpected|extra|(not|n't|never) (be )?\w*|no such|invalid|must be 1"
_AGAIN = (408, 409, 429)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0
_LONGEST_REPLY = 64 << 20
"""Bytes; thousands of tokens with their log-probabilities take a few million."""
_SILENT = 5.0
"""Seconds of trouble that are not worth a warning."""


class ServerError(EngineError):
    """A model server that did not answer before the deadline, or refused a request."""


class Refused(ServerError):
    """The server will not have this request, however often it is asked."""

    def __init__(self, message: str, complaint: str = "") -> None:
        super().__init__(message)
        self.complaint = complaint
        """The server's own words."""

    @property
    def too_long(self) -> bool:
        """Whether the prompt is too long for the model."""
        return is_about_length(self.complaint)


class _Trouble(Exception):
    """One attempt that failed and is worth another."""

    def __init__(self, what: str, pause: float | None = None) -> None:
        super().__init__(what)
        self.pause = pause
        """Seconds the server asks to wait."""


class Server:
    """One model of one server. Calls run in a thread of their own, so this works in notebooks and ends with Ctrl-C."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        api_key: str | None = None,
        concurrency: int = 32,
        timeout: float = 60.0,
        deadline: float = 300.0,
    ) -> None:
        """Args:
        url: up to and with `/v1`.
        model: the name the server has for it.
        api_key: sent with each request, shown nowhere.
        concurrency: requests under way at once.
        timeout: seconds until an attempt counts as failed.
        deadline: seconds until a request that failed again and again fails for good.

        Raises:
            MissingExtra: the client is not installed.
            UsageError: no URL of a server; a setting out of range.
        """
        address = urlsplit(url)
        if "@" in url or address.query:
            raise UsageError("the server's URL holds more than an address; a key belongs into $OPENAI_API_KEY")
        if address.scheme not in ("http", "https") or not address.hostname:
            raise UsageError(f"server={url!r} is no URL; expected something like http://127.0.0.1:8000/v1")
        if concurrency < 1 or not 0 < timeout < math.inf or not 0 < deadline < math.inf:
            raise UsageError(
                f"concurrency={concurrency}, timeout={timeout}, deadline={deadline}: expected 1 or more requests at "
                "once and seconds above 0"
            )
        key = (api_key or "").strip()
        if not (key.isascii() and key.isprintable()):  # the client would say so with the key in its message
            raise UsageError("the key ($OPENAI_API_KEY) holds a character that no key has, such as a line break")
        try:
            from openai import AsyncOpenAI, DefaultAsyncHttpxClient
        except ImportError:
            raise MissingExtra(
                "served models are asked with the openai package: pip install 'oreo-agents[served]'"
            ) from None
        self.url, self.model, self.timeout, self.deadline = url.rstrip("/"), model, timeout, deadline
        self._key = key
        # It insists on a key, local servers do not; it retries by count and knows no deadline, so that is done here.
        self._client = AsyncOpenAI(
            base_url=self.url,
            api_key=key or "none",
            max_retries=0,
            timeout=timeout,
            # What is unpacked may be a thousand times as large as what was sent.
            default_headers={"Accept-Encoding": "identity"},
            # Redirected, a prompt would go wherever the server says.
            http_client=DefaultAsyncHttpxClient(
                timeout=timeout, follow_redirects=False, event_hooks={"response": [_bound]}
            ),
        )
        self._slots = asyncio.Semaphore(concurrency)
        self._left_out: set[str] = set()
        self._warned = False
        self._loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self._loop.run_forever, name="oreo-served", daemon=True)
        thread.start()
        self.close = weakref.finalize(self, _close, self._loop, thread, self._client)
        """Ends the thread; done by itself when nobody holds the server any more."""

    def ask(self, calls: Iterable[Awaitable[T]]) -> list[T]:
        """The results of coroutines that call `samples`. The first failure ends the others, and so does Ctrl-C."""
        asked = asyncio.run_coroutine_threadsafe(_all(calls), self._loop)
        try:
            return asked.result()
        finally:
            asked.cancel()

    async def samples(self, path: str, body: dict[str, Any], count: int) -> list[Sample]:
        """N completions of one prompt, in one request where the server can. For `ask`.

        Args:
            path: "/chat/completions" or "/completions".
            body: the request, without model and n; sample i has seed + i where they are asked for one by one.

        Raises:
            Refused: what is wrong with the request; `too_long` where it is its length.
            ServerError: no answer before the deadline.
        """
        samples: list[Sample] = []
        if count > 1 and "n" not in self._left_out:
            samples = (await self._call(path, body | {"n": count}))[:count]
            if len(samples) < count:
                self._left_out.add("n")
        singles = [self._call(path, body | {"seed": body["seed"] + index}) for index in range(len(samples), count)]
        return samples + [single[0] for single in await _all(singles)]

    async def _call(self, path: str, body: dict[str, Any]) -> list[Sample]:
        async with self._slots:
            begun, attempts = self._loop.time(), 0
            while True:
                attempts += 1
                remaining = begun + self.deadline - self._loop.time()
                try:
                    samples = await self._attempt(path, body, min(self.timeout, remaining))
                    self._warned = False
                    return samples
                except _Trouble as trouble:
                    pause, what = _pause(attempts, trouble.pause), self._clean(str(trouble))
                spent = self._loop.time() - begun
                if spent + pause >= self.deadline:
                    raise ServerError(
                        f"{self.model} at {self.url} gave no answer in {spent:.0f} s, {attempts} attempts, the last: "
                        f"{what}. See that the server runs; deadline (now {self.deadline:g} s) is how long to keep "
                        "asking"
                    )
                self._warn(spent, what)
                await asyncio.sleep(pause)

    def _warn(self, spent: float, what: str) -> None:
        """Once for each time that it fails and comes back."""
        if spent > _SILENT and not self._warned:
            self._warned = True
            warnings.warn(
                f"{self.model} at {self.url} does not answer ({what}); asking again for up to {self.deadline:g} s",
                stacklevel=2,
            )

    async def _attempt(self, path: str, body: dict[str, Any], seconds: float) -> list[Sample]:
        """One request, and another one at once for each field that the server turns out not to know."""
        import openai

        while True:
            sent = {"model": self.model} | {key: body[key] for key in body if key not in self._left_out}
            # Not the client's own limit alone: that is for each read, and a server may drip.
            asked = asyncio.wait_for(self._client.post(path, body=sent, cast_to=object), seconds)
            try:
                return read(await asked, int(body["max_tokens"]))
            except NothingSaid:  # asked again, it would think the same
                raise ServerError(
                    f"{self.model} at {self.url} used up its {body['max_tokens']} tokens before it said anything; a "
                    "model that thinks first takes more (max_new_tokens), or is served without thinking"
                ) from None
            except (openai.APITimeoutError, asyncio.TimeoutError):
                raise _Trouble(f"no answer within {seconds:.3g} s") from None
            except openai.APIConnectionError as error:
                raise _Trouble(_one_line(error.__cause__ or error)) from None
            except openai.APIStatusError as error:
                status, words = error.status_code, self._clean(error_message(error.body))
                if 300 <= status < 400:
                    target = self._clean(error.response.headers.get("location", "elsewhere"))
                    raise Refused(
                        f"{self.model} at {self.url} redirects to {target}, where no prompt is sent unasked; if that "
                        "is meant, give it as the server's address"
                    ) from None
                if status in _AGAIN or status >= 500:
                    patience = _patience(error.response.headers)
                    wait = "" if patience is None else f" (come back in {patience:g} s)"
                    raise _Trouble(f"HTTP {status}: {words}{wait}", patience) from None
                unknown = {key for key in OPTIONAL if key in sent and _is_unknown(key, words)}
                if status not in (400, 422, 501) or not unknown or is_about_length(words):
                    hint = " (most servers' addresses end in /v1)" if status == 404 and "/v1" not in self.url else ""
                    raise Refused(f"{self.model} at {self.url} refuses: HTTP {status}: {words}{hint}", words) from None
                warnings.warn(
                    f"{self.model} at {self.url} does not take {', '.join(sorted(unknown))} ({words}): left out from "
                    "now on",
                    stacklevel=2,
                )
                self._left_out |= unknown
            except (openai.APIError, ValueError, RecursionError) as error:
                raise _Trouble(f"an answer that is no completion ({_one_line(error)})") from None

    def _clean(self, text: str) -> str:
        """One short line in which the key does not appear, whatever the server echoes."""
        text = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(text.split()))
        if len(self._key or "") > 7:  # a placeholder such as "k" is no secret, and is in every other word
            text = text.replace(self._key, "***")
        return text if len(text) <= 300 else f"{text[:300]}…"


async def _bound(response: Any) -> None:
    """See that no reply is read beyond what a reply can have, whatever the server says of its length."""
    if response.headers.get("content-encoding", "identity") != "identity":
        raise ValueError("a reply that is compressed, which was not asked for")
    # The client's HTTP library is httpx or httpx2, by its version.
    library = import_module(type(response).__module__.partition(".")[0])
    stream = response.stream

    class Bounded(library.AsyncByteStream):  # type: ignore[name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            size = 0
            async for chunk in stream:
                size += len(chunk)
                if size > _LONGEST_REPLY:
                    raise ValueError(f"a reply of more than {_LONGEST_REPLY >> 20} MiB")
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    response.stream = Bounded()


async def _all(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Results in order; when one fails the others are cancelled."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _close(loop: asyncio.AbstractEventLoop, thread: threading.Thread, client: Any) -> None:
    closing = asyncio.run_coroutine_threadsafe(_end(client), loop)
    closing.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
    if threading.current_thread() is not thread:
        thread.join(3.0)


async def _end(client: Any) -> None:
    """Let what is under way come to its end first: a task that the interpreter's end destroys complains of it."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await client.close()


def _is_unknown(field: str, words: str) -> bool:
    """Whether a complaint is about this field: it is named close to a word for what a server does not know or do.

    An error may also quote the whole request, so that all its fields are in it.
    """
    near = rf"\b{field}\b.{{0,60}}({_NOT_KNOWN})|({_NOT_KNOWN}).{{0,60}}\b{field}\b"
    return re.search(near, words, re.IGNORECASE) is not None


def _pause(attempts: int, asked: float | None) -> float:
    """Seconds until the next attempt; of random length, so that not all come back in the same moment."""
    own = min(_FIRST_PAUSE * 2 ** min(attempts - 1, 10), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)
    return own if asked is None else max(own, asked * random.uniform(1.0, 1.1))


def _patience(headers: Any) -> float | None:
    """Seconds in Retry-After, None where it is missing or a date (then the pauses are ours)."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None


def _one_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
