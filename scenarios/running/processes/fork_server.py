"""Imported by the fork server before all else, and by nobody else: it shall not outlive its launcher.

Its children keep it alive as long as one of them lives, and one that is stopped would live for ever.
"""

from __future__ import annotations

from broker.isolated import leave_programs_of_others_alone
from broker.servers.leash import end_with_parent

end_with_parent()
leave_programs_of_others_alone()
