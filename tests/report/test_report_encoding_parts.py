"""Parts of the encoding figures: order of ROIs, numbers of mapping images, surfaces; and the studies' laws."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.errors import DataError
from neuroscaling.core.score_table import read_table
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.report import encoding_data, encoding_surfaces
from neuroscaling.study.recording_folders import COARSE_REGIONS
from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file
from tests.support import made_up_encoding as made_up

CONFIG = Path(__file__).parents[2] / "config" / "fits"


def rows(sizes):
    """Rows of two runs by subject and number of mapping images."""
    found = [(run, unit, n) for (run, unit), numbers in sizes.items() for n in numbers]
    return pd.DataFrame(found, columns=["run", "unit", "n_mapping"])


def test_regions_are_ordered_along_the_hierarchy():
    assert encoding_data.in_order(["zeta", ALL_VERTICES, "ventral", "V2", "early", "V1"]) == [
        "V1", "V2", "early", "ventral", ALL_VERTICES, "zeta",
    ]  # fmt: skip
    assert set(encoding_data.REGIONS) >= set(COARSE_REGIONS)


def test_regions_beyond_the_panels_are_named():
    kept, rest = encoding_data.shown(COARSE_REGIONS)
    assert len(kept) == encoding_data.MOST_REGIONS and {"V1", "hV4", "parietal", ALL_VERTICES} <= set(kept)
    assert "EBA" in rest and encoding_data.shown(["V1", "V2"]) == (["V1", "V2"], "")


def test_networks_are_compared_at_the_wanted_number_where_all_have_it():
    table = rows({("a", "s1"): [10, 4500, 8000], ("b", "s1"): [4500, 8000], ("a", "s2"): [4500], ("b", "s2"): [4500]})
    kept, words = encoding_data.at_fixed_size(table)
    assert set(kept["n_mapping"]) == {4500} and len(kept) == 4 and words == "4,500"


def test_without_it_at_the_largest_that_all_have():
    kept, words = encoding_data.at_fixed_size(rows({("a", "s1"): [10, 100, 300], ("b", "s1"): [10, 100]}))
    assert set(kept["n_mapping"]) == {100} and words == "100"


def test_subjects_that_share_no_number_take_their_own_largest():
    table = rows({("a", "s1"): [9841], ("b", "s1"): [9841], ("a", "s2"): [8779], ("b", "s2"): [8779]})
    kept, words = encoding_data.at_fixed_size(table)
    assert len(kept) == 4 and words == "8,779 to 9,841"
    assert encoding_data.at_fixed_size(rows({("a", "s1"): [10], ("b", "s1"): [20]}))[0].empty


def test_a_mean_is_taken_where_all_subjects_are():
    table = rows({("a", "s1"): [10, 100, 300], ("a", "s2"): [10, 100]})
    assert sorted(set(encoding_data.complete(table)["n_mapping"])) == [10, 100]


@given(st.floats(-1, 1), st.floats(-1, 1), st.lists(st.integers(1, 10**6), min_size=2, max_size=8, unique=True))
def test_a_log_linear_curve_has_one_slope_per_decade(a, b, x):
    x = np.sort(np.array(x, dtype=float))
    assert encoding_data.slopes(x, a + b * np.log10(x)) == pytest.approx(b, abs=1e-7)


@given(st.lists(st.floats(1, 1e6), min_size=2, max_size=8, unique=True))
def test_a_slope_stands_between_its_neighbours(x):
    x = np.sort(x)
    assert np.all(
        (encoding_data.geometric_means(x) >= x[:-1] * (1 - 1e-12))
        & (encoding_data.geometric_means(x) <= x[1:] * (1 + 1e-12))
    )


@pytest.fixture(scope="module")
def bundled():
    return encoding_surfaces.fsaverage5()


def test_fsaverage5_has_both_hemispheres_in_every_view(bundled):
    assert [(m.hemisphere, m.view) for m in bundled] == [
        (h, view) for h in ("lh", "rh") for view in ("flat", *encoding_surfaces.VIEWS)
    ]
    assert all(len(m.points) == len(m.sulc) == 10242 for m in bundled)


def test_views_show_the_side_that_they_are_named_for():
    """Of a box without back faces: x right, y front, z up."""
    front = np.array([[1, y, z] for y, z in ((-2, -1), (2, -1), (0, 1))], dtype=float)  # at the right, seen from there
    coordinates = np.vstack([front, front * [-1, 1, 1]])
    faces = np.array([[0, 1, 2], [5, 4, 3]])
    for hemisphere, outer in (("rh", 0), ("lh", 1)):
        seen = {mesh.view: mesh for mesh in encoding_surfaces.views(hemisphere, coordinates, faces, np.zeros(6))}
        assert seen["lateral"].faces.tolist() == [faces[outer].tolist()]
        assert seen["medial"].faces.tolist() == [faces[1 - outer].tolist()]
    # The front of the brain is to the right of a right hemisphere's lateral view, and to the left of a left one's.
    across = {h: encoding_surfaces.views(h, coordinates, faces, np.zeros(6))[0].points[1, 0] for h in ("lh", "rh")}
    assert across["rh"] > 0 > across["lh"]


def test_means_on_the_surface_take_the_vertices_of_its_resolution():
    vertices = pd.DataFrame(
        {"hemisphere": ["lh", "lh", "lh", "rh"], "fsaverage": [3, 3, 10242, 0], "r": [0.2, 0.4, 0.9, 0.05],
         "depth": [0.0, 1.0, 0.5, 0.5], "grid": [4, 8, 4, 4]}
    )  # fmt: skip
    means = encoding_surfaces.on_surface(vertices, 10242)
    assert means["lh"]["r"][3] == pytest.approx(0.3) and means["lh"]["depth"][3] == pytest.approx(0.5)
    assert means["lh"]["grid"][3] == pytest.approx(6) and np.isfinite(means["lh"]["r"]).sum() == 1
    assert means["rh"]["r"][0] == pytest.approx(0.05) and np.isnan(means["rh"]["depth"][0])  # below MIN_R


def test_triangles_without_data_are_grey():
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    mesh = encoding_surfaces.Mesh(
        "lh", "flat", np.zeros((4, 2)), np.array([[0, 1, 2], [2, 3, 3]]), np.array([-1.0, -1, 1, 1])
    )
    hue = ScalarMappable(Normalize(0, 1), "viridis")
    colors = encoding_surfaces.face_colors(mesh, np.array([0.2, 0.4, np.nan, np.nan]), hue)
    assert colors[0] == pytest.approx(hue.to_rgba(0.3)) and np.ptp(colors[1, :3]) == 0


def test_a_picture_shows_the_triangle_in_front_and_nothing_around():
    corners = np.array([[0, 0], [4, 0], [0, 4], [4, 4], [0, 1], [1, 0]], dtype=float)
    mesh = encoding_surfaces.Mesh("lh", "flat", corners, np.array([[0, 1, 2], [0, 5, 4]]), np.zeros(6))
    red, blue = [1.0, 0, 0, 1], [0, 0, 1.0, 1]
    pixels = encoding_surfaces.picture(mesh, np.array([red, blue]))
    size = encoding_surfaces.PIXELS
    assert pixels.shape == (size, size, 4) and pixels[2, -2].tolist() == [255, 255, 255, 0]
    assert pixels[size // 2, size // 4].tolist() == [255, 0, 0, 255]
    assert pixels[-size // 20, size // 20].tolist() == [0, 0, 255, 255]  # drawn later
    again = encoding_surfaces.picture(mesh, np.array([blue, red]))  # of the same triangles, in other colours
    assert again[size // 2, size // 4].tolist() == [0, 0, 255, 255]


def test_a_freesurfer_folder_without_its_files_is_refused_by_name(tmp_path):
    with pytest.raises(DataError) as error:
        encoding_surfaces.fsaverage(tmp_path)
    assert [Path(problem.where).name for problem in error.value.problems] == [
        "lh.inflated", "lh.sulc", "rh.inflated", "rh.sulc",
    ]  # fmt: skip


def test_a_surface_of_another_subject_is_refused(tmp_path):
    from nibabel.freesurfer import write_geometry, write_morph_data

    (tmp_path / "surf").mkdir()
    for hemisphere in encoding_surfaces.HEMISPHERES:
        write_geometry(str(tmp_path / f"surf/{hemisphere}.inflated"), np.eye(3), np.array([[0, 1, 2]]))
        write_morph_data(str(tmp_path / f"surf/{hemisphere}.sulc"), np.zeros(3))
    with pytest.raises(DataError, match="3 and 3 vertices"):
        encoding_surfaces.fsaverage(tmp_path)


@pytest.mark.parametrize("name", ["encoding", "algonauts2023"])
def test_the_laws_of_the_studies_ask_for_regions_that_there_are(name):
    jobs = expand_fits(load_fit_file(CONFIG / f"{name}.yaml"))
    assert {job.settings["filters"]["region"] for job in jobs} <= set(COARSE_REGIONS)
    assert {"n_mapping", "n_params"} <= {job.settings["x"] for job in jobs}


def test_three_sizes_of_a_series_are_not_testable(tmp_path):
    _, table, _, _ = made_up.write_study(tmp_path)
    job = next(j for j in expand_fits(load_fit_file(CONFIG / "algonauts2023.yaml")) if j.name == "params-eva02.V1")
    archs = sorted(run["arch"] for run in made_up.runs() if run["arch"].startswith("eva02"))
    settings = {**job.settings, "filters": {"region": "V1", "n_mapping": 1000, "arch": archs}}
    content, _ = fit_table(read_table(table), settings)
    assert content["status"] == "not testable" and "too few points" in content["reason"]
    assert len(content["points"]["x"]) == 3
