"""What losses do to the relay; `foretell` is a fixture that Foretell brings."""

from pathlib import Path

SCENARIO = str(Path(__file__).parent / "relay.toml")
MOST = 10 * 3 * (1.0 - 0.2)  # all pass in each of ten steps


def test_a_fair_team_passes_on_and_selfish_agents_do_not(foretell):
    fair = foretell.simulate(SCENARIO)
    selfish = foretell.simulate(SCENARIO, algorithm__name="independent")
    assert fair.summary.team_return_last > 0.9 * MOST
    assert selfish.summary.team_return_last < 0.2 * MOST


def test_losing_half_of_the_shares_costs_little(foretell):
    lossy = foretell.simulate(SCENARIO, faults=[{"kind": "drop", "probability": 0.5, "messages": ["share"]}])
    lossy.fault_hit("drop", at_least=50)
    lossy.ledger_fits()
    lossy.returns_at_least(0.8)


def test_a_killed_agent_costs_nothing(foretell):
    crash = {"kind": "crash", "participants": ["agent-1"], "at_episodes": [3]}
    run = foretell.run(SCENARIO, faults=[crash], episodes=6)
    run.fault_hit("crash")
    run.returns_at_least(1.0)
