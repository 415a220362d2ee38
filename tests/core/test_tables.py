"""Tables that users give: text as it is written, and one message for whatever is wrong with a file."""

import csv

import numpy as np
import pytest
from PIL import Image

from neuroscaling.core.errors import DataError
from neuroscaling.core.images import rgb_pixels
from neuroscaling.core.table_files import read_text_table, text_table_frame
from neuroscaling.stimuli.stimulus_table import read_stimulus_table

AWKWARD = ["NA", "null", "None", "nan", "", "1e5", "007", "a;b", "a,b", 'say "x"', "line\nbreak", " a ", "größe", "-"]


def written(path, rows, delimiter=",", encoding="utf-8"):
    with open(path, "w", newline="", encoding=encoding) as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_come_back_as_they_are_written(tmp_path, delimiter, encoding):
    rows = [[f"s{i}", cell] for i, cell in enumerate(AWKWARD)]
    path = written(tmp_path / "a.csv", [["name", "cell"], *rows], delimiter, encoding)
    table = read_text_table(path, ("name",))
    assert table.columns == ["name", "cell"] and table.column("cell") == AWKWARD
    assert text_table_frame(table, ["cell"])["cell"].tolist() == AWKWARD
    line_break = AWKWARD.index("line\nbreak")
    assert table.lines[: line_break + 2] == [*range(2, line_break + 3), line_break + 4]


def test_columns_of_numbers_are_numbers_and_gaps_where_they_are_asked_for(tmp_path):
    rows = [["whole", "with gap", "mixed", ""], ["1", "2.5", "1", "0"], ["20", "", "NA", "1"]]
    table = read_text_table(written(tmp_path / "a.csv", rows))
    assert text_table_frame(table)["whole"].tolist() == [1, 20]
    assert text_table_frame(table)["with gap"].tolist() == ["2.5", ""] and text_table_frame(table)[
        "mixed"
    ].tolist() == ["1", "NA"]
    assert np.isnan(text_table_frame(table, gaps=True)["with gap"][1]) and text_table_frame(table)[
        "Unnamed: 3"
    ].tolist() == [0, 1]


def test_empty_columns_at_the_end_do_not_count(tmp_path):
    path = written(
        tmp_path / "a.csv", [["stimulus_id", "filename", "", ""], ["a", "a.png", "", ""], ["b", "b.png", "", ""]]
    )
    assert read_stimulus_table(path).rows == [{"stimulus_id": s, "filename": f"{s}.png"} for s in "ab"]


def damaged(content, rng):
    """`content` with bytes flipped, cut out, or put in."""
    data = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(0, max(1, len(data))))
        match rng.integers(0, 4):
            case 0:
                data[at : at + 1] = bytes([rng.integers(0, 256)])
            case 1:
                del data[at : at + int(rng.integers(1, 40))]
            case 2:
                data[at:at] = rng.bytes(int(rng.integers(1, 9)))
            case 3:
                data[at : at + 1] = rng.choice(np.frombuffer(b'";,\n\r\t\0\xff', np.uint8), 1).tobytes()
    return bytes(data)


def test_damaged_tables_are_read_or_refused(tmp_path):
    rows = [["stimulus_id", "filename", "category"], *([f"s{i}", f"{i}.png", f"c{i % 3}"] for i in range(8))]
    content = written(tmp_path / "a.csv", rows, ";").read_bytes()
    rng, refused = np.random.default_rng(0), 0
    for _ in range(400):
        (tmp_path / "b.csv").write_bytes(damaged(content, rng))
        try:
            table = read_stimulus_table(tmp_path / "b.csv")
        except DataError as error:
            assert str(tmp_path / "b.csv") in str(error)
            refused += 1
        else:
            assert len({*table.column("stimulus_id")}) == len(table.rows) and all(table.column("filename"))
    assert 40 < refused < 400


FORMATS = {
    "png": {},
    "jpeg": {"quality": 90},
    "gif": {},
    "webp": {},
    "tiff": {"compression": "tiff_lzw"},
    "bmp": {},
    "ppm": {},
}


@pytest.mark.parametrize("kind", FORMATS)
def test_damaged_images_are_decoded_or_refused(tmp_path, kind):
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 256, (24, 20, 3), dtype=np.uint8))
    picture.save(tmp_path / f"a.{kind}", kind, **FORMATS[kind])
    content = (tmp_path / f"a.{kind}").read_bytes()
    assert rgb_pixels(content, "a").shape == (24, 20, 3)
    refused = 0
    for _ in range(60):
        try:
            found = rgb_pixels(damaged(content, rng), "some image")
        except DataError as error:
            assert str(error).startswith("some image: image can't be decoded: ")
            refused += 1
        else:
            assert found.dtype == np.uint8 and found.shape[2] == 3
    assert refused > 0
