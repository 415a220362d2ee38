"""Images as they come: every way to the pixels gives the same ones, and what has no pixels is refused by name."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets.folder import pil_loader

from neuroscaling.activations.stimulus_images import Preprocessing
from neuroscaling.core.errors import DataError
from neuroscaling.core.images import ImageFile, is_plain_jpeg
from neuroscaling.datasets.decode import decode, square, squares_file
from neuroscaling.datasets.split import DatasetIndex, FileSource
from neuroscaling.stimuli.manifest import image_files
from neuroscaling.stimuli.preparation import prepare_stimuli
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.stimulus_sources import ImageFolder
from tests.support.photographs import photographs


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


def with_segment(marker, content):
    """A JPEG with one more segment after its first two bytes."""

    def write(picture):
        file = io.BytesIO()
        picture.save(file, "JPEG")
        segment = bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content
        return file.getvalue()[:2] + segment + file.getvalue()[2:]

    return write


def with_bytes_at_the_end(picture):
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return file.getvalue() + bytes(400) + b"<html>"


def with_fill_bytes(picture):
    file = io.BytesIO()
    picture.save(file, "JPEG")
    return file.getvalue()[:2] + b"\xff\xff" + file.getvalue()[2:]


BAD_EXIF = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0x10F, 2, 4718592, 0x7FFFFFFF) + bytes(4)
FILES = {
    "bad exif.jpg": with_segment(0xE1, BAD_EXIF),
    "bad xmp.jpg": with_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x \xa8\xff\xfe/>"),
    "comment that looks like a frame.jpg": with_segment(0xFE, b"\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03"),
    "bytes at the end.jpg": with_bytes_at_the_end,
    "bytes of filling.jpg": with_fill_bytes,
}


@pytest.mark.parametrize("name", FILES)
def test_odd_jpegs_have_the_pixels_of_torchvisions_image_folder(picture, tmp_path, name):
    (tmp_path / name).write_bytes(FILES[name](picture))
    source, expected = source_of(tmp_path, name), np.asarray(pil_loader(str(tmp_path / name)))
    assert is_plain_jpeg(source.encoded(0))
    np.testing.assert_array_equal(source.decoded(0), expected)
    np.testing.assert_array_equal(decode(source, 0).permute(1, 2, 0).numpy(), expected)


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
    "mpo.jpg": lambda picture: (picture, {"format": "MPO", "save_all": True, "append_images": [picture]}),
    "one pixel.jpg": lambda picture: (picture.resize((1, 1)), {}),
}


@pytest.mark.parametrize("name", CASES)
def test_both_decoders_give_the_pixels_of_torchvisions_image_folder(picture, tmp_path, name):
    image, options = CASES[name](picture)
    image.save(tmp_path / name, **options)
    source, expected = source_of(tmp_path, name), np.asarray(pil_loader(str(tmp_path / name)))
    np.testing.assert_array_equal(source.decoded(0), expected)
    np.testing.assert_array_equal(decode(source, 0).permute(1, 2, 0).numpy(), expected)


# --- one reader for training, stimuli and extraction

RAMP = np.array([0, 64, 129, 194, 255], np.uint8)


def grey_tiff(path, bits, photometric, values):
    """An uncompressed grey TIFF of one row, whose values are packed by the caller."""
    tags = {256: len(RAMP), 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: 1, 279: len(values)}
    start = 8 + len(values)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path.write_bytes(b"II*\0" + struct.pack("<I", start) + values + struct.pack("<H", len(tags)) + entries + bytes(4))


def colours_of_16_bits(path):
    """An RGB PNG of 16 bits a channel, which PIL can't write."""
    rows = b"\0" + b"".join(struct.pack(">HHH", *[int(value) * 257] * 3) for value in RAMP)
    header = struct.pack(">IIBBBBB", len(RAMP), 1, 16, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    whole = [struct.pack(">I", len(p)) + name + p + struct.pack(">I", zlib.crc32(name + p)) for name, p in parts]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(whole))


def saved(values, mode=None, **options):
    def write(path):
        image = Image.fromarray(values)
        (image.convert(mode) if mode else image).save(path, **options)

    return write


DEEP = RAMP.astype(np.uint16)[None] * 257
SHOWN = {
    "8 bits.png": saved(RAMP[None]),
    "16 bits.png": saved(DEEP),
    "16 bits.tif": saved(DEEP),
    "16 bits from the other end.tif": saved(DEEP.astype(">u2")),
    "16 bits from white.tif": lambda path: grey_tiff(path, 16, 0, (65535 - DEEP[0]).astype("<u2").tobytes()),
    "12 bits.tif": lambda path: grey_tiff(path, 12, 1, packed_twelve(RAMP.astype(int) * 16)),
    "colours of 16 bits.png": colours_of_16_bits,
    "palette.png": saved(RAMP[None], "P"),
    "with alpha.png": saved(RAMP[None], "LA"),
    "cmyk.tif": saved(np.repeat(RAMP[None, :, None], 3, 2), "CMYK"),
}


