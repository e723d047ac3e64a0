"""What can be said about the difference of two configurations, and how sure it is."""
