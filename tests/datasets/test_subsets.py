"""Subsets are nested, balanced, independent of file order, and verified when they are read."""

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import ArtefactName, key_of
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.split import DatasetIndex
from neuroscaling.datasets.subset_file import METADATA, read_subset, write_subset
from neuroscaling.datasets.subset_sampling import draw, draw_token, validation_rows


def an_index(class_sizes, order=None):
    ids = [f"{label}/{i:03d}.png" for label, size in enumerate(class_sizes) for i in range(size)]
    labels = np.repeat(np.arange(len(class_sizes)), class_sizes).astype(np.int64)
    order = np.arange(len(ids)) if order is None else order
    names = [str(label) for label in range(len(class_sizes))]
    return DatasetIndex("some", "train", [ids[i] for i in order], labels[order], names, "00000000")


def chosen_ids(index, rows):
    return {index.image_ids[row] for row in rows}


sizes = st.lists(st.integers(3, 12), min_size=2, max_size=5)


@settings(max_examples=40)
@given(sizes, st.integers(0, 5))
def test_subsets_are_nested_and_balanced(class_sizes, seed):
    index = an_index(class_sizes)
    previous = set()
    for k in (1, 2, 3):
        rows = draw(index, k, seed)
        assert np.bincount(index.labels[rows]).tolist() == [k] * len(class_sizes)
        assert len(set(rows.tolist())) == len(rows)
        assert previous <= chosen_ids(index, rows)
        previous = chosen_ids(index, rows)
    assert previous <= chosen_ids(index, draw(index, "all", seed))


