"""`neuroscaling data check tvsd` and `things_fmri` on SIMULATED trees."""

import shutil

from neuroscaling.cli.main import main
from tests.support.simulated_things import ThingsSettings, write_things

FEW = ThingsSettings(concepts=4, exemplars=3, known=3, repetitions=(3, 2), people=("sub-01",))


def test_sound_trees_and_damaged_ones(tmp_path, capsys):
    write_things(tmp_path, FEW)
    images = ["--images", str(tmp_path / "things")]
    for source in ("tvsd", "things_fmri"):
        assert main(["data", "check", source, str(tmp_path / source), *images]) == 0
        assert "no problem found" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "things/object_images/object01")
    (tmp_path / "tvsd/monkeyN/_logs/things_imgs.mat").unlink()
    assert main(["data", "check", "tvsd", str(tmp_path / "tvsd"), "--subjects", "monkeyN", *images]) == 1
    assert "things_imgs.mat: file is missing" in capsys.readouterr().err
    assert main(["data", "check", "things_fmri", str(tmp_path / "things_fmri"), *images]) == 1
    assert "4 of 12 images are missing" in capsys.readouterr().err
