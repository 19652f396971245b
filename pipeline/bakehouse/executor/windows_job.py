"""On Windows a child and all that it starts form a job: killed as one, and ended by the system when we end, however we do.

On other systems these functions do nothing: a session of its own and the leash do the same there. See
learn.microsoft.com/windows/win32/procthread/job-objects; jobs may lie in each other since Windows 8.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import weakref

from bakehouse.child import kernel32

_SUSPENDED = 0x00000004  # CREATE_SUSPENDED, processthreadsapi.h
# Nothing of the child runs until it is in its job: what it started before would not be.
START_FLAGS = _SUSPENDED if sys.platform == "win32" else 0

_jobs: weakref.WeakKeyDictionary[subprocess.Popen[bytes], int] = weakref.WeakKeyDictionary()
_lock = threading.Lock()  # a handle must not be given back while another thread ends its job


def take(child: subprocess.Popen[bytes]) -> None:
    """Put a child that was started with START_FLAGS into a job of its own, and let it run."""
    if sys.platform != "win32":
        return
    process = int(getattr(child, "_handle"))  # noqa: B009 (only Windows' Popen has it)
    job = kernel32.new_job()
    try:
        kernel32.put_into_job(job, process)
        kernel32.resume(process)
    except BaseException:
        child.kill()
        kernel32.close(job)
        raise
    with _lock:
        _jobs[child] = job
    threading.Thread(target=_end_what_is_left, args=(child,), daemon=True).start()


def _end_what_is_left(child: subprocess.Popen[bytes]) -> None:
    """End what outlives a child: it would hold the child's output open, and who reads that to its end would wait for it."""
    child.wait()
    end(child)


def end(child: subprocess.Popen[bytes]) -> None:
    """Kill a child with all its descendants; one that is gone already is fine."""
    with _lock:
        if (job := _jobs.get(child)) is not None:
            kernel32.end_job(job)


def release(child: subprocess.Popen[bytes]) -> None:
    """Give the job of a child that has ended back, which ends what it has left running."""
    with _lock:
        if (job := _jobs.pop(child, None)) is not None:
            kernel32.close(job)
