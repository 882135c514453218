"""One use case per step of the flow: plain functions that run in a notebook, in a container or in a task."""
