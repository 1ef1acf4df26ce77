"""Opening files that may be anything, and JSON that may be anything."""

import errno
import json
import os
import stat
from contextlib import suppress
from typing import Any, BinaryIO

from ..text import printable, say

LONGEST = 96
"""Characters of a name that are shown."""

MOST_DIGITS = 4300
"""Of an integer: where Python itself stops, and releases before it did would take hours."""

POINTER = b"version https://git-lfs.github.com/spec/"
"""What stands in place of a file that Git LFS has not fetched."""


class Unreadable(Exception):
    """One line that says what is wrong; files are named relative to the model's folder."""


class Torn(Unreadable):
    """The content is at fault: nobody could read it."""


class Nothing(Unreadable):
    """It is not there."""


def shown(text: str) -> str:
    """A text from outside, short and on one line."""
    return printable(text[:LONGEST]) + ("…" if len(text) > LONGEST else "")


def is_folder(path: str) -> bool:
    """
    Whether it is a folder, and not a file of any kind.

    Raises:
        Nothing: there is nothing of that name.
        Unreadable: the way there is closed.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            raise Unreadable(say("it cannot be looked at: {reason}", reason=reason(error))) from error
        raise Nothing(say("there is no file or folder of that name")) from error


def opened(path: str, file: str) -> BinaryIO:
    """
    A regular file, open for reading; links are followed, for the cache of huggingface_hub is made of them.

    A FIFO or a device could keep its reader waiting for ever, so it is never opened for long enough to.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    try:
        regular = stat.S_ISREG(os.stat(path).st_mode)
        handle = os.open(path, flags) if regular else -1
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Nothing(say("{file}: not there", file=shown(file))) from error
    except OSError as error:
        kind = Torn if error.errno == errno.ELOOP else Unreadable
        raise kind(say("{file}: cannot be opened: {reason}", file=shown(file), reason=reason(error))) from error
    except ValueError as error:  # a NUL, or half a surrogate pair
        raise Nothing(say("{file}: no name of a file", file=shown(file))) from error
    if regular and not stat.S_ISREG(os.fstat(handle).st_mode):  # it was replaced in between
        os.close(handle)
        regular = False
    if not regular:
        raise Torn(say("{file}: no regular file", file=shown(file)))
    return open(handle, "rb")


def reason(error: OSError) -> str:
    """The operating system's words alone: an OSError in full names the whole path."""
    return error.strerror or type(error).__name__


def small(path: str, file: str, limit: int) -> bytes:
    """A whole file that must not be larger than the limit, which is looked at before anything is read."""
    with opened(path, file) as source:
        size, data = os.fstat(source.fileno()).st_size, b""
        if size <= limit:
            data = read(source, limit + 1, file)
    if max(size, len(data)) > limit:
        raise Unreadable(
            say("{file}: {size} bytes, and not read: the limit is {limit} MiB", file=shown(file), size=max(size, len(data)), limit=limit // 2**20)
        )
    if data.startswith(POINTER):
        raise Torn(say("{file}: a Git LFS pointer, whose content was not downloaded", file=shown(file)))
    return data


def read(source: BinaryIO, count: int, file: str) -> bytes:
    """Up to this many bytes."""
    try:
        return source.read(count)
    except OSError as error:
        raise Unreadable(say("{file}: cannot be read: {reason}", file=shown(file), reason=reason(error))) from error


def size_of(path: str) -> int:
    """Bytes of a file; 0 for one that cannot be asked."""
    with suppress(OSError, ValueError):
        return os.stat(path).st_size
    return 0


class Refused(ValueError):
    """A hook does not take what the JSON holds; the text says what."""


def parsed(data: bytes, file: str, **hooks: Any) -> Any:
    """
    JSON as Python reads it: of a key that is there twice the last one, NaN as a number.

    Args:
        hooks: of `json.loads`; they raise Refused.
    """
    if _long_numbers(data):  # a call for each integer takes its time, and hardly a file needs it
        hooks["parse_int"] = _integer
    try:
        return json.loads(data.decode(), **hooks)
    except json.JSONDecodeError as error:
        why = say("no JSON: {error}, line {line} column {column}", error=error.msg, line=error.lineno, column=error.colno)
    except UnicodeDecodeError:
        why = say("no UTF-8")
    except Refused as error:
        why = str(error)
    except RecursionError:
        why = say("nested too deep")
    except MemoryError:
        why = say("more than fits in memory")
    raise Torn(f"{shown(file)}: {why}")


def _long_numbers(data: bytes) -> bool:
    """Whether there may be one: as many digits as that have a whole block of half as many among them."""
    half = MOST_DIGITS // 2
    return any(data[at : at + half].isdigit() for at in range(0, len(data), half))


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise Refused(say("an integer of {count} digits", count=len(digits)))
    return int(digits)
