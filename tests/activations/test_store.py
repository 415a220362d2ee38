"""The Zarr store: what goes in comes out, and a store that was cut short or altered is refused."""

import hashlib
import json
import tempfile
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import xarray
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroscaling.activations import shards
from neuroscaling.activations.layout import Layout, group_path
from neuroscaling.activations.manifest import ShardRecord
from neuroscaling.activations.shards import ShardReader, ShardWriter
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import file_sha256

IDS = [f"stimulus-{i}" for i in range(10)]
LAYERS = {"layer1.0": 6, "blocks.3": 3, "global_pool": 1}


def values(n=10, layers=LAYERS, seed=0):
    rng = np.random.default_rng(seed)
    return {layer: rng.standard_normal((n, p)).astype(np.float32) for layer, p in layers.items()}


def in_batches(arrays, size):
    n = len(next(iter(arrays.values())))
    for start in range(0, n, size):
        yield {layer: array[start : start + size] for layer, array in arrays.items()}


def store(folder, arrays=None, ids=IDS, size=4, **options):
    path = Path(folder) / "set.json"
    arrays = values(len(ids)) if arrays is None else arrays
    write_store(path, ids, in_batches(arrays, size), reduction={"kind": "none"}, **options)
    return path


def chunk_file(path, layer="blocks.3"):
    return sorted(file for file in (group_path(path) / layer / "c").rglob("*") if file.is_file())[1]


@settings(max_examples=12)
@given(n=st.integers(1, 200), size=st.integers(1, 70), p=st.integers(1, 40), seed=st.integers(0, 99))
def test_round_trip_is_exact(n, size, p, seed):
    arrays = values(n, {"layer1.0": p, "é layer": 2}, seed)
    with tempfile.TemporaryDirectory() as folder:
        ids = [f"image {i} ü" for i in range(n)]
        stored = open_store(store(folder, arrays, ids, size))
        assert stored.stimulus_ids == ids
        assert stored.layers == list(arrays)
        for layer, array in arrays.items():
            assert stored.read(layer).dtype == np.float32
            np.testing.assert_array_equal(stored.read(layer), array)


def test_rows_come_in_the_order_asked_for(tmp_path):
    arrays = values()
    stored = open_store(store(tmp_path, arrays))
    got = stored.read_rows("blocks.3", [IDS[7], IDS[0], IDS[7]])
    np.testing.assert_array_equal(got, arrays["blocks.3"][[7, 0, 7]])
    with pytest.raises(DataError, match=r"1 stimuli have no stored activations[\s\S]*other"):
        stored.read_rows("blocks.3", ["other"])


def test_xarray_opens_it_with_the_stimulus_ids_as_coordinate(tmp_path):
    arrays = values()
    with xarray.open_zarr(group_path(store(tmp_path, arrays)), consolidated=False) as data:
        assert list(data.coords["stimulus_id"].values) == IDS
        np.testing.assert_array_equal(data["blocks.3"].sel(stimulus_id=IDS[4]).values, arrays["blocks.3"][4])


def test_manifest_says_what_is_stored(tmp_path):
    manifest = json.loads(store(tmp_path, facts={"weights_sha256": "ab"}).read_text())
    assert manifest["format"] == "activations/3"
    assert manifest["weights_sha256"] == "ab"
    assert [(entry["name"], entry["shape"]) for entry in manifest["layers"]] == [
        (k, [10, p]) for k, p in LAYERS.items()
    ]


def test_a_missing_file_is_named(tmp_path):
    path = store(tmp_path)
    chunk = chunk_file(path)
    chunk.unlink()
    with pytest.raises(DataError, match="missing") as error:
        open_store(path).read("blocks.3")
    assert str(chunk) in str(error.value)
    assert "layer blocks.3" in str(error.value)
    assert open_store(path).read("layer1.0").shape == (10, 6)


def test_a_truncated_file_is_named(tmp_path):
    path = store(tmp_path)
    chunk = chunk_file(path)
    chunk.write_bytes(chunk.read_bytes()[:-7])
    with pytest.raises(DataError, match="cut short or altered") as error:
        open_store(path).read("blocks.3")
    assert str(chunk) in str(error.value)


def test_an_altered_value_is_found(tmp_path):
    path = store(tmp_path)
    other = store(tmp_path / "other", values(seed=1))
    chunk_file(path).write_bytes(chunk_file(other).read_bytes())
    with pytest.raises(DataError, match=r"layer blocks\.3"):
        open_store(path).read("blocks.3")


def test_altered_stimulus_ids_are_found(tmp_path):
    path, other = store(tmp_path), store(tmp_path / "other", ids=IDS[::-1])
    (group_path(path) / "stimulus_id/c/0").write_bytes((group_path(other) / "stimulus_id/c/0").read_bytes())
    with pytest.raises(DataError, match="altered, by its sha256") as raised:
        open_store(path)
    assert "stimulus_id/c/0" in str(raised.value)


