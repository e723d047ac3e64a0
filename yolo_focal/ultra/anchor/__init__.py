"""The YOLOv5-style anchor detector on Ultralytics' engine."""
