"""From the networks of a run to what devices and servers load."""
