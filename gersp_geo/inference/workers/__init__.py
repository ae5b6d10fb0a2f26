"""Several workers predict the same scenes, on one machine or many, and take parts as they come."""
