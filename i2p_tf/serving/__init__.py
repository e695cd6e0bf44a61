"""The cloud's side: configuration for TF Serving, and a stand-in for it on one machine."""
