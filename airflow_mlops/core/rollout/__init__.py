"""The rollout: which versions serve together, and whether the new one does harm."""
