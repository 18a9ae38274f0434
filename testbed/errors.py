"""The base of all errors that the testbed raises on purpose; `exit_code` is that of a command that ends by it.

Each class stays in the module that raises it. Whatever does not derive from here is a fault of ours, or an OSError.

    TestbedError                        1  it went wrong: one line says what, and what to do
    ├── InputError (ValueError)         2  what was asked for cannot be: a file, a key, a name
    │   ├── ArrivalsError, ArrivalsFileError, StreamError, StreamFileError
    │   ├── CalibrationError, DocumentError, ManifestError, RunDataError
    │   ├── ConfigError
    │   ├── ScenarioError, ServiceTimeError, TopologyError
    │   └── UnknownBenchmark
    ├── CommandError
    ├── NoCheckout                      2
    │
    │   the machine and the emulated network
    ├── BridgeError, CapabilityError, ConntrackError, InspectionError, IprouteError, LinkError, NetworkError
    ├── InterfaceError, NamespaceError (OSError)
    ├── GroupError ── GroupRefused
    ├── SessionError ── VersionRefused
    │
    │   a run, and the processes in it
    ├── RunError ── NoRoomError
    ├── RunTagError, SweepError
    ├── LocalLimitError, ProcessFailure, ForkError (OSError)
    │
    │   messages of others, which are answered or counted, and no reason to end
    ├── CodecError (ValueError) ── UnknownKind
    ├── BadQuery, MalformedAnswer, MalformedResponseError, RequestError, UnreadableFigures (ValueError)
    ├── HttpError, Refused
    │
    │   work that is left out
    └── NothingToDrawError, Skipped
"""

from __future__ import annotations


class TestbedError(Exception):
    """Something that can go wrong although the testbed is right; its text is one line for whoever called."""

    __test__ = False  # no test class, whatever pytest makes of the name
    exit_code = 1


class InputError(TestbedError, ValueError):
    """What was asked for cannot be; the text names file and key, and what is possible."""

    exit_code = 2
