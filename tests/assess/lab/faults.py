"""Every fault of the laboratory."""

from __future__ import annotations

from .faults_names import NAMES
from .faults_servers import SERVERS

FAULTS = (*NAMES, *SERVERS)
