"""The two ways out of a child: its output, which is text for the log, and the channel, a pipe for the events that its worker reports."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue

from bakehouse.child.events import CHANNEL

_BLOCK_BYTES = 65536
_ENDS = {"text": re.compile(rb"[\r\n]"), "event": re.compile(rb"\n")}  # a progress bar goes back to the start of its line


@dataclass(frozen=True)
class Block:
    """What came at once: `of` is "text" for output, "event" for the channel; empty at its end."""

    of: str
    data: bytes


@dataclass(frozen=True)
class Line:
    """One line, without its end."""

    of: str
    text: str


@dataclass
class Channel:
    """A pipe that one child writes its events to; `reading` and `writing` are file descriptors of this process."""

    reading: int
    writing: int | None

    def environment(self) -> dict[str, str]:
        """The variable that names the place to write to."""
        return {CHANNEL: str(self._inheritable())}

    def pass_fds(self) -> tuple[int, ...]:
        """`subprocess.Popen`'s argument with which the child gets the writing end; none on Windows."""
        return () if sys.platform == "win32" else (self._inheritable(),)

    def startupinfo(self) -> object:
        """`subprocess.Popen`'s argument with which it does on Windows, and gets nothing else of this process; None elsewhere."""
        if sys.platform == "win32":
            return subprocess.STARTUPINFO(lpAttributeList={"handle_list": [self._inheritable()]})
        return None

    def _inheritable(self) -> int:
        """What names the writing end to a child: on Windows its handle, elsewhere the descriptor."""
        assert self.writing is not None
        if sys.platform != "win32":
            return self.writing
        import msvcrt

        handle = msvcrt.get_osfhandle(self.writing)
        os.set_handle_inheritable(handle, True)
        return handle

    def child_has_it(self) -> None:
        """Close this process's writing end, so that the child's end is the end of the channel."""
        if self.writing is not None:
            os.close(self.writing)
            self.writing = None


@contextmanager
def opened() -> Iterator[Channel]:
    """A new channel, as long as this lasts."""
    channel = Channel(*os.pipe())
    try:
        yield channel
    finally:
        channel.child_has_it()
        os.close(channel.reading)


def blocks(output: int, channel: Channel) -> Iterator[Block]:
    """What comes out of a child until both ways end; an event comes before text that was printed after it (not so on Windows)."""
    ways = {channel.reading: "event", output: "text"}
    yield from _by_threads(ways) if sys.platform == "win32" else _by_selector(ways)


def _by_selector(ways: Mapping[int, str]) -> Iterator[Block]:
    import selectors

    with selectors.DefaultSelector() as selector:
        for way in ways:
            selector.register(way, selectors.EVENT_READ)
        while selector.get_map():
            ready = [key.fd for key, _ in selector.select()]
            # What the channel has got before the text is read was reported before that text was printed.
            for way in sorted(ready, key=lambda one: ways[one]):
                data = os.read(way, _BLOCK_BYTES)
                yield Block(ways[way], data)
                if not data:
                    selector.unregister(way)


def _by_threads(ways: Mapping[int, str]) -> Iterator[Block]:
    """On Windows one cannot wait for two pipes at once."""
    queue: SimpleQueue[Block] = SimpleQueue()

    def follow(way: int) -> None:
        while data := os.read(way, _BLOCK_BYTES):
            queue.put(Block(ways[way], data))
        queue.put(Block(ways[way], b""))

    for way in ways:
        threading.Thread(target=follow, args=(way,), daemon=True).start()
    left = len(ways)
    while left:
        block = queue.get()
        left -= not block.data
        yield block


class Lines:
    """Puts blocks together to lines, for each way by itself."""

    def __init__(self) -> None:
        self._rest = {"text": b"", "event": b""}

    def of(self, block: Block) -> Iterator[Line]:
        """The lines that this block completes; at the end of a way the one that has no end."""
        *complete, self._rest[block.of] = _ENDS[block.of].split(self._rest[block.of] + block.data)
        if not block.data:
            complete, self._rest[block.of] = [self._rest[block.of]], b""
        yield from (Line(block.of, line.decode("utf-8", "replace")) for line in complete if line.strip())