@settings(max_examples=40)
@given(sizes, st.integers(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_files_does_not_matter(class_sizes, seed, random):
    order = list(range(sum(class_sizes)))
    random.shuffle(order)
    straight, shuffled = an_index(class_sizes), an_index(class_sizes, np.array(order))
    assert chosen_ids(straight, draw(straight, 2, seed)) == chosen_ids(shuffled, draw(shuffled, 2, seed))


def test_another_seed_draws_other_images():
    index = load_index("digits", DatasetSettings("digits"), "train")
    assert chosen_ids(index, draw(index, 10, 0)) != chosen_ids(index, draw(index, 10, 1))


@settings(max_examples=40)
@given(sizes, st.integers(0, 5))
def test_subsets_of_images_and_of_classes_are_nested(class_sizes, seed):
    index = an_index(class_sizes)
    previous = set()
    for n in (1, 4, sum(class_sizes)):
        found = chosen_ids(index, draw_token(index, f"n{n}", seed))
        assert len(found) == n and previous <= found
        previous = found
    previous = set()
    for n in range(1, len(class_sizes) + 1):
        rows = draw_token(index, f"c{n}", seed)
        chosen = set(index.labels[rows].tolist())
        assert len(chosen) == n and previous <= chosen
        assert len(rows) == sum(class_sizes[label] for label in chosen)
        previous = chosen


def test_images_are_ranked_by_the_hash_of_seed_and_id():
    index = an_index([6, 5])
    ranked = sorted(index.image_ids[:6], key=lambda name: hashlib.sha256(f"4\0{name}".encode()).hexdigest())
    assert chosen_ids(index, draw(index, 2, 4)) & set(index.image_ids[:6]) == set(ranked[:2])


@pytest.mark.parametrize("seed", [0, 3])
def test_published_subsets_are_those_of_the_global_generator(seed):
    # The draw of the published study, written down: classes as they first appear, one choice for each.
    labels = np.array([2, 0, 2, 1, 0, 1, 2, 0, 1, 2])
    index = DatasetIndex("some", "train", [f"i{i}" for i in range(10)], labels, ["a", "b", "c"], "00000000")
    np.random.seed(seed)
    expected = [np.random.choice(np.flatnonzero(labels == label), 2, replace=False) for label in (2, 0, 1)]
    assert draw_token(index, "p2", seed).tolist() == sorted(np.concatenate(expected).tolist())


@pytest.mark.parametrize(
    "token, expected",
    [
        ("n9", "there are 8 images"),
        ("n0", "1 to 8"),
        ("c3", "there are 2 classes with images"),
        ("p4", "class `1` has only 3 images"),
        ("x3", "this names no subset"),
        ("10.5", "this names no subset"),
    ],
)
def test_subsets_that_cannot_be_drawn(token, expected):
    with pytest.raises(DataError, match=expected):
        draw_token(an_index([5, 3]), token, 0)


def test_a_class_subset_has_labels_of_its_own(tmp_path):
    index = load_index("digits", DatasetSettings("digits"), "train")
    rows = draw_token(index, "c3", 0)
    write_subset(tmp_path / "c3-s0.parquet", index, rows, "c3", 0)
    columns, facts = read_subset(tmp_path / "c3-s0.parquet")
    assert sorted(set(columns["label"].tolist())) == [0, 1, 2]
    assert [facts["class_names"][label] for label in columns["label"]] == columns["class_name"].tolist()
    assert columns["class_name"].tolist() == [str(label) for label in index.labels[rows]]
    assert (facts["strategy"], facts["samples_per_class"], facts["n_classes"]) == ("sample_classes", None, 3)
    validation = load_index("digits", DatasetSettings("digits"), "validation")
    chosen, labels = validation_rows(validation, facts["class_names"])
    assert len(chosen) == sum((validation.labels == int(name)).sum() for name in facts["class_names"])
    assert [facts["class_names"][label] for label in labels] == [str(label) for label in validation.labels[chosen]]
    with pytest.raises(DataError, match="no validation images"):
        validation_rows(validation, ["3", "eleven"])


def test_too_many_samples_names_the_smallest_class():
    with pytest.raises(DataError, match=r"class `1` has only 3 images") as caught:
        draw(an_index([5, 3, 4]), 4, 0)
    assert "1 to 3" in str(caught.value)
    with pytest.raises(DataError, match="at least 1"):
        draw(an_index([5, 3]), 0, 0)


def test_a_subset_file_gives_back_what_was_written(tmp_path):
    index = load_index("digits", DatasetSettings("digits"), "train")
    rows = draw(index, 3, 1)
    write_subset(tmp_path / "3-s1.parquet", index, rows, 3, 1)
    columns, facts = read_subset(tmp_path / "3-s1.parquet")
    assert columns["index"].tolist() == rows.tolist()
    assert columns["image_id"].tolist() == [index.image_ids[row] for row in rows]
    assert columns["label"].tolist() == index.labels[rows].tolist()
    assert (facts["dataset"], facts["fingerprint"], facts["samples_per_class"]) == ("digits", index.fingerprint, 3)


def test_a_subset_that_is_there_is_left_as_it_is(tmp_path):
    index = load_index("digits", DatasetSettings("digits"), "train")
    path = tmp_path / "2-s0.parquet"
    for seed in (0, 1):
        write_subset(path, index, draw(index, 2, seed), 2, seed)
    assert read_subset(path)[1]["seed"] == 0 and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("change", ["images", "order"])
def test_a_subset_with_exchanged_images_is_refused(change, tmp_path):
    index = load_index("digits", DatasetSettings("digits"), "train")
    path = tmp_path / "2-s0.parquet"
    write_subset(path, index, draw(index, 2, 0), 2, 0)
    table = pq.read_table(path)
    record = table.schema.metadata[METADATA]
    if change == "images":
        path.unlink()
        write_subset(path, index, draw(index, 2, 1), 2, 0)
    other = pq.read_table(path)
    other = other.take([1, 0, *range(2, other.num_rows)]) if change == "order" else other
    pq.write_table(other.replace_schema_metadata({METADATA: record}), path)
    with pytest.raises(DataError, match="not those of the checksum") as raised:
        read_subset(path)
    assert str(json.loads(record)["rows_sha256"]) in str(raised.value)


def test_every_flipped_byte_that_changes_a_subset_is_refused(tmp_path):
    index = load_index("digits", DatasetSettings("digits"), "train")
    path = tmp_path / "2-s0.parquet"
    write_subset(path, index, draw(index, 2, 0), 2, 0)
    content = path.read_bytes()
    columns, record = read_subset(path)
    refused = 0
    for at in range(0, len(content), max(len(content) // 400, 1)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
        try:
            found = read_subset(path)
        except DataError:
            refused += 1
            continue
        assert found[1] == record and all((found[0][name] == columns[name]).all() for name in columns), at
    assert refused > 200


def test_the_subset_of_another_definition_is_refused(tmp_path):
    index, definition = load_index("digits", DatasetSettings("digits"), "train"), {"samples": 2, "seed": 0}
    path = tmp_path / f"{ArtefactName('2-s0', definition)}.parquet"
    write_subset(path, index, draw(index, 2, 0), 2, 0, definition)
    assert read_subset(path)[1]["definition"] == definition
    other = tmp_path / f"{ArtefactName('2-s0', definition | {'seed': 1})}.parquet"
    path.rename(other)
    with pytest.raises(DataError, match="another artefact stands under this name") as raised:
        read_subset(other)
    assert key_of(definition) in str(raised.value) and other.stem[-8:] in str(raised.value)


def test_a_truncated_subset_is_refused(tmp_path):
    index = load_index("digits", DatasetSettings("digits"), "train")
    path = tmp_path / "2-s0.parquet"
    write_subset(path, index, draw(index, 2, 0), 2, 0)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cut short"):
        read_subset(path)
    with pytest.raises(DataError, match="missing"):
        read_subset(tmp_path / "none.parquet")
