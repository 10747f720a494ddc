"""For developers: resolves the embedded Kafka anew and writes its lock file.

    python -m calstream_ops.stack.lock [VERSION]

Without a version, the one that is locked now.
"""

import sys
import tempfile
from importlib import metadata
from pathlib import Path

from jgo.env import LockedDependency, LockFile
from jgo.maven import Dependency, MavenContext

from calstream_ops.stack.jar_lock import LOCK_PATH, read_lock
from calstream_ops.stack.jars import remote_repositories
from calstream_ops.stack.java import MINIMUM_MAJOR

_BROKER = "org.apache.kafka:kafka_2.13"
# Kafka itself only knows slf4j; its own distribution adds this to reach log4j, in log4j's version
_LOG_BINDING = "org.apache.logging.log4j:log4j-slf4j-impl"
_TIMEOUT_SECONDS = 60


def resolve(coordinate: str, cache: Path) -> LockFile:
    """An artifact with all that it needs, downloaded into `cache` and hashed."""
    context = MavenContext(
        repo_cache=cache, remote_repos=remote_repositories(), timeout=_TIMEOUT_SECONDS
    )
    asked, transitive = context.resolver.resolve([context.create_dependency(coordinate)])
    found: list[Dependency] = [*asked, *transitive]
    log4j = [each.version for each in found if each.artifactId == "log4j-core"]
    found += [context.create_dependency(f"{_LOG_BINDING}:{version}") for version in log4j]
    found.sort(key=lambda each: (each.groupId, each.artifactId))
    return LockFile(
        [LockedDependency.from_dependency(each) for each in found],
        environment_name="kafka",
        min_java_version=MINIMUM_MAJOR,
        jgo_version=metadata.version("jgo"),
    )


def main() -> int:
    """Writes the lock file of the package this module is in."""
    version = sys.argv[1] if len(sys.argv) > 1 else read_lock().kafka_version
    with tempfile.TemporaryDirectory() as cache:
        lock = resolve(f"{_BROKER}:{version}", Path(cache))
    lock.save(LOCK_PATH)
    sys.stderr.write(f"Kafka {version}: {len(lock.dependencies)} jars locked in {LOCK_PATH}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