def test_nan_is_refused_with_layer_and_count_and_the_old_store_stays(tmp_path):
    arrays = values()
    path = store(tmp_path, arrays)
    broken = values()
    broken["blocks.3"][2, 1] = np.nan
    broken["blocks.3"][3, 0] = np.inf
    with pytest.raises(DataError, match=r"layer blocks\.3: 2 of 12 activations are NaN or infinite"):
        store(tmp_path, broken)
    np.testing.assert_array_equal(open_store(path).read("blocks.3"), arrays["blocks.3"])
    assert {file.name for file in tmp_path.iterdir()} == {"set.json", "set.zarr"}


def test_unknown_layer_comes_with_the_nearest(tmp_path):
    with pytest.raises(DataError, match=r"no such layer[\s\S]*nearest:  layer1\.0"):
        open_store(store(tmp_path)).read("layer1.1")


@pytest.mark.parametrize("n", [9, 11])
def test_too_few_or_too_many_rows_leave_nothing(tmp_path, n):
    with pytest.raises(DataError, match=r"fewer activations|doesn't fit"):
        write_store(tmp_path / "set.json", IDS, in_batches(values(n), 4), reduction={"kind": "none"})
    assert list(tmp_path.iterdir()) == []


def test_repeated_stimulus_ids_are_refused(tmp_path):
    with pytest.raises(DataError, match="1 stimulus ids come twice"):
        store(tmp_path, ids=[*IDS[:9], IDS[0]])


def test_other_files_are_refused(tmp_path):
    path = store(tmp_path)
    with pytest.raises(DataError, match="missing"):
        open_store(tmp_path / "none.json")
    (tmp_path / "other.json").write_text('{"format": "run/1"}')
    with pytest.raises(DataError, match=r"another format[\s\S]*run/1[\s\S]*activations/3"):
        open_store(tmp_path / "other.json")
    path.rename(tmp_path / "alone.json")
    with pytest.raises(DataError, match="the activations are missing"):
        open_store(tmp_path / "alone.json")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("codec", ["zstd", "none"])
def test_zarr_itself_reads_every_type_and_codec(dtype, codec, tmp_path):
    # 5,000 features are two chunks, 70 stimuli in batches of 32 three shards, the last of them not full.
    arrays = {layer: array.astype(dtype) for layer, array in values(70, {"wide": 5000, "narrow": 3}).items()}
    path = store(tmp_path, arrays, [f"s{i}" for i in range(70)], 32, codec=codec)
    group = zarr.open_group(group_path(path), mode="r")
    for layer, array in arrays.items():
        assert group[layer].dtype == dtype and open_store(path).read(layer).dtype == dtype
        np.testing.assert_array_equal(group[layer][:], array)
        np.testing.assert_array_equal(group[layer][60:, -1], array[60:, -1])
        np.testing.assert_array_equal(np.concatenate(list(open_store(path).blocks(layer)), 1), array)
    assert len(list((group_path(path) / "wide/c").iterdir())) == 3


def test_rows_that_are_not_there_are_nan_for_zarr(tmp_path):
    path = store(tmp_path)
    chunk_file(path).unlink()
    values = zarr.open_group(group_path(path), mode="r")["blocks.3"][:]
    assert np.isnan(values).any(1).sum() == 4


def test_a_shard_that_lacks_a_chunk_is_refused_and_nan_for_zarr(tmp_path):
    """By a writer that left it out: the checksums are those of the file as it is."""
    arrays = values(70, {"wide": 5000})
    path = store(tmp_path, arrays, [f"s{i}" for i in range(70)], 32, codec="none")
    file, layout = group_path(path) / "wide/c/1/0", open_store(path).manifest.layer("wide").layout
    index = np.frombuffer(file.read_bytes()[: -shards.CRC][-16 * int(np.prod(layout.grid)) :], "<u8").copy()
    index[:2] = shards.ABSENT
    chunks = file.read_bytes()[: -index.nbytes - shards.CRC]
    crcs = [chunks[start + size - shards.CRC : start + size] for start, size in index[2:].reshape(-1, 2).tolist()]
    tail = index.tobytes() + google_crc32c.value(index.tobytes()).to_bytes(shards.CRC, "little")
    file.write_bytes(chunks + tail)
    record = ShardRecord(file.stat().st_size, f"{_extended([*crcs, tail[-shards.CRC :]]):08x}")
    assert not ShardReader(file, layout, 1, record).read(np.empty((32, 5000), np.float32))
    shown = zarr.open_group(group_path(path), mode="r")["wide"][:]
    assert np.isnan(shown[32:64]).sum() == 32 * layout.chunk[1] and not (shown == 0).any()


