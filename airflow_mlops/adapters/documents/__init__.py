"""Jinja and markdown-it: the documents that people read, as HTML and as Markdown."""
