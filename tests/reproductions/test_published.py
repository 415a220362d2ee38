"""The published tables: fetching, the score table, and what each of the published fits selects from it."""

import logging

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.score_table import COLUMNS, KEY, ScoreTable, read_table, write_table
from neuroscaling.laws.points import select_points
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.reproductions.gokce2025.published_scores import (
    EXTRA_COLUMNS,
    SCORES_COLUMNS,
    published_table,
)
from neuroscaling.study import published_tables
from neuroscaling.study.published_tables import PUBLISHED_FILES, PublishedFile, fetch_published, is_available
from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file
from tests.conftest import ROOT

JOBS = {job.name: job.settings for job in expand_fits(load_fit_file(ROOT / "config/fits/published.yaml"))}
SUBJECTS = [f"subj{i:02d}" for i in range(1, 9)]
REGIONS = ("v1", "v2", "v4", "it", "behavior", "avg")
# Models of each published fit, from the published zoo: 620 = 309 imagenet + 311 ecoset, of which ResNet (with its
# flexible variants) 217, EfficientNet 87, AlexNet and CORnet-S 30 each, ConvNeXt and ViT 128 each. "Many images" leaves
# out 44 ConvNeXt and 44 ViT a data set; full data are 96 imagenet and 95 ecoset models.
MODELS = (
    {"compute_neuro": 620, "compute_behavior": 620, "compute_chinchilla": 620 - 4 * 44, "parameter_scaling": 191}
    | {"parameter_pretrained_scaling": 136, "sample_imagenet_scaling": 309 - 88, "sample_ecoset_scaling": 311 - 88}
    | {"sample_imagenet21kP_scaling": 11, "sample_webvisionP_scaling": 5, "sample_places365_scaling": 4}
    | {"sample_inaturalist_scaling": 4, "sample_infimnist_scaling": 7}
    | {
        f"model_{family}_{what}": n
        for family, n in {"resnet": 217, "efficientnet": 87, "convnext": 128, "vit": 128}.items()
        for what in ("avg", "neuro", "behavior")
    }
    | {f"region_{region}_group{group}": n for region in REGIONS for group, n in ((1, 217 + 87 + 60), (2, 256))}
    | {f"simclr_{region}": 35 for region in (*REGIONS, "neuro")}
)
UNPUBLISHED = {"compute_accuracy": 620, "adv_scaling": 44}
IN_CORRECTED = MODELS | UNPUBLISHED | {"parameter_pretrained_scaling": 136 + 8, "adv_scaling": 35}


def tiny(tmp_path, **changes):
    """A file of two rows in the form of benchmark_scores.csv."""
    row = dict.fromkeys(SCORES_COLUMNS, 1) | {"region": "V1", "is_pretrained": False, "adv_method": np.nan}
    row |= dict.fromkeys([c for c in SCORES_COLUMNS if c.startswith("is_")], False)
    rows = pd.DataFrame([row | {"benchmark_id": i} for i in range(2)]).assign(**changes)
    rows.to_csv(tmp_path / "scores.csv", index=False)
    return tmp_path / "scores.csv"


def known(monkeypatch, content=b"a,b\n", folder=""):
    """Make `t.csv` with this content the only published table."""
    import hashlib

    file = PublishedFile("t.csv", len(content), hashlib.sha256(content).hexdigest(), folder)
    monkeypatch.setattr(published_tables, "PUBLISHED_FILES", {"t.csv": file})


def test_checksums_are_those_of_the_public_files(published_dir, tmp_path):
    for name, file in PUBLISHED_FILES.items():
        assert fetch_published(name, tmp_path / name, published_dir)
        assert (tmp_path / name).stat().st_size == file.size
        assert (tmp_path / name).read_bytes() == (published_dir / name).read_bytes()


def test_every_table_but_the_optional_one_has_a_url():
    without = [name for name, file in PUBLISHED_FILES.items() if not file.source]
    assert without == ["seed_data_scaling.csv"]
    for file in PUBLISHED_FILES.values():
        commit = file.folder.split("/")[0]
        assert not file.source or (len(commit) == 40 and set(commit) <= set("0123456789abcdef"))


