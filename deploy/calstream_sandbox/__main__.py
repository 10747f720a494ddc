"""`python -m calstream_sandbox --listen 127.0.0.1:4700`: runs the sandbox until it is stopped."""

import argparse
import sys

import structlog
import uvloop

from calstream_sandbox.hubspot.portal import PortalSettings
from calstream_sandbox.server import (
    DEFAULT_SLACK_TOKEN,
    DEFAULT_STRIPE_KEY,
    DEFAULT_TOKEN,
    SandboxOptions,
    run,
)

_MAX_PORT = 65_535


def main(arguments: list[str] | None = None) -> None:
    """Parses the command line and serves. Exits 2 on a bad option."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    options = _options(arguments)
    structlog.get_logger().info("sandbox-listens", host=options.host, port=options.port)
    uvloop.run(run(options))


def _options(arguments: list[str] | None) -> SandboxOptions:
    defaults = PortalSettings()
    parser = argparse.ArgumentParser(prog="python -m calstream_sandbox", description=__doc__)
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 4700), help="HOST:PORT")
    parser.add_argument(
        "--retry-scale", type=_positive, default=1.0, help="shortens the waits between retries"
    )
    parser.add_argument("--hubspot-token", default=DEFAULT_TOKEN, help="the bearer token to want")
    parser.add_argument("--stripe-key", default=DEFAULT_STRIPE_KEY, help="the secret key to want")
    parser.add_argument("--slack-token", default=DEFAULT_SLACK_TOKEN, help="the bot token to want")
    parser.add_argument(
        "--smtp-listen", type=_address, default=("127.0.0.1", 0),
        help="HOST:PORT of the mail server; by default a free port",
    )  # fmt: skip
    parser.add_argument(
        "--search-lag-seconds", type=float, default=defaults.search_lag_seconds,
        help="how long HubSpot's search does not see a write",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    host, port = given.listen
    return SandboxOptions(
        host=host,
        port=port,
        retry_scale=given.retry_scale,
        hubspot_token=given.hubspot_token,
        stripe_key=given.stripe_key,
        slack_token=given.slack_token,
        smtp_listen=given.smtp_listen,
        hubspot=PortalSettings(search_lag_seconds=max(0.0, given.search_lag_seconds)),
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text} is not HOST:PORT")
    return host, int(port)


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return number


if __name__ == "__main__":
    main()
