from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from airflow_mlops.adapters.user_code.source import call_source
from airflow_mlops.core.data.snapshot import Window
from airflow_mlops.errors import DataError, SpecError, UnavailableError

OPEN = Window()
JANUARY = Window(start=datetime(2026, 1, 1, tzinfo=UTC), end=datetime(2026, 2, 1, tzinfo=UTC))

CODE = """
import contextlib
from datetime import datetime, timedelta, timezone
import duckdb, pandas as pd, pyarrow as pa
from airflow_mlops.errors import SpecError

closed = []
a_number = 7

def _two():
    return pd.DataFrame({"a": [1, 2], "b": ["x", None]})

def load(window_start, window_end, **params):
    return pa.table({"start": [str(window_start)], "end": [str(window_end)], "params": [str(params)]})

def frame(window_start, window_end): return _two()
def table(window_start, window_end): return pa.table(_two())
def batch(window_start, window_end): return pa.RecordBatch.from_pandas(_two())
def reader(window_start, window_end): return pa.table(_two()).to_reader(1)
def duck(window_start, window_end): return duckdb.sql("SELECT 1::BIGINT AS a, 'x' AS b UNION ALL SELECT 2, NULL")
def listed(window_start, window_end): return [_two().head(1), pa.table(_two()).slice(1)]

def pieces(window_start, window_end):
    try:
        yield _two().head(1)
        yield pa.table(_two()).slice(1)
    finally:
        closed.append("pieces")

def endless(window_start, window_end):
    try:
        while True:
            yield _two()
    finally:
        closed.append("endless")

def give(window_start, window_end, what):
    return eval(what)

def raising(window_start, window_end, what):
    raise what

def raising_late(window_start, window_end, what):
    yield _two()
    raise what
"""


