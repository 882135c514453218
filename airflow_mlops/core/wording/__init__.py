"""Wording: reasons become sentences, one module for each stage. Nothing else in the core makes sentences of numbers."""

from __future__ import annotations

from airflow_mlops.core.wording.sentences import sentence_of, sentences_of

__all__ = ["sentence_of", "sentences_of"]
