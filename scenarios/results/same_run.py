"""What must be as it was when a run began, for it to go on: document, substrate, arithmetic and agents."""

from __future__ import annotations

from pathlib import Path

from broker.arithmetic.version import ARITHMETIC
from broker.counting import counted
from broker.errors import UserError
from scenarios.document.agent_names import AgentNames
from scenarios.document.scenario import Scenario
from scenarios.results.answers import DocumentRow


def require_same_run(root: Path, begun: DocumentRow | None, scenario: Scenario, substrate: str) -> None:
    """See that a run may go on.

    Args:
        root: Its folder, for what is said of it.
        begun: With what it was begun; None: it has not begun, and may begin with anything.
        scenario: The document to go on with.
        substrate: On what: `simulate` or `run`.

    Raises:
        UserError: It was begun with another document, on another substrate or by another arithmetic.
    """
    require_document(root, begun, scenario)
    require_substrate(root, begun, substrate)
    require_arithmetic(root, begun)


def require_document(root: Path, begun: DocumentRow | None, scenario: Scenario) -> None:
    """See that a document is the one that a run was begun with, or says no more than that it goes on longer.

    Raises:
        UserError: It is another, or asks for fewer episodes.
    """
    if begun is None:
        return
    digest, episodes = scenario.digest, scenario.episodes
    if begun.digest == digest and begun.episodes <= episodes:
        return
    expected, found = begun.digest[:16], digest[:16]
    if begun.digest == digest:
        expected, found = f"at least {counted(begun.episodes, 'episode')}", str(episodes)
    msg = (
        f"the run in {root} was begun with another document: expected {expected}, found {found}. Only "
        "more episodes may be asked for: put its scenario.toml back, or run the changed one into another folder"
    )
    raise UserError(msg)


def require_substrate(root: Path, begun: DocumentRow | None, substrate: str) -> None:
    """See that a run goes on as what it was begun as.

    Raises:
        UserError: It was begun as the other.
    """
    if begun is not None and begun.substrate != substrate:
        msg = f"{root} was begun with `foretell {begun.substrate}`: go on with `foretell resume {root}`"
        raise UserError(msg)


def require_arithmetic(root: Path, begun: DocumentRow | None) -> None:
    """See that a run goes on with the numbers that it was begun with.

    Raises:
        UserError: It was begun with another arithmetic than that which is here.
    """
    if begun is not None and begun.arithmetic != ARITHMETIC:
        msg = (
            f"the run in {root} was begun with arithmetic {begun.arithmetic}, and this Foretell "
            f"computes with arithmetic {ARITHMETIC}: go on with the Foretell that began it, or begin its "
            "scenario.toml anew"
        )
        raise UserError(msg)


def require_agents(root: Path, begun: AgentNames, names: AgentNames) -> None:
    """See that the agents are those that a run was begun with.

    Args:
        root: Its folder.
        begun: They; nobody before the run has begun.
        names: Those that there are now.

    Raises:
        UserError: They are others, or in another order.
    """
    if begun.by_id and [*begun.by_id.items()] != [*names.by_id.items()]:
        expected, found = (", ".join(each.by_id.values()) for each in (begun, names))
        msg = f"the run in {root} was begun with the agents {expected}; its environment has now {found}"
        raise UserError(msg)
