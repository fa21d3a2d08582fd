"""The conformance suite finds nothing wrong with the gateway, in either revision, before a server of either era."""
from __future__ import annotations

from pathlib import Path

import pytest

from ..installed import missing_package
from . import suite
from .scenarios import EXCUSES, LEFT_OUT, RUN, Excuse, excused

pytestmark = pytest.mark.interop

ERAS = ("handshake", "stateless")
"""What the server behind the gateway speaks."""
CASES = [(revision, era, scenario) for revision in suite.REVISIONS for era in ERAS for scenario in RUN[revision]]

Verdicts = dict[str, list[suite.Check]]


class Suite:
    """The runs of the suite, each made when a test first asks for it; one that failed is not tried again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs: dict[tuple[str, str], Verdicts] = {}

    def verdicts(self, revision: str, era: str) -> Verdicts:
        if (revision, era) not in self._runs:
            folder = self.folder / f"{revision}-{era}"
            if folder.exists():
                pytest.fail("the suite failed before, in the first test that asked for this run")
            folder.mkdir()
            self._runs[revision, era] = suite.run(revision, era, folder)
        return self._runs[revision, era]


@pytest.fixture(scope="module")
def conformance(tmp_path_factory: pytest.TempPathFactory) -> Suite:
    if why := missing_package("conformance"):
        pytest.skip(why)
    return Suite(Path(tmp_path_factory.mktemp("conformance")).resolve())


def faults(checks: list[suite.Check]) -> list[suite.Check]:
    """A warning counts: it is what a peer SHOULD do."""
    return [check for check in checks if check.status in ("FAILURE", "WARNING")]


@pytest.mark.parametrize("revision, era, scenario", CASES)
def test_the_suite_finds_no_fault(conformance: Suite, revision: str, era: str, scenario: str) -> None:
    checks = conformance.verdicts(revision, era).get(scenario, [])
    found = [check for check in faults(checks) if not excused(scenario, check.id, era)]
    assert not found, "\n".join(f"{check.id}: {check.why}" for check in found)
    assert "SUCCESS" in [check.status for check in checks], f"nothing was checked; see {conformance.folder}"


@pytest.mark.parametrize("excuse", EXCUSES, ids=lambda excuse: f"{excuse.check}-{excuse.era or 'any'}")
def test_an_excused_check_still_fails(conformance: Suite, excuse: Excuse) -> None:
    (revision,) = [revision for revision in suite.REVISIONS if excuse.scenario in RUN[revision]]
    for era in [era for era in ERAS if excuse.era in ("", era)]:
        checks = conformance.verdicts(revision, era)[excuse.scenario]
        assert excuse.check in [check.id for check in faults(checks)], f"it passes before a {era} server: take it out"


def test_every_scenario_of_the_suite_is_run_or_left_out_for_a_reason(conformance: Suite) -> None:
    known = suite.scenarios()
    assert known.keys() == {*RUN["2025-11-25"], *RUN["2026-07-28"], *LEFT_OUT}
    for revision in suite.REVISIONS:
        of_it = {name for name, revisions in known.items() if revision in revisions}
        assert set(RUN[revision]) == of_it - LEFT_OUT.keys()
