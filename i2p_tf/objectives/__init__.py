"""The objectives of h_θ, one a file: its loss, what it takes from the training images, its trainer."""
