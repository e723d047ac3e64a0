"""The only place that knows Ultralytics' internals: seams, arguments, criteria, child processes, validation."""
