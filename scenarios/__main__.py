"""`python -m scenarios`: the command, for whoever knows a Python that has Foretell but not where its programs lie."""

from __future__ import annotations

from broker.isolated import leave_working_directory
from scenarios.commands.main import main

if __name__ == "__main__":
    leave_working_directory()
    main()
