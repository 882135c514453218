"""This process and its children: threads, a child that does not outlive us, a port."""
