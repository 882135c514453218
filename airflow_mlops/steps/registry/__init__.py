"""The registry: versions, their records, the journal and the ledger."""
