"""The judge's process: holds the check, calls the candidate over the channel, and reports a verdict.

It forks from the zygote, never from the candidate, so the check is in no memory the candidate ever had. Names that the
check uses and does not define become proxies for the candidate's functions; values come back as plain data and are
compared here.
"""

import builtins
import json
import os
import traceback
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

from . import wire


class Gone(BaseException):
    """The candidate's process ended, or sent what no honest one sends. No check can catch it by `except Exception`."""


class CannotCross(BaseException):
    """The check hands over something that is no plain data."""


class Candidate:
    """The other side of the channel. The number of calls is kept in the offset of `order`, for who survives this."""

    def __init__(self, channel: int, order: int) -> None:
        self.channel = channel
        self.order = order
        self.calls = 0
        self.gone = ""
        self.unplain = ""

    def receive(self) -> dict[str, Any]:
        """The candidate's next message; raises Gone."""
        try:
            message = wire.receive(self.channel)
        except (wire.Malformed, MemoryError) as error:
            raise self.lost(f"sent what is no answer ({str(error)[:100]})") from None
        except OSError:  # it ended with calls unread
            raise self.lost("ended") from None
        if not isinstance(message, dict):
            raise self.lost("ended" if message is None else "sent what is no answer")
        return message

    def lost(self, why: str) -> Gone:
        """Remember that it is gone, also for a check that swallows the exception."""
        self.gone = why
        return Gone(why)

    def call(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        """One call; raises what the candidate raised where that is a built-in exception."""
        self.calls += 1
        os.lseek(self.order, self.calls, os.SEEK_SET)
        self.ask(name, arguments, keywords)
        reply = self.receive()
        if "raised" in reply:
            raise exception(fault(reply))
        try:
            value = wire.decode(reply["value"])
            for number, data in reply["changed"].items():
                replace(arguments[int(number)], wire.decode(data))
        except Exception:  # whatever decoding choked on, no honest candidate wrote
            raise self.lost("sent what is no answer") from None
        return value

    def ask(self, name: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
        """Send one call; raises Gone, or CannotCross when that is the check's doing and not the candidate's."""
        strangers: set[str] = set()
        try:
            request = {"name": name, "arguments": wire.encode(list(arguments)), "keywords": wire.encode(keywords)}
            text = wire.JSON.encode(request)
            strangers |= set(opaque(request)) if "opaque" in text else set()
            if strangers == {RETURNED}:
                raise self.lost("returned what is no data, and was called with it")
            if strangers:
                raise wire.NotPlain("an argument that is no data")
            wire.send_text(self.channel, text)
        except OSError:
            raise self.lost("ended") from None
        except wire.NotPlain as error:
            # After an answer, too much or too deep may be what the candidate made of it.
            if self.calls > 1 and not strangers:
                raise self.lost(f"returned what cannot be given back to it ({error})") from None
            self.unplain = f"{name}: {error}"
            raise CannotCross(self.unplain) from None


RETURNED = f"{wire.Opaque.__module__}.{wire.Opaque.__qualname__}"


def opaque(data: Any) -> Iterator[str]:
    """The types of what is no data in encoded data."""
    if isinstance(data, dict):
        if data.get("t") == "opaque":
            yield str(data["v"])
        for item in data.values():
            yield from opaque(item)
    elif isinstance(data, list):
        for item in data:
            yield from opaque(item)


def replace(argument: Any, changed: Any) -> None:
    """Give an argument of ours the contents that the candidate left in its own."""
    kind = next(kind for kind in wire.CHANGEABLE if isinstance(argument, kind))
    if not isinstance(changed, kind):
        raise TypeError("changed into another type")
    argument.clear()
    if kind in (dict, set):
        argument.update(changed)
    else:
        argument.extend(changed)


class Raised(Exception):
    """An exception of a type that only the candidate knows."""


def fault(reply: dict[str, Any]) -> dict[str, Any]:
    """What the candidate says it raised, of the types and sizes that an honest one would send."""
    raised, text, kinds, line, errno = (reply.get(key) for key in ("raised", "text", "kinds", "line", "errno"))
    return {
        "raised": raised[:100] if isinstance(raised, str) else "",
        "text": text[:500] if isinstance(text, str) else "",
        "kinds": [str(kind)[:100] for kind in kinds[:100]] if isinstance(kinds, list) else [],
        "line": line if type(line) is int and 0 < line < 1 << 31 else 0,
        "errno": errno if type(errno) is int and 0 < errno < 1 << 15 else 0,
    }


def exception(reply: dict[str, Any]) -> Exception:
    """What a check may catch: the first built-in exception type the candidate's is of."""
    kinds = [getattr(builtins, kind, None) for kind in reply["kinds"]]
    known = next((k for k in kinds if isinstance(k, type) and issubclass(k, Exception)), Exception)
    made: Exception = known(reply["text"]) if known in PLAIN else Raised(reply["text"])
    made.reply = reply  # type: ignore[attr-defined]
    return made


# Those that are made from one text, less those that would end a loop of the check quietly (`all(map(candidate, xs))`).
PLAIN = frozenset(
    kind
    for kind in vars(builtins).values()
    if isinstance(kind, type)
    and issubclass(kind, Exception)
    and not issubclass(kind, UnicodeError | ExceptionGroup | StopIteration | StopAsyncIteration)
)


def proxy(candidate: Candidate, name: str) -> Any:
    """A function that calls the candidate's of this name."""

    def call(*arguments: Any, **keywords: Any) -> Any:
        return candidate.call(name, arguments, keywords)

    call.__name__ = call.__qualname__ = name
    return call


def names_in(code: CodeType) -> Iterator[str]:
    """Every global or attribute name some code uses."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_in(constant)


def not_started(candidate: Candidate) -> dict[str, Any] | None:
    """The verdict when there is nothing to call."""
    try:
        armed = candidate.receive().get("armed")
    except Gone:
        armed = "its process ended"
    if armed is not True:
        return {"status": "infrastructure", "detail": f"the jail did not close: {armed}"}
    loaded = candidate.receive()
    return raised(fault(loaded)) if "raised" in loaded else None


def judge(order: dict[str, Any], candidate: Candidate) -> dict[str, Any]:
    """Run the check of an order; the verdict as far as this side sees it."""
    if verdict := not_started(candidate):
        return verdict
    namespace: dict[str, Any] = {"__name__": "test"}
    try:
        exec(compile(order["setup"], "setup.py", "exec"), namespace)
        test = compile(order["test"], "test.py", "exec")
    except Exception as error:
        return {"status": "infrastructure", "detail": f"the check does not run: {type(error).__name__}: {error}"}
    entry = order["entry_point"]
    for name in names_in(test):
        if name not in namespace and not hasattr(builtins, name):
            namespace[name] = proxy(candidate, name)
    namespace[entry] = namespace["candidate"] = function = proxy(candidate, entry)
    try:
        exec(test, namespace)
        check = namespace.get("check")
        if isinstance(check, FunctionType) and check.__code__.co_filename == "test.py":
            check(function)
    except BaseException as error:  # a check may end in any way; only one of them is a pass
        return verdict_of(error, order["test"], candidate)
    if candidate.gone:
        return {"status": "gone", "detail": candidate.gone}
    if candidate.unplain:
        return {"status": "infrastructure", "detail": f"the check cannot be judged apart: {candidate.unplain}"}
    if not candidate.calls:
        return {"status": "infrastructure", "detail": f'the check never calls "{entry}"'}
    return {"status": "passed", "detail": ""}


def verdict_of(error: BaseException, test: str, candidate: Candidate) -> dict[str, Any]:
    """What an exception that ended the check means."""
    if candidate.gone:
        return {"status": "gone", "detail": candidate.gone}
    if candidate.unplain:
        return {"status": "infrastructure", "detail": f"the check cannot be judged apart: {candidate.unplain}"}
    reply = getattr(error, "reply", None)
    if reply is not None:
        return raised(reply)
    left = isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and not error.code)
    if not candidate.calls or left:
        return {
            "status": "infrastructure",
            "detail": f"the check does not run: {type(error).__name__}: {worded(error)}",
        }
    lines = test.splitlines()
    walked = traceback.walk_tb(error.__traceback__)
    places = [number for frame, number in walked if frame.f_code.co_filename == "test.py" and number]
    # The deepest line may be a helper's; the assertion is the last one that says so.
    texts = [lines[number - 1].strip() for number in places if number <= len(lines)]
    asserting = [text for text in texts if text.startswith("assert")] or texts
    where = asserting[-1][:300] if asserting else ""
    what = "" if isinstance(error, AssertionError) and not worded(error) else f"{type(error).__name__}: {worded(error)}"
    return {"status": "failed", "detail": f"{where}  # {what}" if what else where}


def worded(error: BaseException) -> str:
    """An exception's text; none where it holds a value that has none, such as a number of too many digits."""
    try:
        return str(error)[:300]
    except Exception:
        return ""


def raised(reply: dict[str, Any]) -> dict[str, Any]:
    """The verdict on an exception of the candidate, with what it may depend on beside the text."""
    place = f" (line {reply['line']})" if reply["line"] else ""
    detail = f"{reply['raised']}: {reply['text']}"[:500] + place
    return {"status": "error", "detail": detail, "kinds": reply["kinds"], "errno": reply["errno"]}


def main(order: int, channel: int, report: int) -> None:
    """Judge by the order that a descriptor holds and write the verdict; ends the process."""
    text = os.pread(order, os.fstat(order).st_size, 0)
    candidate = Candidate(channel, order)
    try:
        verdict = judge(json.loads(text), candidate)
    except Gone:
        verdict = {"status": "gone", "detail": candidate.gone}
    except MemoryError:  # also for saying so; what took it is gone now
        verdict = {"status": "failed" if candidate.calls else "infrastructure", "detail": "MemoryError in the check"}
    except BaseException as error:
        verdict = {"status": "infrastructure", "detail": f"the judge failed: {type(error).__name__}: {error}"[:500]}
    os.write(report, json.dumps({**verdict, "detail": verdict["detail"][:1000]}).encode())
    os._exit(0)