@pytest.fixture(autouse=True)
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of the user's."""
    (tmp_path / "sources_of_mine.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    import sources_of_mine

    yield sources_of_mine
    sys.modules.pop("sources_of_mine", None)


def _call(name: str, timestamp: str | None = None, window: Window = OPEN, **params: Any) -> pa.Table:
    with call_source(f"sources_of_mine:{name}", params, timestamp=timestamp, window=window) as rows:
        return rows.read_all()


def _give(what: str, timestamp: str | None = None, window: Window = OPEN) -> pa.Table:
    return _call("give", timestamp, window, what=what)


def _fails(kind: type[Exception], call: Callable[..., Any], *settings: Any, **params: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*settings, **params)
    return str(caught.value)


def test_the_function_gets_the_window_and_the_parameters():
    found = _call("load", "start", JANUARY, region="north", n=3).to_pylist()
    assert found == [
        {
            "start": "2026-01-01 00:00:00+00:00",
            "end": "2026-02-01 00:00:00+00:00",
            "params": "{'region': 'north', 'n': 3}",
        }
    ]
    assert _call("load").to_pylist()[0]["start"] == "None"


@pytest.mark.parametrize("name", ["frame", "table", "batch", "reader", "duck", "listed", "pieces"])
def test_every_kind_of_result_is_the_same_stream(name: str):
    table = _call(name)
    assert table.schema.remove_metadata() == pa.schema({"a": pa.int64(), "b": pa.string()})
    assert table.schema.metadata is None
    assert table.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_texts_that_are_a_type_of_their_own_as_in_pandas_3_are_texts():
    with pd.option_context("future.infer_string", True):
        table = _call("frame")
        assert table.schema.field("b").type == pa.string()
        assert _call("listed") == _call("pieces") == table
    assert table.to_pylist() == [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def test_a_generator_is_read_piece_by_piece_and_closed_when_nobody_wants_more(mine: Any):
    with call_source("sources_of_mine:endless", {}, timestamp=None, window=OPEN) as rows:
        assert rows.read_next_batch().num_rows == 2
        assert mine.closed == []
    assert mine.closed == ["endless"]


def test_big_frames_come_in_batches():
    with call_source(
        "sources_of_mine:give", {"what": "pd.DataFrame({'a': range(200_000)})"}, timestamp=None, window=OPEN
    ) as rows:
        assert [batch.num_rows for batch in rows] == [65_536, 65_536, 65_536, 3_392]


# Pandas


def test_nan_in_a_data_frame_is_a_missing_value():
    assert _give("pd.DataFrame({'a': [1.5, float('nan')]})").column("a").to_pylist() == [1.5, None]


NAIVE_AND_ZONED = "[datetime(2026, 1, 1, 12), None, datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5)))]"


@pytest.mark.parametrize("kind", [NAIVE_AND_ZONED, f"list(map(pd.Timestamp, {NAIVE_AND_ZONED}))"])
def test_moments_with_and_without_a_zone_are_never_mixed(kind: str):
    message = _fails(DataError, _give, f"pd.DataFrame({{'at': pd.Series({kind}, dtype=object)}})")
    assert "gave column 'at' with times that have a time zone and others that have none" in message
    assert _give("pd.DataFrame({'at': [datetime(2026, 1, 1), None]})").column("at").to_pylist()[0].year == 2026


@pytest.mark.parametrize("frame", ["pd.DataFrame({'at': days})", "pd.DataFrame({'n': 1}, index=days.rename('at'))"])
def test_periods_are_no_numbers(frame: str):
    days = "pd.period_range('2026-01-01', periods=2, freq='D')"
    message = _fails(DataError, _give, frame.replace("days", days))
    assert "gave column 'at' as periods (period[D])" in message
    assert "frame['at'].dt.to_timestamp()" in message


def test_an_index_of_numbers_is_left_out_and_a_named_one_is_a_column():
    assert _give("_two()[lambda f: f['a'] > 1]").to_pylist() == [{"a": 2, "b": None}]
    assert _give("_two().set_index('b')").to_pylist() == [{"b": "x", "a": 1}, {"b": None, "a": 2}]


@pytest.mark.parametrize(
    "index", ["['p', 'q']", "pd.to_datetime(['2026-01-01', '2026-01-02'])", "pd.MultiIndex.from_product([[1], [2, 3]])"]
)
def test_an_unnamed_index_that_holds_data_is_refused(index: str):
    message = _fails(DataError, _give, f"_two().set_axis({index})")
    assert "whose index has no name" in message
    assert "reset_index(drop=True)" in message


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("_two().rename(columns={'a': 3})", "columns whose names are no text: 3"),
        ("_two().rename(columns={'a': 'b'})", "columns of the same name: 'b'"),
        ("_two().set_index(pd.Index([1, 2], name='a'))", "columns of the same name: 'a'"),
        ("pa.table([[1], [2]], names=['a', 'a'])", "columns of the same name: 'a'"),
        ("pd.DataFrame({'a': [1, 'x']})", "a column with values of several types: "),
        ("pd.DataFrame()", "data without a column"),
        ("None", "gave None; a pandas data frame, "),
        ("7", "gave a value of type int; "),
        ("'a.csv'", "gave a value of type str; "),
        ("{'a': [1]}", "gave a value of type dict; "),
        ("[{'a': 1}]", "gave a value of type dict as piece 1; "),
        ("_two()['a']", "gave a value of type int as piece 1; "),
        ("iter([_two(), None])", "gave None as piece 2; "),
        ("[]", "gave no piece of data at all"),
    ],
)
def test_what_can_not_be_used_is_described(what: str, words: str):
    message = _fails(DataError, _give, what)
    assert words in message
    assert "Nothing was kept" in message


def test_no_rows_are_a_stream_without_rows():
    assert _give("_two().head(0).astype({'b': 'string'})").num_rows == 0
    assert _give("pa.table(_two()).schema.empty_table().to_reader()").num_rows == 0


# Pieces


