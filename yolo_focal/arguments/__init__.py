"""Training arguments: what each is, what it accepts, and what a set of them means. Free of torch and Ultralytics."""
