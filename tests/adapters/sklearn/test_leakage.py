from __future__ import annotations

import datetime as dt
import decimal
import os
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import datasets

from airflow_mlops.adapters.sklearn.leakage import equal_by_chance, find_reproductions

INCLUDE = Path(__file__).parents[3] / "include"
RNG = np.random.default_rng(5)
N = 600


def _judge(frame: pd.DataFrame, target: str = "y") -> list[tuple[str, tuple[str, ...]]]:
    features = [name for name in frame.columns if name != target]
    found, _, _ = find_reproductions(frame, target=target, features=features)
    return [(each.rule, each.columns) for each in found]


def _noise(n: int = N) -> np.ndarray:
    return np.random.default_rng(7).normal(size=n)


@pytest.fixture(scope="module")
def bikes() -> pd.DataFrame:
    folder = os.environ.get("MLOPS_TEST_DATA")
    if not folder:
        pytest.skip("MLOPS_TEST_DATA is not set: the bike sharing data is not here")
    return pd.read_csv(Path(folder) / "bike_sharing_hour.csv", parse_dates=["dteday"])


def test_casual_and_registered_riders_are_found_to_be_all_riders(bikes):
    frame = bikes.rename(columns={"cnt": "y"})
    assert _judge(frame) == [("combination_reproduces_target", ("registered", "casual"))]
    found, _, _ = find_reproductions(bikes, target="cnt", features=["hr", "casual", "temp", "registered"])
    terms = [[round(weight, 3), name] for weight, name in found[0].found.facts["terms"]]
    assert terms == [[1.0, "registered"], [1.0, "casual"]]
    assert found[0].found.observed < found[0].found.required


def test_they_are_found_beside_gaps_infinities_and_constant_columns(bikes):
    frame = bikes.rename(columns={"cnt": "y"}).assign(constant=1.0, empty=np.nan)
    frame.loc[::7, "casual"] = np.nan
    frame.loc[3, "hum"] = np.inf
    assert _judge(frame) == [("combination_reproduces_target", ("registered", "casual"))]


def test_the_weather_and_the_hour_are_honest_features_of_bike_sharing(bikes):
    assert _judge(bikes.drop(columns=["casual", "registered"]), "cnt") == []


@pytest.mark.parametrize("name", ["iris", "breast_cancer", "diabetes", "wine", "digits"])
@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("as_text", [False, True])
def test_no_feature_of_the_bundled_sets_is_taken_for_a_leak(name, shuffled, as_text):
    frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
    frame = frame.sample(frac=1, random_state=0) if shuffled else frame
    if as_text and name != "diabetes":
        frame["target"] = frame["target"].map("class {}".format)
    assert _judge(frame, "target") == []


def test_the_lags_of_the_co2_series_are_honest():
    data = pytest.importorskip("statsmodels.datasets").co2.load_pandas().data
    dataset = data.reset_index(names="date")
    rows = duckdb.from_df(dataset).query("dataset", (INCLUDE / "co2_features.sql").read_text()).df().sort_values("date")
    assert _judge(rows.drop(columns="date"), "next_co2") == []


def test_the_visits_to_the_doctor_are_honest():
    frame = pytest.importorskip("statsmodels.datasets").randhie.load_pandas().data
    assert _judge(frame, "mdvis") == []


@pytest.mark.parametrize("n_rows", [1000, 20_000])
def test_the_lags_of_a_series_that_only_grows_are_honest(n_rows):
    y = np.cumsum(np.random.default_rng(0).exponential(size=n_rows + 2))
    assert _judge(pd.DataFrame({"y": y[2:], "lag_1": y[1:-1], "lag_2": y[:-2], "row": np.arange(n_rows)})) == []


def test_a_copy_of_a_series_that_only_grows_is_a_leak():
    y = np.cumsum(np.random.default_rng(0).exponential(size=N))
    frame = pd.DataFrame({"y": y, "lag": np.r_[0, y[:-1]], "copy": 3 * y + 1})
    assert _judge(frame) == [("combination_reproduces_target", ("copy",))]