def test_categories_are_their_values_whichever_a_piece_has():
    what = "[pd.DataFrame({'c': pd.Categorical(v)}) for v in (['x', 'y'], ['z'])]"
    assert _give(what).column("c").to_pylist() == ["x", "y", "z"]


def test_a_column_that_is_null_in_a_piece_fits():
    what = "[pd.DataFrame({'a': [v], 'b': [w]}) for v, w in ((1, None), (None, None), (3, 'x'))]"
    assert _give(what).to_pylist() == [{"a": 1, "b": None}, {"a": None, "b": None}, {"a": 3, "b": "x"}]


@pytest.mark.parametrize(
    ("later", "words"),
    [
        ("pd.DataFrame({'a': [1.5], 'b': ['x']})", "gave column 'a' as double in piece 2; int64 was expected"),
        ("pd.DataFrame({'a': ['1'], 'b': ['x']})", "gave column 'a' as string in piece 2; int64 was expected"),
        ("pd.DataFrame({'a': [1]})", "missing 'b', new none"),
        ("pd.DataFrame({'a': [1], 'b': ['x'], 'c': [1]})", "missing none, new 'c'"),
    ],
)
def test_a_later_piece_of_another_kind_is_refused_by_its_column(later: str, words: str):
    assert words in _fails(DataError, _give, f"[_two(), {later}]")


def test_the_order_of_the_columns_is_the_first_piece_s():
    assert _give("[_two(), _two()[['b', 'a']]]").column_names == ["a", "b"]


# The window

MOMENTS = "['2025-12-31 23:59:59', '2026-01-01 00:00:00', '2026-01-31 23:59:59', '2026-02-01 00:00:00', None]"


@pytest.mark.parametrize(
    "column",
    [
        f"pd.to_datetime({MOMENTS})",
        f"pd.to_datetime({MOMENTS}, utc=True)",
        f"pd.to_datetime({MOMENTS}).tz_localize('UTC').tz_convert('Asia/Tokyo')",
        f"pd.to_datetime({MOMENTS}).as_unit('s')",
        f"pd.Series({MOMENTS}, dtype=object)",
        f"pd.Series({MOMENTS}, dtype='string')",
        f"pd.to_datetime({MOMENTS}).date",
    ],
)
def test_the_window_is_applied_whatever_the_function_does(column: str):
    what = f"pd.DataFrame({{'i': range(5), 'at': {column}}})"
    assert _give(what, "at", JANUARY).column("i").to_pylist() == [1, 2, 4]
    assert _give(what, "at", Window(end=JANUARY.start)).column("i").to_pylist() == [0, 4]
    assert _give(what, "at", OPEN).num_rows == 5


def test_text_that_is_no_moment_stays_in():
    what = "pd.DataFrame({'at': ['sometime', '2026-01-02T00:00:00Z', '2026-02-01T00:30:00+01:00', '2026-03-01']})"
    assert _give(what, "at", JANUARY).num_rows == 3


@pytest.mark.parametrize("column", ["[1, 2]", "[1.5, 2.5]", "[True, False]", "pd.to_timedelta([1, 2])"])
def test_what_is_no_moment_can_not_be_cut(column: str):
    message = _fails(DataError, _give, f"pd.DataFrame({{'at': {column}}})", "at", JANUARY)
    assert "gave the timestamp column 'at' as " in message


def test_a_missing_timestamp_column_gets_a_suggestion():
    message = _fails(DataError, _give, "pd.DataFrame({'measured_at': [1]})", "measured", OPEN)
    assert "Did you mean 'measured_at'?" in message


# Faults


@pytest.mark.parametrize("name", ["raising", "raising_late"])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("co2"), DataError),
        (ValueError("x" * 1000), DataError),
        (StopIteration("early"), DataError),
        (FileNotFoundError("no such file"), DataError),
        (ConnectionResetError("gone"), UnavailableError),
        (TimeoutError("too long"), UnavailableError),
    ],
)
def test_what_the_function_raises_is_told_and_kept_as_the_cause(name: str, error: Exception, kind: type[Exception]):
    with pytest.raises(kind) as caught:
        _call(name, what=error)
    message = str(caught.value)
    assert message.startswith(f"The function 'sources_of_mine:{name}' raised ")
    assert "champion stays" in message
    assert len(message) < 700
    assert error in (caught.value.__cause__, getattr(caught.value.__cause__, "__cause__", None))


