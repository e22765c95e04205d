"""One frame of an episode as text: the picture, and what the agents do and gain."""

from __future__ import annotations

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from broker.counting import counted
from env_service.environments.scene import Rendering, Scene, Thing
from scenarios.commands.screen import plain
from scenarios.play.frame import Frame
from scenarios.play.numbers import shown

_COLORS = ("cyan", "yellow", "green", "magenta", "blue", "red")
_AGENTS_SHOWN = 20
_BETWEEN = 3
"""Columns between picture and table."""
_LONGEST_LANE, _SHORTEST_LANE = 41, 9
_NUMBER_WIDTH, _ACTION_WIDTH = 8, 6


def still(frame: Frame, title: str, episodes: int, width: int) -> Group:
    """What a frame looks like where there is room for so many columns.

    Args:
        frame: What is shown.
        title: Above it.
        episodes: How many are played.
        width: Columns.
    """
    which = f"episode {frame.episode + 1} of {episodes}, " if episodes > 1 else ""
    head = (Text(plain(title), style="bold"), Text(f"{which}step {frame.step} of at most {frame.steps}"))
    scene = frame.scene
    if isinstance(scene, Scene) and scene.ground == "line":
        return Group(*head, _table(frame, _lanes(frame, scene, width), width))
    table = _table(frame, [], width)
    if scene is None or (isinstance(scene, Rendering) and scene.text is None):
        return Group(*head, table)
    picture = _grid(scene, width) if isinstance(scene, Scene) else _given(scene.text or "")
    beside: RenderableType = Group(picture, table)
    if max(map(cell_len, picture.plain.split("\n"))) + _BETWEEN + _table_width(frame) <= width:
        beside = Table.grid(padding=(0, _BETWEEN))
        beside.add_row(picture, table)
    return Group(*head, beside)


def _style(agent: int | None) -> str:
    return "" if agent is None else _COLORS[agent % len(_COLORS)]


def _grid(scene: Scene, width: int) -> Text:
    """A row a line, as `text_of` writes it, with every agent and what is its own in one color."""
    cells = scene.cells
    wide = max(sum(len(mark.sign) for mark in cell) for row in cells for cell in row)
    usual = sum(len(signs[-1]) for signs in _signs(scene) if signs)  # one agent at one thing: so cells keep their width
    if len(cells) * (max(wide, usual) + 1) - 1 <= width:
        wide = max(wide, usual)
    needed = len(cells) * (wide + 1) - 1
    if needed > width:
        return Text(f"(the grid takes {needed} columns, and here are {width})")
    picture = Text(no_wrap=True)
    for number, row in enumerate(cells):
        picture.append("\n" if number else "")
        for column, cell in enumerate(row):
            for mark in cell:
                bold = "bold " if mark.thing is Thing.AGENT else ""
                picture.append(mark.sign, f"{bold}{_style(mark.agent)}")
            text = "" if cell else "."
            taken = sum(len(mark.sign) for mark in cell) + len(text)
            picture.append(text, "dim").append(" " * (wide - taken + (column + 1 < len(row))))
    return picture


def _signs(scene: Scene) -> tuple[list[str], list[str]]:
    """The signs of all agents, and of all else; the longest comes last."""
    agents = [mark.sign for mark in scene.marks if mark.thing is Thing.AGENT]
    others = [mark.sign for mark in scene.marks if mark.thing is not Thing.AGENT]
    return sorted(agents, key=len), sorted(others, key=len)


def _lanes(frame: Frame, scene: Scene, width: int) -> list[Text]:
    """A lane for each agent, which points where it went; none where there is no room. The prey is a bar."""
    longest = max(cell_len(agent.name) for agent in frame.agents)
    room = width - min(longest, width // 3) - _ACTION_WIDTH - 2 * _NUMBER_WIDTH - 8
    columns = min(room, _LONGEST_LANE, int(scene.extent) + 1)
    if columns < _SHORTEST_LANE:
        return []
    places = [round(mark.at[0] / scene.extent * (columns - 1)) for mark in scene.marks]
    prey = [place for place, mark in zip(places, scene.marks, strict=True) if mark.thing is Thing.PREY]
    lanes = []
    for agent, (place, moment) in enumerate(zip(places, frame.agents, strict=False)):
        signs = ["|" if column in prey else "." for column in range(columns)]
        signs[place] = {"left": "<", "right": ">"}.get(moment.action or "", "o")
        lane = Text("".join(signs), "dim", no_wrap=True)
        lane.stylize(f"not dim bold {_style(agent)}", place, place + 1)
        lanes.append(lane)
    return lanes


def _given(text: str) -> Text:
    """What an environment shows of itself: its colors stay, and nothing else that would control a terminal."""
    found = Text.from_ansi(text)
    harmless = found if plain(found.plain) == found.plain else Text(plain(found.plain))
    harmless.no_wrap = True
    return harmless


def _table(frame: Frame, lanes: list[Text], width: int) -> Table:
    """A row for each agent, and one for the team; where there is little room, without the rewards of the step."""
    numbers = 2 if _table_width(frame) <= width else 1
    table = Table.grid(padding=(0, 2))
    table.add_column(overflow="fold")
    if lanes:
        table.add_column(no_wrap=True)
    table.add_column(min_width=_ACTION_WIDTH, no_wrap=True)
    for _ in range(numbers):
        table.add_column(min_width=_NUMBER_WIDTH, no_wrap=True, justify="right")

    def row(name: Text, lane: Text | None, action: str, reward: str, gained: str, *, style: str = "") -> None:
        between = [lane or ""] if lanes else []
        table.add_row(name, *between, action, *(reward, gained)[-numbers:], style=style)

    row(Text(), None, "action", "reward", "return", style="dim")
    for place, agent in enumerate(frame.agents[:_AGENTS_SHOWN]):
        name, lane = Text(plain(agent.name), _style(place)), lanes[place] if lanes else None
        row(name, lane, agent.action or "", shown(agent.reward), shown(agent.gained))
    if (others := len(frame.agents) - _AGENTS_SHOWN) > 0:
        row(Text(f"and {counted(others, 'other')}"), None, "", "", "", style="dim")
    together = shown(sum(agent.reward for agent in frame.agents))
    row(Text("team"), None, "", together, shown(frame.team_return), style="bold")
    return table


def _table_width(frame: Frame) -> int:
    """What the table takes without lanes, where nothing is folded."""
    names = max(cell_len(agent.name) for agent in frame.agents)
    actions = max(len(agent.action or "") for agent in frame.agents)
    return max(names, 4) + max(actions, _ACTION_WIDTH) + 2 * _NUMBER_WIDTH + 6