@pytest.mark.parametrize(
    "transform",
    [lambda y: 2 * y + 1, lambda y: -y, np.exp, lambda y: y**3, lambda y: np.where(np.arange(N) % 9, y, np.nan)],
)
def test_a_monotone_transform_of_the_target_is_a_leak(transform):
    y = _noise()
    frame = pd.DataFrame({"y": y, "leak": transform(y), "strong": y + 0.05 * RNG.normal(size=N)})
    assert _judge(frame) == [("reproduces_target", ("leak",))]


@pytest.mark.parametrize("kind", ["object", "string", "category"])
def test_the_target_as_text_is_a_leak(kind):
    y = _noise()
    leak = pd.Series([repr(float(n)) if i % 20 else "n/a" for i, n in enumerate(y)]).astype(kind)
    assert _judge(pd.DataFrame({"y": y, "leak": leak})) == [("reproduces_target", ("leak",))]


def test_numbers_among_texts_are_no_numbers():
    y = _noise()
    frame = pd.DataFrame({"y": y, "note": [str(n) if i % 3 else "see attached" for i, n in enumerate(y)]})
    assert _judge(frame) == []


def test_a_strong_feature_is_no_leak():
    y = _noise()
    assert _judge(pd.DataFrame({"y": y, "strong": y + 0.01 * RNG.normal(size=N), "other": RNG.normal(size=N)})) == []


@settings(max_examples=20)
@given(
    st.lists(st.floats(0.1, 10).flatmap(lambda w: st.sampled_from([w, -w])), min_size=2, max_size=5), st.integers(0, 99)
)
def test_any_weighted_sum_that_is_the_target_is_found_among_other_columns(weights: list[float], seed: int):
    rng = np.random.default_rng(seed)
    parts = {f"part_{i}": rng.normal(size=N) for i in range(len(weights))}
    y = sum(w * values for w, values in zip(weights, parts.values(), strict=True))
    frame = pd.DataFrame({"y": y, "other": rng.normal(size=N), **parts})
    ((rule, columns),) = _judge(frame)
    assert rule == "combination_reproduces_target"
    assert set(columns) == set(parts)


@given(st.integers(0, 30))
def test_a_weighted_sum_with_an_honest_rest_is_not(seed: int):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=N), rng.normal(size=N)
    assert _judge(pd.DataFrame({"y": a + b + 0.01 * rng.normal(size=N), "a": a, "b": b})) == []


def test_a_few_huge_values_do_not_make_a_leak():
    y = _noise()
    y[5] = 1e9
    x = RNG.normal(size=N)
    x[5] = 1e9
    assert _judge(pd.DataFrame({"y": y, "x": x, "z": RNG.normal(size=N)})) == []


def test_more_features_than_rows_fit_any_target_and_are_no_leak():
    frame = pd.DataFrame(RNG.normal(size=(80, 120)), columns=[f"c{i}" for i in range(120)])
    found, _, notes = find_reproductions(frame.assign(y=_noise(80)), target="y", features=list(frame.columns))
    assert found == []
    assert notes[0].rule == "judged_alone"


@pytest.mark.parametrize("kind", [bool, str, int])
def test_values_that_stand_for_the_class_are_a_leak(kind):
    y = RNG.random(N) < 0.2
    frame = pd.DataFrame(
        {"y": y.astype(kind), "leak": np.where(y, "churned", "active"), "plan": RNG.choice(["a", "b"], N)}
    )
    assert _judge(frame) == [("determines_class", ("leak",))]


def test_a_number_that_parts_the_classes_without_an_error_is_a_leak():
    y = RNG.integers(0, 3, N)
    frame = pd.DataFrame({"y": y, "leak": -(y + RNG.random(N) * 0.9), "x": y + RNG.normal(size=N)})
    frame["y"] = frame["y"].map({0: "low", 1: "mid", 2: "high"})
    assert _judge(frame) == [("determines_class", ("leak",))]


