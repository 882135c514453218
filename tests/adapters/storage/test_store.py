from __future__ import annotations

import errno
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from airflow_mlops.adapters.storage.store import Storage, Watermark
from airflow_mlops.errors import IntegrityError, SpecError, UnavailableError


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(str(tmp_path / "root"))


@pytest.fixture
def blocked(tmp_path) -> Storage:
    """A storage that can't be used: its root lies below what is a file."""
    (tmp_path / "file").write_text("x")
    return Storage(str(tmp_path / "file" / "root"))


def _all_files(storage: Storage) -> set[str]:
    return {path.relative_to(storage.root).as_posix() for path in storage.root.rglob("*") if path.is_file()}


def test_a_document_comes_back_as_it_was_written(storage):
    path = storage.write_json({"a": [1, None, "ä"]}, "reports", "r.json")
    assert path == str(storage.root / "reports" / "r.json")
    assert storage.exists("reports", "r.json")
    assert storage.read_json("reports", "r.json") == {"a": [1, None, "ä"]}


def test_a_document_is_replaced_whole_and_nothing_else_is_left(storage):
    storage.write_json({"a": 1, "long": "x" * 100}, "a.json")
    storage.write_json({"a": 2}, "a.json")
    assert storage.read_json("a.json") == {"a": 2}
    assert _all_files(storage) == {"a.json"}


def test_a_write_that_fails_leaves_the_old_document_and_no_trace(storage):
    storage.write_json({"a": 1}, "a.json")
    with pytest.raises(ValueError, match="not JSON compliant"):
        storage.write_json({"a": float("nan")}, "a.json")
    with pytest.raises(TypeError):
        storage.write_json({"a": object()}, "a.json")
    assert storage.read_json("a.json") == {"a": 1}
    assert _all_files(storage) == {"a.json"}


def test_whoever_reads_while_others_write_sees_whole_documents(storage):
    documents = [{"writer": n, "body": [n] * 5_000} for n in range(4)]
    storage.write_json(documents[0], "a.json")
    done = threading.Event()

    def write(document):
        for _ in range(15):
            storage.write_json(document, "a.json")

    def read() -> int:
        count = 0
        while not done.is_set() or not count:
            assert storage.read_json("a.json") in documents
            count += 1
        return count

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(read)
        for writer in [pool.submit(write, document) for document in documents]:
            writer.result()
        done.set()
        assert reader.result() > 0


def test_text_is_written_as_it_is(storage):
    assert Path(storage.write_text("<p>ä</p>", "a.html")).read_text() == "<p>ä</p>"


def test_of_twenty_writers_exactly_one_creates_the_document_and_it_is_the_one_that_was_told_so(storage):
    barrier = threading.Barrier(20)

    def create(number: int) -> bool:
        barrier.wait()
        return storage.create_json({"writer": number}, "journal", "1.json")

    with ThreadPoolExecutor(20) as pool:
        won = list(pool.map(create, range(20)))
    assert won.count(True) == 1
    assert storage.read_json("journal", "1.json") == {"writer": won.index(True)}
    assert _all_files(storage) == {"journal/1.json"}


def test_a_missing_document_is_told_from_a_damaged_one(storage):
    with pytest.raises(IntegrityError, match=r"a\.json is missing from the storage"):
        storage.read_json("a.json")
    storage.write_text('{"a":', "a.json")
    with pytest.raises(IntegrityError, match=r"a\.json is damaged"):
        storage.read_json("a.json")
    storage.path("a.json").write_bytes(b'"\xff"')
    with pytest.raises(IntegrityError, match=r"a\.json is damaged"):
        storage.read_json("a.json")


@pytest.mark.parametrize("parts", [("..", "x"), ("a", "../../x"), ("/etc/passwd",), ("a", "/etc"), ("..",)])
def test_a_place_outside_the_root_is_refused(storage, parts):
    with pytest.raises(SpecError, match="lies outside the storage root"):
        storage.path(*parts)
    with pytest.raises(SpecError, match="lies outside"):
        storage.write_json({}, *parts)


