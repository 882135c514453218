"""Maintenance: records are verified, versions reproduced, and old snapshots pruned."""
