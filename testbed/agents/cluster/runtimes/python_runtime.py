"""The runtime `python:3`: serves the contract, and runs a function of a Python program. Runs inside a container.

Source, or an archive with `__main__.py` at its top, defines a function (`main`, or the name in /init) that takes an
object and returns one. One run at a time. Folders of layers are on the module path.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import traceback
from collections.abc import Callable

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import contract  # type: ignore[import-not-found]

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is slow to import
    from typing import Any

LAYERS = "/layers"
_ENVIRONMENT = (
    "namespace", "action_name", "action_version", "api_host", "api_key", "activation_id", "transaction_id", "deadline",
)  # fmt: skip


class _RefusedError(Exception):
    """What is wrong with an action or its result, in one line for whoever invoked it."""


class Runtime:
    """One action, once it was initialised."""

    def __init__(self) -> None:
        self._function: Callable[[Any], Any] | None = None

    def init(self, document: dict[str, Any]) -> None:
        """Take in the code of an action. Raises _RefusedError."""
        if self._function is not None:
            raise _RefusedError("a container is initialised once")
        value = document.get("value") or {}
        for key, content in (value.get("env") or {}).items():
            os.environ[str(key)] = content if isinstance(content, str) else json.dumps(content)
        source = _source(value)
        program: dict[str, Any] = {
            "__name__": "__main__",
            "__builtins__": __builtins__,
            "__file__": f"{contract.FOLDER}/__main__.py",
        }
        name = value.get("main") or "main"
        try:
            exec(compile(source, program["__file__"], "exec"), program)
        except BaseException as error:
            traceback.print_exc()
            raise _RefusedError(f"the action does not load: {type(error).__name__}: {error}") from error
        function = program.get(name)
        if not callable(function):
            raise _RefusedError(f"the action has no function {name!r}")
        self._function = function

    def run(self, document: dict[str, Any]) -> Any:
        """Run it once; return its result. Raises _RefusedError."""
        if self._function is None:
            raise _RefusedError("the container was not initialised")
        for key in _ENVIRONMENT:
            if document.get(key) is not None:
                os.environ[f"__OW_{key.upper()}"] = str(document[key])
        try:
            result = self._function(document.get("value") or {})
        except BaseException as error:
            traceback.print_exc()
            raise _RefusedError(f"the action raised {type(error).__name__}: {error}") from error
        if not isinstance(result, (dict, list)):
            raise _RefusedError(f"the action must return an object, not {type(result).__name__}")
        try:
            json.dumps(result)
        except (TypeError, ValueError, RecursionError) as error:
            raise _RefusedError(f"the action's result is no JSON: {error}") from error
        return result


def _source(value: dict[str, Any]) -> str:
    code = value.get("code") or ""
    if not value.get("binary"):
        return code
    try:
        contract.unpack(base64.b64decode(code))
        with open(f"{contract.FOLDER}/__main__.py", encoding="utf-8") as opened:
            source = opened.read()
    except FileNotFoundError:
        raise _RefusedError("the archive has no __main__.py at its top") from None
    except ValueError as error:
        raise _RefusedError(str(error)) from error
    sys.path.insert(0, contract.FOLDER)
    os.chdir(contract.FOLDER)
    return source


def _answer(runtime: Runtime, path: str, body: bytes) -> tuple[int, Any]:
    try:
        document = json.loads(body or b"{}")
        if path == "/init":
            runtime.init(document)
            return 200, {"ok": True}
        if path == "/run":
            return 200, runtime.run(document)
        raise _RefusedError(f"there is only /init and /run, not {path}")
    except _RefusedError as error:
        return 502, {"error": str(error)}
    except (ValueError, AttributeError) as error:
        return 502, {"error": f"the request cannot be read: {error}"}


def main() -> None:
    """Serve the contract until the cluster is gone."""
    sys.path[:] = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]
    if os.path.isdir(LAYERS):
        sys.path += [os.path.join(LAYERS, name) for name in sorted(os.listdir(LAYERS))]
    # Line by line: what is killed leaves what it printed.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    listening = contract.come_alive()
    runtime = Runtime()
    contract.report_ready()
    while True:
        connection, _ = listening.accept()
        try:
            for path, _head, body in contract.requests(connection):
                status, document = _answer(runtime, path, body)
                if path == "/run" or status != 200:
                    contract.mark_end_of_logs()
                contract.respond(connection, status, document)
        except (ConnectionError, TimeoutError):  # the cluster did not wait
            pass
        finally:
            connection.close()


if __name__ == "__main__":
    main()
