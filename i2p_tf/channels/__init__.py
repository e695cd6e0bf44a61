"""What happens to a protected image on its way to ψ: as files, and as Keras operations with a gradient."""
