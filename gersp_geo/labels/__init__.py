"""What is known about the ground of some images: classes of pixels, and objects."""
