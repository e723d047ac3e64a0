"""Measuring detections against ground truth."""
