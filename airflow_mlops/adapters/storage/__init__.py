"""The storage root: documents and data as files under readable paths."""
