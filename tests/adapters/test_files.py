from __future__ import annotations

import os

import pytest

from airflow_mlops.adapters.files import file_stamps, source_files
from airflow_mlops.errors import DataError


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    for name in ("b.csv", "a.csv", "c.parquet", ".hidden.csv", "sub/d.csv"):
        (folder / name).write_text("n\n1\n")
    return folder


def _names(path: object) -> list[str]:
    return [file.name for file in source_files(str(path))]


def test_a_folder_stands_for_its_own_files_sorted_by_name(folder):
    assert _names(folder) == ["a.csv", "b.csv", "c.parquet"]


def test_a_glob_stands_for_what_it_matches(folder):
    assert _names(folder / "*.csv") == ["a.csv", "b.csv"]
    assert _names(folder / "*" / "*.csv") == ["d.csv"]


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
def test_no_file_at_all_is_an_error_that_names_the_path(tmp_path, path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=rf"No file matches '.*{path.replace('*', '.')}'. Nothing was read"):
        source_files(str(tmp_path / path))


def test_an_empty_file_among_others_is_an_error_that_names_it(folder):
    (folder / "b.csv").write_text("")
    with pytest.raises(DataError, match=r"1 of 3 file\(s\) at .* are empty \(0 bytes\): 'b\.csv'"):
        source_files(str(folder))


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
