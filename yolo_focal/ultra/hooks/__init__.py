"""Functions of Ultralytics that the plugin wraps: arguments, checkpoints, NMS, child processes."""
