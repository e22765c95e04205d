"""From the runs of a study to its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from broker.counting import counted
from broker.errors import UserError
from scenarios.document.scenario import Scenario
from scenarios.reports.made import Made
from scenarios.reports.references import References, references
from scenarios.running.batch.cell import Cell, Group
from scenarios.running.batch.differing import DifferingCells
from scenarios.running.batch.folder import Folder
from scenarios.running.batch.keeping import given_document, place_here
from scenarios.running.batch.outcome import RunOutcome
from scenarios.running.batch.outcomes import Outcomes
from scenarios.running.batch.provenance import PROVENANCE, provenance, versions
from scenarios.running.batch.runner import document
from scenarios.studies.bill import Layouts, bill, of_the_same_variant
from scenarios.studies.findings import StudyFindings
from scenarios.studies.numbers import numbers
from scenarios.studies.page import page
from scenarios.studies.share_arrays import SharedArray, share_layout, undisturbed
from scenarios.studies.study import Study


def done_so_far(folder: Folder, study: Study, cells: Sequence[Cell]) -> tuple[Study, list[Cell]]:
    """What of a study or sweep is done: it without the groups of which nothing is, and these cells.

    Args:
        folder: Its own.
        study: What was asked.
        cells: All of it.

    Raises:
        UserError: Nothing is, a cell was run with other settings, or its document cannot be written.
    """
    kept, differing, done = Outcomes(folder), DifferingCells(), list[Cell]()
    documents = {cell: document(cell) for cell in cells}
    for cell, wanted in documents.items():
        with differing.noted():
            done += [cell] if kept.is_done(cell, wanted) else []
    differing.tell()
    for cell in done:
        place_here(folder, cell, documents[cell])
    if not done:
        msg = f"no run of {study.name} is done in {folder.root}: run it first"
        raise UserError(msg)
    if len(done) == len(cells):
        return study, done
    said = f"{len(done)} of {counted(len(cells), 'run')} are done; this is what they show so far."
    return study.only({cell.group for cell in done}, said), done


def write_study(folder: Folder, study: Study, cells: Sequence[Cell], jobs: int | None, command: str) -> list[Path]:
    """Read all runs of a study and write its page, numbers, picture and provenance.

    Args:
        folder: Where the outcomes are and the files go.
        study: What was asked.
        cells: All of it, each done.
        jobs: How many ran at a time; None where nobody knows.
        command: That makes these files again.

    Returns:
        The files, the picture first.

    Raises:
        UserError: There is nothing to normalize returns by, or a file cannot be written.
    """
    findings = gather(folder, study, cells)
    refuse_unmeasured(study, findings.references)
    documents = {}
    for task in study.tasks:
        cell = next(cell for cell in cells if cell.group.task == task.key)
        documents[task.label] = document(cell)
    billed = bill(findings, layouts(folder, cells), of_the_same_variant(findings))
    made = Made(command, versions())
    from scenarios.studies.picture import draw_study  # noqa: PLC0415 - matplotlib takes half a second

    return folder.write(
        {
            f"{study.name}.png": draw_study(findings),
            f"{study.name}.md": page(findings, billed, documents, made).encode(),
            f"{study.name}.json": numbers(findings, billed, made).encode(),
            PROVENANCE: provenance(folder, cells, jobs).encode(),
        }
    )


def gather(folder: Folder, study: Study, cells: Sequence[Cell]) -> StudyFindings:
    """The outcomes of all cells, by group, and the references of tasks that have the same ones in all their cells."""
    outcomes: dict[Group, list[RunOutcome]] = {}
    kept = Outcomes(folder)
    for cell in cells:
        outcomes.setdefault(cell.group, []).append(kept.of(cell).outcome(cell))
    known = known_references(cells, [given_document(folder, cell) for cell in cells])
    return StudyFindings(study, {group: tuple(found) for group, found in outcomes.items()}, known)


def known_references(cells: Sequence[Cell], documents: Sequence[Scenario]) -> dict[str, References]:
    """By key of the task, the references of tasks that have the same ones in all their cells.

    Args:
        cells: Of a study or sweep.
        documents: Theirs.
    """
    scales: dict[str, list[References | None]] = {}
    for cell, given in zip(cells, documents, strict=True):
        scales.setdefault(cell.group.task, []).append(references(given.environment))
    return {
        task: found[0] for task, found in scales.items() if found[0] is not None and found.count(found[0]) == len(found)
    }


def refuse_unmeasured(study: Study, known: Mapping[str, References]) -> None:
    """What a study claims is about normalized returns.

    Args:
        study: What was asked.
        known: References by key of the task.

    Raises:
        UserError: There is nothing to normalize those of a task by.
    """
    unknown = [task.key for task in study.tasks if task.key not in known]
    if unknown:
        found = f"found none that are the same in all runs and leave room between best and least: {', '.join(unknown)}"
        then = "Leave out what --set changes of the environment, or compare with `foretell sweep`, which needs none"
        msg = f"{study.name} compares normalized returns: expected references of every task, {found}. {then}"
        raise UserError(msg)


def layouts(folder: Folder, cells: Sequence[Cell]) -> Layouts:
    """What a share of every group holds, by the documents of its runs; groups that differ in faults alone are one."""
    seen: dict[str, tuple[SharedArray, ...]] = {}
    found: dict[Group, tuple[SharedArray, ...]] = {}
    for cell in cells:
        if cell.group not in found:
            scenario = undisturbed(given_document(folder, cell))
            key = scenario.model_dump_json()
            if key not in seen:
                seen[key] = share_layout(scenario)
            found[cell.group] = seen[key]
    return found
