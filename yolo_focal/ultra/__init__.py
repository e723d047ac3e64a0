"""The only place that knows Ultralytics' internals: seams, training arguments, criteria, child processes, validation."""
