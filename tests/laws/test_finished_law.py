"""The record of a finished fit: what its one reader makes of files, and what it refuses by name."""

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.files import write_json
from neuroscaling.laws.finished_law import FinishedLaw, fit_record, law_called, laws_among, read_fit, read_fits
from tests.support.finished_fits import completed

PARAMS = {"E": 0.4, "A": 0.5, "alpha": 0.2}
LAW = {"status": "fitted", "name": "law", "form": "power_law", "params": PARAMS, "x_scale": 1e13}
FEW = {"status": "not testable", "name": "few", "reason": "too few points"}


def test_a_fit_without_a_law_is_a_record_with_its_reason(tmp_path):
    for content in (LAW, FEW):
        write_json(tmp_path / f"{content['name']}.json", completed(content))
    fits = read_fits(sorted(tmp_path.glob("*.json")))
    assert {name: fit.status for name, fit in fits.items()} == {"few": "not testable", "law": "fitted"}
    assert fits["few"].reason == "too few points" and [law.name for law in laws_among(fits.values())] == ["law"]
    assert law_called(fits, "few") is None and law_called(fits, "absent") is None


def test_resamples_lie_beside_the_file(tmp_path):
    write_json(tmp_path / "law.json", completed(LAW))
    alone = read_fit(tmp_path / "law.json")
    assert alone.resamples is None and alone.rows.tolist() == [[0.4, 0.5, 0.2]] and not len(alone.samples)
    table = pd.DataFrame({"E": [0.3, np.inf], "A": 0.5, "alpha": 0.2, "loss": 1.0})
    table.to_parquet(tmp_path / "law.bootstraps.parquet")
    law = read_fit(tmp_path / "law.json")
    assert law.rows.shape == (3, 3) and law.samples.tolist() == [[0.3, 0.5, 0.2]] and law.dropped_resamples == 1


def test_null_is_a_number_that_is_not_finite():
    law = fit_record(completed(LAW | {"params": PARAMS | {"A": None}, "ci95": {"A": [0.1, None]}}))
    assert np.isnan(law.params["A"]) and np.isnan(law.ci95["A"][1]) and law.ci95["A"][0] == 0.1


def test_the_asymptote_is_identified_where_neither_flag_nor_statement_doubts_it():
    def law(identified, statement=None, form="power_law"):
        flags = {"E": {"identified": identified, "reasons": []}}
        return fit_record(completed(LAW | {"form": form, "identified": flags, "saturation_statement": statement}))

    assert law(True).asymptote_identified and not law(False).asymptote_identified
    assert not law(True, "no saturation within the data").asymptote_identified
    assert law(True, "no saturation within the data").doubts == ["no saturation within the data"]
    assert isinstance(law(False, form="log_linear"), FinishedLaw)


def test_files_of_another_version_and_without_a_field_are_named():
    with pytest.raises(DataError, match=r"law: format[\s\S]*another version[\s\S]*fit/1[\s\S]*fit/2"):
        fit_record(completed(LAW) | {"format": "fit/1"})
    content = completed(LAW)
    del content["curve"], content["notes"]
    with pytest.raises(DataError) as error:
        fit_record(content)
    assert [problem.where for problem in error.value.problems] == ["law, notes", "law, curve"]
    with pytest.raises(DataError, match="law, ci95, A"):
        fit_record(completed(LAW | {"ci95": {"A": [0.1]}}))
