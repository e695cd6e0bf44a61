"""A stand-in for TF Serving on one machine: its REST and gRPC APIs in one process."""