@pytest.mark.parametrize(
    ("root", "words"),
    [("data", "is relative"), ("./data", "is relative"), ("s3://bucket/x", "only local folders are supported")],
)
def test_a_root_that_is_relative_or_elsewhere_is_refused(root, words):
    with pytest.raises(SpecError, match=words):
        Storage(root)


def test_a_root_may_be_a_file_uri(tmp_path):
    assert Storage(f"file://{tmp_path}").root == tmp_path


@pytest.mark.parametrize(
    "use",
    [
        lambda storage: storage.write_json({}, "a.json"),
        lambda storage: storage.write_text("", "a.txt"),
        lambda storage: storage.create_json({}, "a.json"),
        lambda storage: storage.read_json("a.json"),
        lambda storage: storage.names(),
        lambda storage: storage.exists("a.json"),
        lambda storage: storage.log("journal").entries(),
        lambda storage: storage.log("journal").append({}, number=1),
        lambda storage: storage.staging("a").__enter__(),
        lambda storage: Watermark(storage, "w").handled(),
    ],
)
def test_a_storage_that_can_not_be_used_is_an_outage_and_never_an_empty_storage(blocked, use):
    with pytest.raises(UnavailableError, match=r"can't be used: Not a directory.*\[mlops\] storage_root"):
        use(blocked)


def test_names_are_sorted_and_a_folder_that_is_not_there_has_none(storage):
    for name in ("b", "a", "c"):
        storage.write_text("", "x", name)
    assert storage.names("x") == ["a", "b", "c"]
    assert storage.names("y") == []


def test_a_folder_appears_whole_when_it_is_published(storage):
    with storage.staging("snapshots") as staged:
        (staged / "data").write_text("rows")
        assert not storage.exists("snapshots", "abc")
        path = storage.publish(staged, "snapshots", "abc")
    assert path == str(storage.root / "snapshots" / "abc")
    assert _all_files(storage) == {"snapshots/abc/data"}
    assert storage.names("snapshots") == ["abc"]


def test_what_is_published_twice_stays_what_it_was_and_the_copy_is_gone(storage):
    for text in ("first", "second"):
        with storage.staging("snapshots") as staged:
            (staged / "data").write_text(text)
            storage.publish(staged, "snapshots", "abc")
    assert storage.path("snapshots", "abc", "data").read_text() == "first"
    assert storage.names("snapshots") == ["abc"]


def test_two_who_fill_folders_at_a_time_do_not_meet(storage):
    with storage.staging("s") as one, storage.staging("s") as other:
        assert one != other


def test_nothing_is_left_of_a_folder_that_was_not_published(storage):
    def fill_and_fail() -> None:
        with storage.staging("snapshots") as staged:
            (staged / "sub").mkdir()
            (staged / "sub" / "data").write_text("rows")
            raise KeyError

    with pytest.raises(KeyError):
        fill_and_fail()
    with storage.staging("snapshots") as staged:
        (staged / "data").write_text("rows")
    assert storage.names("snapshots") == []


def test_a_fault_of_the_disk_while_a_folder_is_filled_is_an_outage(storage):
    with pytest.raises(UnavailableError, match="No such file"), storage.staging("snapshots") as staged:
        (staged / "missing" / "data").write_text("rows")
    assert storage.names("snapshots") == []


def test_a_folder_can_not_be_published_over_a_file(storage):
    storage.write_text("x", "snapshots", "abc")
    with pytest.raises(UnavailableError), storage.staging("snapshots") as staged:
        storage.publish(staged, "snapshots", "abc")
    assert storage.path("snapshots", "abc").read_text() == "x"


def test_entries_come_in_the_order_of_their_numbers(storage):
    log = storage.log("journal", "m")
    assert log.entries() == []
    for number in range(1, 13):
        assert log.append({"n": number}, number=number)
    assert [entry["n"] for entry in log.entries()] == list(range(1, 13))


def test_an_entry_is_never_overwritten(storage):
    log = storage.log("journal")
    assert log.append({"by": "ada"}, number=1)
    assert not log.append({"by": "eve"}, number=1)
    assert log.entries() == [{"by": "ada"}]


