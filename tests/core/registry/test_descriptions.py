from __future__ import annotations

from airflow_mlops.core.registry.descriptions import describe_version, is_awaited


def test_a_version_is_described_by_why_what_of_and_its_card():
    tags = {"mlops.split_digest": "sha256:1", "mlops.model_digest": "sha256:2", "owner": "ada"}
    text = describe_version(["Better.", "Faster."], run_id="9f", tags=tags, card="[Model card](x)")
    assert text.split("\n\n") == [
        "- Better.\n- Faster.",
        "Trained by run 9f",
        "- Model files: sha256:2\n- Split: sha256:1",
        "[Model card](x)",
    ]


def test_what_is_not_known_of_a_version_leaves_no_gap():
    assert describe_version([], run_id="9f", tags={}) == "Trained by run 9f"


def test_nobody_waits_for_nobody_to_serve():
    assert not is_awaited(None)
    assert not is_awaited(None, at_least=0)


def test_both_conditions_have_to_be_met():
    assert is_awaited(4, other_than=3, at_least=4)
    assert not is_awaited(4, other_than=4, at_least=4)
    assert not is_awaited(3, other_than=2, at_least=4)
