"""Samples of pixels: shared out, drawn, written for an interpreter and read back."""
