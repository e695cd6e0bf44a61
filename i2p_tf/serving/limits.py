"""How much is computed and kept waiting, by TF Serving as by the stand-in."""

MAX_BATCH_SIZE = 64  # examples that are computed together, and the most that one request may hold
MAX_BATCHES = 64  # that wait; what comes then is turned away
