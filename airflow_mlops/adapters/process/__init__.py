"""Processes: the threads of this one, a child that does not outlive it, an application on a port."""
