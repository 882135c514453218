"""Monitoring: what the champion is asked and answers in production, held against its evaluation."""
