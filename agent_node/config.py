"""The agent's slice of a scenario: how it learns, what it shares and when."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from broker.config import Model
from broker.model import LONGEST_S, SHARED
from broker.participants.link import LinkConfig


class ExchangeConfig(Model):
    """Who exchanges with whom in a communication round (paper, Appendix D)."""

    mode: Literal["all", "random-partner"] = Field(
        default="all",
        description="Every neighbor, or one possible neighbor picked at random by each agent in each round.",
    )
    skip_probability: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Probability that a round's communication is skipped; the paper studies 0.5.",
    )
    skip_scope: Literal["system", "agent", "edge"] = Field(
        default="system",
        description="Whose coin skips a round: one for all (ours: the paper is silent), one per agent or per edge.",
    )
    patience_s: float = Field(
        default=2.0,
        gt=0,
        le=LONGEST_S,
        description="Seconds a round may take: round k of an episode closes at the latest k * patience_s after the "
        "episode's end. A later share is late, so keep it large against delays and the time of an update; "
        "rounds * patience_s stays below service.give_up_s.",
    )
    late_shares: Literal["drop", "reuse"] = Field(
        default="drop",
        description="drop: a late share is counted and never learned from. reuse, only where parameters are shared: "
        "for a share that is missing, the newest parameters heard from that partner are mixed in as stale (ours).",
    )
    largest_number: float = Field(
        default=1e9,
        gt=0,
        le=3.4e38,
        description="Largest size of a real number in a share, such as a reward, an advantage or a parameter, in its "
        "own unit: a share with a larger one is rejected (ours). One bit flipped on its way can make 3e38 of a number, "
        "which no network survives; sound ones come nowhere near 1e9 unless rewards do.",
    )


class CalibrationConfig(Model):
    """Settings of calibrated weights (ours), one for all tasks: tried on Exchange, Navigation and Predation."""

    pull: float = Field(
        default=6.0,
        gt=0,
        le=1000,
        description="c, without unit: kappa_j rho'_ji = (c/2) beta_ij, so that at a gap of x the penalty pulls with "
        "c beta_ij x: c times the advantage that the sender has by such a gap. 4 is slower in Exchange; 9 does worse "
        "in Navigation.",
    )
    standard_errors: float = Field(
        default=2.0,
        ge=0,
        le=100,
        description="z: how many standard errors are taken off a measured slope, so that what may be noise does not "
        "pull; 0 lets it pull.",
    )
    baseline: bool = Field(
        default=False,
        description="Whether a gap counts less its mean under what the neighbor does, so that what the own critic is "
        "wrong by in a state does not pull. Off (ours): z and c were tried without; on where the critic is slow, or "
        "neighbors hardly matter (docs/algorithms.md).",
    )
    memory: float = Field(
        default=0.95,
        ge=0,
        lt=1,
        description="What the estimate so far counts against an episode in which the neighbor was heard in round 0; "
        "0.95 remembers about 20 of them: fewer are noisy, more lag behind policies that learn.",
    )
    memory_samples: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000_000,
        description="As how many samples the estimate so far counts against those of an episode, in place of memory: "
        "where a neighbor is near seldom, or copies are few, it then remembers more episodes.",
    )
    cap: float = Field(
        default=24.0,
        ge=0,
        le=1e6,
        description="Largest rho' that a neighbor can ask for, in multiples of rho; four times what c makes of the "
        "slope it starts at, and all that a neighbor that lies can get.",
    )

    def remembered(self, samples: int) -> float:
        """What the estimate so far counts, of 1, against an episode with so many samples."""
        if self.memory_samples is None:
            return self.memory
        return self.memory_samples / (self.memory_samples + samples)


class AnticipationSharingConfig(Model):
    """Settings of anticipation sharing alone."""

    rho: float = Field(
        default=1.0,
        ge=0,
        description="Weight of both discrepancy penalties (Eq. 15). The paper uses 0.1 in Predation and prints 1e4 for "
        "the discrete tasks; large batches learn best with 5 to 8 (ours).",
    )
    rho_own: float | None = Field(
        default=None,
        ge=0,
        description="rho': weight of the own policy's penalty alone, against what neighbors suggest (Eq. 15); unset: "
        "as rho, as the paper has it. rho' / rho is what the interests of others weigh.",
    )
    weights: Literal["fixed", "calibrated"] = Field(
        default="fixed",
        description="fixed: rho and rho' as set. calibrated (ours): rho' of each edge is measured as the run goes on, "
        "by one number more in each share; rho = 3 was tried (docs/algorithms.md).",
    )
    calibration: CalibrationConfig = CalibrationConfig()
    log_ratio_cap: float = Field(
        default=5.0,
        ge=0,
        description="Largest |log xi_N|, so that a product over many neighbors stays finite (ours); 0 leaves it free. "
        "With calibrated weights, of each neighbor's ratio.",
    )
    anticipation_noise: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How inaccurate shared anticipations are (ours): q in (1 - q) pi_ij + q d, with d drawn for every "
        "sample from all distributions alike (Dirichlet with ones). 0 shares them as they are.",
    )

    @property
    def rho_prime(self) -> float:
        """The rho' of Eq. 15, where weights are fixed."""
        return self.rho if self.rho_own is None else self.rho_own

    @property
    def largest_slope(self) -> float:
        """The largest slope that a neighbor may tell: where advantages are of size 1, rho' is then at the cap."""
        return 2 * self.calibration.cap * self.rho / self.calibration.pull

    @model_validator(mode="after")
    def _one_source_of_rho_prime(self) -> Self:
        if self.weights == "calibrated" and self.rho_own is not None:
            msg = "expected no rho_own: with calibrated weights rho' is measured. Leave it out, or set weights to fixed"
            raise ValueError(msg)
        return self


