"""Models of every kind, and how their input is prepared."""
