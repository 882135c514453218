"""The rollout: a version is tried on live requests, watched, and goes on or is taken back."""
