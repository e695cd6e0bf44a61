"""How much is computed and kept waiting, by TF Serving as by the stand-in; and what a request may cost the stand-in."""

MAX_BATCH_SIZE = 64  # examples that are computed together, and the most that one request may hold
MAX_BATCHES = 64  # that wait; what comes then is turned away

MAX_REQUEST_BYTES = 16 << 20
EXPANSION = 32  # times its bytes is the memory that a request may take until it is computed
SMALL_REQUEST_BYTES = 64 << 10  # is read faster than it is handed to another process; a smaller one may cost as much
