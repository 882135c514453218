"""Promotion: a blessed model becomes a version, a version becomes champion, and the way back."""
