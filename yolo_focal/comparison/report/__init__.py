"""The report of a comparison: an HTML page with charts, and the files beside it."""
