"""What a code is worth: accuracy beyond what the device could do alone, and leakage beyond the class, over bits."""
