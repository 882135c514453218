"""Profiles: what the columns of a snapshot hold, counted in one scan."""
