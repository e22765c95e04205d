"""An agent that only acts, with a saved policy, in as little memory as a small board has."""
