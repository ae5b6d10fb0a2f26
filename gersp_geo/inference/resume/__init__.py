"""What is finished of a prediction, on disk."""
