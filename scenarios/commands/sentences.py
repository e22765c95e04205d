"""What is said of an error, and the exit code that it ends with."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from broker.errors import ForetellError, LedgerMismatch, UserError
from broker.release import lacking
from scenarios.commands.exit_codes import ExitCode
from scenarios.commands.screen import say, shown_on

_SURROUNDINGS = frozenset(
    (
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO),
        *(errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR),
    )
)
"""What the machine has not, or a file is not: no bug of ours, wherever it shows."""


@contextmanager
def sentences() -> Iterator[None]:
    """Turn errors made on purpose into one sentence and an exit code."""
    try:
        yield
    except click.ClickException as error:
        error.show(file=shown_on(err=True))
        code = ExitCode.WRONG
    except UserError as error:
        say(f"foretell: {error}", err=True)
        code = ExitCode.WRONG
    except LedgerMismatch as error:
        for sentence in error.sentences:
            say(f"foretell: {sentence}", err=True)
        code = ExitCode.MISMATCH
    except ForetellError as error:
        say(f"foretell: {error}", err=True)
        code = ExitCode.DIED
    except ModuleNotFoundError as error:
        if not (needed := lacking(error)):
            raise
        say(f"foretell: this {needed}", err=True)
        code = ExitCode.WRONG
    except OSError as error:
        if error.errno not in _SURROUNDINGS:
            raise
        say(f"foretell: {error.strerror}{f': {error.filename}' if error.filename else ''}", err=True)
        code = ExitCode.WRONG
    except MemoryError:
        say("foretell: the machine has not enough memory for this", err=True)
        code = ExitCode.WRONG
    except (KeyboardInterrupt, click.Abort):
        say("foretell: interrupted", err=True)
        code = ExitCode.INTERRUPTED
    else:
        return
    sys.exit(code)  # here, where the error holds nothing of somebody's code any more
