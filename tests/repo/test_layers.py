"""The direction of imports, the size of modules, and the names in the tree."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

MAY_IMPORT = {
    "calstream_core": set(),
    "calstream_engine": {"calstream_core"},
    "calstream_schemas": {"calstream_core"},
    "calstream_sandbox": {"calstream_core"},
    "calstream_ingest": {"calstream_core", "calstream_schemas"},
    "calstream_processors": {"calstream_core", "calstream_engine", "calstream_schemas"},
    "calstream_sinks": {"calstream_core", "calstream_engine", "calstream_schemas"},
    "calstream_ops": {
        "calstream_core",
        "calstream_engine",
        "calstream_schemas",
        "calstream_sandbox",
        "calstream_ingest",
        "calstream_processors",
        "calstream_sinks",
    },
}
FOLDERS = {
    "calstream_core": "core",
    "calstream_engine": "core",
    "calstream_schemas": "schemas",
    "calstream_sandbox": "deploy",
    "calstream_ingest": "ingest",
    "calstream_processors": "processors",
    "calstream_sinks": "sinks",
    "calstream_ops": "deploy",
}
MAX_LINES = 500
MAX_FUNCTION_LINES = 60


def _modules() -> list[Path]:
    return sorted(
        path
        for package, folder in FOLDERS.items()
        for path in (ROOT / folder / package).rglob("*.py")
    )


def _imports(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def _package(path: Path) -> str:
    return path.relative_to(ROOT).parts[1]


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_package_has_its_place_and_its_types() -> None:
    for package, folder in FOLDERS.items():
        assert (ROOT / folder / package / "py.typed").is_file()


@pytest.mark.parametrize("path", _modules(), ids=_id)
def test_a_module_imports_only_what_its_layer_may(path: Path) -> None:
    package = _package(path)
    ours = {name for name in _imports(ast.parse(path.read_text("utf-8"))) if name in MAY_IMPORT}
    assert ours <= MAY_IMPORT[package] | {package}


@pytest.mark.parametrize("path", _modules(), ids=_id)
def test_a_module_is_small_and_says_what_it_is_for(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text)), "no module docstring"


def test_test_modules_are_small_too() -> None:
    lines = {
        path: len(path.read_text("utf-8").splitlines()) for path in (ROOT / "tests").rglob("*.py")
    }
    assert {path: count for path, count in lines.items() if count > MAX_LINES} == {}


@pytest.mark.parametrize("path", _modules(), ids=_id)
def test_a_function_fits_a_screen(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


def test_a_sink_imports_nothing_of_the_runner() -> None:
    for path in (ROOT / "sinks/calstream_sinks/hubspot").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith("calstream_sinks.runner"), path


def test_resolving_and_normalising_know_nothing_of_kafka_or_faust() -> None:
    hosts = {"agent.py"}
    for folder in ("normalise", "resolve"):
        for path in (ROOT / "processors/calstream_processors" / folder).rglob("*.py"):
            if path.name not in hosts:
                banned = {"faust", "confluent_kafka", "aiokafka", "httpx", "time", "random"}
                assert not _imports(ast.parse(path.read_text("utf-8"))) & banned, path


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "base"}
    assert not [path for path in _modules() if path.stem in vague]


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so nobody knows which files belong to it")
    return [ROOT / name for name in listed.stdout.splitlines()]


def test_no_file_names_a_machine_s_paths_or_a_package_registry() -> None:
    banned = re.compile(
        r"(?<![\w.])/(?:work|root|farm)/[\w.]|pypi\.org|pythonhosted|repo\d?\.maven|registry\.npmjs"
    )
    for path in _tracked():
        if path.suffix in {".png", ".woff2"} or path == Path(__file__) or not path.is_file():
            continue
        found = banned.search(path.read_text("utf-8", errors="ignore"))
        assert found is None, f"{path.relative_to(ROOT)}: {found.group()}"


def test_nothing_is_left_for_later_in_the_code() -> None:
    marks = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    assert not [path for path in _modules() if marks.search(path.read_text("utf-8"))]


def test_every_ignored_lint_rule_has_a_reason() -> None:
    """`noqa` and `type: ignore` name the rule and say why."""
    bare = re.compile(
        r"#\s*(noqa(?!: [A-Z]+\d+(, ?[A-Z]+\d+)* - \S)|type: ignore(?!\[[\w, -]+\]\s+# \S))"
    )
    for path in _modules():
        for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
            assert not bare.search(line), f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
