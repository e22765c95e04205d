"""What may go wrong with messages: every kind of fault, whom it touches and when, with unit, range and reason."""

from __future__ import annotations

from typing import Annotated, Literal, Protocol

from pydantic import Field, model_validator

from broker.faults.delays import Constant, DelayDistribution
from broker.model import LONGEST_S, Model
from broker.wire.messages import MessageKind

Patterns = tuple[str, ...]
Probability = Annotated[float, Field(ge=0, le=1)]


class Named(Protocol):
    """A fault of any kind."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def kind(self) -> str: ...  # noqa: D102


def name_of_fault(fault: Named) -> str:
    """What the ledger calls a fault."""
    return fault.name or fault.kind


class _Fault(Model):
    name: str = Field(
        default="",
        description="Names the fault's random stream; empty takes its kind. Two faults of one kind need two names.",
    )
    source: str = Field(default="*", description="Senders it touches, a shell pattern (`agent-*`).")
    destination: str = Field(default="*", description="Receivers it touches, a shell pattern.")
    messages: tuple[MessageKind, ...] = Field(
        default=("share",),
        min_length=1,
        description="Kinds it touches; shares travel between neighbors, the others to and from the environment.",
    )
    edges: Patterns = Field(
        default=(), description="Edges it touches, shell patterns of `agent-0->agent-1`; empty: no restriction."
    )
    agents: Patterns = Field(
        default=(), description="Participants whose edges it touches, shell patterns; empty: no restriction."
    )
    direction: Literal["in", "out", "both"] = Field(
        default="both", description="Which edges of `agents`: those to them, those from them, or both."
    )
    episodes: tuple[int, int] | None = Field(
        default=None, description="Window [from, to): only messages of these training episodes."
    )
    rounds: tuple[int, int] | None = Field(
        default=None, description="Window [from, to): only shares of these rounds, counted within an episode."
    )
    steps: tuple[int, int] | None = Field(
        default=None, description="Window [from, to): only timesteps and actions of these steps of an episode."
    )
    seconds: tuple[float, float] | None = Field(
        default=None,
        description="Window [from, to) in seconds of the receiver's clock, counted from when it began.",
    )

    @model_validator(mode="after")
    def _windows_can_be_met(self) -> _Fault:
        for name in ("episodes", "rounds", "steps", "seconds"):
            window = getattr(self, name)
            if window is not None and not 0 <= window[0] < window[1]:
                msg = f"{name}: expected [from, to) with 0 <= from < to, found {list(window)}"
                raise ValueError(msg)
        if self.seconds is not None and self.seconds[1] > LONGEST_S:
            msg = f"seconds: expected at most {LONGEST_S:g}, found {self.seconds[1]:g}"
            raise ValueError(msg)
        if self.rounds is not None and set(self.messages) != {"share"}:
            msg = "rounds: only shares have rounds; set messages to ['share']"
            raise ValueError(msg)
        if self.steps is not None and "share" in self.messages:
            msg = "steps: shares have no steps; set messages to timestep, action or both"
            raise ValueError(msg)
        return self


class DropConfig(_Fault):
    """Messages lost independently of each other."""

    kind: Literal["drop"]
    probability: Probability = Field(description="Probability that a message is lost.")


class GilbertElliottConfig(_Fault):
    """Messages lost in bursts: a link that is now good, now bad, drawn anew for every episode."""

    kind: Literal["gilbert-elliott"]
    to_bad: Probability = Field(description="Probability, from one message to the next, that a good link turns bad.")
    to_good: float = Field(
        gt=0,
        le=1,
        description="The same from bad to good; bursts last 1 / to_good messages. One that is asked for again is one "
        "more.",
    )
    drop_in_good: Probability = Field(default=0.0, description="Probability that a message is lost on a good link.")
    drop_in_bad: Probability = Field(default=1.0, description="Probability that a message is lost on a bad link.")


class DelayConfig(_Fault):
    """Messages that arrive later."""

    kind: Literal["delay"]
    delay_s: DelayDistribution = Field(description="Distribution of the added delay.")


class DuplicateConfig(_Fault):
    """Messages that arrive twice."""

    kind: Literal["duplicate"]
    probability: Probability = Field(description="Probability that a second copy arrives.")
    extra_s: DelayDistribution = Field(
        default=Constant(distribution="constant", value_s=0.0), description="How much later the second copy arrives."
    )


class ReorderConfig(_Fault):
    """Messages held back so that those behind them overtake."""

    kind: Literal["reorder"]
    probability: Probability = Field(description="Probability that a message is held back.")
    by_s: DelayDistribution = Field(description="For how long.")


class RateLimitConfig(_Fault):
    """A slow link: messages queue for it, and what does not fit into the queue is lost."""

    kind: Literal["rate-limit"]
    bytes_per_s: float = Field(ge=1, description="Bytes of arrays that an edge carries a second.")
    queue_bytes: int = Field(
        ge=0,
        description="Bytes that may wait on an edge; a message always enters an idle link. Where a fault in front of "
        "this one held back what was sent before it, it pauses while that goes through.",
    )


class DutyCycleConfig(_Fault):
    """A radio that is on now and then: messages wait for the next slot."""

    kind: Literal["duty-cycle"]
    period_s: float = Field(gt=0, le=LONGEST_S, description="From the beginning of one slot to that of the next.")
    on_s: float = Field(gt=0, le=LONGEST_S, description="Length of a slot.")
    offset_s: float = Field(
        default=0.0,
        ge=0,
        le=LONGEST_S,
        description="When a slot begins, in seconds of the receiver's clock, counted from when it began; others begin "
        "whole periods before and after it. Different offsets shift the slots of nodes against each other.",
    )

    @model_validator(mode="after")
    def _fits(self) -> DutyCycleConfig:
        if self.on_s > self.period_s:
            msg = f"on_s must not exceed period_s, found {self.on_s} and {self.period_s}"
            raise ValueError(msg)
        return self


class PartitionConfig(_Fault):
    """Groups that do not hear each other; who is named in none is in one more group, the last."""

    kind: Literal["partition"]
    groups: tuple[Patterns, ...] = Field(min_length=1, description="Shell patterns of participants, a list per group.")
    one_way: bool = Field(default=False, description="Later groups do not hear earlier ones, which still hear them.")


class IsolateConfig(_Fault):
    """Participants whose edges are all cut."""

    kind: Literal["isolate"]
    agents: Patterns = Field(min_length=1, description="Who is cut off, shell patterns.")


class HoldConfig(_Fault):
    """Messages held back until the window ends, then all released."""

    kind: Literal["hold"]
    seconds: tuple[float, float] = Field(description="Window [from, to); what comes in it is released at its end.")


class SlowNodeConfig(_Fault):
    """A node that computes slowly: all that it sends is later."""

    kind: Literal["slow-node"]
    agents: Patterns = Field(min_length=1, description="Who is slow, shell patterns.")
    direction: Literal["out"] = Field(default="out", description="What it sends is late, not what it hears.")
    messages: tuple[MessageKind, ...] = Field(default=("action", "share"), min_length=1, description="What is late.")
    compute_s: DelayDistribution = Field(description="Time that it computes longer for each message.")


class ClockOffsetConfig(_Fault):
    """Participants whose clock is wrong: faults behind this one, which look at the clock, strike by theirs."""

    kind: Literal["clock-offset"]
    agents: Patterns = Field(min_length=1, description="Whose clock is wrong, shell patterns.")
    direction: Literal["in"] = Field(default="in", description="A fault looks at the clock of who receives.")
    messages: tuple[MessageKind, ...] = Field(
        default=("timestep", "action", "share"), min_length=1, description="Kinds that come by the wrong clock."
    )
    offset_s: float = Field(
        ge=-LONGEST_S,
        le=LONGEST_S,
        description="How far it is ahead of the receiver's true clock; negative: behind. It shifts windows in "
        "`seconds`, the slots of a duty cycle, and when a hold ends.",
    )


class _Content(_Fault):
    probability: Probability = Field(description="Probability that a message is changed.")


class BitFlipConfig(_Content):
    """Bits turned over in a message's arrays."""

    kind: Literal["bit-flip"]
    bits: int = Field(default=1, ge=1, le=1024, description="How many, each at a place of its own; at most all.")


