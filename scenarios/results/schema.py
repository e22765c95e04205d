"""What a run's store holds: its tables, and the version by which code and file know each other.

| table    | a row is                                                                                   |
|----------|--------------------------------------------------------------------------------------------|
| document | with what the run was begun: SHA-256 of all but `episodes`, name, on what, arithmetic    |
| agents   | an agent, and what its environment calls it: its id where that has no names              |
| episodes | one agent's return in one episode                                                          |
| rounds   | one communication round of one agent: partners, heard, losses as JSON                      |
| edges    | one directed edge: sent, sent_bytes, dropped, heard, late, missing, rejected, lost, skipped |
| traffic  | the same as far as it was told while the run goes on, lives before included               |
| faults   | one change of a message's fate: fault, edge, message, delays as JSON, fate                 |
| delays   | one copy of a message that was held back: seconds asked for and achieved                   |
| fault_counts | how often a fault looked at messages of an edge and how often it struck                |
| endings  | one message that ended late, rejected or expired, and why                                  |
| ledger   | a view of faults and endings: one line for each thing that became of a message, and why    |
| fates    | how the messages of a kind ended on an edge that faults looked at                          |
| process_faults | what was done to a process, on which occasion, when, and after which episode         |
| gone     | an agent that died, so that the others went on without it, and the first episode without it |
| live_faults | a fault that was added, or ended, while the run went on, and after which episode        |
| events   | something worth a sentence: who noticed it, kind, peer, text, when, and after which episode |
| lives    | one life of all participants: the episode it goes on after, what ended the one before, cost |
| finished | an agent that is through with the run, and SHA-256 of all that it has learned              |
| status   | what each participant did and waited for when it last gave a sign, and since when          |
"""

from __future__ import annotations

from broker.wire.records import EDGE_COUNTS

VERSION = 7
"""Of tables and columns; whoever changes them adds one. Stores made before there were versions say 0."""

_TABLES = f"""
CREATE TABLE document (digest TEXT, episodes INTEGER, run TEXT, substrate TEXT, arithmetic INTEGER);
CREATE TABLE agents (agent TEXT PRIMARY KEY, name TEXT);
CREATE TABLE episodes (episode INTEGER, agent TEXT, return REAL, steps INTEGER, missing_actions INTEGER);
CREATE TABLE rounds (episode INTEGER, round INTEGER, agent TEXT, partners INTEGER, heard INTEGER, losses TEXT);
CREATE TABLE edges (source TEXT, destination TEXT,
    {", ".join(f"{count} INTEGER DEFAULT 0" for count in EDGE_COUNTS)}, PRIMARY KEY (source, destination));
CREATE TABLE traffic (source TEXT, destination TEXT,
    {", ".join(f"{count} INTEGER" for count in EDGE_COUNTS)}, PRIMARY KEY (source, destination));
CREATE TABLE faults (fault TEXT, source TEXT, destination TEXT, kind TEXT, episode INTEGER, number INTEGER,
    attempt INTEGER, delays_s TEXT, fate TEXT);
CREATE TABLE delays (source TEXT, destination TEXT, kind TEXT, episode INTEGER, number INTEGER, attempt INTEGER,
    asked_s REAL, achieved_s REAL);
CREATE TABLE endings (source TEXT, destination TEXT, kind TEXT, episode INTEGER, number INTEGER, attempt INTEGER,
    fate TEXT, cause TEXT);
CREATE VIEW ledger AS
    SELECT source, destination, kind, episode, number, attempt, fate, fault AS cause FROM faults
    UNION ALL SELECT * FROM endings;
CREATE TABLE fault_counts (fault TEXT, source TEXT, destination TEXT, examined INTEGER, applied INTEGER,
    chances INTEGER, hits INTEGER);
CREATE TABLE fates (source TEXT, destination TEXT, kind TEXT, delivered INTEGER, dropped INTEGER, delayed INTEGER,
    duplicated INTEGER, corrupted INTEGER, rejected INTEGER, expired INTEGER);
CREATE TABLE process_faults (fault TEXT, occasion TEXT, participant TEXT, what TEXT, at REAL,
    after_episode INTEGER);
CREATE TABLE gone (agent TEXT PRIMARY KEY, before_episode INTEGER);
CREATE TABLE live_faults (name TEXT PRIMARY KEY, document TEXT, added_after INTEGER, healed_after INTEGER);
CREATE TABLE events (participant TEXT, kind TEXT, peer TEXT, text TEXT, at REAL, after_episode INTEGER);
CREATE TABLE lives (incarnation INTEGER PRIMARY KEY, after_episode INTEGER, began_at REAL, why TEXT,
    processor_s REAL);
CREATE TABLE finished (agent TEXT PRIMARY KEY, weights_digest TEXT);
CREATE TABLE status (participant TEXT PRIMARY KEY, phase TEXT, waits_for TEXT, since REAL, seen REAL);
"""  # noqa: S608 - names of our own
SCHEMA = f"BEGIN;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;"
"""Makes all tables, or, when its writer is killed meanwhile, none."""
