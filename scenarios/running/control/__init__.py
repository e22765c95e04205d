"""The loop of a run: lives, deaths, strikes and live faults, whatever it runs on."""
