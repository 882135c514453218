from __future__ import annotations

import numpy as np

from airflow_mlops.core.scoring.inference_log import logged_scores


def test_the_score_is_that_of_the_second_of_two_classes_and_else_of_the_chosen_one():
    two = np.array([[0.3, 0.7], [0.9, 0.1]])
    assert logged_scores(two, np.array(["no", "no"]), np.array(["no", "yes"])).tolist() == [0.7, 0.1]
    three = np.array([[0.2, 0.5, 0.3], [0.2, 0.5, 0.3]])
    assert logged_scores(three, np.array([7, 2]), np.array([1, 2, 7])).tolist() == [0.3, 0.5]
