"""Datasets: reading, converting, subsetting, drawing and counting them."""
