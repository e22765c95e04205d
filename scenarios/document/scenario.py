"""THE document: everything a run is, in one typed TOML file."""

from __future__ import annotations

import json
from functools import reduce
from hashlib import sha256
from typing import Annotated, Any

import tomli_w
from pydantic import Field, JsonValue, TypeAdapter, field_validator, model_validator

from agent_node.config import ActsOnly, AlgorithmConfig, ExchangeConfig, InitialPolicyConfig, LearningConfig
from broker.config import JoiningConfig, Model, TransportConfig
from broker.faults.config import FaultConfig, MessageFaultConfig, name_of_fault
from broker.seeding import derive
from env_service.config import BarrierConfig, EnvironmentConfig
from scenarios.document.process_faults import PROCESS_FAULTS, ProcessFaultConfig
from scenarios.document.recovery_config import RecoveryConfig
from scenarios.document.topology import TopologyConfig

AnyFaultConfig = Annotated[MessageFaultConfig | ProcessFaultConfig, Field(discriminator="kind")]
ANY_FAULT: TypeAdapter[AnyFaultConfig] = TypeAdapter(AnyFaultConfig)

_CAME_LATER = {("exchange", "largest_number"): 1e9}
"""Settings, with their first defaults, that runs were begun without which this version goes on with: where they are at
that, the digest leaves them out, so that such a run is what it was."""
PLACES = ("environment.file", "initial_policy.path")
"""Where files lie, by dotted path: no part of what a run is. What is in them has its digest beside it."""
_OF_EACH_HOST = (
    *("description", *PLACES, "transport.mqtt.address", "transport.mqtt.broker"),
    *("transport.mqtt.username", "transport.mqtt.password_file", "transport.mqtt.password_variable"),
    *("transport.zeromq.scheme", "transport.zeromq.host", "transport.zeromq.base_port"),
    *("transport.zeromq.addresses", "transport.zeromq.forwarder"),
    *("transport.security", "transport.scheduling", "transport.journal"),
)
"""Where things are, and how a host goes about it: none of it changes a number."""


class EvaluationConfig(Model):
    """Policies are kept on the way, and evaluated when the training has ended; nothing of the training changes."""

    every: int = Field(
        ge=1, description="Training episodes between two policies that are kept; the last one is evaluated in any case."
    )
    episodes: int = Field(
        default=20,
        ge=1,
        description="Episodes that each policy acts in, in one copy of the environment, with the same draws for all; "
        "the best of them is then judged by ten times as many others.",
    )
    greedy: bool = Field(
        default=False, description="Whether agents take their likeliest actions, instead of drawing them."
    )


class Scenario(Model):
    """One document that runs simulated, as processes and on other hosts."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$",
        json_schema_extra={"text": "small letters, digits, dots and hyphens, a letter or digit first, at most 64"},
        description="Lower-case name; the run's folder and topics carry it.",
    )
    description: str = Field(default="", description="One line for `foretell list`.")
    seed: int = Field(
        ge=0, lt=1 << 63, description="Every draw of the run derives from it; there is no default on purpose."
    )
    episodes: int = Field(ge=1, le=10_000_000, description="Training episodes, each with `parallel_episodes` copies.")
    parallel_episodes: int = Field(
        default=1,
        ge=1,
        le=4096,
        description="Copies of the environment played at once: E. The paper updates after one episode.",
    )
    environment: EnvironmentConfig
    topology: TopologyConfig
    exchange: ExchangeConfig = ExchangeConfig()
    algorithm: AlgorithmConfig = AlgorithmConfig()
    learning: LearningConfig = LearningConfig()
    service: BarrierConfig = BarrierConfig()
    joining: JoiningConfig = JoiningConfig()
    recovery: RecoveryConfig = RecoveryConfig()
    transport: TransportConfig = TransportConfig()
    faults: tuple[AnyFaultConfig, ...] = Field(
        default=(), description="What goes wrong, with messages and with processes, in the order in which it applies."
    )

    initial_policy: InitialPolicyConfig | None = Field(
        default=None, description="A saved policy that agents begin with; none: they begin with draws."
    )
    acts_only: ActsOnly | None = Field(
        default=None,
        description="Whether agents act with `initial_policy` and never learn, as `foretell evaluate` has it. drawn: "
        "actions are drawn, as in training. greedy: each takes its likeliest, the first of equal ones.",
    )

    evaluation: EvaluationConfig | None = Field(default=None, description="What a training is evaluated by; none: not.")

    @field_validator("initial_policy", mode="before")
    @classmethod
    def _path_is_enough(cls, given: JsonValue) -> JsonValue:
        return {"path": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _has_what_it_evaluates(self) -> Scenario:
        if self.acts_only is not None and self.initial_policy is None:
            msg = "acts_only: expected initial_policy, the policy that agents act with"
            raise ValueError(msg)
        if self.acts_only is not None and self.evaluation is not None:
            msg = "evaluation: expected none with acts_only, where nobody learns"
            raise ValueError(msg)
        return self

    @property
    def rounds(self) -> int:
        """Communication rounds of an episode: none where nobody learns."""
        return self.learning.rounds if self.acts_only is None else 0

    @property
    def stream_seed(self) -> int:
        """What every draw derives from; an evaluation's streams have names that no training has."""
        return self.seed if self.acts_only is None else derive(self.seed, "evaluation")

    @property
    def episodes_before(self) -> int:
        """Episodes that were learned from before those of the run; an evaluation counts its own alone."""
        started = self.initial_policy if self.acts_only is None else None
        return 0 if started is None else started.episodes or 0

    @property
    def message_faults(self) -> tuple[FaultConfig, ...]:
        """What goes wrong with messages."""
        return tuple(fault for fault in self.faults if not isinstance(fault, PROCESS_FAULTS))

    @property
    def process_faults(self) -> tuple[ProcessFaultConfig, ...]:
        """What goes wrong with processes."""
        return tuple(fault for fault in self.faults if isinstance(fault, PROCESS_FAULTS))

    @property
    def fault_names(self) -> frozenset[str]:
        """What the ledger calls its faults."""
        return frozenset(name_of_fault(fault) for fault in self.faults)

    @property
    def digest(self) -> str:
        """SHA-256 of every setting that says what a run is: not how long it goes on, and not where its code lies."""
        settings = self._without("episodes", *PLACES)
        for (table, name), default in _CAME_LATER.items():
            if settings[table][name] == default:
                del settings[table][name]
        return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    @property
    def shared_digest(self) -> str:
        """SHA-256 of every setting that participants must have in common: all but what is each host's own matter."""
        return sha256(json.dumps(self._without(*_OF_EACH_HOST), sort_keys=True).encode()).hexdigest()

    def placed_as(self, other: Scenario) -> Scenario:
        """This scenario with its files where those of another lie; what is beside its own document stays there.

        Args:
            other: Of the same settings, but for places.
        """
        placed: dict[str, Any] = {}
        for table, entry in (path.split(".") for path in PLACES):
            own, its = (getattr(getattr(scenario, table), entry, None) for scenario in (self, other))
            if own is not None and own.is_absolute() and its is not None:
                placed[table] = getattr(self, table).model_copy(update={entry: its})
        return self.model_copy(update=placed)

    def _without(self, *paths: str) -> dict[str, Any]:
        """Every setting but some."""
        settings = self.model_dump(mode="json", exclude_none=True)
        for path in paths:
            *tables, name = path.split(".")
            reduce(lambda found, table: found.get(table, {}), tables, settings).pop(name, None)
        return settings

    def to_toml(self) -> str:
        """The resolved document, every setting spelled out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))
