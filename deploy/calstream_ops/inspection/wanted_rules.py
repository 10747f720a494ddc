"""The rules that workspaces have, and those that the settings and this installation ask for."""

from collections.abc import Iterable
from typing import NamedTuple

from calstream_core.clock import now_microseconds
from calstream_core.settings import Settings
from calstream_ops.inspection.entity_log import EntityLog
from calstream_ops.inspection.log_reader import LogReader
from calstream_ops.inspection.rules_log import rules_in_force
from calstream_processors.resolve.rule_settings import rule_set_in
from calstream_processors.time.zone_changes import with_installed_zones
from calstream_schemas.rule_sets import RuleSet
from calstream_schemas.zone_shifts import ZoneShift


class WantedRules(NamedTuple):
    """The rules of one workspace."""

    in_force: RuleSet
    wanted: RuleSet

    @property
    def zone_changes(self) -> list[ZoneShift]:
        """What the installed time zone database changes."""
        known = set(self.in_force.zone_shifts)
        return [each for each in self.wanted.zone_shifts if each not in known]


def wanted_rules(
    settings: Settings, reader: LogReader, log: EntityLog, workspaces: Iterable[str]
) -> dict[str, WantedRules]:
    """The rules by workspace: as the settings say, with what has changed of time zones since.

    Raises:
        ConfigError: the settings' rules are not valid, or a workspace has no key here.
        RecordError: an entity can't be read.
        UnavailableError: the broker does not answer.
    """
    asked = {name: rule_set_in(settings, name) for name in workspaces}
    found, now = {}, now_microseconds()
    for name, rule_set in asked.items():
        in_force = rules_in_force(reader, settings.kafka, name)
        wanted = with_installed_zones(rule_set, in_force, log.newest(name), now)
        found[name] = WantedRules(in_force, wanted)
    return found
