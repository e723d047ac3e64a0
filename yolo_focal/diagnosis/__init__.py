"""A model and its data before training: what will run, what is wrong with the labels, and what to try."""
