"""The report's section of scores during training: what it takes of a table, its words, and where it is left out."""

import re

import pandas as pd
import pytest

from neuroscaling.core.score_table import COLUMNS
from neuroscaling.report.dynamics_section import dynamics, dynamics_row, dynamics_section, layer_sentence, region_name


def scores_during_training(epochs=(1, 2, 4), images=(100, 1000), simulated=True):
    """Two families at two numbers of images, scored on two regions of two subjects, and an untrained network of one."""
    rows = []
    for arch, family in (("resnet_w8", "ResNet"), ("vit_w16", "ViT")):
        for n in images:
            training = f"{arch}_digits_{n}"
            for epoch in epochs:
                run = training if epoch == epochs[-1] else f"{training}_ep{epoch}"
                known = {"trajectory": training, "epoch": epoch, "n_samples_seen": n * epoch, "run": run}
                rows.append(known | {"arch": arch, "arch_family": family, "score": 0.2 + 0.01 * epoch})
    untrained = {"run": "u", "trajectory": "u", "epoch": 0, "n_samples_seen": 0, "arch": "resnet_w8", "score": 0.1}
    rows.append(untrained | {"kind": "untrained"})
    common = {"kind": "trained", "data": "d", "benchmark": "b", "metric": "ridge", "n_mapping": 90, "scale": "r2/c"}
    common |= {"simulated": simulated, "protocol": "corrected", "layer": "layer3", "samples_per_class": 0, "seed": 0}
    common |= dict.fromkeys(("is_pretrained", "is_random", "is_ssl", "is_adv"), False)
    each = [("V1", "s1"), ("V1", "s2"), ("IT", "s1"), ("IT", "s2")]
    shift = {"s1": 0.0, "s2": 0.1}
    full = [
        {**common, **row, "region": region, "subject": subject, "score": row["score"] + shift[subject]}
        for row in rows
        for region, subject in each
    ]
    return pd.DataFrame(full, columns=list(COLUMNS)).astype(COLUMNS)


def test_a_line_is_a_training_in_the_order_of_its_epochs_and_begins_untrained():
    table = scores_during_training()
    few = table.assign(n_mapping=10.0, score=0.0)
    found = dynamics(pd.concat([few, table.sample(frac=1, random_state=0)]))
    assert {region_name(own, found) for own in found} == {"V1", "IT"} and not found[0].untrained.keys() - {"resnet_w8"}
    for own in found:
        assert len(own.trainings) == 4 and set(own.starts) == {"resnet_w8_digits_100", "resnet_w8_digits_1000"}
        assert own.starts["resnet_w8_digits_100"] == pytest.approx(0.15)
        for one in own.trainings:
            assert one["epoch"].tolist() == [1, 2, 4]
            assert one["score"].tolist() == pytest.approx([0.26, 0.27, 0.29]), "means over two subjects"
    row = dynamics_row(found[0], found)
    assert (row["trainings"], row["epochs scored"], row["an earlier epoch is best"]) == ("4", "3", "0 of 4")
    assert (row["untrained"], row["first epoch"], row["last epoch"]) == ("0.150", "0.260", "0.290")


def test_an_epoch_that_lacks_a_subject_is_no_point_and_scores_of_one_region_are_told_apart():
    table = scores_during_training()
    lacking = (table["epoch"] == 2) & (table["subject"] == "s2")
    assert all(one["epoch"].tolist() == [1, 4] for own in dynamics(table[~lacking]) for one in own.trainings)
    both = dynamics(pd.concat([table, table.assign(metric="pls")]))
    assert {region_name(own, both) for own in both} == {"V1, ridge", "V1, pls", "IT, ridge", "IT, pls"}


def test_whether_layers_move_is_said():
    table = scores_during_training()
    assert layer_sentence(dynamics(table)).startswith("All epochs")
    moved = table.assign(layer=table["layer"].mask((table["epoch"] == 1) & (table["arch"] == "vit_w16"), "blocks.0"))
    assert layer_sentence(dynamics(moved)).startswith("In 4 of 8 curves the layer differs")
    assert layer_sentence(dynamics(table.assign(layer=None))) == ""


@pytest.mark.parametrize(("images", "simulated", "pictures"), [((100, 1000), True, 2), ((100,), False, 1)])
def test_the_section_says_what_its_figures_show(tmp_path, images, simulated, pictures):
    """Where an epoch is as many images for all, one axis tells both."""
    section = dynamics_section(scores_during_training(images=images, simulated=simulated), tmp_path / "dynamics")
    names = ["dynamics-images", "dynamics-epochs"][:pictures]
    assert {path.stem for path in (tmp_path / "dynamics").iterdir()} == set(names)
    assert section.html.count("data:image/svg+xml") == pictures and section.links == [("dynamics", "Dynamics")]
    alt = re.findall(r'alt="([^"]+)"', section.html)
    assert len(alt) == pictures and all(("SIMULATED" in text) == simulated for text in alt)
    assert all("untrained network of the same architecture" in text for text in alt)
    assert len(set(re.findall(r'id="([^"]+)"', section.html))) == 1 + pictures


def test_tables_without_trainings_at_several_epochs_have_no_section(tmp_path):
    table = scores_during_training(epochs=(4,))
    assert dynamics_section(table, tmp_path) is None and not list(tmp_path.iterdir())
    assert dynamics(scores_during_training().drop(columns="trajectory")) == []
