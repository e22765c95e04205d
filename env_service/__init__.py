"""The environment as a participant: tasks, the step barrier's protocol and the process that serves it."""
