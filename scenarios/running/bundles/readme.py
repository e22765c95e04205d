"""The page in a bundle: what to do with it on its host."""

from __future__ import annotations

import shlex

from broker.release import FORETELL
from scenarios.running.bundles.unit import unit_name
from scenarios.running.bundles.wheels import WHEELS
from scenarios.running.fleet import HostConfig

_HOME = "~/"


def readme(name: str, host: HostConfig, run: str, *, with_wheels: bool) -> str:
    """The page for one host, which installs Foretell from the wheels in its bundle or from an index."""
    source = f"--no-index --find-links {WHEELS} " if with_wheels else ""
    python, unit = _quoted(host.python), unit_name(name)
    return f"""# Host {name} of {run}

Copy this folder, and no other of its set, to the home folder of a user of {name}: it holds keys. There, in this folder:

```
{python} -m pip install {source}foretell=={FORETELL}
{python} -P -m scenarios host .
```

The second command waits for the launcher whose key is in this folder, and obeys nobody else. Let systemd keep it alive,
after a restart of {name} too:

```
systemctl --user enable --now $PWD/{unit} && loginctl enable-linger
```

What runs leave is in `runs/`.
"""


def _quoted(python: str) -> str:
    home = _HOME if python.startswith(_HOME) else ""
    return home + shlex.quote(python.removeprefix(_HOME))