class NanConfig(_Content):
    """Numbers that are none: NaN among a message's floating-point numbers."""

    kind: Literal["nan"]
    numbers: int = Field(default=1, ge=1, le=1024, description="How many, each at a place of its own; at most all.")


class WrongShapeConfig(_Content):
    """Arrays with one dimension too many."""

    kind: Literal["wrong-shape"]


class _ShareContent(_Content):
    messages: tuple[Literal["share"], ...] = Field(default=("share",), min_length=1, description="Shares alone.")


class StaleConfig(_ShareContent):
    """An older share of the edge once more, under the name of the new one."""

    kind: Literal["stale"]
    of: Literal["round", "episode"] = Field(
        default="round", description="round: the newest share before it; episode: the same round an episode before."
    )
    from_episode: int = Field(
        default=0,
        ge=0,
        description="It repeats no share from before this episode. A fault that is added to a run that goes on begins "
        "there: what came before was not kept.",
    )


class ByzantineConfig(_ShareContent):
    """Distributions that are valid, and a lie."""

    kind: Literal["byzantine"]
    lie: Literal["uniform", "inverted", "adversarial"] = Field(
        description="uniform: all actions alike; inverted: the liked ones are disliked, (1 - p) / (n - 1); "
        "adversarial: all mass on the least liked action."
    )
    arrays: Patterns = Field(
        default=("anticipation",), min_length=1, description="Which arrays of a share, shell patterns."
    )


class ScaledConfig(_ShareContent):
    """Numbers, such as parameters, multiplied by a factor."""

    kind: Literal["scaled"]
    factor: float = Field(description="What each number is multiplied by; -1 turns it around.")
    arrays: Patterns = Field(
        default=("critic", "team_reward", "policies", "advantages", "rewards"),
        min_length=1,
        description="Which arrays, shell patterns.",
    )


ContentConfig = BitFlipConfig | NanConfig | WrongShapeConfig | StaleConfig | ByzantineConfig | ScaledConfig
CONTENT = (BitFlipConfig, NanConfig, WrongShapeConfig, StaleConfig, ByzantineConfig, ScaledConfig)
VerdictConfig = (
    DropConfig
    | GilbertElliottConfig
    | DelayConfig
    | DuplicateConfig
    | ReorderConfig
    | RateLimitConfig
    | DutyCycleConfig
    | PartitionConfig
    | IsolateConfig
    | HoldConfig
    | SlowNodeConfig
)
MessageFaultConfig = VerdictConfig | ClockOffsetConfig | ContentConfig
FaultConfig = Annotated[MessageFaultConfig, Field(discriminator="kind")]
