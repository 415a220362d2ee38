"""One job fits all laws of a study: those in step are left alone, and what fails keeps no other from being fitted."""

import shutil

import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.files import read_json
from neuroscaling.laws.study_fits import FITTED, StudyFit, take_fit, write_fits
from tests.laws.test_fit_job import job, score_table


@pytest.fixture
def study(tmp_path):
    """The score table, and the fits of a study: their settings by name, and the code behind them."""
    score_table().to_parquet(tmp_path / "scores.parquet")

    def fits(code="1", **changes):
        settings = {region: job(name=region, filters={"region": region}, bootstraps=5) for region in ("V1", "IT")}
        return [
            StudyFit.of(name, one | changes.get(name, {}), tmp_path / "fits", tmp_path / "scores.parquet", code)
            for name, one in settings.items()
        ]

    def made(fits, processes=1):
        """Fit them, and take each as its rule does: Snakemake has deleted its files before."""
        write_fits(fits, tmp_path / "scores.parquet", processes)
        for one in fits:
            for file in one.files(one.folder):
                file.unlink(missing_ok=True)
            take_fit(one)
        return {one.name: read_json(one.folder / f"{one.name}.json")["provenance"] for one in fits}

    return fits, made


def test_what_is_in_step_is_not_fitted_again(study, tmp_path):
    fits, made = study
    first = made(fits())
    assert {file.name for file in (tmp_path / "fits").glob("V1.*")} == {
        "V1.json", "V1.bootstraps.parquet", "V1.influence.json", "V1.influence.parquet",
    }  # fmt: skip
    # What was made has another time in it, so equal records are of one fit. What the job left may be gone.
    shutil.rmtree(tmp_path / "fits" / FITTED)
    changed = made(fits(V1={"bootstraps": 6}))
    assert changed["IT"] == first["IT"] and changed["V1"] != first["V1"]
    assert changed["V1"]["settings"]["bootstraps"] == 6
    assert len(list((tmp_path / "fits" / FITTED).iterdir())) == 2, "what the study no longer wants is removed"
    table = score_table()
    table.loc[0, "score"] += 0.001
    table.to_parquet(tmp_path / "scores.parquet")
    by_table = made(fits(V1={"bootstraps": 6}), processes=2)
    by_code = made(fits(code="2", V1={"bootstraps": 6}))
    for name in ("V1", "IT"):
        assert changed[name] != by_table[name] != by_code[name]
        assert by_table[name]["made_from"]["table"] == by_code[name]["made_from"]["table"]


def test_a_fit_that_fails_is_told_by_its_rule_and_the_others_are_fitted(study, tmp_path):
    fits, made = study
    v1, it = fits(V1={"y": "scorr"})
    write_fits([v1, it], tmp_path / "scores.parquet", 2)
    take_fit(it)
    with pytest.raises(DataError, match="scorr") as told:
        take_fit(v1)
    assert "fit V1" in str(told.value) and not (tmp_path / "fits/V1.json").exists()
    assert made(fits()).keys() == {"V1", "IT"}
    (lost,) = fits(IT={"seed": 3})[1:]
    with pytest.raises(DataError, match="start the study again"):
        take_fit(lost)
