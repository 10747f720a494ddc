"""`python -m calstream_ingest`: takes webhooks until SIGTERM."""

import sys

from calstream_core.process import run_process
from calstream_ingest.server import serve

if __name__ == "__main__":
    sys.exit(run_process("ingest", serve))
