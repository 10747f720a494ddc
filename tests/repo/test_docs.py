"""What the docs say is so: tables equal the code, links lead somewhere, commands exist."""

import re
from pathlib import Path

import pytest
from prometheus_client.metrics import MetricWrapperBase

from calstream_core import metrics
from calstream_ops.reference.field_page import field_page

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])


def _rows(page: str) -> list[list[str]]:
    lines = (ROOT / "docs" / page).read_text("utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in lines
        if line.startswith("| ") and not line.startswith("| ---")
    ][1:]


def test_the_metrics_page_lists_every_metric_and_no_other() -> None:
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            name = metric._name + ("_total" if metric._type == "counter" else "")
            labels = ", ".join(f"`{label}`" for label in metric._labelnames) or "-"
            found[f"`{name}`"] = [labels, metric._documentation]
    assert {name: rest for name, *rest in _rows("metrics.md")} == found


def test_no_metric_is_made_outside_the_catalogue() -> None:
    for folder in ("core", "schemas", "ingest", "processors", "sinks", "deploy"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name != "metrics.py":
                made = re.findall(r"\b(?:Counter|Gauge|Histogram|Summary)\(\s*\"", path.read_text())
                assert not made, path


def test_the_page_of_fields_is_what_the_command_writes() -> None:
    assert (ROOT / "docs" / "fields.md").read_text("utf-8") == field_page()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).is_file(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_is_named_exists(page: Path) -> None:
    folders = "core|schemas|ingest|processors|sinks|deploy|docs|tests"
    for path in re.findall(rf"`((?:{folders})/[\w./-]+)`", page.read_text("utf-8")):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_is_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = re.findall(r"(?:`|^)make ([a-z-]+)", page.read_text("utf-8"), re.MULTILINE)
    assert set(named) <= targets