def packed_twelve(values):
    """Twelve bits a value, two values in three bytes."""
    bits = "".join(f"{value:012b}" for value in values)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))


def prepared(tmp_path, name, degrees):
    """The stored image of a set of one stimulus of 8 degrees, for a screen of `degrees`."""
    (tmp_path / "table.csv").write_text(f"stimulus_id,filename\na,{name}\n")
    source = ImageFolder(tmp_path, tmp_path / "table.csv", tmp_path, 8.0)
    return image_files(prepare_stimuli(StimuliJob(tmp_path / f"set-{degrees}", (source,), degrees)))["a"]


@pytest.mark.parametrize("name", SHOWN)
def test_every_reader_shows_a_ramp_as_that_of_eight_bits(tmp_path, name):
    SHOWN[name](tmp_path / name)
    source = source_of(tmp_path, name)
    assert source.decoded(0)[0].tolist() == decode(source, 0).permute(1, 2, 0)[0].tolist() == [[v] * 3 for v in RAMP]
    enlarged = np.asarray(Image.open(prepared(tmp_path, name, 16.0).path))
    assert enlarged[enlarged[:, :, 0] != 128].tolist() == [[v] * 3 for v in RAMP]
    stored = prepared(tmp_path, name, None)
    resized = Image.fromarray(np.repeat(RAMP[None, :, None], 3, 2)).resize((10, 10), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(Preprocessing(10).load(stored), np.asarray(resized))


def float_tiff(path):
    Image.fromarray(np.random.default_rng(0).random((9, 9), np.float32)).save(path)


def whole_numbers_of_32_bits(path):
    Image.fromarray(np.full((9, 9), 70_000, np.int32)).save(path)


def bomb(path):
    """A grey PNG whose header says 20,000 x 20,000 pixels."""
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 20_000, 20_000)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def jpeg_bomb(path):
    """A JPEG whose header says 20,000 x 20,000 pixels; the decoders of JPEG fill up what is missing."""
    Image.new("L", (8, 8)).save(path)
    content = path.read_bytes()
    at = content.index(b"\xff\xc0")
    path.write_bytes(content[: at + 5] + struct.pack(">HH", 20_000, 20_000) + content[at + 9 :])


REFUSED = {
    "float.tif": (float_tiff, r"its values \(PIL's mode F\) have no known range"),
    "32.tif": (whole_numbers_of_32_bits, r"its values \(PIL's mode I\) have no known range"),
    "bomb.png": (bomb, "more than 178956970 pixels"),
    "bomb.jpg": (jpeg_bomb, "more than 178956970 pixels"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_reader_refuses_what_eight_bits_cannot_show(tmp_path, name):
    write, why = REFUSED[name]
    write(tmp_path / name)
    source = source_of(tmp_path, name)
    readers = (
        lambda: source.decoded(0),
        lambda: decode(source, 0),
        lambda: prepared(tmp_path, name, 8.0),
        lambda: Preprocessing(8).load(ImageFile(tmp_path / name)),
    )
    for read in readers:
        with pytest.raises(DataError, match=f"{name}: image can't be decoded: .*{why}"):
            read()


@pytest.mark.parametrize("name", ["rgb.jpg", "cmyk.jpg"])
def test_a_cmyk_image_is_cut_and_padded_like_that_of_rgb(picture, tmp_path, name):
    picture.convert("CMYK" if name == "cmyk.jpg" else "RGB").save(tmp_path / name)
    whole = np.asarray(pil_loader(str(tmp_path / name)))
    height, width = whole.shape[:2]
    cut = np.asarray(Image.open(prepared(tmp_path, name, 4.0).path))
    top, left = round((height - height / 2) / 2), round((width - width / 2) / 2)
    np.testing.assert_array_equal(cut, whole[top : top + cut.shape[0], left : left + cut.shape[1]])
    padded = np.asarray(Image.open(prepared(tmp_path, name, 16.0).path))
    np.testing.assert_array_equal(padded[height // 2 :, width // 2 :][:height, :width], whole)


def test_a_named_pipe_is_no_image_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(DataError, match=r"pipe.png: image can't be read: it is no regular file"):
        decode(source_of(tmp_path, "pipe.png"), 0)


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
