"""The YOLOv5-style anchor detector in plain torch: anchors, decoding, assignment, objective, original checkpoints."""