@pytest.mark.parametrize("values", [RNG.normal(size=N), pd.date_range("2026-01-01", periods=N), ["moved"] * N])
def test_a_feature_that_only_one_class_has_is_a_leak(values):
    y = RNG.random(N) < 0.2
    frame = pd.DataFrame({"y": np.where(y, "churned", "active"), "x": RNG.normal(size=N), "leak": values})
    frame["leak"] = frame["leak"].where(y)
    assert _judge(frame) == [("determines_class", ("leak",))]
    found, _, _ = find_reproductions(frame, target="y", features=["leak"])
    n = int(y.sum())
    assert found[0].found.n == n
    assert found[0].found.facts == {"how": "gaps", "n_missing": N - n, "classes": ["churned"], "n_classes": 1}


@pytest.mark.parametrize("n_wrong", [1, 30])
def test_a_gap_that_one_class_has_more_often_is_honest(n_wrong):
    y = RNG.random(N) < 0.5
    has_value = y.copy()
    has_value[:n_wrong] = ~y[:n_wrong]
    assert _judge(pd.DataFrame({"y": y, "x": np.where(has_value, RNG.normal(size=N), np.nan)})) == []


def test_a_feature_that_is_missing_in_a_few_rows_of_a_rare_class_is_honest():
    y = np.zeros(N, dtype=int)
    y[:6] = 1
    assert _judge(pd.DataFrame({"y": y, "x": np.where(y == 1, np.nan, RNG.normal(size=N))})) == []


def test_a_rare_class_is_not_told_by_a_column_that_is_nearly_constant():
    y = np.zeros(N, dtype=int)
    y[:6] = 1
    assert _judge(pd.DataFrame({"y": y, "x": ["a"] * N, "name": [f"n{i}" for i in range(N)]})) == []