def _extended(crcs):
    total = 0
    for crc in crcs:
        total = google_crc32c.extend(total, crc)
    return total


def test_every_flip_in_a_store_is_refused_or_changes_nothing(tmp_path):
    arrays = values()
    path = store(tmp_path, arrays, keep="both")
    whole = open_store(path)
    grams = {layer: whole.gram(layer).products for layer in arrays}
    files = sorted(file for file in tmp_path.rglob("*") if file.is_file())
    assert {"set.json", "zarr.json", "0"} == {file.name for file in files}
    for file in files:
        content = file.read_bytes()
        for at in range(0, len(content), max(len(content) // 12, 1)):
            file.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
            try:
                stored = open_store(path)
                assert stored.manifest.record == whole.manifest.record and stored.stimulus_ids == IDS
                for layer, array in arrays.items():
                    np.testing.assert_array_equal(stored.read(layer), array)
                    np.testing.assert_array_equal(stored.gram(layer).products, grams[layer])
                stored.verify()
            except DataError as error:
                assert str(tmp_path) in str(error)
            else:
                assert file == path or file.name == "zarr.json", (file, at)  # white space, groups that none reads
        file.write_bytes(content)
    whole.verify()


def test_an_altered_metadata_file_of_a_layer_is_named_with_both_sums(tmp_path):
    path = store(tmp_path)
    file = group_path(path) / "blocks.3" / "zarr.json"
    before = file.read_bytes()
    file.write_bytes(before.replace(b"float32", b"float64"))
    with pytest.raises(DataError, match="altered, by its sha256") as raised:
        open_store(path).read("blocks.3")
    text = str(raised.value)
    assert hashlib.sha256(before).hexdigest() in text and file_sha256(file) in text and "run again" in text
    assert open_store(path).read("layer1.0").shape == (10, 6)


@pytest.mark.parametrize("keep", ["features", "gram", "both"])
def test_gram_is_that_of_the_features_whatever_is_kept(keep, tmp_path):
    arrays = values(40, {"wide": 5000, "narrow": 3})
    stored = open_store(store(tmp_path, arrays, [f"s{i}" for i in range(40)], 16, keep=keep))
    for layer, array in arrays.items():
        exact = array.astype(np.float64)
        gram = stored.gram(layer)
        np.testing.assert_allclose(gram.products, exact @ exact.T, rtol=1e-12, atol=1e-9)
        np.testing.assert_allclose(gram.sums, exact.sum(1), rtol=1e-12, atol=1e-9)
        assert gram.n_features == array.shape[1] and stored.shape(layer) == array.shape
        assert stored.keeps(layer, "features") == (keep != "gram") and stored.keeps(layer, "gram") == (
            keep != "features"
        )
    stored.verify()
    if keep == "gram":
        with pytest.raises(DataError, match=r"only inner products are kept[\s\S]*keep: both"):
            stored.read("wide")


def test_an_altered_gram_is_named(tmp_path):
    path = store(tmp_path, keep="gram")
    file = group_path(path) / "gram/blocks.3/c/0/0"
    content = bytearray(file.read_bytes())
    content[5] ^= 1
    file.write_bytes(content)
    with pytest.raises(DataError, match="cut short or altered") as error:
        open_store(path).gram("blocks.3")
    assert str(file) in str(error.value)


def test_a_layer_is_few_files_and_batches_end_where_shards_do():
    for n, batch in [(3200, 64), (22248, 64), (1000, 37), (70, 64), (10, 64), (5000, 101)]:
        layout = Layout.of(n, 5000, batch=batch)
        assert layout.shards <= 16 and layout.rows(layout.shards - 1)[1] == n
        assert layout.shards == 1 or layout.shard_rows % batch == 0
        assert layout.shard_rows % layout.chunk[0] == 0 and layout.chunk[1] * layout.grid[1] - 5000 < layout.grid[1]


def test_rows_may_come_in_any_portions(tmp_path):
    array = values(100, {"a": 7})["a"]
    layout = Layout.of(100, 7, batch=16)
    writer = ShardWriter(tmp_path / "0", layout, 0)
    first, stop = layout.rows(0)
    for start in range(first, stop, 5):
        writer.append(array[start : min(start + 5, stop)])
    record = writer.close()
    read = np.empty((stop - first, 7), np.float32)
    assert ShardReader(tmp_path / "0", layout, 0, record).read(read)
    np.testing.assert_array_equal(read, array[first:stop])
    with pytest.raises(DataError, match="fewer rows"):
        ShardWriter(tmp_path / "1", layout, 0).close()
    assert [file.name for file in tmp_path.iterdir()] == ["0"]
