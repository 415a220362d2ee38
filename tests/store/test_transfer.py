"""`neuroscaling store export|import`: a run goes from one store to another whole, or not at all."""

import hashlib
import io
import json
import tarfile

import pytest

from neuroscaling.cli.main import main
from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.records import sealed
from neuroscaling.store import transfer
from neuroscaling.store.contents import store_contents
from neuroscaling.store.transfer import LIST, export_run, import_tar
from tests.store.sound_store import (
    OTHER_DEFINITION,
    OTHER_RUN,
    RUN,
    RUN_DEFINITION,
    put,
    put_results,
    put_run,
)
from tests.store.test_prune import files, held_by_another


@pytest.fixture
def store(tmp_path):
    put_run(tmp_path / "store", RUN, RUN_DEFINITION)
    put_run(tmp_path / "store", OTHER_RUN, OTHER_DEFINITION)
    put_results(tmp_path / "store", RUN)
    return tmp_path / "store"


@pytest.fixture
def other(tmp_path):
    (tmp_path / "other").mkdir()
    return tmp_path / "other"


@pytest.fixture
def tar(store, tmp_path):
    export_run(store_contents(store), RUN, tmp_path / "run.tar", ("activations", "commitments", "scores"))
    return tmp_path / "run.tar"


def contents_of(root):
    return {name: (root / name).read_bytes() for name in files(root)}


def rewritten(tar, change):
    """The tar again, with its members as `change` leaves the list of (TarInfo, bytes)."""
    with tarfile.open(tar) as old:
        members = [(member, old.extractfile(member).read()) for member in old]
    changed = tar.with_name("changed.tar")
    with tarfile.open(changed, "w") as new:
        for member, content in change(members):
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    return changed


def listed_too(members, name, content):
    """The members and one more file, which the list names with its right checksum."""
    (first, text), *rest = members
    record = json.loads(text)
    record = sealed({**record, "files": {**record["files"], name: hashlib.sha256(content).hexdigest()}})
    return [(first, json.dumps(record).encode()), *rest, (tarfile.TarInfo(name), content)]


def test_a_run_arrives_whole(store, other, tmp_path, capsys):
    file = tmp_path / "run.tar"
    assert main(["store", "export", str(store), RUN, str(file), "--with", "activations,scores"]) == 0
    assert main(["store", "import", str(other), str(file)]) == 0
    out, err = capsys.readouterr()
    assert out.count("taken in") == 4 and "taken in" in err
    expected = {name: content for name, content in contents_of(store).items() if RUN in name}
    assert contents_of(other) == {name: c for name, c in expected.items() if not name.startswith("commitments")}
    assert main(["store", "verify", str(other)]) == 0


def test_a_tar_is_plain_and_has_a_list(tar):
    with tarfile.open(tar, "r:") as opened:
        members = opened.getmembers()
        record = json.loads(opened.extractfile(members[0]).read())
    assert members[0].name == LIST and all(member.isreg() for member in members)
    assert set(record["files"]) == {member.name for member in members[1:]}
    assert record["run"] == RUN and record["checksum"].startswith("sha256:")


def test_what_is_there_and_equal_is_left(store, tar, other, capsys):
    import_tar(other, tar)
    (other / f"runs/{RUN}/weights-ep0.safetensors").unlink()
    before = {name: (other / name).stat().st_mtime_ns for name in files(other)}
    assert main(["store", "import", str(other), str(tar), "--format", "json"]) == 0
    new = {row["stage"]: row["status"] for row in json.loads(capsys.readouterr().out)}
    assert {stage for stage, status in new.items() if status == "taken in"} == {"weights"}
    assert {name: (other / name).stat().st_mtime_ns for name in before} == before
    assert contents_of(other).items() <= contents_of(store).items()


def test_something_else_under_a_name_is_refused_and_nothing_appears(tar, other):
    put_run(other, RUN, RUN_DEFINITION, weights=b"trained elsewhere")
    before = contents_of(other)
    with pytest.raises(DataError, match=r"the store has something else under this name(.|\n)*found: +sha256") as error:
        import_tar(other, tar)
    assert len(error.value.problems) == 2  # weights and run.json; the histories are equal
    assert contents_of(other) == before


def test_only_finished_and_sound_runs_are_exported(store, tmp_path):
    with pytest.raises(DataError, match=f"no such run(.|\n)*nearest: +{RUN}"):
        export_run(store_contents(store), RUN.replace("resnet", "resent"), tmp_path / "a.tar")
    with pytest.raises(DataError, match=r"can't go with a run(.|\n)*nearest: +scores"):
        export_run(store_contents(store), RUN, tmp_path / "a.tar", ["score"])
    (store / f"runs/{OTHER_RUN}/run.json").unlink()
    with pytest.raises(DataError, match="the run is not finished"):
        export_run(store_contents(store), OTHER_RUN, tmp_path / "a.tar")
    put(store / f"activations/{RUN}" / f"{next(store.glob('activations/*/*.zarr')).name}/layer1/zarr.json", b"{}")
    with pytest.raises(DataError, match="altered"):
        export_run(store_contents(store), RUN, tmp_path / "a.tar", ["activations"])
    assert not (tmp_path / "a.tar").exists()