class ValueSharingConfig(Model):
    """Settings of value sharing alone."""

    weight: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        description="What a neighbor's advantage counts beside the own one in the mean; 1: as much, as in the sum that "
        "Du et al. take. 0 makes independent learning of it.",
    )


class RewardSharingConfig(Model):
    """Settings of reward sharing alone."""

    weight: float = Field(
        default=1.0,
        ge=0,
        description="What a neighbor's reward counts beside the own one (ours: as much, so that an agent learns for "
        "its neighborhood as a whole); 0 makes independent learning of it.",
    )


class DnaMarlConfig(Model):
    """Settings of DNA-MARL alone."""

    n_steps: int = Field(
        default=5,
        ge=1,
        le=1000,
        description="n, in steps of the environment: so many own rewards count before the team's value stands for the "
        "rest. 5 is its author's; 1 leans most on the team's value, and with as many as an episode has there is none.",
    )
    target_rate: float = Field(
        default=0.01,
        gt=0,
        le=1,
        description="What part of the way to the critic its target goes in each round. 0.01, its author's, takes about "
        "100 rounds: less lags behind, more lets the critic chase itself; 1 is no target of its own.",
    )


class AlgorithmConfig(Model):
    """Which algorithm learns, and the settings of its own; those of an algorithm that is not chosen wait unused."""

    name: str = Field(
        default="anticipation-sharing",
        description="Which algorithm learns: `anticipation-sharing`, `value-sharing`, `reward-sharing`, "
        "`value-parameter-sharing`, `networked-actor-critic`, `dna-marl`, `policy-sharing`, `independent`, or one that "
        "an installed package adds (docs/algorithms.md).",
    )
    anticipation_sharing: AnticipationSharingConfig = AnticipationSharingConfig()
    value_sharing: ValueSharingConfig = ValueSharingConfig()
    reward_sharing: RewardSharingConfig = RewardSharingConfig()
    dna_marl: DnaMarlConfig = DnaMarlConfig()
    settings: dict[str, JsonValue] = Field(
        default={}, description="Settings of an algorithm that another package adds; checked by its own model."
    )


