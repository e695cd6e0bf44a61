"""The cloud's side: configuration for TF Serving, and in `stand_in` a server for one machine."""
