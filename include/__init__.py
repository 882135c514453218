"""The inputs of the example DAGs: training code, suites, specs, and the demo that runs them."""
