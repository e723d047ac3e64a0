"""The class losses of Ultralytics' criteria, replaced by focal-family losses."""