def test_a_file_that_is_there_is_not_written_over(store, tar):
    before = file_sha256(tar)
    with pytest.raises(DataError, match="there is such a file already"):
        export_run(store_contents(store), RUN, tar)
    assert file_sha256(tar) == before


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_a_tar_that_is_cut_short_is_refused(tar, other, share):
    tar.write_bytes(tar.read_bytes()[: int(tar.stat().st_size * share)])
    with pytest.raises(DataError):
        import_tar(other, tar)
    assert not list(other.iterdir())


def test_an_altered_file_is_refused_and_both_checksums_named(tar, other):
    content = tar.read_bytes()
    tar.write_bytes(content.replace(b"weights weights", b"weights Weights", 1))
    with pytest.raises(DataError, match=r"a file in the tar was altered(.|\n)*found(.|\n)*allowed"):
        import_tar(other, tar)
    assert not list(other.iterdir())


def test_an_altered_list_is_refused(tar, other):
    changed = rewritten(
        tar, lambda members: [(members[0][0], members[0][1].replace(b"weights", b"wEights")), *members[1:]]
    )
    with pytest.raises(DataError, match="the file was altered"):
        import_tar(other, changed)


@pytest.mark.parametrize("name", ["../outside.txt", "runs/../../outside.txt", "/tmp/outside.txt", "runs//x/../../../o"])
def test_no_path_leads_out_of_the_store(tar, other, name):
    with pytest.raises(DataError, match="leads out of the store"):
        import_tar(other, rewritten(tar, lambda members: listed_too(members, name, b"x")))
    assert not list(other.iterdir()) and not (other.parent / "outside.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_and_other_kinds_are_refused(tar, other, kind):
    def change(members):
        members = listed_too(members, f"runs/{RUN}/link", b"")
        members[-1][0].type, members[-1][0].linkname = kind, "/etc/passwd"
        return members

    with pytest.raises(DataError, match="files alone"):
        import_tar(other, rewritten(tar, change))
    assert not list(other.iterdir())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda members: [*members, members[-1]], "there twice"),
        (lambda members: [*members, (tarfile.TarInfo("runs/x/more"), b"x")], "does not name"),
        (lambda members: members[:-1], "files are missing"),
        (lambda members: members[1:], "not a tar that"),
        (lambda members: listed_too(members, "data/v4/x.npy", b"x"), "not part of a run"),
        (lambda members: listed_too(members, f"runs/{RUN}/state/x.pt", b"x"), "not part of a run"),
        (lambda members: listed_too(members, f"runs/{RUN}/.hidden", b"x"), "a hidden file"),
        (lambda members: listed_too(members, f"runs/{RUN}/weights-ep9.safetensors", b"x"), "does not tell of"),
    ],
)
def test_what_the_list_and_the_records_do_not_say_is_refused(tar, other, change, words):
    with pytest.raises(DataError, match=words):
        import_tar(other, rewritten(tar, change))
    assert not list(other.iterdir())


def test_a_file_that_is_no_tar_is_refused(store, other, tmp_path):
    for file in (put(tmp_path / "x.tar", b"no tar"), store / f"runs/{RUN}/run.json", tmp_path / "missing.tar"):
        with pytest.raises(DataError):
            import_tar(other, file)


def test_a_killed_import_leaves_no_record(tar, other, monkeypatch):
    """Killed after each of its renamings: what has a record is whole."""
    for last in range(9):
        moves, move = [], transfer._move

        def killed(path, target, moves=moves, move=move, last=last):
            if len(moves) == last:
                raise KeyboardInterrupt
            moves.append(target)
            return move(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(transfer, "_move", killed)
            with pytest.raises(KeyboardInterrupt):
                import_tar(other, tar)
        assert main(["store", "verify", str(other)]) == 0
    import_tar(other, tar)
    assert store_contents(other).of(["scores"]) and not store_contents(other).of(["unfinished", "temporary"])


def test_a_run_that_a_job_makes_is_not_imported(tar, other):
    with held_by_another(other / "runs" / RUN), pytest.raises(DataError, match="made by another process"):
        import_tar(other, tar)
    assert files(other) == set()


def test_a_store_that_is_not_there_is_not_made(tar, other):
    with pytest.raises(DataError, match="there is no store here"):
        import_tar(other.with_name("ohter"), tar)
