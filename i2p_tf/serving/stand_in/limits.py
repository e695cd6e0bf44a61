"""What a request may cost the stand-in."""

MAX_REQUEST_BYTES = 16 << 20
EXPANSION = 32  # times its bytes is the memory that a request may take until it is computed
SMALL_REQUEST_BYTES = 64 << 10  # is read faster than it is handed to another process; a smaller one may cost as much
