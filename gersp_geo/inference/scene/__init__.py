"""What is read of a scene, and how it is cut into batches of patches."""
