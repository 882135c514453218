"""Maintenance: whether records agree, and whether a version can be made again."""
