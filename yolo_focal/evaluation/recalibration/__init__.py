"""Scores turned into probabilities by a monotone map, measured before and after."""
