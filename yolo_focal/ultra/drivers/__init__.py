"""Ultralytics put to work: a model loaded, trained, validated, diagnosed, tuned."""