class LearningConfig(Model):
    """Settings common to all algorithms (paper, Table 1, unless marked ours)."""

    rounds: int = Field(default=3, ge=1, le=1000, description="Communication rounds, and so updates, per episode: K.")
    gamma: float = Field(default=0.99, ge=0, le=1, description="Discount per step.")
    gae_lambda: float = Field(
        default=0.98, ge=0, le=1, description="Lambda of the generalized advantage estimator (Eq. 16)."
    )
    clip: float = Field(
        default=0.2, gt=0, lt=1, description="Epsilon: how far the own ratio may leave 1 before its gain is clipped."
    )
    actor_learning_rate: float = Field(
        default=1e-4, gt=0, le=1, description="Adam's, for policies; the paper: 1e-4 in Predation, 5e-5 elsewhere."
    )
    critic_learning_rate: float = Field(default=1e-4, gt=0, le=1, description="Adam's, for the critic.")
    adam_epsilon: float = Field(default=1e-8, gt=0, le=1, description="Adam's epsilon (ours: its authors' value).")
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(128, 64), min_length=1, description="Widths of the hidden layers of actor and critic."
    )
    initial_parameters: Literal["auto", "own", "common"] = Field(
        default="auto",
        description="own: every network of every agent starts from its own draw. common: critics start equal, and so "
        "do all policies held for one agent. auto: common where parameters are shared, else own (ours).",
    )
    ratio_reference: Literal["round", "behaviour"] = Field(
        default="round",
        description="The policies that the ratios xi_i and xi_N refer to: as they are shared in the round (Algorithm "
        "1, literally) or as they acted.",
    )
    normalize_advantages: bool = Field(
        default=True,
        description="Shift and scale each agent's advantages to mean 0 and deviation 1 (ours); that of an episode's "
        "only sample stays as it is.",
    )
    entropy_bonus: float = Field(
        default=0.0, ge=0, description="Weight of the own policy's entropy in nats (ours: none)."
    )
    bootstrap_at_time_limit: bool = Field(
        default=False,
        description="Whether value goes on behind the time limit in Eq. 16; off (ours) agrees with Eq. 17.",
    )


class InitialPolicyConfig(Model):
    """A saved policy: agents begin with its networks."""

    path: Path = Field(
        description="`policy/` of a run, or the run's folder. A relative path counts from the scenario's folder; a run "
        'keeps a copy in its own. `initial_policy = "PATH"` says the same as `initial_policy.path`.',
    )
    digest: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        json_schema_extra={"text": "64 hexadecimal digits, small letters"},
        description="SHA-256 of its `policy.json`, which has those of all arrays; noted when the scenario is loaded.",
    )
    episodes: int | None = Field(
        default=None,
        ge=0,
        description="Training episodes it has learned from, noted when the scenario is loaded. Draws are named by "
        "episodes counted on from there: with the same settings, training goes on as if it had never ended.",
    )


ActsOnly = Literal["drawn", "greedy"]
"""How agents act that never learn."""


class AgentConfig(Model):
    """All that one agent's process needs to know."""

    link: LinkConfig
    neighbors: Annotated[dict[str, tuple[str, ...]], SHARED] = Field(
        description="The part of the graph that its rounds depend on: its own neighbors and, where partners are picked "
        "at random, those of each of them."
    )
    proximity: bool = Field(description="Whether the environment tells at every step which neighbors are in range.")
    masks: bool = Field(description="Whether the environment tells at every step which actions are possible.")
    episodes: int = Field(ge=1, description="Training episodes.")
    parallel_episodes: int = Field(ge=1, description="Copies of the environment played at once: E.")
    steps: int = Field(ge=1, description="Time limit of an episode.")
    observation_size: int = Field(ge=1, description="Length of an observation.")
    action_counts: Annotated[dict[str, int], SHARED] = Field(description="Number of actions of every agent.")
    give_up_s: float = Field(
        gt=0, le=LONGEST_S, description="Seconds without a word from the environment after which the agent gives up."
    )
    environment_waits: bool = Field(
        description="Whether the environment waits for the agent, however long; else it may play episodes without it."
    )
    exchange: ExchangeConfig
    learning: LearningConfig
    algorithm: AlgorithmConfig
    initial_policy: InitialPolicyConfig | None = Field(default=None, description="What it begins with; none: draws.")
    acts_only: ActsOnly | None = Field(default=None, description="How it acts where it never learns.")

    @property
    def rounds(self) -> int:
        """Communication rounds, and so updates, after each episode."""
        return self.learning.rounds if self.acts_only is None else 0
