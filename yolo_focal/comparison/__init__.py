"""Trainings run side by side, and what can be said about their difference."""
