"""One learning agent: the pure learning core, the algorithms, the agent's protocol and the process that runs it."""
