"""The base of all errors that the testbed raises on purpose; `exit_code` is that of a command that ends by it.

Each class stays in the module that raises it. Whatever does not derive from here is a fault of ours, or an OSError.

    TestbedError                        1  it went wrong: one line says what, and what to do
    ├── InputError (ValueError)         2  what was asked for cannot be: a file, a key, a name
    │   ├── AltoDataError, CannotTrust, FilterError, NotShown, PasswordsError, ScriptError, TlsError
    │   ├── ArrivalsError, ArrivalsFileError, StreamError, StreamFileError
    │   ├── CalibrationError, DocumentError, ManifestError, RunDataError
    │   ├── ConfigError, FunctionError, LayerError, PackError
    │   ├── OffersUnordered
    │   ├── ScenarioError, ServiceTimeError, TopologyError
    │   ├── TraceError
    │   └── UnknownBenchmark, UnknownDemo, YamlError
    ├── AskedInVain, CannotListen, CommandError
    ├── NoCheckout                      2
    │
    │   the machine and the emulated network
    ├── BridgeError, CapabilityError, ConntrackError, InspectionError, IprouteError, LimitError, LinkError, NetworkError
    ├── InterfaceError, NamespaceError ── ResolverError (OSError)
    ├── GroupError ── GroupRefused
    ├── SessionError ── VersionRefused
    ├── SettingError
    │
    │   a run, and the processes in it
    ├── RunError ── NoRoomError
    ├── SandboxError, ScapyError
    ├── RunTagError, SweepError
    ├── LocalLimitError, ProcessFailure, ForkError (OSError), Unanswered
    │
    │   messages of others, which are answered or counted, and no reason to end
    ├── AltoError, NotKnownYet, TooMuchAsked
    ├── AltoAnswerError ── AltoOverloaded, AltoRefused, StaleAnswerError, Unreachable
    ├── CodecError (ValueError) ── UnknownKind
    ├── ApiError, CallError, ClusterApiError, QueueFullError, StoreFull
    ├── BadAnswer, BadQuery, MalformedResponseError, RequestError, UnreadableFigures (ValueError)
    ├── MalformedAnswer (ValueError) ── NotServedError
    ├── ListError (ValueError)
    ├── HttpError, Refused
    ├── NotExpressible, Unfit (ValueError)
    ├── StreamUnavailable
    │
    │   work that is left out
    └── NothingToDrawError, Skipped, StoppedError
"""

from __future__ import annotations


class TestbedError(Exception):
    """Something that can go wrong although the testbed is right; its text is one line for whoever called."""

    __test__ = False  # no test class, whatever pytest makes of the name
    exit_code = 1

    def __str__(self) -> str:
        """Return the line alone: an error that is an OSError, too, would put its number in front of it."""
        return str(getattr(self, "strerror", None) or super().__str__())


class InputError(TestbedError, ValueError):
    """What was asked for cannot be; the text names file and key, and what is possible."""

    exit_code = 2