@pytest.mark.parametrize(("gone", "words"), [(1, "entry 1 is missing"), (2, r"entry 2 is missing.*000003\.json")])
def test_an_entry_that_is_missing_is_noticed(storage, gone, words):
    log = storage.log("journal")
    for number in (1, 2, 3):
        log.append({}, number=number)
    storage.path("journal", f"{gone:06d}.json").unlink()
    with pytest.raises(IntegrityError, match=words):
        log.entries()


def test_an_entry_that_is_damaged_is_noticed(storage):
    storage.log("journal").append({}, number=1)
    storage.path("journal", "000001.json").write_text("{")
    with pytest.raises(IntegrityError, match="is damaged"):
        storage.log("journal").entries()


def test_an_entry_and_the_names_that_lead_to_it_are_on_the_disk_before_it_counts(storage, monkeypatch):
    synced: list[tuple[str, bool]] = []
    entry = storage.path("journals", "m", "000001.json")
    real = os.fsync

    def watch(handle: int) -> None:
        synced.append((os.readlink(f"/proc/self/fd/{handle}"), entry.exists()))
        real(handle)

    monkeypatch.setattr(os, "fsync", watch)
    assert storage.log("journals", "m").append({"n": 1}, number=1)
    (content, is_visible), *names = synced
    assert Path(content).parent == entry.parent
    assert not is_visible
    assert names == [(str(folder), True) for folder in (entry.parent, entry.parent.parent, storage.root)]


@pytest.mark.parametrize("fails_at", [1, 2])
def test_a_disk_that_can_not_keep_an_entry_is_an_outage(storage, monkeypatch, fails_at):
    calls: list[int] = []

    def fail(handle: int) -> None:
        calls.append(handle)
        if len(calls) == fails_at:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UnavailableError, match="Input/output error"):
        storage.log("journals").append({"n": 1}, number=1)
    assert _all_files(storage) == (set() if fails_at == 1 else {"journals/000001.json"})


def test_logs_may_be_kept_in_another_folder_than_the_rest(tmp_path):
    storage = Storage(str(tmp_path / "root"), Storage(str(tmp_path / "journals")))
    assert storage.log("decisions").append({"n": 1}, number=1)
    storage.write_json({}, "a.json")
    assert _all_files(storage) == {"a.json"}
    assert Storage(str(tmp_path / "journals")).log("decisions").entries() == [{"n": 1}]


def test_an_entry_that_is_being_written_is_not_seen(storage):
    storage.log("journal").append({"n": 1}, number=1)
    storage.path("journal", ".000002.json.abc.tmp").write_text("{")
    assert storage.log("journal").entries() == [{"n": 1}]


def test_what_was_announced_is_handled_only_once_it_is_confirmed(storage):
    mark = Watermark(storage, "bikes")
    assert mark.handled() == {}
    mark.announce({"a": "1", "b": "1"})
    assert mark.handled() == {}
    mark.confirm()
    assert Watermark(storage, "bikes").handled() == {"a": "1", "b": "1"}


def test_an_announcement_replaces_one_that_was_not_confirmed_and_keeps_what_was_handled(storage):
    mark = Watermark(storage, "bikes")
    mark.announce({"a": "1"})
    mark.confirm()
    mark.announce({"b": "1"})
    mark.announce({"a": "2", "c": "1"})
    mark.confirm()
    assert mark.handled() == {"a": "2", "c": "1"}


def test_what_was_announced_later_or_anew_is_not_confirmed_with_the_rest(storage):
    mark = Watermark(storage, "bikes")
    mark.announce({"a": "1", "b": "2", "c": "1"})
    mark.confirm({"a": "1", "b": "1"})
    assert mark.handled() == {"a": "1", "b": "1"}
    mark.confirm()
    assert mark.handled() == {"a": "1", "b": "2", "c": "1"}


def test_confirming_twice_changes_nothing(storage):
    mark = Watermark(storage, "bikes")
    mark.announce({"a": "1"})
    mark.confirm()
    mark.confirm()
    assert mark.handled() == {"a": "1"}
    assert json.loads(storage.path("watermarks", "bikes.json").read_text())["announced"] == {}


def test_watermarks_of_other_names_do_not_meet(storage):
    Watermark(storage, "bikes").announce({"a": "1"})
    Watermark(storage, "cars").confirm()
    assert Watermark(storage, "cars").handled() == {}
