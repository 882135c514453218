"""S3: objects as a source, as files for Arrow, and as a store of small documents."""
