"""What of Windows' kernel32 and ntdll the pipeline calls and Python does not: jobs, the wait for another process, peak memory.

Every function here is for Windows alone; on another system it raises OSError. Structures and constants: winnt.h, psapi.h, synchapi.h.
"""

from __future__ import annotations

import ctypes
from typing import Any

INVALID_PARAMETER = 87  # winerror.h: what OpenProcess says of a process that has ended

_SYNCHRONIZE = 0x00100000
_INFINITE = 0xFFFFFFFF
_EXTENDED_LIMITS = 9  # JobObjectExtendedLimitInformation
_KILL_ON_JOB_CLOSE = 0x2000
# wintypes would do but for its DWORD, which is a C long: eight bytes where a test reads these structures on Linux
_DWORD, _HANDLE, _SIZE, _BOOL = ctypes.c_uint32, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION with its inner structures laid flat: 144 bytes in a 64-bit process."""

    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", _DWORD),
        ("least_working_set", _SIZE),
        ("most_working_set", _SIZE),
        ("active_processes", _DWORD),
        ("affinity", _SIZE),
        ("priority", _DWORD),
        ("scheduling", _DWORD),
        ("io_counters", ctypes.c_uint64 * 6),
        ("process_memory", _SIZE),
        ("job_memory", _SIZE),
        ("peak_process_memory", _SIZE),
        ("peak_job_memory", _SIZE),
    )


class MemoryCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS: 72 bytes in a 64-bit process."""

    _fields_ = (
        ("size", _DWORD),
        ("page_faults", _DWORD),
        ("peak_working_set", _SIZE),
        ("working_set", _SIZE),
        ("pools", _SIZE * 4),
        ("page_file", _SIZE),
        ("peak_page_file", _SIZE),
    )


_CALLS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "CreateJobObjectW": (_HANDLE, (ctypes.c_void_p, ctypes.c_wchar_p)),
    "SetInformationJobObject": (_BOOL, (_HANDLE, ctypes.c_int, ctypes.c_void_p, _DWORD)),
    "AssignProcessToJobObject": (_BOOL, (_HANDLE, _HANDLE)),
    "TerminateJobObject": (_BOOL, (_HANDLE, ctypes.c_uint)),
    "CloseHandle": (_BOOL, (_HANDLE,)),
    "OpenProcess": (_HANDLE, (_DWORD, _BOOL, _DWORD)),
    "GetCurrentProcess": (_HANDLE, ()),
    "K32GetProcessMemoryInfo": (_BOOL, (_HANDLE, ctypes.POINTER(MemoryCounters), _DWORD)),
}


def new_job() -> int:
    """A job whose processes all end when its last handle is closed, by us or by our own end; its handle."""
    job: int = _call("CreateJobObjectW", None, None)
    limits = ExtendedLimits(flags=_KILL_ON_JOB_CLOSE)
    _call("SetInformationJobObject", job, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
    return job


def put_into_job(job: int, process: int) -> None:
    """Have a process, by its handle, and all that it starts from then on belong to the job."""
    _call("AssignProcessToJobObject", job, process)


def end_job(job: int) -> None:
    """End every process of the job at once."""
    _call("TerminateJobObject", job, 1)


def close(handle: int) -> None:
    """Give a handle back."""
    _call("CloseHandle", handle)


def resume(process: int) -> None:
    """Let a process that was started suspended run, by its handle; NtResumeProcess is how psutil does it too."""
    status = _library("ntdll").NtResumeProcess(_HANDLE(process))
    if status != 0:
        raise OSError(f"NtResumeProcess: status {status & 0xFFFFFFFF:#x}")


def open_to_wait(process_id: int) -> int:
    """A handle of a process by its id, to wait for its end; OSError with `winerror` INVALID_PARAMETER if there is none."""
    handle: int = _call("OpenProcess", _SYNCHRONIZE, False, process_id)
    return handle


def wait_for_end(handle: int) -> None:
    """Return when the process has ended."""
    _library("kernel32").WaitForSingleObject(_HANDLE(handle), _DWORD(_INFINITE))


def own_peak_bytes() -> int:
    """The most memory that this process has held resident (its peak working set)."""
    counters = MemoryCounters(size=ctypes.sizeof(MemoryCounters))
    _call("K32GetProcessMemoryInfo", _call("GetCurrentProcess"), ctypes.byref(counters), counters.size)
    return int(counters.peak_working_set)


def _call(name: str, *arguments: Any) -> Any:
    """Call a function of kernel32 whose zero means failure."""
    function = getattr(_library("kernel32"), name)
    function.restype, function.argtypes = _CALLS[name]
    if not (value := function(*arguments)):
        raise _last_error()
    return value


def _library(name: str) -> Any:
    """The library with its own copy of the last error; ctypes has WinDLL and the like on Windows only, so they are looked up by name."""
    if not hasattr(ctypes, "WinDLL"):
        raise OSError(f"{name} is there on Windows only")
    return getattr(ctypes, "WinDLL")(name, use_last_error=True)  # noqa: B009


def _last_error() -> OSError:
    error: OSError = getattr(ctypes, "WinError")(getattr(ctypes, "get_last_error")())  # noqa: B009
    return error
