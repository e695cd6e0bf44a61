"""Many pictures through the transform on Apache Beam: one machine's processes or a cluster's. Never TensorFlow."""
