"""What runs at the user's side, with NumPy, Pillow and LiteRT: never TensorFlow or Keras."""
