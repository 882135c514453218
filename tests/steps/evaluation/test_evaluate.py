"""What is evaluated, on real models: classes, probabilities, functions of the user's, champions that broke."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient
from sklearn.metrics import accuracy_score, roc_auc_score

from airflow_mlops.adapters import arrow
from airflow_mlops.core.gate.rules import BlessingVerdict
from airflow_mlops.errors import EvaluationError, SpecError
from airflow_mlops.steps.registry.models import load_model
from tests.steps.cases import Bench, left_by, small_frame

LOGISTIC = {"target": "bought", "estimator": "sklearn.linear_model.LogisticRegression", "params": {"C": 1.0}}
PROBABILITY = {"metrics": {"roc_auc": {}, "accuracy": {}}, "cold_start": True}


def buyers(n_rows: int = 400, *, seed: int = 0, labels: Any = ("no", "yes")) -> pd.DataFrame:
    """Return people of three regions who buy, or do not."""
    rng = np.random.default_rng(seed)
    age, region = rng.normal(40, 10, n_rows), rng.choice(["north", "south", "west"], n_rows)
    buys = age + np.where(region == "north", 8, 0) + rng.normal(0, 6, n_rows) > 42
    return pd.DataFrame(
        {
            "day": pd.date_range("2020-01-01", periods=n_rows, freq="h"),
            "age": age,
            "region": region,
            "bought": np.where(buys, labels[1], labels[0]),
        }
    )


def of_buyers(bench: Bench, gate: dict[str, Any] = PROBABILITY, **changes: Any) -> Any:
    """Return the spec of a pipeline that predicts who buys."""
    expectations = [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "bought"}}]
    settings = {
        "model_name": "small",
        "data": {"path": str(bench.inbox), "timestamp": "day"},
        "validation": {"expectations": expectations},
        "training": LOGISTIC,
        "gate": gate,
        "serving_check": None,
    }
    return type(bench.spec()).parse({**settings, **changes})


@pytest.fixture
def shop(bench: Bench) -> Bench:
    bench.deliver(buyers())
    return bench


@pytest.mark.parametrize("labels", [("no", "yes"), (0, 1), (False, True)])
def test_classes_of_every_type_are_scored_as_scikit_learn_scores_them(bench: Bench, labels):
    bench.deliver(buyers(labels=labels))
    result = bench.run("first", of_buyers(bench))
    test = arrow.read_frame(result.split.test.uri, result.split.test.digest)
    model = load_model("It", result.model.model_uri, result.model.model_digest, platform=bench.platform)
    auc, accuracy = result.evaluation.comparisons
    assert auc.challenger == pytest.approx(roc_auc_score(test["bought"], model.scores(test)[:, 1]))
    said, sure = result.evaluation.predictions
    n_said = np.unique(model.predict(test), return_counts=True)[1].tolist()
    assert sorted(filter(None, said.counts.values())) == sorted(n_said)
    assert (said.name, sure.name, sure.n_rows) == ("mlops_prediction", "mlops_score", len(test))
    assert dict(sure.quantiles)[0.5] == pytest.approx(np.quantile(model.scores(test)[:, 1], 0.5, method="inverted_cdf"))
    assert accuracy.challenger == pytest.approx(accuracy_score(test["bought"], model.predict(test)))
    assert auc.baseline == 0.5
    assert accuracy.baseline == pytest.approx(max(test["bought"].value_counts(normalize=True)))
    assert result.promotion is not None
    assert result.evaluation.task == "classification"
    assert {each.label for each in result.evaluation.classes} == {str(label) for label in labels}


def test_the_positive_class_is_the_users_choice(shop: Bench):
    recall = {"metrics": {"recall": {}}, "cold_start": True, "baseline": "most_frequent"}
    of_yes = shop.run("yes", of_buyers(shop, recall)).evaluation
    of_no = shop.run("no", of_buyers(shop, recall | {"positive_class": "no"}), force=True).evaluation
    rates = {each.label: each.recall for each in of_yes.classes}
    assert of_yes.comparisons[0].challenger == pytest.approx(rates["yes"])
    assert of_no.comparisons[0].challenger == pytest.approx(rates["no"])


def test_a_positive_class_that_there_is_not_is_the_specs_mistake(shop: Bench):
    with pytest.raises(SpecError, match=r"gate.positive_class 'maybe' is none of the classes \['no', 'yes'\]"):
        shop.run("first", of_buyers(shop, PROBABILITY | {"positive_class": "maybe"}))


def test_three_classes_are_scored_by_metrics_that_are_of_many(bench: Bench):
    frame = buyers()
    noisy = frame["age"] + np.random.default_rng(1).normal(0, 5, len(frame))
    frame["bought"] = pd.cut(noisy, [-99, 35, 45, 199], labels=["nothing", "little", "much"]).astype(str)
    bench.deliver(frame)
    many = {"metrics": {"f1_macro": {}, "log_loss": {}}, "cold_start": True}
    result = bench.run("first", of_buyers(bench, many))
    assert result.promotion is not None
    assert len(result.evaluation.classes) == 3
    with pytest.raises(EvaluationError, match="average_precision is of two classes, the target has 3"):
        bench.run("second", of_buyers(bench, {"metrics": {"average_precision": {}}}), force=True)


def test_probabilities_of_a_model_that_gives_none_are_refused_with_what_to_do(shop: Bench):
    svm = LOGISTIC | {"estimator": "sklearn.svm.LinearSVC"}
    with pytest.raises(EvaluationError, match="roc_auc wants probabilities, and the challenger has no predict_proba"):
        shop.run("first", of_buyers(shop, training=svm))
    assert left_by(shop.platform).versions == ()


def test_an_error_of_labels_is_refused_and_names_the_metric(shop: Bench):
    with pytest.raises(EvaluationError, match="mean_absolute_error can't be computed from a target of type object"):
        shop.run("first", of_buyers(shop, {"metrics": {"mean_absolute_error": {}}}))


def test_a_held_back_part_with_one_class_has_no_area_and_is_never_blessed(bench: Bench):
    frame = buyers()
    frame.loc[300:, "bought"] = "yes"
    bench.deliver(frame)
    result = bench.run("first", of_buyers(bench))
    assert result.blessing.verdict is BlessingVerdict.REJECTED
    reason = result.blessing.reasons[0]
    assert (reason.rule, reason.subject, repr(reason.observed)) == ("finite", "roc_auc", "nan")
    assert left_by(bench.platform).versions == ()


def test_a_function_of_the_users_decides(shop: Bench):
    own = {"metrics": {"tests.steps.metrics:lost_sales": {"direction": "lower_is_better", "value_threshold": 0.4}}}
    gate = own | {"cold_start": True, "baseline": "most_frequent", "n_resamples": 200}
    result = shop.run("first", of_buyers(shop, gate))
    (found,) = result.evaluation.comparisons
    assert found.metric == "tests.steps.metrics:lost_sales"
    assert 0 < found.challenger < found.baseline
    assert result.promotion is not None


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("raises", EvaluationError, "tests.steps.metrics:raises raised KeyError: 'price'"),
        ("no_such", SpecError, "has no 'no_such'"),
    ],
)
def test_a_function_that_fails_or_is_not_there_blesses_nothing(shop: Bench, name, error, words):
    own = {"metrics": {f"tests.steps.metrics:{name}": {"direction": "lower_is_better"}}, "cold_start": True}
    with pytest.raises(error, match=words):
        shop.run("first", of_buyers(shop, own))
    assert left_by(shop.platform).versions == ()


def test_a_function_that_gives_nan_is_never_good_enough(shop: Bench):
    own = {"metrics": {"tests.steps.metrics:nothing": {"direction": "lower_is_better"}}, "cold_start": True}
    result = shop.run("first", of_buyers(shop, own | {"n_resamples": 200}))
    assert result.blessing.verdict is BlessingVerdict.REJECTED
    assert left_by(shop.platform).versions == ()


def test_groups_are_resampled_whole_and_the_interval_says_so(delivered: Bench):
    frame = small_frame(600)
    frame["shop"] = np.arange(600) // 3 % 40
    delivered.deliver(frame)
    gate = {"metrics": {"mean_absolute_error": {}}, "cold_start": True, "resample_by": "shop"}
    report = delivered.run("first", delivered.spec(gate=gate)).evaluation
    assert (report.resampled, report.n_units) == ("groups by shop", 40)


def test_few_groups_are_too_few_to_tell(delivered: Bench):
    frame = small_frame(600)
    frame["shop"] = np.arange(600) % 3
    delivered.deliver(frame)
    gate = {"metrics": {"mean_absolute_error": {}}, "cold_start": True, "resample_by": "shop"}
    blessing = delivered.run("first", delivered.spec(gate=gate)).blessing
    assert blessing.verdict is BlessingVerdict.INCONCLUSIVE
    reason = blessing.reasons[0]
    assert (reason.rule, reason.observed, reason.required) == ("min_units", 3, 10)
    assert reason.facts == {"resampled": "groups by shop"}


def test_a_column_to_resample_by_that_there_is_not_is_guessed(delivered: Bench):
    gate = {"metrics": {"mean_absolute_error": {}}, "resample_by": "dya"}
    with pytest.raises(SpecError, match=r"gate\.resample_by 'dya' is not in the data\. Did you mean 'day'"):
        delivered.run("first", delivered.spec(gate=gate))


# -- what stands beside the metrics ---------------------------------------------------------------------------------


def test_slices_fairness_time_importance_and_calibration_stand_beside_the_metrics(bench: Bench):
    bench.deliver(buyers(1500))
    gate = PROBABILITY | {"slices": {"columns": ["region"], "min_rows": 50}, "fairness": {"attributes": "region"}}
    result = bench.run("first", of_buyers(bench, gate))
    report = result.evaluation
    named = {part.name: part.n_rows for part in report.slices if not part.is_found}
    assert set(named) == {"region=north", "region=south", "region=west"}
    assert sum(named.values()) == report.n_rows
    (fairness,) = report.fairness
    rates = {group.name: group.scores["selection_rate"] for group in fairness.groups}
    assert rates["region=north"] == max(rates.values())
    assert report.timeline.step == "1 day"
    assert max(report.importance, key=lambda each: each.importance).feature == "age"
    assert 0 < report.calibration_errors["challenger"] < 0.2


def test_the_pictures_are_on_the_page_and_with_the_run(bench: Bench):
    bench.deliver(buyers(1500))
    result = bench.run("first", of_buyers(bench, PROBABILITY | {"slices": {"columns": "region", "min_rows": 50}}))
    page = bench.platform.storage.path(*result.evaluation.report_uri.split("/")).read_text()
    kept = {
        file.path
        for file in MlflowClient(bench.platform.mlflow.tracking_uri).list_artifacts(result.model.run_id, "evaluation")
    }
    for name in ("calibration", "confusion_matrix", "errors_by_time", "importance", "score_curves", "slices"):
        assert f"evaluation/{name}.svg" in kept
    assert {"evaluation/evaluation.html", "evaluation/blessing.html"} <= kept
    assert page.count("<svg") == 6
    assert "<script" not in page


def test_a_regression_has_residuals_and_what_changed_since_the_champion(serving: Bench):
    frame = small_frame()
    frame["z"] = frame["y"] + np.random.default_rng(3).normal(0, 0.1, len(frame))
    serving.deliver(frame)
    spec = serving.spec(
        validation={"policy": {"rules": {"column_new": "PROCEED"}}},
        gate={"metrics": {"mean_absolute_error": {}}, "allow_signature_change": True},
    )
    report = serving.run("second", spec).evaluation
    assert [(change.feature, change.kind) for change in report.importance_changes] == [("x", "fell"), ("z", "new")] or (
        [(change.feature, change.kind) for change in report.importance_changes] == [("z", "new"), ("x", "fell")]
    )
