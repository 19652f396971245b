"""The HTTP side of `bakehouse serve`: FastAPI over one loaded package. Imported only where the extra `serve` is installed."""

from __future__ import annotations

import asyncio
import hmac
import json
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import Depends, FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from bakehouse.errors import Failure
from bakehouse.inference import openai_api
from bakehouse.inference.openai_api import Answer, BadRequest, ChatRequest
from bakehouse.inference.runner import Declined, Runner
from bakehouse.tasks.text_generation.workers.jobs import Answered

_LARGEST_BODY = 8 * 1024 * 1024  # bytes; the longest context in use is far shorter
_WRONG_KEY = 401
_SHUTDOWN_S = 5  # for answers that are being given when the server is stopped


def application(runner: Runner, api_key: str | None) -> FastAPI:
    """The endpoints over a loaded package: one answer at a time, others wait in the order in which they came."""
    # a dependency and no middleware: that would hide from a stream that its client has gone (starlette, BaseHTTPMiddleware)
    app = FastAPI(title="Bakehouse", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(_key_check(api_key))])
    turn, started = asyncio.Lock(), int(time.time())

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, why: HTTPException) -> Response:
        if why.status_code == _WRONG_KEY:
            return JSONResponse(openai_api.error(why.detail, code="invalid_api_key"), why.status_code)
        return JSONResponse(openai_api.error(f"{request.method} {request.url.path}: {why.detail}"), why.status_code)

    @app.get("/v1/models")
    async def models() -> Response:
        return JSONResponse(openai_api.models(runner.name, started))

    @app.post("/v1/chat/completions")
    async def chat(request: Request) -> Response:
        try:
            wanted = openai_api.read(await _body(request), runner.name)
        except BadRequest as bad:
            return JSONResponse(openai_api.error(str(bad), param=bad.param), 404 if bad.param == "model" else 400)
        pieces = _pieces(runner, wanted, turn)
        try:  # before the first piece, a refusal can still be an error with a status
            first = await anext(pieces)
        except Declined as declined:
            return JSONResponse(
                openai_api.error(declined.what, code="context_length_exceeded" if "context" in declined.what else None), 400
            )
        except Failure as failure:
            return JSONResponse(openai_api.error(failure.what, kind="server_error"), 500)
        if wanted.stream:
            return StreamingResponse(_events(Answer(wanted), first, pieces, request), media_type="text/event-stream")
        return await _complete(Answer(wanted), first, pieces, request)

    return app


def _key_check(api_key: str | None) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if api_key is not None and not hmac.compare_digest(given.encode(), api_key.encode()):
            raise HTTPException(_WRONG_KEY, "The API key is missing or wrong.")

    return check


async def _body(request: Request) -> object:
    """The JSON that was posted.

    Raises:
        BadRequest: it is none, or too large.
    """
    body = b""
    async for block in request.stream():
        body += block
        if len(body) > _LARGEST_BODY:
            raise BadRequest(f"The body has more than {_LARGEST_BODY} bytes.")
    try:
        return json.loads(body)
    except ValueError:
        raise BadRequest("The body is not JSON.") from None


async def _pieces(runner: Runner, wanted: ChatRequest, turn: asyncio.Lock) -> AsyncIterator[str | Answered]:
    """The answer as it comes; leaving it early, as when the client has gone, cancels it."""
    async with turn:
        stream = runner.stream(wanted.job())
        try:
            while (piece := await run_in_threadpool(_next, stream)) is not None:
                yield piece
        finally:
            # not awaited: the task may be cancelled already; it takes as long as the runtime needs for one token
            stream.close()


def _next(stream: Generator[str | Answered, None, None]) -> str | Answered | None:
    return next(stream, None)


async def _complete(answer: Answer, first: str | Answered, rest: AsyncIterator[str | Answered], request: Request) -> Response:
    text, piece = "", first
    try:
        while not isinstance(piece, Answered):
            text += piece
            if await request.is_disconnected():
                return Response(status_code=499)
            piece = await anext(rest)
    except Failure as failure:
        return JSONResponse(openai_api.error(failure.what, kind="server_error"), 500)
    finally:
        await rest.aclose()  # type: ignore[attr-defined]
    return JSONResponse(answer.complete(text, piece))


async def _events(answer: Answer, first: str | Answered, rest: AsyncIterator[str | Answered], request: Request) -> AsyncIterator[str]:
    """The chunks of a streamed answer as server-sent events."""
    piece = first
    try:
        yield _event(answer.first())
        while not isinstance(piece, Answered):
            if await request.is_disconnected():
                return
            yield _event(answer.piece(piece))
            piece = await anext(rest)
        for chunk in answer.last(piece):
            yield _event(chunk)
        yield "data: [DONE]\n\n"
    except Failure as failure:
        yield _event(openai_api.error(failure.what, kind="server_error"))
    finally:
        await rest.aclose()  # type: ignore[attr-defined]


def _event(values: dict[str, object]) -> str:
    return f"data: {json.dumps(values)}\n\n"


def serve(runner: Runner, host: str, port: int, api_key: str | None, on_ready: Callable[[int], None]) -> None:
    """Answer until SIGINT or SIGTERM; `on_ready` gets the port, which the system chooses for 0.

    Raises:
        Failure: the address is in use, or is not one of this machine.
    """
    config = uvicorn.Config(
        application(runner, api_key), host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=_SHUTDOWN_S
    )
    try:
        listening = config.bind_socket()
    except SystemExit:  # uvicorn logs why
        raise Failure(f"cannot listen on {host} port {port}", remedy="give another --port, or stop what uses it") from None
    listening.listen()  # who reads the line below may connect at once
    on_ready(listening.getsockname()[1])
    with listening, _signals_end_it():
        uvicorn.Server(config).run(sockets=[listening])


@contextmanager
def _signals_end_it() -> Iterator[None]:
    """Take it for a success if a signal ends the server: uvicorn 0.54 raises the signal once more when it has shut down."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
