"""`python -m calstream_ingest`: takes webhooks until SIGTERM."""

import argparse
import sys

import structlog
import uvloop

from calstream_core.errors import CalstreamError
from calstream_core.logs import configure_logs
from calstream_core.settings import load_settings
from calstream_core.stack_state import broker_address
from calstream_ingest.server import serve

_log = structlog.get_logger()


def main() -> int:
    """Parses the arguments, runs, and gives the exit status."""
    parser = argparse.ArgumentParser(prog="calstream_ingest", description=__doc__)
    parser.add_argument("--health-listen", default="127.0.0.1:0", help="for /healthz and /metrics")
    arguments = parser.parse_args()
    configure_logs("ingest")
    try:
        settings = load_settings().settings
        uvloop.run(serve(settings, broker_address(settings), arguments.health_listen))
    except CalstreamError as error:
        _log.error("ingest failed", error=str(error))
        return error.exit_status
    return 0


if __name__ == "__main__":
    sys.exit(main())
