from __future__ import annotations

import os

import pytest

from airflow_mlops.adapters.storage.local_files import file_stamps, list_files
from airflow_mlops.errors import SpecError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "_tmp").mkdir()
    for name in ("b.csv", "a.csv", "c.parquet", ".hidden.csv", "_SUCCESS", "sub/d.csv", "_tmp/e.csv"):
        (folder / name).write_text("n\n1\n")
    return folder


def _names(path: object, **settings: bool) -> list[str]:
    return [os.path.basename(file.path) for file in list_files(str(path), **settings)]


def test_a_folder_stands_for_its_own_files_sorted_by_name(folder):
    assert _names(folder) == ["a.csv", "b.csv", "c.parquet"]


def test_a_glob_stands_for_what_it_matches(folder):
    assert _names(folder / "*.csv") == ["a.csv", "b.csv"]
    assert _names(folder / "*" / "*.csv") == ["d.csv"]
    assert _names(folder / "**" / "*.csv") == ["a.csv", "b.csv", "d.csv"]


def test_a_folder_stands_for_what_is_in_its_folders_too_where_that_is_asked_for(folder):
    assert _names(folder, recursive=True) == ["a.csv", "b.csv", "c.parquet", "d.csv"]


def test_a_file_stands_for_itself(folder):
    assert _names(folder / "b.csv") == ["b.csv"]


def test_a_file_that_is_still_being_written_under_a_hidden_name_is_left_out(folder):
    assert ".hidden.csv" not in _names(folder / "*")
    assert all(".hidden" not in name for name in file_stamps(str(folder)))


def test_a_folder_with_brackets_in_its_name_is_a_folder_and_no_pattern(tmp_path):
    (tmp_path / "data[1]").mkdir()
    (tmp_path / "data[1]" / "a.csv").write_text("n\n1\n")
    assert _names(tmp_path / "data[1]") == ["a.csv"]


@pytest.mark.parametrize("path", ["nothing/*.csv", "nothing.csv", "empty"])
def test_where_nothing_is_there_is_no_file(tmp_path, path):
    (tmp_path / "empty").mkdir()
    assert list_files(str(tmp_path / path)) == []


@pytest.mark.parametrize("name", ["_data", ".data"])
def test_a_folder_that_was_written_out_may_have_a_hidden_name(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.csv").write_text("n\n1\n")
    assert _names(tmp_path / name) == _names(tmp_path / name / "*.csv") == ["a.csv"]


def test_marker_files_are_left_out(folder):
    assert "_SUCCESS" not in _names(folder)
    assert "e.csv" not in _names(folder / "**" / "*")


def test_a_file_has_its_size_and_the_stamp_that_is_watched(folder):
    (file,) = list_files(str(folder / "a.csv"))
    assert file.size == 4
    assert {file.path: file.stamp} == file_stamps(str(folder / "a.csv"))


def test_files_elsewhere_can_not_be_watched_and_that_is_said():
    with pytest.raises(SpecError, match="neither on this machine nor on s3"):
        file_stamps("s3://bucket/folder")


def test_environment_variables_are_read(folder, monkeypatch):
    monkeypatch.setenv("MLOPS_TEST_FOLDER", str(folder))
    assert _names("$MLOPS_TEST_FOLDER/a.csv") == ["a.csv"]


def test_nothing_there_yet_has_no_stamps_and_is_no_error(tmp_path):
    assert file_stamps(str(tmp_path / "*.csv")) == {}


def test_a_stamp_stays_while_the_file_does(folder):
    assert file_stamps(str(folder)) == file_stamps(str(folder))
    assert set(file_stamps(str(folder))) == {str(folder / name) for name in ("a.csv", "b.csv", "c.parquet")}


def test_a_stamp_changes_with_the_files_size_and_with_its_time(folder):
    file = folder / "a.csv"
    stamps = [file_stamps(str(file))[str(file)]]
    status = file.stat()
    file.write_text("n\n1\n2\n")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    stamps.append(file_stamps(str(file))[str(file)])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    stamps.append(file_stamps(str(file))[str(file)])
    assert len(set(stamps)) == 3
