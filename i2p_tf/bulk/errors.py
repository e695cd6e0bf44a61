"""What stops a bulk job that has begun."""


class BulkFailed(Exception):
    """The job has not been finished. The message is one line; the same command goes on."""