@pytest.mark.parametrize("name", ["raising", "raising_late"])
def test_an_error_of_ours_and_an_interrupt_pass_through(name: str):
    for error in (UnavailableError("of the function's own"), KeyboardInterrupt()):
        with pytest.raises(type(error)) as caught:
            _call(name, what=error)
        assert caught.value is error


def test_parameters_that_do_not_fit_are_told():
    message = _fails(DataError, _call, "frame", depth=3)
    assert "unexpected keyword argument 'depth'" in message
    assert "data.function_params" in message


def test_a_function_that_is_not_there_gets_a_suggestion():
    assert "Did you mean 'frame'?" in _fails(SpecError, _call, "frames")
    assert "is int; a function was expected" in _fails(SpecError, _call, "a_number")


@pytest.mark.parametrize("start", ["0001-01-01", "1600-01-01", "2300-01-01", "9999-12-31"])
@pytest.mark.parametrize("zone", ["None", "'Asia/Tokyo'"])
def test_a_window_beyond_what_nanoseconds_reach_cuts_all_or_nothing(start: str, zone: str):
    bound = datetime.fromisoformat(start).replace(tzinfo=UTC)
    what = f"pa.table({{'at': pa.array([0, 1, None], pa.timestamp('ns', {zone}))}})"
    assert _give(what, "at", Window(start=bound)).num_rows == (3 if start < "1970" else 1)
    assert _give(what, "at", Window(end=bound)).num_rows == (1 if start < "1970" else 3)


def test_a_window_cuts_nanoseconds_at_the_microsecond_and_keeps_them():
    what = "pa.table({'at': pa.array([-1, 999, 1000, 1999, 2000], pa.timestamp('ns'))})"
    window = Window(start=datetime(1970, 1, 1, 0, 0, 0, 1, UTC), end=datetime(1970, 1, 1, 0, 0, 0, 2, UTC))
    assert _give(what, "at", window).column("at").cast(pa.int64()).to_pylist() == [1000, 1999]
    before = Window(end=datetime(1970, 1, 1, tzinfo=UTC))
    assert _give(what, "at", before).column("at").cast(pa.int64()).to_pylist() == [-1]


def test_text_that_is_a_moment_beyond_the_calendar_stays_in():
    assert _give("pd.DataFrame({'at': ['0001-01-01T00:00:00+05:00', '2025-01-01']})", "at", JANUARY).num_rows == 1


@pytest.mark.parametrize(
    ("params", "said", "hidden"),
    [
        ({"password": "hunter2"}, "to db://u:hunter2@h", "to db://u:***@h"),
        ({"password": "p@ss/w"}, "to db://u:p%40ss%2Fw@h or 'p@ss/w'", "to db://u:***@h or '***'"),
        ({"keys": ["first-key", {"k": "second-key"}]}, "first-key, second-key", "***, ***"),
        ({"one": "abcd", "two": "abcdef"}, "abcdef", "***"),
        ({"pin": 123456}, "pin 123456", "pin ***"),
        ({"deep": True, "n": 3, "tag": "abc", "none": None}, "True, 3, abc, None", "True, 3, abc, None"),
    ],
)
@pytest.mark.parametrize("error", [RuntimeError, ConnectionError])
def test_values_of_parameters_are_hidden_in_messages(mine: Any, params: Any, said: str, hidden: str, error: Any):
    def login(window_start: Any, window_end: Any, **params: Any) -> None:
        raise error(said)

    mine.login = login
    message = _fails((DataError, UnavailableError), _call, "login", **params)
    assert f"{error.__name__}: {hidden}. Nothing was kept" in message
