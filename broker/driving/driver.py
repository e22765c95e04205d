"""The one driver: it runs any participant on any transport, in virtual or in real time.

poll the transport -> receive -> carry out commands -> expire a passed deadline -> carry out commands

It never waits. Whoever wakes it does: `real_time` in the transport's `wait`, until something comes or `timer` has
passed; `virtual_time` puts the clock forward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from broker.driving.edge_totals import EdgeTotals
from broker.errors import ProtocolViolation
from broker.participants.life import FIRST_LIFE, ParticipantLife
from broker.participants.participant import Command, Forget, Participant, Refit, Report, Save, Send
from broker.transports.transport import Transport
from broker.wire.counters import Counters, summed_edges
from broker.wire.messages import Envelope, Faults, Stop
from broker.wire.records import ClosedRecord, ClosingRecord, EventKind, EventRecord, Record, RoundRecord, StatusRecord

Observe = Callable[[list[Record]], None]
TellCounters = Callable[[Counters], None]


class Driver:
    """A participant, its transport and where its records go.

    Args:
        run: Name of the run.
        participant: Whom to run.
        transport: Its way to its peers.
        observe: Takes records; called at most once a wake-up.
        life: Which one it is, and where its states are kept.
        refit: Gives a transport other faults, as JSON.
        tell_counters: Takes what it has counted up to now, with each status and at the end; None: nobody asks.
        tells_at_once: Whether it tells its edges' totals with every round that is closed, too: it may die unreplaced.
    """

    def __init__(
        self,
        run: str,
        participant: Participant,
        transport: Transport,
        observe: Observe,
        life: ParticipantLife = FIRST_LIFE,
        *,
        refit: Callable[[Transport, str], Transport] = lambda transport, _: transport,
        tell_counters: TellCounters | None = None,
        tells_at_once: bool = False,
    ) -> None:
        self.participant = participant
        self.transport = transport
        self._run, self._name = run, participant.name
        self._observe = observe
        self._life = life
        self._refit = refit
        self._tell_counters = tell_counters
        self._tells_at_once = tells_at_once
        self._sequences = life.numbers.copy()
        self._records: list[Record] = []
        self._edges = EdgeTotals()
        self._account: list[Record] = []
        self._newest: Sequence[Command] = ()

    def start(self, now: float) -> None:
        """Begin the participant's work."""
        self.transport.began_s = now
        self._carry_out(self.participant.start(now))
        self._hand_over()

    def wake(self, now: float) -> None:
        """Take in what has arrived and what has become due by `now`."""
        self.deliver(now)
        self.expire(now)

    def deliver(self, now: float) -> None:
        """Take in what has arrived by `now`."""
        while self._read(now):
            pass
        if self._records or self.transport.noticed:
            self._hand_over()

    def expire(self, now: float) -> None:
        """Expire a deadline that has passed, and hand over the records."""
        deadline = self.participant.deadline
        if deadline is not None and deadline <= now:
            self._carry_out(self.participant.expire(now))
        if self._records or self.transport.noticed:
            self._hand_over()

    def timer(self) -> float | None:
        """When `wake` must be called although nothing arrives, or None."""
        deadline, due = self.participant.deadline, self.transport.due
        return deadline if due is None else due if deadline is None else min(deadline, due)

    def finish(self) -> None:
        """Hand over the last account, once the work is done or given up.

        Raises:
            UserError: The journal finds no room.
        """
        totals, name = self._totals(), self._name
        account = [*self._take_records(), *totals, *self._take_noticed()]
        self._account = [ClosingRecord(name), *account, ClosedRecord(name, len(account))]
        self._observe(self._account)
        self._show_counters(totals)
        self._flush_journal()

    def finish_again(self) -> None:
        """Say once more what ends the work: it may have been lost with what stands between."""
        self._observe(self._account)
        self._carry_out([each for each in self._newest if isinstance(each, Send) and type(each.message) is Stop])

    def show_status(self) -> None:
        """Report whom it waits for, and what it has counted on its edges: a sign that it works, too."""
        participant = self.participant
        self._records.append(StatusRecord(participant.name, participant.phase.value, participant.waits_for()))
        totals = self._totals()
        self._records += self._edges.changed(totals)
        self._hand_over()
        self._show_counters(totals)

    def _read(self, now: float) -> bool:
        """Take in what one poll gives; whether there may be more, behind a change of faults."""
        participant, transport = self.participant, self.transport
        envelopes = transport.poll(now)
        for envelope in envelopes:
            try:
                commands = participant.receive(envelope.source, envelope.message, now)
            except ProtocolViolation as violation:
                transport.reject(envelope.source, str(violation), envelope.message)
                continue
            if commands:
                self._carry_out(commands)
        return bool(envelopes) and type(envelopes[-1].message) is Faults

    def _carry_out(self, commands: Sequence[Command]) -> None:
        self._newest = commands
        sequences, run, name = self._sequences, self._run, self._name
        envelopes: list[Envelope] = []
        for command in commands:
            if isinstance(command, Send):
                destination, message = command.destination, command.message
                sequence = sequences[destination]
                if message.numbered:
                    sequences[destination] = sequence + 1
                envelopes.append(Envelope(run, name, destination, sequence, message))
            elif isinstance(command, Report):
                self._records.append(command.record)
            else:
                self.transport.send_all(envelopes)
                envelopes = []
                self._carry_out_rare(command)
        if envelopes:
            self.transport.send_all(envelopes)

    def _carry_out_rare(self, command: Save | Forget | Refit) -> None:
        match command:
            case Save():
                self._save(command)
            case Forget():
                self.transport.forget(command.peer)
            case Refit():
                self.transport = self._refit(self.transport, command.faults)

    def _save(self, command: Save) -> None:
        self._flush_journal()  # it holds all that a checkpoint knows of, before that is written
        if self._life.checkpoints is None:
            return
        try:
            self._life.keep(command.episode, command.state, self._totals(), self._sequences, due=command.due)
        except OSError as error:
            why = f"no checkpoint after episode {command.episode}: {error.strerror or error}"
            self._records.append(EventRecord(self.participant.name, EventKind.CHECKPOINT, "", why))

    def _flush_journal(self) -> None:
        if self.transport.journal is not None:
            self.transport.journal.flush()

    def _totals(self) -> list[Record]:
        return [*self._life.counted, *self.participant.totals(), *self.transport.totals()]

    def _show_counters(self, totals: list[Record]) -> None:
        if self._tell_counters is not None:
            barriers = self.participant.barriers.totals()
            edges = summed_edges(totals)
            self._tell_counters(Counters(self._run, self._name, edges, self.transport.queued(), barriers))

    def _hand_over(self) -> None:
        """Let the observer know what is new; what the end of the work brings is said with the account."""
        if self.participant.done:
            return
        if self._tells_at_once and any(type(record) is RoundRecord for record in self._records):
            self._records += self._edges.changed(self._totals(), most=None)
        self._observe([*self._take_records(), *self._take_noticed()])

    def _take_records(self) -> list[Record]:
        records, self._records = self._records, []
        return records

    def _take_noticed(self) -> list[Record]:
        noticed = [*self.transport.noticed]
        self.transport.noticed.clear()
        return noticed
