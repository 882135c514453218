"""The split: rows to train on, to tune on and to hold out, and whether they leak."""
