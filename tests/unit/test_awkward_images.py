"""Images as they come: every way to the pixels gives the same ones, and what has no pixels is refused by name."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets.folder import pil_loader

from neuroscaling.datasets.decode import decode, square, squares_file
from neuroscaling.datasets.readers import FileSource
from neuroscaling.datasets.split import DatasetIndex
from neuroscaling.errors import DataError
from tests.unit.photographs import photographs


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    return Image.open(photographs(tmp_path_factory.mktemp("photographs"), 1) / "train/china/00.jpg").copy()


def source_of(folder, name):
    return FileSource(DatasetIndex("some", "train", [name], np.zeros(1, np.int64), ["a"], ""), folder)


def turned(picture):
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x112] = 6  # the camera was turned
    picture.save(file, "JPEG", exif=exif)
    return Image.open(file), {"exif": exif}


CASES = {
    "a.JPEG": lambda picture: (picture, {}),
    "grey.jpg": lambda picture: (picture.convert("L"), {}),
    "cmyk.jpg": lambda picture: (picture.convert("CMYK"), {}),
    "progressive.jpg": lambda picture: (picture, {"progressive": True}),
    "turned.jpg": turned,
    "png in disguise.JPEG": lambda picture: (picture, {"format": "PNG"}),
    "alpha.png": lambda picture: (picture.convert("RGBA"), {}),
    "palette.PNG": lambda picture: (picture.convert("P"), {"transparency": 3}),
    "one bit.png": lambda picture: (picture.convert("1"), {}),
    "größe.webp": lambda picture: (picture, {}),
    "line\nbreak.tif": lambda picture: (picture, {}),
    "one pixel.jpg": lambda picture: (picture.resize((1, 1)), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_both_decoders_give_the_pixels_of_torchvisions_image_folder(picture, tmp_path, name):
    image, options = CASES[name](picture)
    image.save(tmp_path / name, **options)
    source, expected = source_of(tmp_path, name), np.asarray(pil_loader(str(tmp_path / name)))
    np.testing.assert_array_equal(source.decoded(0), expected)
    np.testing.assert_array_equal(decode(source, 0).permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_of_sixteen_bits_the_upper_eight_are_kept(picture, tmp_path, name):
    grey = np.asarray(picture.convert("L"))
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / name)
    np.testing.assert_array_equal(source_of(tmp_path, name).decoded(0)[:, :, 1], grey)


def test_values_without_a_range_are_refused(tmp_path):
    Image.fromarray(np.random.default_rng(0).random((9, 9), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(DataError, match=r"float.tif: image can't be decoded: its values \(PIL's mode F\)"):
        decode(source_of(tmp_path, "float.tif"), 0)


@pytest.mark.parametrize("kept", [0, 2, 300, -2])
def test_both_decoders_refuse_what_is_cut_short(picture, tmp_path, kept):
    picture.save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:kept])
    source = source_of(tmp_path, "a.jpg")
    for way in (source.decoded, lambda row: decode(source, row)):
        with pytest.raises(DataError, match=r"a.jpg: image can't be decoded"):
            way(0)


def test_a_file_that_is_gone_is_not_called_damaged(tmp_path):
    with pytest.raises(DataError, match="image can't be read: No such file or directory"):
        decode(source_of(tmp_path, "gone.jpg"), 0)


def test_of_a_very_long_image_only_the_middle_is_made_larger():
    strip = torch.zeros((3, 40_000, 1), dtype=torch.uint8)  # 20 GB at its whole length
    strip[:, 19_900:20_100] = 200
    assert square(strip, 224).eq(200).all()
    ordinary = torch.arange(3 * 32 * 4, dtype=torch.int32).to(torch.uint8).view(3, 32, 4)
    assert torch.equal(square(ordinary, 4), ordinary[:, 14:18])


def test_squares_take_their_room_on_the_disk_at_once(tmp_path):
    out = squares_file(tmp_path / "some.npy", 50, 64)
    assert out.shape == (50, 64, 64, 3) and (tmp_path / "some.npy").stat().st_blocks * 512 >= out.nbytes