def test_download_of_a_table(tmp_path, monkeypatch):
    (tmp_path / "public/commit/folder").mkdir(parents=True)
    (tmp_path / "public/commit/folder/t.csv").write_bytes(b"a,b\n")
    monkeypatch.setattr(published_tables, "SERVER", tmp_path.as_uri())
    monkeypatch.setattr(published_tables, "REPOSITORY", "public")
    known(monkeypatch, folder="commit/folder")
    assert is_available("t.csv") and fetch_published("t.csv", tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes() == b"a,b\n"


def test_a_sound_file_is_kept_and_an_altered_one_replaced(tmp_path, monkeypatch):
    known(monkeypatch)
    (tmp_path / "from").mkdir()
    (tmp_path / "t.csv").write_bytes(b"a,b\n")
    assert not is_available("t.csv", tmp_path / "from")
    assert fetch_published("t.csv", tmp_path / "t.csv", tmp_path / "from")
    (tmp_path / "from/t.csv").write_bytes(b"a,b\n")
    (tmp_path / "t.csv").write_bytes(b"cut")
    assert fetch_published("t.csv", tmp_path / "t.csv", tmp_path / "from")
    assert (tmp_path / "t.csv").read_bytes() == b"a,b\n"


def test_another_file_is_refused_and_leaves_nothing(tmp_path, monkeypatch):
    known(monkeypatch)
    (tmp_path / "from").mkdir()
    (tmp_path / "from/t.csv").write_bytes(b"a,c\n")
    with pytest.raises(DataError, match="not the published one") as caught:
        fetch_published("t.csv", tmp_path / "to/t.csv", tmp_path / "from")
    assert "4 bytes, sha256" in caught.value.problems[0].value
    assert not list((tmp_path / "to").iterdir())


def test_a_missing_file_and_a_wrong_name_are_named(tmp_path):
    with pytest.raises(DataError, match="doesn't exist") as caught:
        fetch_published("benchmark_scores.csv", tmp_path / "benchmark_scores.csv", tmp_path / "nowhere")
    assert "published_dir" in caught.value.problems[0].fix
    with pytest.raises(DataError) as caught:
        fetch_published("benchmark_score.csv", tmp_path / "x.csv")
    assert caught.value.problems[0].nearest == "benchmark_scores.csv"


def test_an_unreachable_server_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(published_tables, "SERVER", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="can't be downloaded"):
        fetch_published("benchmark_scores.csv", tmp_path / "benchmark_scores.csv")


def test_absence_of_the_optional_table_is_no_error(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert not fetch_published("seed_data_scaling.csv", tmp_path / "seed_data_scaling.csv", tmp_path)
    assert "rows are left out" in caplog.text and not list(tmp_path.iterdir())


def test_published_columns_are_unchanged_and_in_order(csv, table):
    ours = table.iloc[: len(csv)]
    assert len(csv) == 4965 and len(table) == 4965 + 72
    for column in SCORES_COLUMNS:
        assert list(csv[column].isna()) == list(ours[column].isna()), column
        filled = csv[column].notna().to_numpy()
        assert list(csv[column][filled]) == list(ours[column][filled]), column


def test_columns_and_types_are_those_of_a_score_table(table, tmp_path):
    assert dict(table.dtypes.astype(str)) == COLUMNS | EXTRA_COLUMNS
    assert not table.duplicated(KEY).any()
    assert set(table["metric"]) == {"pls", "i2n", "ridge"}
    behavior = table["region"] == "Behavioral"
    assert set(table.loc[behavior, "scale"]) == {"r/sqrt(c)"}
    assert set(table.loc[~behavior, "scale"]) == {"(r/c)2", "r"}
    write_table(tmp_path / "scores.parquet", ScoreTable(table))
    pd.testing.assert_frame_equal(read_table(tmp_path / "scores.parquet"), table)


def test_kinds(table):
    kinds = table.drop_duplicates("run").groupby("kind").size().to_dict()
    assert kinds == {"trained": 993 - 182 - 48, "pretrained": 182 + 1, "untrained": 48}


def test_identities_of_the_published_costs(table):
    rows = table[table["flops"].notna()]
    np.testing.assert_array_equal(rows["flops"], 2 * rows["macs"])
    known_cost = rows[rows["total_flops"].notna()]
    np.testing.assert_array_equal(known_cost["n_samples_seen"], known_cost["n_samples"] * known_cost["n_epochs"])
    np.testing.assert_allclose(known_cost["total_flops"], 3 * known_cost["flops"] * known_cost["n_samples_seen"])


def test_pretraining_of_adversarial_networks_counts_once(table):
    fine_tuned = table["is_adv"] & ~table["adv_method"].str.startswith("scratch").fillna(False)
    assert table[fine_tuned]["run"].nunique() == 41
    others = table[~fine_tuned]
    pd.testing.assert_series_equal(others["total_flops_pretrained"], others["total_flops"], check_names=False)
    # Pre-training of ResNet-18 on all of ImageNet costs what the supervised network cost.
    supervised = table.loc[table["run"] == "resnet18_imagenet_full", "total_flops"].iloc[0]
    added = (table["total_flops_pretrained"] - table["total_flops"])[
        fine_tuned & table["arch"].eq("resnet18").fillna(False)
    ]
    np.testing.assert_allclose(added, supervised, rtol=1e-12)


def test_fmri_rows_stand_at_the_end_and_have_no_architecture(table, published_dir):
    seed = pd.read_csv(published_dir / "seed_data_scaling.csv")
    rows = table.iloc[-72:]
    assert list(rows["score"]) == list(seed["mean_test_r"]) and list(rows["n_mapping"]) == list(seed["n_train"])
    assert rows[["dataset", "arch", "arch_family", "total_flops", "n_params", "benchmark_id"]].isna().all(None)
    assert rows["subject"].nunique() == 8 and rows["is_pretrained"].all()


def test_without_the_optional_table_its_rows_are_absent(published_dir, caplog):
    with caplog.at_level(logging.INFO):
        table = published_table(published_dir / "benchmark_scores.csv")
    assert len(table) == 4965 and "no such rows" in caplog.text


def test_tables_of_another_form_are_refused(tmp_path):
    renamed = pd.read_csv(tiny(tmp_path)).rename(columns={"total_flops": "totalflops"})
    renamed.to_csv(tmp_path / "scores.csv", index=False)
    with pytest.raises(DataError, match="column is missing") as caught:
        published_table(tmp_path / "scores.csv")
    assert [(p.value, p.nearest) for p in caught.value.problems] == [("total_flops", "totalflops")]
    (tmp_path / "empty.csv").touch()
    for name, message in (("absent.csv", "file is missing"), ("empty.csv", "not a readable CSV")):
        with pytest.raises(DataError, match=message):
            published_table(tmp_path / name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": ["0.1", "0.1x"]}, "score: a column holds other values"),
        ({"is_adv": ["False", None]}, "is_adv: a column holds other values"),
        ({"samples_per_class": [1, None]}, "samples_per_class: a column holds other values"),
        ({"benchmark_id": [0, 0]}, "1 rows stand in the file twice"),
    ],
)
def test_damaged_values_are_refused(tmp_path, changes, message):
    assert len(published_table(tiny(tmp_path))) == 2
    with pytest.raises(DataError, match=message):
        published_table(tiny(tmp_path, **changes))


def test_the_published_fits_are_there_in_both_modes():
    assert len(MODELS) == 43
    names = [*MODELS, *UNPUBLISHED]
    assert {name for name, job in JOBS.items() if job["mode"] == "parity"} == set(names)
    assert all(JOBS[f"{name}.corrected"]["mode"] == "corrected" for name in names)


@pytest.mark.parametrize("name", [*MODELS, *UNPUBLISHED])
def test_models_of_each_published_fit(table, name):
    points = select_points(table, JOBS[name]).points
    assert len(points) == (MODELS | UNPUBLISHED)[name]
    assert points["model_id"].is_unique
    assert not JOBS[name]["group_by"] or points["model_id"].is_monotonic_increasing


@pytest.mark.parametrize("name", IN_CORRECTED)
def test_models_of_each_corrected_fit(table, name):
    selection = select_points(table, JOBS[f"{name}.corrected"])
    assert len(selection.points) == IN_CORRECTED[name] and selection.data == ["gokce2025"]
    # The seeds of a cell are one cluster.
    seeds = selection.points.groupby(["arch", "dataset", "samples_per_class"], dropna=False).ngroups
    assert len(set(selection.clusters)) == seeds


def test_rows_that_parity_loses_without_a_word_are_counted(table):
    parity = select_points(table, JOBS["parameter_pretrained_scaling"])
    corrected = select_points(table, JOBS["parameter_pretrained_scaling.corrected"])
    assert [len(names) for names in parity.dropped.values()] == [8 + 11]
    assert [len(names) for names in corrected.dropped.values()] == [11]
    assert set(corrected.points["model_id"]) > set(parity.points["model_id"])


def test_composite_filters_against_plain_pandas(csv, table):
    """The hardest selection: supervised networks, two data sets, ConvNeXt and ViT with many images, mean of five."""
    rows = csv[csv["dataset"].isin(["imagenet", "ecoset"])]
    rows = rows[~rows[["is_pretrained", "is_random", "is_ssl", "is_adv", "is_ablation"]].any(axis=1)]
    weak = rows["arch_family"].isin(["ConvNeXt", "ConvNeXtFlex", "ViT", "ViTFlex"])
    rows = rows[~weak | rows["samples_per_class"].isin([0, 300])]
    expected = rows.groupby("model_id")["score"].mean()
    points = select_points(table, JOBS["compute_chinchilla"]).points.set_index("model_id")
    np.testing.assert_allclose(points["y"], expected.loc[points.index], rtol=1e-12)
    assert len(points) == len(expected) == 444


def test_fits_without_groups_keep_the_order_of_the_file(csv, table):
    expected = csv[csv["is_ssl"] & (csv["ssl_method"] == "simclr") & (csv["arch_family"] == "ResNet")]
    expected = expected[expected["region"] == "IT"]["model_id"].tolist()
    assert select_points(table, JOBS["simclr_it"]).points["model_id"].tolist() == expected
    assert select_points(table[::-1], JOBS["simclr_it"]).points["model_id"].tolist() == expected[::-1]


def test_adversarial_series_is_pure_in_the_corrected_fit(table):
    points = select_points(table, JOBS["adv_scaling.corrected"]).points
    assert points["x"].min() > table.loc[table["run"] == "resnet18_imagenet_full", "total_flops"].iloc[0]
    assert sorted(points.groupby("arch").size().unique()) == [7]


def test_fmri_fits_have_nine_points_a_subject(table):
    assert len(select_points(table, JOBS["fmri-samples.subj03"]).points) == 9
    assert len(select_points(table, JOBS["fmri-samples-pooled"]).points) == 72


@pytest.fixture(scope="module")
def fmri_forms(table):
    """For each subject the rows of the comparison of forms, by form."""
    fitted = {s: fit_table(table, {**JOBS[f"fmri-samples.{s}"], "bootstraps": 0})[0] for s in SUBJECTS}
    return {subject: {row["form"]: row for row in content["compared"]} for subject, content in fitted.items()}


def test_fmri_scores_are_not_log_linear(fmri_forms):
    """AICc from an independent fit of the same 72 numbers: best form of each subject, and four of its values."""
    best = {s: min(rows, key=lambda form: rows[form]["aicc"]) for s, rows in fmri_forms.items()}
    assert best == dict.fromkeys(SUBJECTS, "logistic") | dict.fromkeys(("subj01", "subj07"), "sqrt_saturating")
    for subject, saturating, line in (("subj01", -71.8, -60.7), ("subj04", -90.8, -65.1), ("subj08", -81.6, -81.1)):
        assert fmri_forms[subject][best[subject]]["aicc"] == pytest.approx(saturating, abs=0.06)
        assert fmri_forms[subject]["log_linear"]["aicc"] == pytest.approx(line, abs=0.06)


def test_fmri_scores_at_the_two_largest_numbers_of_images(fmri_forms):
    """Mean over subjects of the error of laws fitted to the first seven points."""
    held = {form: [rows[form]["holdout"] for rows in fmri_forms.values()] for form in fmri_forms["subj01"]}
    assert {(h["n_fitted"], h["n_held_out"]) for rows in held.values() for h in rows} == {(7, 2)}
    errors = {form: np.mean([h["rmse"] for h in rows]) for form, rows in held.items()}
    for form, error in {"log_linear": 0.038, "sqrt_saturating": 0.024, "logistic": 0.009}.items():
        assert errors[form] == pytest.approx(error, abs=6e-4), form
    # Without bounds (asymptotes above 2, exponents below 0) this form's error is 0.030.
    assert 0.02 < errors["power_law_ceiling"] < 0.0305


def test_same_network_on_every_data_set(table):
    counts = {"imagenet": 15, "ecoset": 15, "imagenet21kP": 6, "webvisionP": 5, "places365": 4, "inaturalist": 4}
    for dataset, n in (counts | {"infimnist": 7}).items():
        points = select_points(table, JOBS[f"same-network.{dataset}"]).points
        assert len(points) == n and set(points["arch"]) == {"resnet18"}, dataset


def test_allocation_differs_between_regions_only_in_the_scores(table):
    first, second = (select_points(table, JOBS[f"allocation.{region}"]).points for region in ("V1", "Behavioral"))
    assert list(first["model_id"]) == list(second["model_id"]) and len(first) == 444
    assert (first["y"] != second["y"]).all()
    assert len(select_points(table, JOBS["many_images_neuro"]).points) == 444
    many = [select_points(table, JOBS[f"many_images_group{group}"]).points for group in (1, 2)]
    assert [len(points) for points in many] == [147, 80]
    assert all(set(points["samples_per_class"]) == {0, 300} for points in many)


def test_study_file_is_the_public_tables_and_their_fits():
    import yaml

    content = yaml.safe_load((ROOT / "config/studies/published.yaml").read_text())
    assert content["study"] == "published" and content["fits"] == ["config/fits/published.yaml"]
    assert content["published"] == {"published_dir": "${NEUROSCALING_PUBLISHED_DIR:-}"}


def test_fetch_and_table_need_no_pandas_at_import():
    import subprocess
    import sys

    code = (
        "import sys, neuroscaling.study.published_tables, neuroscaling.reproductions.gokce2025.published_scores;"
        "print('pandas' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert out.stdout.strip() == "False"