def test_columns_of_every_kind_are_looked_at_without_a_failure():
    y = _noise()
    day = dt.date(2026, 1, 1)
    frame = pd.DataFrame(
        {
            "y": y,
            "empty": np.nan,
            "infinite": np.inf,
            "constant": 3,
            "date": [day + dt.timedelta(days=int(n)) for n in RNG.integers(0, 99, N)],
            "date_or_none": [day, None] * (N // 2),
            "moment": pd.date_range("2026-01-01", periods=N, freq="h", tz="UTC"),
            "moment_or_none": [pd.Timestamp("2026-01-01"), pd.NaT] * (N // 2),
            "flag": RNG.random(N) < 0.5,
            "flag_or_none": [True, None] * (N // 2),
            "price": [decimal.Decimal(int(n)) for n in RNG.integers(0, 9, N)],
            "list": [[1, 2]] * N,
            "text": RNG.choice(["a", "b"], N),
            "category": pd.Categorical(RNG.choice(["a", "b"], N)),
            "duration": pd.to_timedelta(RNG.integers(0, 99, N), unit="s"),
        }
    )
    assert _judge(frame) == []
    assert _judge(frame, "text") == []
    assert _judge(frame, "flag") == []


def test_a_leak_among_booleans_dates_and_decimals_is_found():
    n = RNG.integers(0, 500, N)
    y = [dt.date(2026, 1, 1) + dt.timedelta(days=int(days)) for days in n]
    assert _judge(pd.DataFrame({"y": n, "leak": y})) == [("reproduces_target", ("leak",))]
    assert _judge(pd.DataFrame({"y": n, "leak": [decimal.Decimal(int(v)) for v in n]})) == [
        ("reproduces_target", ("leak",))
    ]


@pytest.mark.parametrize("answer_is_text", [True, False])
def test_the_name_of_each_of_many_classes_is_a_leak(answer_is_text):
    code = RNG.permutation(np.repeat(np.arange(60), 30))
    text = pd.Series([f"class {(7 * number) % 60}" for number in code])
    y, leak = (text, code) if answer_is_text else (code, text)
    frame = pd.DataFrame({"y": y, "leak": leak, "x": RNG.normal(size=len(code)), "row": np.arange(len(code))})
    assert _judge(frame) == [("determines_class", ("leak",))]


def test_more_classes_than_can_be_judged_are_said():
    frame = pd.DataFrame({"y": [f"name {i % 300}" for i in range(N)], "leak": np.arange(N) % 300})
    found, _, notes = find_reproductions(frame, target="y", features=["leak"])
    assert found == []
    assert [(note.rule, note.observed, note.n) for note in notes] == [("many_values", 300, 600)]


@pytest.mark.parametrize("names", ["ab", "abc", "abcdefgh"])
def test_a_flag_for_each_class_is_a_leak(names):
    y = RNG.choice(list(names), N)
    flags = {f"is_{name}": (y == name) * 1 for name in names[1:]}
    frame = pd.DataFrame({"y": y, **flags, "x": RNG.normal(size=N)})
    if len(names) == 2:
        assert _judge(frame) == [("determines_class", ("is_b",))]
        return
    ((rule, columns),) = _judge(frame)
    assert (rule, set(columns)) == ("combination_reproduces_target", set(flags))


def test_flags_that_leave_two_classes_open_are_honest():
    y = RNG.choice(list("abcd"), N)
    assert _judge(pd.DataFrame({"y": y, "is_a": (y == "a") * 1, "is_b": (y == "b") * 1})) == []


def test_a_copy_of_the_target_with_many_gaps_is_a_leak():
    y = _noise()
    assert _judge(pd.DataFrame({"y": y, "leak": np.where(RNG.random(N) < 0.6, np.nan, y)})) == [
        ("reproduces_target", ("leak",))
    ]


def test_a_feature_of_a_few_rows_in_which_the_target_happens_to_grow_is_honest():
    y = _noise()
    y[:100] = np.sort(y[:100])
    late = np.where(np.arange(N) < 100, np.arange(N), np.nan)
    assert _judge(pd.DataFrame({"y": y, "since": late})) == []


def test_a_class_that_is_too_rare_to_be_judged_is_said():
    y = np.zeros(4000, dtype=int)
    y[::900] = 1
    found, _, notes = find_reproductions(pd.DataFrame({"y": y, "copy": y}), target="y", features=["copy"])
    assert found == []
    assert (notes[0].rule, notes[0].observed, notes[0].required, notes[0].n) == ("rare_classes", 5, 10, 4000)


@pytest.mark.parametrize("y", [[1.0] * 100, list(range(10)), [None] * 100])
def test_what_can_not_be_judged_is_said(y):
    found, n_checks, notes = find_reproductions(pd.DataFrame({"y": y, "x": y}), target="y", features=["x"])
    assert (found, n_checks, len(notes)) == ([], 0, 1)


def test_the_passengers_of_two_coarse_columns_are_equal_by_chance_and_those_of_fine_ones_are_not():
    coarse = pd.DataFrame({"sex": RNG.choice(["f", "m"], N), "class": RNG.integers(0, 3, N), "none": [None] * N})
    assert equal_by_chance(coarse, N) > 0.9
    assert equal_by_chance(coarse.assign(x=RNG.normal(size=N)), N) < 0.01
    assert equal_by_chance(pd.DataFrame({"list": [[1, 2]] * N}), N) == 0


@pytest.mark.parametrize("name", ["fair", "randhie"])
def test_half_of_what_coarse_people_have_in_common_is_explained_by_chance(name):
    frame = getattr(pytest.importorskip("statsmodels.datasets"), name).load_pandas().data
    drawn = np.random.default_rng(0).random(len(frame)) < 0.2
    train, test = frame[~drawn], frame[drawn]
    shared = test.merge(train.drop_duplicates(), how="left", indicator=True)["_merge"].eq("both").mean()
    assert shared / 2 < equal_by_chance(train, len(train)) <= shared


def test_chance_does_not_explain_what_was_delivered_twice():
    frame = pytest.importorskip("statsmodels.datasets").fair.load_pandas().data
    twice = pd.concat([frame, frame])
    assert equal_by_chance(twice, len(twice)) < 0.4  # of the held-out rows of a fifth, 0.8 are in the rest
