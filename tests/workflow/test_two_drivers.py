"""Two people start the same study a second apart on one store; tools/two_drivers.py has the whole matrix."""

import pytest

from tests.two_drivers import local_driver, race


@pytest.mark.slow
def test_two_drivers_make_each_artefact_once(tmp_path, brainscore_python):
    both = race(tmp_path, [0, 1], False, local_driver)
    texts = [(tmp_path / f"person-{number}" / "driver.txt").read_text()[-5000:] for number in (0, 1)]
    assert both.statuses == [0, 0], "\n\n".join(texts)
    assert both.twice == [] and both.left == []
    assert sum(name.endswith("/run.json") for name in both.content) == 2
    assert sum(name.startswith("scores/") and name.endswith(".json") for name in both.content) == 2
