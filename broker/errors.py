"""Every error Foretell raises on purpose. Any other exception is a bug in Foretell.

ForetellError
|-- UserError               a mistake in a scenario, a setting or the command line (exit 2)
|   |-- ScenarioError       names the path in the document
|   |   `-- EnvironmentMissing  its environment is not on this host
|   |-- Unreachable         nobody answers at an address
|   |-- AddressInUse        another program listens there already
|   |-- FlushToZero         a library has switched on arithmetic that no other machine does
|   |-- WrongRun            a peer belongs to another run, document or version
|   |-- RunUnfinished       a run has not come to its end
|   |-- StoreDamaged        a run's store is not what was written
|   |-- CellDiffers         a cell of a study or sweep was run otherwise than it would be now
|   |-- CellsDiffer         several were
|   `-- CarrierLost         what carries the connections to all hosts is gone
|-- CheckpointDamaged       a checkpoint is missing or not what was written (an older one is taken)
|-- FrameRejected           bytes that are no message of ours: from outside they are counted, to be sent they are fatal
|-- ProtocolViolation       a message that no correct peer can say now (counted, never fatal)
|-- PeerLost                a peer stayed silent for longer than the scenario allows
|-- Deadlock                virtual time: everybody waits and nothing is due
|-- UserCodeFailed          an environment or an algorithm that somebody brought raised (exit 3)
|   `-- UserCodeRefused     it gave what nobody can use, such as a loss that is NaN; played again, it gives the same
|-- HostLost                a host of a run cannot be reached any more
|-- WriterLost              what writes curves for another tool has ended (the run goes on)
|-- ParticipantDied         a process of a run ended before its work (exit 3)
|   `-- UserCodeDied        of code that somebody brought
`-- LedgerMismatch          the faults a run met are not those it asked for (exit 4)
"""

from __future__ import annotations

from pathlib import Path

_LONGEST_PATH = 200


class ForetellError(Exception):
    """Base of all errors raised on purpose; its text is a sentence for the user."""


class UserError(ForetellError):
    """A mistake that the user can mend: wrong setting, wrong usage, an address in use."""


class ScenarioError(UserError):
    """A scenario that cannot work.

    Args:
        path: Where in the document, dotted (`environment.grid`).
        problem: What was expected and what was found.
        file: Which file says so, where there is one.
    """

    def __init__(self, path: str, problem: str, file: str = "") -> None:
        if len(path) > _LONGEST_PATH:
            path = f"{path[:_LONGEST_PATH]}..."
        super().__init__(": ".join(part for part in (file, path, problem) if part))
        self.path = path
        self.problem = problem


class EnvironmentMissing(ScenarioError):
    """A scenario whose environment, or a module that this needs, is not on this host.

    Args:
        problem: What is missing and what to do about it.
    """

    def __init__(self, problem: str) -> None:
        super().__init__("environment.env", problem)


class Unreachable(UserError):
    """Nobody answers at an address."""


class AddressInUse(UserError):
    """Another program already listens on an address of this run.

    Args:
        participant: Who was to listen.
        address: Where.
        setting: What says so in the scenario.

    Attributes:
        address: As above.
    """

    def __init__(self, participant: str, address: str, setting: str) -> None:
        self.address = address
        super().__init__(
            f"{participant} cannot listen on {address}: the address is in use. "
            f"Stop the program that holds it or choose another {setting}."
        )


class FlushToZero(UserError):
    """In this process numbers below 2^-126 are taken as zero, so that no other machine computes what it does."""

    def __init__(self) -> None:
        super().__init__(
            "flush-to-zero is switched on in this process: numbers below 1.2e-38 count as 0, and results differ from "
            "those of every other machine. A library that an environment or algorithm loaded, or "
            "torch.set_flush_denormal(True), has done so; call torch.set_flush_denormal(False) after it."
        )


class WrongRun(UserError):
    """Somebody belongs to another run, has another document, or another version of Foretell."""


class StoreDamaged(UserError):
    """A run's store that is not what was written, wherever and whenever it is read."""


class CheckpointDamaged(ForetellError):
    """A checkpoint that is missing or is not what was written.

    Args:
        path: Which.
        problem: What is wrong with it.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"the checkpoint {path} cannot be used: {problem}")


class FrameRejected(ForetellError):
    """Bytes that are not a well-formed message of this version."""


class ProtocolViolation(ForetellError):
    """A well-formed message that no correct peer can send in this phase."""


class PeerLost(ForetellError):
    """A peer that was needed did not answer for longer than the scenario allows."""


class Deadlock(ForetellError):
    """All participants wait and nothing is due, in virtual time.

    Args:
        waits: For each participant, a clause such as `agent-0 in SHARING waits for ...`.
    """

    def __init__(self, waits: list[str]) -> None:
        super().__init__("nothing is due and nobody can go on: " + "; ".join(waits))
        self.waits = waits


class LedgerMismatch(ForetellError):
    """A run whose faults are not those that its scenario asked for.

    Args:
        sentences: What does not fit.
    """

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("the faults do not fit what was asked for: " + "; ".join(sentences))
        self.sentences = sentences


class UserCodeFailed(ForetellError):
    """An environment or an algorithm that somebody brought raised; what it raised is the cause.

    Args:
        participant: In whom, such as `environment`.
        problem: What happened, a clause without its name.
    """

    def __init__(self, participant: str, problem: str) -> None:
        super().__init__(f"{participant}: {problem}")
        self.participant = participant
        self.problem = problem


class UserCodeRefused(UserCodeFailed):
    """Such code gave what nobody can use: played again, it gives the same."""


class ParticipantDied(ForetellError):
    """A process of a run ended before its work was done.

    Args:
        participant: Its name, such as `agent-1`.
        cause: How it ended (`exit code 1`, `signal SIGKILL`) and the last line it said, if any.
        log: Its log file; `Path()` where it is somebody else's.
        before_episode: The first episode that was played without it, where some were before its death was seen.
    """

    def __init__(self, participant: str, cause: str, log: Path, *, before_episode: int | None = None) -> None:
        super().__init__(f"{participant} died: {cause}" + (f". Its log: {log}" if log != Path() else ""))
        self.participant = participant
        self.cause = cause
        self.log = log
        self.before_episode = before_episode


class UserCodeDied(ParticipantDied):
    """A participant ended because code that somebody brought failed in it.

    Args:
        participant: Its name.
        problem: What happened, a clause.
        log: Where the traceback is.
        final: Whether another life would end the same.
    """

    def __init__(self, participant: str, problem: str, log: Path, *, final: bool) -> None:
        super().__init__(participant, problem, log)
        self.args = (f"{participant}: {problem}. Its log: {log}",)
        self.final = final
