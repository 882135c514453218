"""scikit-learn and what follows its conventions: fitting, preprocessing, scoring, importance."""
